//! Files laid over the image before anything is laid out, so that they are
//! written, read back and proven together with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use image_format::entry::{Content, Entry, INLINE_LIMIT, Kind, Piece, Timestamp};
use image_format::ids::ChunkId;
use image_format::image::{Manifest, VolumeTree};
use image_format::layout::Volume;

use super::refusal::Refusal;

/// Contents are cut into chunks of this many bytes, so that none is large.
const CHUNK: usize = 1 << 20;

/// What lies at an overlay path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OverlayKind {
    /// A regular file with these contents.
    File(Arc<[u8]>),
    /// A symbolic link to this target.
    Symlink(Vec<u8>),
    /// A directory; what the image has in it stays.
    Directory,
}

/// One thing laid over the image on the volume that holds the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverlayFile {
    /// Path from the root, without a slash in front: `etc/hostname`.
    pub path: Vec<u8>,
    /// What lies there.
    pub kind: OverlayKind,
    /// Permission bits; a link has `0o777` whatever stands here.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl OverlayFile {
    /// A file of root's.
    pub fn file(path: &str, mode: u32, content: impl Into<Arc<[u8]>>) -> Self {
        let kind = OverlayKind::File(content.into());
        Self {
            path: path.as_bytes().to_vec(),
            kind,
            mode,
            uid: 0,
            gid: 0,
        }
    }

    /// A symbolic link of root's.
    pub fn symlink(path: &str, target: &str) -> Self {
        let kind = OverlayKind::Symlink(target.as_bytes().to_vec());
        Self {
            path: path.as_bytes().to_vec(),
            kind,
            mode: 0o777,
            uid: 0,
            gid: 0,
        }
    }

    /// A directory of root's.
    pub fn directory(path: &str, mode: u32) -> Self {
        let kind = OverlayKind::Directory;
        Self {
            path: path.as_bytes().to_vec(),
            kind,
            mode,
            uid: 0,
            gid: 0,
        }
    }
}

/// The image's trees with the overlay in them.
pub(super) struct Laid {
    /// One tree for each partition, by index; without entries where there are none.
    pub(super) trees: Vec<VolumeTree>,
    /// Paths that are not the image's, with the partition they lie on.
    pub(super) paths: BTreeMap<usize, BTreeSet<Vec<u8>>>,
    /// Chunks that need not be fetched.
    pub(super) local: BTreeMap<ChunkId, Arc<[u8]>>,
}

/// Lays `files` over the volume of `manifest` that holds the system.
pub(super) fn lay_over(
    manifest: &Manifest,
    files: &[OverlayFile],
    time: Timestamp,
) -> Result<Laid, Vec<Refusal>> {
    let mut laid = Laid {
        trees: trees(manifest)?,
        paths: BTreeMap::new(),
        local: BTreeMap::new(),
    };
    if files.is_empty() {
        return Ok(laid);
    }
    let Some(index) = system_volume(manifest, &laid.trees) else {
        return Err(vec![Refusal::NoSystemVolume { files: files.len() }]);
    };
    // 128-byte inodes have no room for fractions or the time of birth.
    let birth = match &manifest.disk.partitions[index].volume {
        Volume::Ext4(facts) if facts.inode_size > 128 => time,
        _ => Timestamp::default(),
    };
    let entries = std::mem::take(&mut laid.trees[index].entries);
    let mut over = Over {
        tree: entries
            .into_iter()
            .map(|entry| (entry.path.clone(), entry))
            .collect(),
        paths: BTreeSet::new(),
        local: BTreeMap::new(),
        time: Timestamp {
            nanoseconds: 0,
            ..time
        },
        birth: Timestamp {
            nanoseconds: 0,
            ..birth
        },
    };
    let refusals: Vec<_> = files
        .iter()
        .filter_map(|file| over.lay(file).err())
        .collect();
    if !refusals.is_empty() {
        return Err(refusals);
    }
    laid.trees[index].entries = over.tree.into_values().collect();
    laid.paths.insert(index, over.paths);
    laid.local = over.local;
    Ok(laid)
}

