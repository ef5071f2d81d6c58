//! Index segments kept on this machine: they never change and are named by
//! their hash, so one that was fetched once need not be fetched again.
//!
//! A cache never fails anybody: what cannot be kept is fetched again, and what
//! was damaged here as well.

use std::fs::{self, DirBuilder, File, FileTimes};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use image_format::ids::SegmentId;
use image_format::index::{MAX_SEGMENT, SegmentBytes};
use image_format::store::dir::map_immutable;

/// What nobody used for so long goes.
const FORGOTTEN: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The oldest go when all together are longer.
const MOST_BYTES: u64 = 8 << 30;
/// The time of last use is written no more often.
const TOLD_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

const KEPT: &str = "idx";
const UNFINISHED: &str = "new";

/// A folder of segments, of any number of shares.
#[derive(Debug)]
pub(super) struct IndexCache {
    folder: PathBuf,
}

impl IndexCache {
    /// The cache in a folder, which is made when something is kept. What was
    /// forgotten in it goes now.
    pub(super) fn open(folder: PathBuf) -> Self {
        let cache = Self { folder };
        // Nothing is lost with a folder that cannot be tidied.
        let _ = cache.tidy(SystemTime::now(), MOST_BYTES);
        cache
    }

    /// A segment that was kept and is whole.
    pub(super) fn find(&self, id: &SegmentId) -> Option<SegmentBytes> {
        let path = self.path(id);
        let bytes = map_immutable(&path, MAX_SEGMENT)?;
        if SegmentId::of(&bytes) != *id {
            let _ = fs::remove_file(&path);
            return None;
        }
        let _ = touch(&path);
        Some(bytes)
    }

    /// Keeps a segment, if there is room for it.
    pub(super) fn keep(&self, id: &SegmentId, bytes: &[u8]) {
        if SegmentId::of(bytes) == *id {
            let _ = self.write(id, bytes);
        }
    }

    fn path(&self, id: &SegmentId) -> PathBuf {
        self.folder.join(format!("{id}.{KEPT}"))
    }

    /// It appears whole or not at all, so that what is mapped never changes.
    fn write(&self, id: &SegmentId, bytes: &[u8]) -> io::Result<()> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut folder = DirBuilder::new();
        folder.recursive(true).mode(0o700).create(&self.folder)?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}.{UNFINISHED}", std::process::id());
        let new = self.folder.join(name);
        let written = fs::write(&new, bytes).and_then(|()| fs::rename(&new, self.path(id)));
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        written
    }

    fn tidy(&self, now: SystemTime, most: u64) -> io::Result<()> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let path = entry.path();
            let ours = path
                .extension()
                .is_some_and(|end| end == KEPT || end == UNFINISHED);
            if let (true, Ok(facts)) = (ours, entry.metadata()) {
                let used = facts.modified()?;
                all.push((
                    now.duration_since(used).unwrap_or_default(),
                    facts.len(),
                    path,
                ));
            }
        }
        all.sort();
        let mut bytes = 0_u64;
        for (age, length, path) in all {
            bytes = bytes.saturating_add(length);
            let is_left = path.extension().is_some_and(|end| end == UNFINISHED) && age > TOLD_EVERY;
            if age > FORGOTTEN || bytes > most || is_left {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }
}

/// Says that it is still used.
fn touch(path: &Path) -> io::Result<()> {
    let now = SystemTime::now();
    let used = fs::metadata(path)?.modified()?;
    if now.duration_since(used).unwrap_or_default() < TOLD_EVERY {
        return Ok(());
    }
    let times = FileTimes::new().set_modified(now);
    File::options().append(true).open(path)?.set_times(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, IndexCache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = IndexCache::open(folder.path().join("mimeo/index"));
        (folder, cache)
    }

    #[test]
    fn what_was_kept_is_found_and_what_was_damaged_is_not() {
        let (_folder, cache) = cache();
        let id = SegmentId::of(b"rows");
        assert!(cache.find(&id).is_none());
        cache.keep(&id, b"others");
        assert!(cache.find(&id).is_none(), "it is not called so");
        cache.keep(&id, b"rows");
        assert_eq!(&*cache.find(&id).unwrap(), b"rows");
        fs::write(cache.path(&id), b"rowz").unwrap();
        assert!(cache.find(&id).is_none());
        assert!(!cache.path(&id).exists());
        cache.keep(&id, b"rows");
        assert_eq!(&*cache.find(&id).unwrap(), b"rows");
    }

    #[test]
    fn what_was_not_used_for_a_month_goes_and_the_oldest_when_there_is_too_much() {
        let (_folder, cache) = cache();
        let day = Duration::from_secs(24 * 60 * 60);
        let ids = [b"1", b"2", b"3"].map(|bytes| SegmentId::of(bytes));
        let now = SystemTime::now();
        for (number, id) in (0_u32..).zip(&ids) {
            let bytes = (number + 1).to_string();
            cache.keep(id, bytes.as_bytes());
            let times = FileTimes::new().set_modified(now - day * (10 + 15 * number));
            let file = File::options().append(true).open(cache.path(id)).unwrap();
            file.set_times(times).unwrap();
        }
        let foreign = cache.folder.join("notes.txt");
        fs::write(&foreign, b"mine").unwrap();
        let there = || ids.map(|id| cache.path(&id).exists());
        cache.tidy(now, 100).unwrap();
        assert_eq!(there(), [true, true, false]);
        assert!(cache.find(&ids[1]).is_some(), "used again");
        cache.tidy(now + day * 25, 100).unwrap();
        assert_eq!(there(), [false, true, false]);
        cache.keep(&ids[0], b"1");
        cache.tidy(now, 1).unwrap();
        assert_eq!(there().iter().filter(|there| **there).count(), 1);
        assert!(foreign.exists());
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_no_cache() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, b"").unwrap();
        let cache = IndexCache::open(file.join("below"));
        let id = SegmentId::of(b"rows");
        cache.keep(&id, b"rows");
        assert!(cache.find(&id).is_none());
    }
}
