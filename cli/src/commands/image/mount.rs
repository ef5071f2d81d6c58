//! `mimeo image mount`: an image as a folder, read-only, while this runs.

mod attributes;
mod nodes;
mod serve;
mod view;

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use fuser::{Config, MountOption, Session, SessionACL, SessionUnmounter};
use image_format::layout::Scheme;
use image_format::{ImageRecord, Share, Store};
use imager::look::Tree;
use rustix::mount::UnmountFlags;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::MountArgs;
use crate::location::open;
use crate::output;
use serve::Files;
use view::View;

/// Where the kernel takes file systems of programs.
const DEVICE: &str = "/dev/fuse";
/// Requests that may wait for a block at the same time.
const THREADS: usize = 4;

/// Mounts, and serves until the folder is unmounted or a signal comes.
pub(super) fn run(args: &MountArgs, json: bool) -> Result<()> {
    ensure!(
        Path::new(DEVICE).exists(),
        "this system has no {DEVICE}: load it with `modprobe fuse`, or copy files out with `mimeo image extract`"
    );
    check_target(&args.target)?;
    let share = open(&args.image.share.dir)?;
    let record = share.find(&args.image.image)?;
    let view = view(share, &record, args.partition)?;
    let mounting = || format!("mounting on {}", args.target.display());
    let mut session = Session::new(
        Files::new(view),
        &args.target,
        &config(&record, args.others),
    )
    .with_context(mounting)?;
    let unmounter = session.unmount_callable();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let signals = {
        let _inside = runtime.enter();
        Signals::listen()?
    };
    let (ended, end) = tokio::sync::oneshot::channel();
    let serving = std::thread::spawn(move || {
        // Nobody listens any more when a signal ended it first.
        let _ = ended.send(session.run());
    });
    announce(&record, args, json)?;
    match runtime.block_on(signals.or(end)) {
        Some(result) => result.with_context(|| format!("serving {}", args.target.display())),
        None => {
            if unmount(unmounter, &args.target)? {
                // Its result says nothing more: the folder is unmounted.
                let _ = serving.join();
            }
            Ok(())
        }
    }
}

/// What was there would be hidden: so nothing may be there.
fn check_target(target: &Path) -> Result<()> {
    let looking = || format!("looking into {}", target.display());
    let mut there = std::fs::read_dir(target).with_context(looking)?;
    ensure!(
        there.next().is_none(),
        "{} is not empty: choose an empty folder",
        target.display()
    );
    Ok(())
}

/// A disk is shown as folders named by partition numbers, one volume as itself.
fn view(
    share: Share<Box<dyn Store>>,
    record: &ImageRecord,
    partition: Option<u32>,
) -> Result<View> {
    let layout = share.root(&record.image)?.disk;
    let is_disk = matches!(layout.scheme, Scheme::Gpt { .. } | Scheme::Mbr { .. });
    if is_disk && partition.is_none() {
        let trees = Tree::all(&share, record.image)?;
        return Ok(View::disk(share, trees));
    }
    let tree = Tree::choose(&share, record.image, partition)?;
    let number = tree.number();
    match View::volume(share, tree)? {
        Some(view) => Ok(view),
        None if is_disk => {
            bail!("partition {number} holds sectors and no files: mount without --partition")
        }
        None => bail!("the image holds sectors and no files: use `mimeo image cat IMAGE /`"),
    }
}

fn config(record: &ImageRecord, others: bool) -> Config {
    let mut config = Config::default();
    config.n_threads = Some(THREADS);
    config.mount_options = vec![
        MountOption::RO,
        MountOption::NoDev,
        MountOption::NoSuid,
        MountOption::NoAtime,
        MountOption::FSName(format!("mimeo-{}", record.image.short())),
        MountOption::Subtype("mimeo".to_owned()),
    ];
    // Whoever mounts can read the share anyway; others see what the modes say.
    if others {
        config.acl = SessionACL::All;
        config.mount_options.push(MountOption::DefaultPermissions);
    }
    config
}

fn announce(record: &ImageRecord, args: &MountArgs, json: bool) -> Result<()> {
    let value = serde_json::json!({ "record": record, "mounted": args.target });
    output::show(json, &value, || {
        format!(
            "{} version {} is on {}, read-only; stop with Ctrl-C",
            record.name,
            record.sequence,
            args.target.display()
        )
    })
}

/// What ends a mount from outside.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("listening for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("listening for SIGINT")?,
        })
    }

    /// What `end` says, or `None` when a signal came first.
    async fn or<T>(mut self, end: tokio::sync::oneshot::Receiver<T>) -> Option<T> {
        tokio::select! {
            result = end => result.ok(),
            _ = self.terminate.recv() => None,
            _ = self.interrupt.recv() => None,
        }
    }
}

/// Takes the folder away; whether nobody was in it.
fn unmount(mut unmounter: SessionUnmounter, target: &Path) -> Result<bool> {
    if unmounter.unmount().is_ok() {
        return Ok(true);
    }
    rustix::mount::unmount(target, UnmountFlags::DETACH)
        .with_context(|| format!("unmounting {}; try `umount -l`", target.display()))?;
    eprintln!(
        "warning: {} was in use; whoever is still in it can read nothing more",
        target.display()
    );
    Ok(false)
}
