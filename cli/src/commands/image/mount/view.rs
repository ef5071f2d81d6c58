//! What an image shows as a folder: names, attributes, contents. Leaves, blocks
//! and folders are read when they are asked for; the last ones are kept.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuser::FileAttr;
use image_format::entry::{Content, Entry, Kind};
use image_format::{ChunkId, Share, Store};
use imager::look::contents::Contents;
use imager::look::recent::Recent;
use imager::look::{Links, LookError, Tree};

use super::attributes::{Facts, attributes};
use super::nodes::{Node, Nodes, ROOT};

/// Bytes of chunks that are kept.
const CHUNKS: u64 = 64 << 20;
/// Names in listed folders that are kept.
const LISTED: u64 = 32 << 10;

/// A lock nobody can poison for others: what it holds is only a cache.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One name in a folder.
pub(super) struct Item {
    pub(super) name: Vec<u8>,
    pub(super) tree: usize,
    pub(super) entry: Entry,
}

/// An image, opened to be shown.
pub(super) struct View {
    share: Share<Box<dyn Store>>,
    trees: Vec<Tree>,
    /// Of each tree, once a hard link was met.
    links: Vec<Mutex<Option<Arc<Links>>>>,
    pub(super) nodes: Nodes,
    listed: Mutex<Recent<u64, Arc<Vec<Item>>>>,
    chunks: Mutex<Recent<ChunkId, Arc<Vec<u8>>>>,
}

impl View {
    /// All trees, in folders named by their partitions.
    pub(super) fn disk(share: Share<Box<dyn Store>>, trees: Vec<Tree>) -> Self {
        Self::new(share, trees, Node::Top)
    }

    /// One tree; `None` where it holds sectors.
    pub(super) fn volume(
        share: Share<Box<dyn Store>>,
        tree: Tree,
    ) -> Result<Option<Self>, LookError> {
        let root = tree.entry(&share, b"")?;
        let is_folder = root.is_some_and(|root| root.kind == Kind::Directory);
        let (tree_number, path) = (0, Vec::new());
        let node = Node::In {
            tree: tree_number,
            path,
        };
        Ok(is_folder.then(|| Self::new(share, vec![tree], node)))
    }

    fn new(share: Share<Box<dyn Store>>, trees: Vec<Tree>, root: Node) -> Self {
        Self {
            share,
            links: trees.iter().map(|_| Mutex::default()).collect(),
            trees,
            nodes: Nodes::new(root),
            listed: Mutex::new(Recent::new(LISTED)),
            chunks: Mutex::new(Recent::new(CHUNKS)),
        }
    }

    /// How many entries there are.
    pub(super) fn entries(&self) -> u64 {
        let entries = self.trees.iter().map(Tree::entries);
        entries.fold(0, u64::saturating_add)
    }

    fn tree(&self, at: usize) -> Result<&Tree, LookError> {
        self.trees.get(at).ok_or(LookError::NoFiles)
    }

    /// What a number the kernel knows stands for.
    pub(super) fn item(&self, number: u64) -> Result<Option<Item>, LookError> {
        match self.nodes.node(number) {
            None => Ok(None),
            Some(Node::Top) => Ok(Some(Self::top())),
            Some(Node::In { tree, path }) => self.at(tree, &path, Vec::new()),
        }
    }

    /// The folder of the volumes is nobody's: everybody may look into it.
    fn top() -> Item {
        let mut entry = Entry::new("", Kind::Directory);
        entry.mode = 0o555;
        Item {
            name: Vec::new(),
            tree: usize::MAX,
            entry,
        }
    }

    fn at(&self, tree: usize, path: &[u8], name: Vec<u8>) -> Result<Option<Item>, LookError> {
        let found = self.tree(tree)?.entry(&self.share, path)?;
        Ok(found.map(|entry| Item { name, tree, entry }))
    }

    /// A name in a folder.
    pub(super) fn child(&self, folder: u64, name: &[u8]) -> Result<Option<Item>, LookError> {
        match self.nodes.node(folder) {
            None => Ok(None),
            Some(Node::Top) => {
                let named = |tree: &Tree| tree.number().to_string().as_bytes() == name;
                match self.trees.iter().position(named) {
                    Some(tree) => self.at(tree, b"", name.to_vec()),
                    None => Ok(None),
                }
            }
            Some(Node::In { tree, path }) => {
                let path = match path.as_slice() {
                    b"" => name.to_vec(),
                    folder => [folder, name].join(&b'/'),
                };
                self.at(tree, &path, name.to_vec())
            }
        }
    }

