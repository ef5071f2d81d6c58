//! Does what a machine read back agree with the image? Only what this server
//! can compute itself counts: the roots of the volumes, without the few paths
//! that an agent lays over every image.

use std::collections::{BTreeMap, BTreeSet};

use image_format::image::Manifest;
use image_format::proof::{OverlayEntry, Proof, VolumeProof, volume_proof, volume_root};
use winpe_assets::first_run;

/// Files an agent lays over an image, besides its own.
const OWN_FILES: [&str; 3] = ["etc/hostname", "etc/hosts", "etc/machine-id"];
/// Folders that belong to the agent, with all that is in them.
const OWN_FOLDERS: [&str; 2] = ["usr/lib/mimeo", "var/lib/mimeo"];
/// Overlay entries in one receipt; an agent lays about fifteen.
const MOST_OVERLAY: usize = 64;

/// The partition that is laid over, and the paths.
type Overlay = (u32, BTreeSet<Vec<u8>>);

/// Compares a proof with the image it speaks of; the reason when they differ.
///
/// Volumes without entries (swap, empty partitions) may be proven or left out.
pub(super) fn compare(manifest: &Manifest, proof: &Proof) -> Result<(), String> {
    let skip = overlay_paths(&proof.overlay)?;
    let none = BTreeSet::new();
    let mut proven = BTreeMap::new();
    for found in &proof.volumes {
        if proven.insert(found.partition, found).is_some() {
            return Err(format!(
                "it speaks twice of partition index {}",
                found.partition
            ));
        }
    }
    for tree in &manifest.volumes {
        let own = skip
            .as_ref()
            .filter(|(partition, _)| *partition == tree.partition);
        let expected = volume_proof(tree, own.map_or(&none, |(_, paths)| paths));
        match proven.remove(&tree.partition) {
            Some(found) => compare_volume(&expected, found)?,
            None if tree.entries.is_empty() => {}
            None => {
                let index = tree.partition;
                return Err(format!(
                    "it proves nothing about the volume at partition index {index}"
                ));
            }
        }
    }
    for (partition, found) in proven {
        compare_volume(&volume_root(partition, &[], &none), found)?;
    }
    Ok(())
}

fn compare_volume(expected: &VolumeProof, found: &VolumeProof) -> Result<(), String> {
    let place = format!("partition index {}", expected.partition);
    if found.entries != expected.entries || found.bytes != expected.bytes {
        return Err(format!(
            "the volume at {place} has {} entries with {} bytes, the image {} with {}",
            found.entries, found.bytes, expected.entries, expected.bytes
        ));
    }
    if found.root != expected.root {
        return Err(format!(
            "what was read back of the volume at {place} is not the image's"
        ));
    }
    Ok(())
}

/// The overlay's partition and paths, if all of them are an agent's to lay.
fn overlay_paths(overlay: &[OverlayEntry]) -> Result<Option<Overlay>, String> {
    let Some(first) = overlay.first() else {
        return Ok(None);
    };
    if overlay.len() > MOST_OVERLAY {
        return Err(format!(
            "{} files are laid over the image, at most {MOST_OVERLAY} may be",
            overlay.len()
        ));
    }
    let parents = parents();
    for entry in overlay {
        let path = entry.path.escape_ascii();
        if entry.partition != first.partition {
            return Err(format!("/{path} is laid over a second volume"));
        }
        if !allowed(&entry.path, &parents) {
            return Err(format!(
                "/{path} was laid over the image, which no agent does"
            ));
        }
    }
    Ok(Some((
        first.partition,
        overlay.iter().map(|entry| entry.path.clone()).collect(),
    )))
}

fn allowed(path: &[u8], parents: &BTreeSet<Vec<u8>>) -> bool {
    let is = |own: &str| own.as_bytes() == path;
    let inside = |folder: &str| {
        path.strip_prefix(folder.as_bytes())
            .is_some_and(|rest| rest.first() == Some(&b'/'))
    };
    OWN_FILES.into_iter().chain(OWN_FOLDERS).any(is)
        || [first_run::UNIT_PATH, first_run::WANTS_PATH]
            .into_iter()
            .any(is)
        || OWN_FOLDERS.into_iter().any(inside)
        || parents.contains(path)
}

/// The folders above all of these: laying a file changes their times, and a
/// sparse image may lack them.
fn parents() -> BTreeSet<Vec<u8>> {
    let files = OWN_FILES.into_iter().chain(OWN_FOLDERS);
    let paths = files.chain([first_run::UNIT_PATH, first_run::WANTS_PATH]);
    let mut parents = BTreeSet::from([Vec::new()]);
    for path in paths {
        for (at, _) in path.match_indices('/') {
            parents.extend(path.get(..at).map(|parent| parent.as_bytes().to_vec()));
        }
    }
    parents
}

#[cfg(test)]
mod tests {
    use image_format::ImageId;
    use image_format::layout::{DiskLayout, Scheme};

    use super::*;

    #[test]
    fn only_the_agents_own_paths_may_be_laid_over_an_image() {
        let parents = parents();
        let good = [
            "",
            "etc",
            "etc/hostname",
            "etc/machine-id",
            "usr/lib/mimeo",
            "usr/lib/mimeo/mimeo-agent",
            "var/lib/mimeo/run/run.json",
            "etc/systemd/system/mimeo-agent.service",
            "etc/systemd/system/multi-user.target.wants",
            "etc/systemd/system/multi-user.target.wants/mimeo-agent.service",
        ];
        for path in good {
            assert!(allowed(path.as_bytes(), &parents), "{path}");
        }
        let bad = [
            "etc/passwd",
            "etc/shadow",
            "usr/lib/mimeox",
            "usr/lib/mimeox/a",
            "etc/hostname/x",
            "etc/systemd/system/x.service",
            "usr/bin",
            "/etc/hostname",
        ];
        for path in bad {
            assert!(!allowed(path.as_bytes(), &parents), "{path}");
        }
    }

    #[test]
    fn an_empty_volume_may_be_proven_and_nothing_else_may_be_added() {
        let disk = DiskLayout {
            sector_size: 512,
            size: 1 << 20,
            scheme: Scheme::None,
            boot_code: vec![],
            partitions: vec![],
        };
        let manifest = Manifest {
            disk,
            volumes: vec![],
        };
        let empty = volume_root(3, &[], &BTreeSet::new());
        let proof = |volumes| Proof {
            image: ImageId::new([0; 32]),
            plan: [0; 32],
            volumes,
            overlay: vec![],
            boot_root: [0; 32],
        };
        assert!(compare(&manifest, &proof(vec![])).is_ok());
        assert!(compare(&manifest, &proof(vec![empty.clone()])).is_ok());
        assert!(compare(&manifest, &proof(vec![empty.clone(), empty.clone()])).is_err());
        let full = VolumeProof {
            entries: 1,
            ..empty
        };
        assert!(compare(&manifest, &proof(vec![full])).is_err());
    }

    #[test]
    fn an_overlay_stays_on_one_volume() {
        let entry = |partition| OverlayEntry {
            partition,
            path: b"etc/hosts".to_vec(),
            digest: [0; 32],
        };
        assert!(overlay_paths(&[entry(1)]).unwrap().is_some());
        assert!(overlay_paths(&[entry(1), entry(2)]).is_err());
        assert!(overlay_paths(&vec![entry(1); MOST_OVERLAY + 1]).is_err());
        assert!(overlay_paths(&[]).unwrap().is_none());
    }
}
