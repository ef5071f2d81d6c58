//! The deployment share, opened for reading. Others write to it at any time;
//! what they add is seen as soon as somebody asks for images.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use image_format::manifest::{bundle, witness};
use image_format::store::{BlockPlace, DirStore, RefName, Source, Store, StoreError};
use image_format::{
    ChunkId, ChunkRef, ImageId, ImageRecord, Manifest, ManifestError, PackId, Segment, Share,
    ShareError, fetch_list, refs, with_bases,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{error, info, warn};

use crate::error::{Refusal, chain};

/// Images whose block lists are kept: what is rolled out at one time.
const KEPT: usize = 4;
/// Stored bytes on their way to machines at once, in bytes: most of the
/// memory the server uses. Blocks are 4 MiB, the largest one 16 MiB.
const IN_FLIGHT: u32 = 40 << 20;

/// The share.
pub(crate) struct ShareRoom {
    inner: Arc<Inner>,
    in_flight: Arc<Semaphore>,
    /// One manifest is expanded at a time: they are the largest things here.
    heavy: Arc<Semaphore>,
}

struct Inner {
    store: Arc<DirStore>,
    view: RwLock<View>,
    kept: Mutex<Vec<(ImageId, Arc<ImageBlocks>)>>,
    /// Where the list of files lies of the image that was last compared with.
    list: Mutex<Option<(ImageId, Arc<ImageBlocks>)>>,
}

struct View {
    share: Share<Arc<DirStore>>,
    refs: Vec<RefName>,
}

/// Where the blocks of one image lie.
pub(crate) struct ImageBlocks {
    /// The same as an index segment.
    pub(crate) segment: Vec<u8>,
    places: HashMap<(PackId, u64), BlockPlace>,
}

/// Bytes of a block. While they are kept, their share of the memory is taken.
pub(crate) struct BlockBytes {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for BlockBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl ImageBlocks {
    /// The block at this place, if it is one of the image's.
    pub(crate) fn place(&self, pack: PackId, offset: u64, stored: u32) -> Option<BlockPlace> {
        self.places
            .get(&(pack, offset))
            .filter(|place| place.stored == stored)
            .copied()
    }
}

impl ShareRoom {
    /// Opens the share in a folder.
    ///
    /// # Errors
    /// It is none, or damaged.
    pub(crate) fn open(dir: &Path) -> Result<Self, ShareError> {
        let store = Arc::new(DirStore::open(dir)?);
        let refs = store.list_refs()?;
        let share = Share::open(Arc::clone(&store))?;
        warn_of_refs(&share);
        let view = RwLock::new(View { share, refs });
        Ok(Self {
            inner: Arc::new(Inner {
                store,
                view,
                kept: Mutex::default(),
                list: Mutex::default(),
            }),
            in_flight: Arc::new(Semaphore::new(
                usize::try_from(IN_FLIGHT).unwrap_or(usize::MAX),
            )),
            heavy: Arc::new(Semaphore::new(1)),
        })
    }

    /// The newest image of every name, newest last.
    pub(crate) async fn images(&self) -> Result<Vec<ImageRecord>, Refusal> {
        let mut images = self.look(|inner| Ok(inner.fresh(Share::images))).await?;
        images.sort_by_key(|record| record.captured);
        Ok(images)
    }

    /// An image by name or id.
    pub(crate) async fn find(&self, image: &str) -> Result<ImageRecord, Refusal> {
        let asked = image.to_owned();
        self.look(move |inner| {
            inner
                .fresh(|share| share.find(&asked))
                .map_err(|error| match error {
                    ShareError::Unknown { asked } | ShareError::Ambiguous { asked, .. } => {
                        Refusal::UnknownImage { image: asked }
                    }
                    other => other.into(),
                })
        })
        .await
    }

    /// An image's manifest in one piece, as machines take it.
    pub(crate) async fn manifest_bytes(&self, image: ImageId) -> Result<Vec<u8>, Refusal> {
        let _one = self.heavy().await?;
        self.look(move |inner| Ok(inner.read(|share| share.bundle(&image))?))
            .await
    }

    /// Does something with an image's manifest, off the runtime's threads.
    pub(crate) async fn with_manifest<T, F>(&self, image: ImageId, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&Manifest) -> T + Send + 'static,
    {
        let _one = self.heavy().await?;
        self.look(move |inner| Ok(work(&inner.read(|share| share.manifest(&image))?)))
            .await
    }

    /// Where an image's blocks lie.
    pub(crate) async fn blocks(&self, image: ImageId) -> Result<Arc<ImageBlocks>, Refusal> {
        if let Some(kept) = self.inner.kept(&image) {
            return Ok(kept);
        }
        let _one = self.heavy().await?;
        self.look(move |inner| match inner.kept(&image) {
            Some(kept) => Ok(kept),
            None => inner.load_blocks(&image),
        })
        .await
    }

    /// Where an image's own list of files lies, without what the files hold.
    /// Small files stand in the list itself.
    pub(crate) async fn list_blocks(&self, image: ImageId) -> Result<Arc<ImageBlocks>, Refusal> {
        let _one = self.heavy().await?;
        self.look(move |inner| inner.list_blocks(&image)).await
    }

    /// The newest version there ever was under a name (0: none), deleted ones
    /// counted, and the newest image there is.
    pub(crate) async fn newest(&self, name: &str) -> Result<(u64, Option<ImageRecord>), Refusal> {
        let name = name.to_owned();
        self.look(move |inner| {
            let mut refs = inner.store.list_refs()?;
            refs.extend(inner.store.list_deleted_refs()?);
            let versions = refs.iter().filter(|at| at.name == name);
            let newest = versions.map(|at| at.sequence).max().unwrap_or(0);
            let image = inner.fresh(|share| share.history(&name).last().cloned());
            Ok((newest, image))
        })
        .await
    }

    /// A version of an image, read from the share now; `None`: there is none.
    pub(crate) async fn record(&self, at: RefName) -> Result<Option<ImageRecord>, Refusal> {
        self.look(move |inner| {
            let bytes = match inner.store.read_ref(&at) {
                Err(StoreError::Missing { .. }) => return Ok(None),
                bytes => bytes?,
            };
            let read = refs::decode(&bytes, at.sequence, None).map_err(|error| Refusal::Share {
                reason: chain(&error),
            })?;
            Ok(Some(read.record).filter(|record| record.name == at.name))
        })
        .await
    }

    /// The stored bytes of a block, unverified: whoever gets them verifies.
    pub(crate) async fn block(&self, place: BlockPlace) -> Result<BlockBytes, Refusal> {
        let room = Arc::clone(&self.in_flight).acquire_many_owned(place.stored.min(IN_FLIGHT));
        let room = room.await.map_err(|_| Refusal::Busy)?;
        let bytes = self
            .look(move |inner| Ok(inner.store.block(&place)?))
            .await?;
        Ok(BlockBytes { bytes, _room: room })
    }

    /// The right to do something that takes much memory.
    pub(crate) async fn heavy(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.heavy)
            .acquire_owned()
            .await
            .map_err(|_| Refusal::Busy)
    }

    async fn look<T, F>(&self, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&Inner) -> Result<T, Refusal> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || work(&inner)).await?
    }
}