    /// All names in a folder, in a fixed order.
    pub(super) fn list(&self, folder: u64) -> Result<Arc<Vec<Item>>, LookError> {
        if let Some(items) = lock(&self.listed).get(&folder) {
            return Ok(items);
        }
        let items = match self.nodes.node(folder) {
            None => Vec::new(),
            Some(Node::Top) => {
                let item = |(tree, of): (usize, &Tree)| {
                    self.at(tree, b"", of.number().to_string().into_bytes())
                };
                let items = self.trees.iter().enumerate().map(item);
                items
                    .filter_map(Result::transpose)
                    .collect::<Result<_, _>>()?
            }
            Some(Node::In { tree, path }) => {
                let children = self.tree(tree)?.children(&self.share, &path)?;
                let item = |entry: Entry| Item {
                    name: entry.name().to_vec(),
                    tree,
                    entry,
                };
                children.into_iter().map(item).collect()
            }
        };
        let items = Arc::new(items);
        lock(&self.listed).insert(folder, items.len() as u64 + 1, Arc::clone(&items));
        Ok(items)
    }

    /// The number of a folder's own folder.
    pub(super) fn above(&self, folder: u64) -> u64 {
        match self.nodes.node(folder) {
            Some(Node::In { tree, path }) if !path.is_empty() => {
                let slash = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
                let parent = path.get(..slash).unwrap_or_default();
                self.nodes.number_at(tree, parent)
            }
            _ => ROOT,
        }
    }

    /// The number that stands for an item.
    pub(super) fn number(&self, item: &Item) -> u64 {
        match self.trees.get(item.tree) {
            Some(_) => self.nodes.number(item.tree, &item.entry),
            None => ROOT,
        }
    }

    /// Tells the kernel of an item: it may ask for its number from now on.
    pub(super) fn tell(&self, item: &Item) {
        let node = Node::In {
            tree: item.tree,
            path: item.entry.path.clone(),
        };
        self.nodes.told(self.number(item), node);
    }

    /// What `stat` says.
    pub(super) fn attributes(&self, item: &Item) -> Result<FileAttr, LookError> {
        let contents = match item.entry.kind {
            Kind::File | Kind::RawVolume => Some(self.contents(item)?),
            _ => None,
        };
        let names = match item.entry.link {
            Some(link) => self.links(item.tree)?.names(link),
            None => 1,
        };
        let facts = Facts {
            number: self.number(item),
            names,
            contents: contents.as_ref(),
        };
        Ok(attributes(&item.entry, &facts))
    }

    /// Contents, also where another name of a hard link carries them.
    pub(super) fn contents(&self, item: &Item) -> Result<Contents, LookError> {
        let entry = &item.entry;
        let (Some(link), Content::Empty) = (entry.link, &entry.content) else {
            return Ok(Contents::new(entry.content.clone()));
        };
        let links = self.links(item.tree)?;
        let first = links.first_name(link).unwrap_or(&entry.path);
        let carrier = self.tree(item.tree)?.entry(&self.share, first)?;
        let carrier = carrier.ok_or_else(|| LookError::NoContents {
            path: entry.display_path(),
        })?;
        Ok(Contents::new(carrier.content))
    }

    /// Bytes of a file from `offset` on, as many as there are and fit.
    pub(super) fn read(
        &self,
        contents: &Contents,
        offset: u64,
        size: usize,
    ) -> Result<Vec<u8>, LookError> {
        let mut bytes = vec![0; size];
        let length = contents.read_at(offset, &mut bytes, &mut |at| {
            if let Some(bytes) = lock(&self.chunks).get(&at.id) {
                return Ok(Shared(bytes));
            }
            let bytes = Arc::new(self.share.chunk(at)?);
            lock(&self.chunks).insert(at.id, u64::from(at.length), Arc::clone(&bytes));
            Ok(Shared(bytes))
        })?;
        bytes.truncate(length);
        Ok(bytes)
    }

    fn links(&self, tree: usize) -> Result<Arc<Links>, LookError> {
        let mut links = lock(self.links.get(tree).ok_or(LookError::NoFiles)?);
        if let Some(links) = &*links {
            return Ok(Arc::clone(links));
        }
        let read = Arc::new(Links::read(&self.share, self.tree(tree)?)?);
        *links = Some(Arc::clone(&read));
        Ok(read)
    }
}

/// Bytes of a chunk that others may hold too.
struct Shared(Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
