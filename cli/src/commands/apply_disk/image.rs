//! An image as it goes onto a disk or into a partition.

use std::path::Path;

use anyhow::Result;
use image_format::layout::Scheme;
use image_format::{ImageRecord, Manifest, Share, Store};
use imager::plan::{single, tree_as_ext4};

use crate::location;

/// An image as it shall go onto the target.
pub(super) struct Image {
    pub(super) share: Share<Box<dyn Store>>,
    pub(super) record: ImageRecord,
    pub(super) manifest: Manifest,
    /// It is of a directory, and its volume is to be made.
    pub(super) of_tree: bool,
}

impl Image {
    pub(super) fn load(share: &Path, name: &str, partition: Option<u32>) -> Result<Self> {
        let share = location::open(share)?;
        let record = share.find(name)?;
        let manifest = share.manifest(&record.image)?;
        let of_tree = manifest.disk.scheme == Scheme::Tree;
        let manifest = match of_tree {
            true => tree_as_ext4(&record.image, &manifest),
            false => manifest,
        };
        let manifest = match partition {
            Some(number) => single(&manifest, number)?,
            None => manifest,
        };
        Ok(Self {
            share,
            record,
            manifest,
            of_tree,
        })
    }
}