impl Inner {
    /// Asks the share after a look for new captures. A damaged addition does
    /// not take away what was there: it is told, and the old view answers.
    fn fresh<T>(&self, ask: impl FnOnce(&Share<Arc<DirStore>>) -> T) -> T {
        match self.store.list_refs() {
            Ok(refs)
                if refs
                    == self
                        .view
                        .read()
                        .unwrap_or_else(PoisonError::into_inner)
                        .refs => {}
            Ok(refs) => {
                let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
                match view.share.refresh() {
                    Ok(()) => {
                        info!(refs = refs.len(), "the share has new captures");
                        warn_of_refs(&view.share);
                        view.refs = refs;
                    }
                    Err(e) => error!(error = chain(&e), "the share cannot be read again"),
                }
            }
            Err(e) => error!(error = chain(&e), "the share's images cannot be listed"),
        }
        self.read(ask)
    }

    fn read<T>(&self, ask: impl FnOnce(&Share<Arc<DirStore>>) -> T) -> T {
        ask(&self
            .view
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .share)
    }

    fn list_blocks(&self, image: &ImageId) -> Result<Arc<ImageBlocks>, Refusal> {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, blocks)) = list.as_ref().filter(|(kept, _)| kept == image) {
            return Ok(Arc::clone(blocks));
        }
        let jobs = self.read(|share| {
            let chunks = list_chunks(share, image)?.into_iter();
            fetch_list(share.index(), chunks).map_err(ShareError::from)
        })?;
        let places = jobs
            .iter()
            .map(|job| ((job.place.pack, job.place.offset), job.place));
        let blocks = Arc::new(ImageBlocks {
            segment: Vec::new(),
            places: places.collect(),
        });
        *list = Some((*image, Arc::clone(&blocks)));
        Ok(blocks)
    }

    fn kept(&self, image: &ImageId) -> Option<Arc<ImageBlocks>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter()
            .find(|(id, _)| id == image)
            .map(|(_, blocks)| Arc::clone(blocks))
    }

    fn load_blocks(&self, image: &ImageId) -> Result<Arc<ImageBlocks>, Refusal> {
        let jobs = self.read(|share| {
            let manifest = share.manifest(image)?;
            let jobs = share.jobs(&manifest)?;
            // A machine opens every block with what it is told of here.
            with_bases(share.index(), jobs).map_err(ShareError::from)
        })?;
        let segment = Segment::encode(&jobs).map_err(|e| Refusal::Share { reason: chain(&e) })?;
        let places = jobs
            .iter()
            .map(|job| ((job.place.pack, job.place.offset), job.place))
            .collect();
        let blocks = Arc::new(ImageBlocks { segment, places });
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((*image, Arc::clone(&blocks)));
        Ok(blocks)
    }
}

/// The chunks of an image's own list of files, and of what was noted of them to
/// see what has changed.
fn list_chunks<S: Store>(share: &Share<S>, image: &ImageId) -> Result<Vec<ChunkId>, ShareError> {
    let record = share.find(&image.to_string())?;
    let damaged = |source| ShareError::Manifest { id: *image, source };
    let mut chunks = Vec::new();
    let mut fetch = |chunk: &ChunkRef| {
        chunks.push(chunk.id);
        share.chunk(chunk).map_err(|error| ManifestError::Unread {
            id: chunk.id,
            reason: chain(&error),
        })
    };
    bundle::walk(&share.root(image)?, &mut fetch).map_err(damaged)?;
    if let Some(list) = record.witnesses {
        let volumes = witness::decode(&share.chunk(&list)?).map_err(damaged)?;
        chunks.push(list.id);
        let leaves = volumes.iter().flatten();
        chunks.extend(leaves.filter(|leaf| leaf.length > 0).map(|leaf| leaf.id));
    }
    Ok(chunks)
}

/// Versions whose refs cannot be used are left out, but not in silence.
fn warn_of_refs<S: Store>(share: &Share<S>) {
    for lost in share.unreadable() {
        warn!(error = chain(lost), "a version is left out");
    }
}

impl From<ShareError> for Refusal {
    fn from(error: ShareError) -> Self {
        Self::Share {
            reason: chain(&error),
        }
    }
}
