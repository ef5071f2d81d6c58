//! Names that are not of the image.

use std::sync::Mutex;

use super::difference::{Report, TreeWhat, lacking, tell};
use crate::tree::marker::MARKER;
use crate::tree::place::{Descriptors, Folders, ROOT, known};
use crate::tree::plan::{for_each_name, is_lost_and_found};

/// Tells every name in the image's folders whose hash is not in `names`, which
/// is sorted. A folder that must not be there is told once.
pub(super) fn find(
    descriptors: &Descriptors,
    folders: &Folders,
    names: &[[u8; 16]],
    report: &Mutex<Report>,
    under_way: bool,
) {
    let ids = u32::try_from(folders.len()).unwrap_or(u32::MAX);
    for id in ROOT..ids {
        // Folders that are missing were told before.
        let Ok(folder) = descriptors.folder(folders, id) else {
            continue;
        };
        let read = for_each_name(&folder, |name| {
            let own =
                id == ROOT && ((under_way && name == MARKER) || is_lost_and_found(&folder, name));
            if !own && names.binary_search(&known(id, name)).is_err() {
                tell(report, &folders.path_of(id, name), TreeWhat::Extra);
            }
            Ok(())
        });
        if let Err(error) = read {
            lacking(report, &folders.path(id), error);
        }
    }
}
