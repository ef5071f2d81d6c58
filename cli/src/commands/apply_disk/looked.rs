//! The target as it is before anything is written.

use anyhow::{Context, Result, bail};
use imager::disk::{Disk, FileDisk, MemoryDisk, TargetDisk, TargetKind};
use imager::plan::{Plan, Target};
use imager::survey::{Survey, glance};

use crate::args::ApplyArgs;

/// Sectors of an image file when nobody says otherwise.
pub(super) const SECTOR: u32 = 512;

/// A target that was looked at: what it is, what it holds.
pub(super) struct Looked {
    /// `None`: a file that is not there yet.
    pub(super) found: Option<TargetDisk>,
    pub(super) survey: Survey,
    /// Why what it holds could not be understood; it is lost all the same.
    pub(super) unreadable: Option<String>,
    pub(super) facts: Target,
}

impl Looked {
    /// What would be lost, in words.
    pub(super) fn lost(&self, plan: &Plan) -> Vec<String> {
        let mut lost = plan.destroys.clone();
        lost.extend(self.unreadable.clone());
        if lost.is_empty() && self.survey.layout.is_some() {
            lost.push(String::from("contents nobody understands"));
        }
        lost
    }
}

/// Looks at the target; nothing is written.
pub(super) fn look(args: &ApplyArgs) -> Result<Looked> {
    let looking = || format!("looking at {}", args.target.display());
    let found = TargetDisk::find(&args.target).with_context(looking)?;
    let sector_size = args.sector_size.unwrap_or(SECTOR);
    let Some(there) = found else {
        let Some(size) = args.size else {
            bail!(
                "{} does not exist; --size makes a disk image file",
                args.target.display()
            );
        };
        let facts = Target {
            name: args.target.display().to_string(),
            ..Target::blank(&MemoryDisk::new(size, sector_size))
        };
        let (survey, unreadable) = (blank(), None);
        return Ok(Looked {
            found: None,
            survey,
            unreadable,
            facts,
        });
    };
    if args.sector_size.is_some() && there.kind != TargetKind::File {
        bail!("--sector-size is for image files: a device has its own");
    }
    let disk = there.open(sector_size).with_context(looking)?;
    let is_as_asked = there.kind == TargetKind::File && args.size == Some(disk.size());
    if args.size.is_some() && !is_as_asked {
        bail!("{} exists; --size is for a new file", args.target.display());
    }
    let (survey, unreadable) = surveyed(disk.as_ref());
    let facts = facts(&there, disk.as_ref(), &survey);
    Ok(Looked {
        found: Some(there),
        survey,
        unreadable,
        facts,
    })
}

fn blank() -> Survey {
    Survey {
        layout: None,
        warnings: Vec::new(),
        systems: Vec::new(),
        refused: Vec::new(),
    }
}

pub(super) fn surveyed(disk: &dyn Disk) -> (Survey, Option<String>) {
    match glance(disk) {
        Ok(survey) => (survey, None),
        Err(error) => (blank(), Some(format!("{:#}", anyhow::Error::from(error)))),
    }
}

pub(super) fn facts(found: &TargetDisk, disk: &dyn Disk, survey: &Survey) -> Target {
    Target {
        boot_medium: found.boot_medium,
        busy: found.users.clone(),
        read_only: found.read_only,
        ..Target::of(disk, survey)
    }
}

/// What stays with the target: a new file has only its path.
pub(super) fn identity(args: &ApplyArgs, found: Option<&TargetDisk>) -> String {
    let absolute = || std::path::absolute(&args.target).unwrap_or_else(|_| args.target.clone());
    found.map_or_else(
        || absolute().display().to_string(),
        |found| found.identity.clone(),
    )
}

/// Opens the target to write it, or makes the file.
pub(super) fn open(args: &ApplyArgs, found: Option<&TargetDisk>) -> Result<Box<dyn Disk>> {
    let opening = || format!("opening {}", args.target.display());
    let sector_size = args.sector_size.unwrap_or(SECTOR);
    match (found, args.size) {
        (Some(found), _) => found.open_writable(sector_size).with_context(opening),
        (None, Some(size)) => {
            let disk = FileDisk::create(&args.target, size, sector_size);
            Ok(Box::new(disk.with_context(opening)?))
        }
        (None, None) => bail!("{} does not exist", args.target.display()),
    }
}
