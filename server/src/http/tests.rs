//! The routes as machines and operators use them, in one process.

mod builder;
mod caller;
mod captures;
mod enrolment;
mod images;
mod runs;
mod share_claims;
mod share_rights;
mod shares;
mod wire;
mod world;
