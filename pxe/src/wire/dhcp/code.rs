//! Option codes used here (RFC 2132; 82 RFC 3046; 93, 94, 97 RFC 4578).

/// Subnet mask.
pub const MASK: u8 = 1;
/// Routers.
pub const ROUTER: u8 = 3;
/// Name servers.
pub const DNS: u8 = 6;
/// Domain name.
pub const DOMAIN: u8 = 15;
/// Broadcast address.
pub const BROADCAST: u8 = 28;
/// Vendor-specific: PXE sub-options.
pub const VENDOR: u8 = 43;
/// Requested address.
pub const REQUESTED: u8 = 50;
/// Lease time in seconds.
pub const LEASE_TIME: u8 = 51;
/// Message type.
pub const KIND: u8 = 53;
/// Server identifier.
pub const SERVER: u8 = 54;
/// Parameter request list.
pub const WANTED: u8 = 55;
/// Text for a person, in a refusal.
pub const MESSAGE: u8 = 56;
/// Largest message the sender takes.
pub const MAX_SIZE: u8 = 57;
/// Renewal time in seconds.
pub const RENEW: u8 = 58;
/// Rebinding time in seconds.
pub const REBIND: u8 = 59;
/// Vendor class: `PXEClient...`, `HTTPClient...`.
pub const CLASS: u8 = 60;
/// Client identifier.
pub const CLIENT_ID: u8 = 61;
/// Boot file name.
pub const FILE: u8 = 67;
/// User class: `iPXE` as bare bytes.
pub const USER_CLASS: u8 = 77;
/// Relay agent information, echoed.
pub const RELAY: u8 = 82;
/// Client architectures.
pub const ARCHITECTURE: u8 = 93;
/// Client machine identifier.
pub const UUID: u8 = 97;
