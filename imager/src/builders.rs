//! Which builder makes a volume.

use image_format::layout::Volume;

use crate::volume::Builder;
use crate::volume::empty::EmptyBuilder;
use crate::volume::ext4::Ext4Builder;
use crate::volume::fat::FatBuilder;
use crate::volume::raw::RawBuilder;
use crate::volume::swap::SwapBuilder;

/// The builder that makes `volume` again.
pub fn for_volume(volume: &Volume) -> &'static dyn Builder {
    match volume {
        Volume::Ext4(_) => &Ext4Builder,
        Volume::Fat(_) => &FatBuilder,
        Volume::Swap { .. } => &SwapBuilder,
        Volume::Raw => &RawBuilder,
        // A tree has no volume of its own: the table has refused it before.
        Volume::Empty | Volume::Tree => &EmptyBuilder,
    }
}