/// One tree for each partition, in the partitions' order.
fn trees(manifest: &Manifest) -> Result<Vec<VolumeTree>, Vec<Refusal>> {
    let count = manifest.disk.partitions.len();
    let empty = |index: usize| VolumeTree {
        partition: u32::try_from(index).unwrap_or(u32::MAX),
        entries: Vec::new(),
    };
    let mut trees: Vec<_> = (0..count).map(empty).collect();
    for volume in &manifest.volumes {
        let place = usize::try_from(volume.partition)
            .ok()
            .and_then(|i| trees.get_mut(i));
        match place {
            Some(tree) if tree.entries.is_empty() => tree.entries.clone_from(&volume.entries),
            _ => {
                let what = format!(
                    "entries for partition index {} of {count}",
                    volume.partition
                );
                return Err(vec![Refusal::Image { what }]);
            }
        }
    }
    Ok(trees)
}

/// The ext4 volume with `/etc`; the largest of them if there are several.
fn system_volume(manifest: &Manifest, trees: &[VolumeTree]) -> Option<usize> {
    let has_etc = |tree: &VolumeTree| {
        let found = tree
            .entries
            .binary_search_by(|entry| entry.path.as_slice().cmp(b"etc"));
        found.is_ok_and(|at| tree.entries[at].kind == Kind::Directory)
    };
    let partitions = manifest.disk.partitions.iter().zip(trees).enumerate();
    partitions
        .filter(|(_, (p, tree))| matches!(p.volume, Volume::Ext4(_)) && has_etc(tree))
        .max_by_key(|(_, (p, _))| p.size)
        .map(|(index, _)| index)
}

/// A tree on which the overlay is being laid.
struct Over {
    tree: BTreeMap<Vec<u8>, Entry>,
    paths: BTreeSet<Vec<u8>>,
    local: BTreeMap<ChunkId, Arc<[u8]>>,
    time: Timestamp,
    birth: Timestamp,
}

impl Over {
    fn lay(&mut self, file: &OverlayFile) -> Result<(), Refusal> {
        let refuse = |why| Refusal::Overlay {
            path: Entry::new(file.path.clone(), Kind::File).display_path(),
            why,
        };
        if !sound_path(&file.path) {
            return Err(refuse("not a path from the root with named components"));
        }
        self.parents(&file.path).map_err(refuse)?;
        if let Some(present) = self.tree.get(&file.path) {
            let directory = present.kind == Kind::Directory;
            if directory != (file.kind == OverlayKind::Directory) {
                return Err(refuse(
                    "a directory is in the image where a file shall go, or the reverse",
                ));
            }
            if let Some(link) = present.link {
                self.leave_group(link, &file.path);
            }
        }
        let (kind, mode) = match &file.kind {
            OverlayKind::File(_) => (Kind::File, file.mode),
            OverlayKind::Symlink(target) => (Kind::Symlink(target.clone()), 0o777),
            OverlayKind::Directory => (Kind::Directory, file.mode),
        };
        let mut entry = self.entry(&file.path, kind, mode);
        (entry.uid, entry.gid) = (file.uid, file.gid);
        if let OverlayKind::File(bytes) = &file.kind {
            entry.content = self.content(bytes);
        }
        self.paths.insert(file.path.clone());
        self.tree.insert(file.path.clone(), entry);
        Ok(())
    }

