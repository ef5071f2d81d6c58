//! Links laid where an apply will write: nothing outside of the target changes.

use std::os::unix::fs::symlink;
use std::path::Path;

use image_format::StoreError;
use image_format::store::{BlockPlace, Source};
use imager::tree::apply::{Blocks, apply};
use imager::tree::plan::Wishes;

use crate::kit::{Image, clean, file, folder, image, is_root, keep, noise, run};

fn small() -> Image {
    image(vec![
        folder(""),
        folder("etc"),
        file("etc/inline", b"new"),
        file("etc/block", &noise(1, 50_000)),
    ])
}

fn outside(dir: &Path) -> std::path::PathBuf {
    let outside = dir.join("outside");
    std::fs::create_dir_all(outside.join("etc")).unwrap();
    for name in ["etc/inline", "etc/block", "victim"] {
        std::fs::write(outside.join(name), "precious").unwrap();
    }
    outside
}

fn unharmed(outside: &Path) {
    let mut names = 0;
    for name in ["etc/inline", "etc/block", "victim"] {
        assert_eq!(std::fs::read(outside.join(name)).unwrap(), b"precious");
        names += 1;
    }
    assert_eq!(std::fs::read_dir(outside).unwrap().count(), 2);
    assert_eq!(
        std::fs::read_dir(outside.join("etc")).unwrap().count(),
        names - 1
    );
}

#[test]
fn planted_links_are_replaced_and_never_followed() {
    for wishes in [
        keep(),
        clean(),
        Wishes {
            reuse: true,
            ..keep()
        },
        Wishes {
            reuse: true,
            ..clean()
        },
    ] {
        let dir = tempfile::tempdir().unwrap();
        let outside = outside(dir.path());
        let target = dir.path().join("target");
        std::fs::create_dir(&target).unwrap();
        symlink(outside.join("etc"), target.join("etc")).unwrap();
        small().apply(&target, &wishes).unwrap();
        unharmed(&outside);
        assert!(target.join("etc").symlink_metadata().unwrap().is_dir());

        for name in ["etc/inline", "etc/block"] {
            std::fs::remove_file(target.join(name)).unwrap();
            symlink(outside.join("victim"), target.join(name)).unwrap();
        }
        symlink(&outside, target.join("extra")).unwrap();
        small().apply(&target, &wishes).unwrap();
        unharmed(&outside);
        assert_eq!(std::fs::read(target.join("etc/inline")).unwrap(), b"new");
    }
}

/// Plants links the moment the first block is asked for: all folders are there,
/// no large file is.
struct Planter<'a> {
    source: &'a dyn Source,
    target: &'a Path,
    outside: &'a Path,
    folder: bool,
}

impl Source for Planter<'_> {
    fn block(&self, place: &BlockPlace) -> Result<Vec<u8>, StoreError> {
        if self.folder {
            let _ = std::fs::rename(self.target.join("etc"), self.target.join("was-etc"));
            let _ = symlink(self.outside.join("etc"), self.target.join("etc"));
        } else {
            let _ = symlink(self.outside.join("victim"), self.target.join("etc/block"));
        }
        self.source.block(place)
    }
}

#[test]
fn links_planted_while_it_runs_lead_nowhere() {
    for folder in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let outside = outside(dir.path());
        let target = dir.path().join("target");
        let image = small();
        let plan = image.plan(&target, &Wishes::default()).unwrap();
        let source = Planter {
            source: image.share.store(),
            target: &target,
            outside: &outside,
            folder,
        };
        let find = |id: &_| image.share.index().find(id);
        let base = |at: &_| image.share.chunk(at).ok();
        let blocks = Blocks {
            source: &source,
            find: &find,
            base: &base,
        };
        let done = image.with(|origin| apply(&plan, origin, &blocks, true, &|_| {}));
        assert!(done.is_err(), "planted and not noticed");
        assert!(target.join(".mimeo-apply").exists());
        unharmed(&outside);
    }
}

#[test]
fn cleaning_stops_at_another_mount() {
    if !is_root() {
        eprintln!("not root: not tested");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let outside = outside(dir.path());
    let inner = dir.path().join("target/some/mount");
    std::fs::create_dir_all(&inner).unwrap();
    let target = dir.path().join("target");
    let reusing = Wishes {
        reuse: true,
        ..clean()
    };
    // Mounted after the plan was made, which would have refused it.
    let plans = [clean(), reusing].map(|wishes| small().plan(&target, &wishes).unwrap());
    let (from, to) = (outside.to_str().unwrap(), inner.to_str().unwrap());
    run("mount", &["--bind", from, to]);
    let done = plans.map(|plan| small().carry_out(&plan, i64::MAX));
    run("umount", &[to]);
    for done in done {
        let text = format!("{:?}", done.unwrap_err());
        assert!(text.contains("/some") && text.contains("mounted"), "{text}");
        unharmed(&outside);
    }
}
