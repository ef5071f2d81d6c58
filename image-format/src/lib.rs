//! What an image is, how it is stored and how it is sent.
//!
//! An image is a [`Manifest`]: a disk with its partitions and one tree of
//! entries for each. The contents of files are chunks, named by the hash of
//! their bytes. Chunks of like kind are compressed together in blocks, blocks
//! lie in packs, and an index tells which block holds a chunk.
//!
//! * stored by [`Ingest`], read through [`Share`], checked by [`upkeep::check`]
//! * kept in a [`Store`]: a directory, memory, or whatever else implements it
//! * fetched as [`BlockJob`]s from a [`Source`], opened by [`block::open`]
//! * proven by a [`Proof`] over what an apply read back

pub mod block;
pub mod bytes;
pub mod chunker;
pub mod entry;
mod features;
pub mod fetch;
pub mod file;
pub mod ids;
pub mod image;
pub mod index;
pub mod ingest;
pub mod job;
pub mod lane;
pub mod layout;
pub mod manifest;
pub mod pack;
pub mod profile;
pub mod proof;
pub mod refs;
pub mod share;
pub mod store;
pub mod upkeep;

pub use block::{BlockError, OpenBlock};
pub use features::UnknownFeatures;
pub use fetch::{MissingChunk, fetch_list, with_bases};
pub use file::MimFile;
pub use ids::{BlockId, ChunkId, ChunkRef, ImageId, PackId, SegmentId};
pub use image::{ImageRecord, Manifest, SystemWords, VolumeTree};
pub use index::{Index, KnownSegments, Segment};
pub use ingest::{
    Cut, Cutter, HashedChunk, ImageWriter, Ingest, IngestError, IngestOptions, IngestProgress,
    NewImage, Pieces, StreamWriter,
};
pub use job::{BlockJob, ChunkInBlock};
pub use manifest::{ManifestError, Root, VolumeRoot, Witness};
pub use profile::Profile;
pub use proof::{OverlayEntry, Proof, VolumeProof, entry_digest, volume_proof, volume_root};
pub use share::{ChunkReader, Entries, Expander, Share, ShareError, UnreadableRef, Witnesses};
pub use store::{BlockPlace, DirStore, MemoryStore, RefName, Source, Store, StoreError};