    /// Makes the directories above `path` that the image lacks.
    fn parents(&mut self, path: &[u8]) -> Result<(), &'static str> {
        for (cut, _) in path.iter().enumerate().filter(|&(_, &byte)| byte == b'/') {
            let parent = &path[..cut];
            match self.tree.get(parent) {
                Some(entry) if entry.kind == Kind::Directory => {}
                Some(_) => {
                    return Err("a directory above it is a file or a link in the image; \
                                name the path without links");
                }
                None => {
                    let entry = self.entry(parent, Kind::Directory, 0o755);
                    self.paths.insert(parent.to_vec());
                    self.tree.insert(parent.to_vec(), entry);
                }
            }
        }
        Ok(())
    }

    /// Takes `path` out of its group of hard links: the contents stay with the
    /// other names, and a single name is no group.
    fn leave_group(&mut self, link: u32, path: &[u8]) {
        let content = match self.tree.get_mut(path) {
            Some(entry) => std::mem::take(&mut entry.content),
            None => Content::Empty,
        };
        let others = self
            .tree
            .values_mut()
            .filter(|entry| entry.link == Some(link));
        let mut others: Vec<_> = others.filter(|entry| entry.path != path).collect();
        if let [single] = others.as_mut_slice() {
            single.link = None;
        }
        if let Some(first) = others.first_mut()
            && content != Content::Empty
        {
            first.content = content;
        }
    }

    fn entry(&self, path: &[u8], kind: Kind, mode: u32) -> Entry {
        let mut entry = Entry::new(path, kind);
        entry.mode = mode & 0o7777;
        entry.times.modified = self.time;
        entry.times.accessed = self.time;
        entry.times.changed = self.time;
        entry.times.created = self.birth;
        entry
    }

    fn content(&mut self, bytes: &Arc<[u8]>) -> Content {
        if bytes.is_empty() {
            return Content::Empty;
        }
        if bytes.len() <= INLINE_LIMIT {
            return Content::Inline(bytes.to_vec());
        }
        let pieces = bytes.chunks(CHUNK).map(|part| {
            let id = ChunkId::of(part);
            self.local.entry(id).or_insert_with(|| Arc::from(part));
            Piece::Chunk {
                id,
                length: u32::try_from(part.len()).unwrap_or(u32::MAX),
            }
        });
        Content::Pieces(pieces.collect())
    }
}

fn sound_path(path: &[u8]) -> bool {
    let sound = |part: &[u8]| !part.is_empty() && part != b"." && part != b"..";
    !path.contains(&0) && path.split(|&byte| byte == b'/').all(sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over() -> Over {
        let mut root = Entry::new("", Kind::Directory);
        root.mode = 0o755;
        let mut linked = Entry::new("linked", Kind::File);
        linked.link = Some(1);
        linked.content = Content::Inline(b"shared".to_vec());
        let mut other = Entry::new("other", Kind::File);
        other.link = Some(1);
        let entries = [
            root,
            Entry::new("etc", Kind::Directory),
            Entry::new("lib", Kind::Symlink(b"usr/lib".to_vec())),
            linked,
            other,
        ];
        Over {
            tree: entries
                .into_iter()
                .map(|entry| (entry.path.clone(), entry))
                .collect(),
            paths: BTreeSet::new(),
            local: BTreeMap::new(),
            time: Timestamp::default(),
            birth: Timestamp::default(),
        }
    }

    #[test]
    fn missing_parents_are_made_and_belong_to_the_overlay() {
        let mut over = over();
        over.lay(&OverlayFile::file("var/lib/mimeo/run.json", 0o600, *b"{}"))
            .unwrap();
        let paths: Vec<_> = over
            .paths
            .iter()
            .map(|path| path.escape_ascii().to_string())
            .collect();
        assert_eq!(
            paths,
            ["var", "var/lib", "var/lib/mimeo", "var/lib/mimeo/run.json"]
        );
        assert_eq!(over.tree[b"var/lib".as_slice()].mode, 0o755);
    }

    #[test]
    fn large_contents_become_local_chunks() {
        let mut over = over();
        over.lay(&OverlayFile::file("etc/agent", 0o755, vec![7; CHUNK + 5]))
            .unwrap();
        assert_eq!(
            over.tree[b"etc/agent".as_slice()].content.size(),
            CHUNK as u64 + 5
        );
        assert_eq!(over.local.len(), 2);
    }

    #[test]
    fn replacing_one_name_of_a_file_leaves_its_contents_to_the_others() {
        let mut over = over();
        over.lay(&OverlayFile::file("linked", 0o644, *b"x"))
            .unwrap();
        let other = &over.tree[b"other".as_slice()];
        assert_eq!(other.content, Content::Inline(b"shared".to_vec()));
        assert_eq!(other.link, None);
        assert_eq!(over.tree[b"linked".as_slice()].link, None);
    }

    #[test]
    fn links_in_the_way_and_unsound_paths_are_refused() {
        for path in ["lib/x", "etc", "", "/etc/x", "etc/../x", "etc//x"] {
            assert!(
                over().lay(&OverlayFile::file(path, 0o644, *b"x")).is_err(),
                "{path}"
            );
        }
    }
}
