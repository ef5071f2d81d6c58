//! A volume of nothing but zeros.

use image_format::image::VolumeTree;
use image_format::layout::{Partition, Volume};

use super::{Builder, Found, Layout, Reader, VolumeError};

/// Makes an empty volume: zeros from its first byte to its last, so that no
/// trace of what lay there before is found.
#[derive(Debug)]
pub struct EmptyBuilder;

impl Builder for EmptyBuilder {
    fn lay_out(
        &self,
        _: &Partition,
        tree: &VolumeTree,
        size: u64,
        _: u32,
    ) -> Result<Layout, Vec<VolumeError>> {
        let places = vec![Vec::new(); tree.entries.len()];
        Ok(Layout {
            places,
            zeros: vec![(0, size)],
            metadata: Box::new(std::iter::empty()),
            withheld: Vec::new(),
        })
    }

    fn least_size(&self, _: &Partition, _: &VolumeTree) -> u64 {
        0
    }
}

/// Reads an empty volume: no entries.
#[derive(Debug)]
pub struct EmptyReader;

impl Reader for EmptyReader {
    fn volume(&self) -> Volume {
        Volume::Empty
    }

    fn entries(&self) -> Result<Vec<Found>, VolumeError> {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition() -> Partition {
        let (number, start, size, volume) = (1, 1 << 20, 8 << 20, Volume::Empty);
        let name = Vec::new();
        Partition {
            number,
            start,
            size,
            type_guid: [1; 16],
            guid: [0; 16],
            attributes: 0,
            name,
            volume,
        }
    }

    #[test]
    fn an_empty_volume_becomes_zeros_from_end_to_end() {
        let tree = VolumeTree {
            partition: 0,
            entries: Vec::new(),
        };
        for size in [100, 1 << 20, 3 << 19, 8 << 20] {
            let layout = EmptyBuilder
                .lay_out(&partition(), &tree, size, 512)
                .unwrap();
            assert_eq!(layout.zeros, [(0, size)]);
        }
    }
}
