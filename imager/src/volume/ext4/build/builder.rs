//! The builder as others see it.

use image_format::image::VolumeTree;
use image_format::layout::{Ext4Facts, Partition, Volume};

use crate::volume::{Builder, Layout, VolumeError};

use super::super::fault::unsupported;
use super::assemble::assemble;
use super::fit::{fit, least_size};
use super::shape::Shape;
use super::tree::Tree;

/// Lays out ext4 volumes with the features `mke2fs` 1.47 gives, an empty
/// journal and checksums on everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ext4Builder;

impl Builder for Ext4Builder {
    fn lay_out(
        &self,
        partition: &Partition,
        tree: &VolumeTree,
        size: u64,
        _sector_size: u32,
    ) -> Result<Layout, Vec<VolumeError>> {
        let facts = facts_of(partition).map_err(|error| vec![error])?;
        let shape = Shape::new(facts, &tree.entries).map_err(|error| vec![error])?;
        let plan = Tree::new(&shape, &tree.entries)?;
        let Some((geometry, places)) = fit(&shape, &plan, &tree.entries, size) else {
            let needed = least_size(&shape, &plan, &tree.entries);
            return Err(vec![VolumeError::TooSmall { needed, size }]);
        };
        assemble(&shape, &geometry, plan, &places, &tree.entries).map_err(|error| vec![error])
    }

    /// 0 for a tree that no ext4 can hold: [`Builder::lay_out`] says why.
    fn least_size(&self, partition: &Partition, tree: &VolumeTree) -> u64 {
        let shape = facts_of(partition).and_then(|facts| Shape::new(facts, &tree.entries));
        let Ok(shape) = shape else { return 0 };
        let Ok(plan) = Tree::new(&shape, &tree.entries) else {
            return 0;
        };
        least_size(&shape, &plan, &tree.entries)
    }
}

fn facts_of(partition: &Partition) -> Result<&Ext4Facts, VolumeError> {
    match &partition.volume {
        Volume::Ext4(facts) => Ok(facts),
        _ => Err(unsupported(
            format!("partition {}", partition.number),
            "its volume is not ext4",
            "choose the builder by the volume",
        )),
    }
}
