//! Captures of machines' disks: what is ordered, what their runs may do with
//! the share, and when they are believed.

use api::messages::run::{CaptureOrder, CaptureWish, Work};
use api::messages::store::{Call, Verb};
use image_format::store::RefName;
use image_format::{ImageId, PackId, refs};
use tracing::warn;

use crate::config::MAIN;
use crate::db::{KnownMachine, RunStanding, StoredRun};
use crate::error::{Refusal, chain};
use crate::service::record::run_over;
use crate::service::tokens::Rights;
use crate::service::{House, token_hash};

/// Refuses a name no image can have.
pub(crate) fn check_wish(wish: &CaptureWish) -> Result<(), Refusal> {
    refs::check_new_name(&wish.name).map_err(|error| Refusal::ImageName {
        reason: error.to_string(),
    })
}

impl House {
    /// What a machine's next run is for, as the share is now.
    ///
    /// # Errors
    /// [`Refusal::UnknownImage`] when the image to apply is not there.
    pub(crate) async fn work_for(&self, now: u64, machine: &KnownMachine) -> Result<Work, Refusal> {
        let Some(wish) = machine.capture.clone() else {
            let image = machine.image.clone().unwrap_or_default();
            let record = self.share.find(&image).await?;
            return Ok(Work::Apply {
                image: record.image,
                record: Box::new(record),
                replace: machine.replace,
            });
        };
        let (after, newest) = self.share.newest(&wish.name).await?;
        let parent = newest.filter(|_| !wish.paranoid).map(|newest| newest.image);
        Ok(Work::Capture {
            capture: CaptureOrder {
                wish,
                parent,
                after,
                began: now,
            },
        })
    }

    /// What the bearer of a run's token may do with a share: a capture that is
    /// going on writes its own name in the share machines are deployed from.
    pub(crate) async fn rights_of_run(
        &self,
        token: &str,
        share: &str,
    ) -> Result<Option<Rights>, Refusal> {
        let run = self.db.run_by_token(token_hash(token)).await?;
        let Some(run) = run.filter(|_| share == MAIN) else {
            return Ok(None);
        };
        let Some(order) = run.assignment.work.capture() else {
            return Ok(None);
        };
        if run.standing != RunStanding::Open {
            return Err(run_over(&run));
        }
        Ok(Some(Rights::Capture {
            name: order.wish.name.clone(),
            parent: order.parent,
        }))
    }

    /// Whether the bearer may read what is asked for. What images hold is
    /// shown to a capture only as far as it must compare: the list of files of
    /// the image before. Which chunks there are is no secret from it.
    pub(crate) async fn may_read(&self, rights: &Rights, call: &Call) -> Result<bool, Refusal> {
        let Rights::Capture { parent, .. } = rights else {
            return Ok(true);
        };
        match (call.verb, parent) {
            (Verb::ReadPackPart, Some(parent)) => self.is_list_of(*parent, call).await,
            (Verb::ReadManifest, Some(parent)) => Ok(call.subject == parent.to_string()),
            (Verb::ReadPack | Verb::ReadPackPart | Verb::ReadManifest, _) => Ok(false),
            _ => Ok(true),
        }
    }

    /// Whether a block holds a part of an image's own list of files.
    async fn is_list_of(&self, image: ImageId, call: &Call) -> Result<bool, Refusal> {
        let Ok(pack) = call.subject.parse::<PackId>() else {
            return Ok(false);
        };
        match self.share.list_blocks(image).await {
            Ok(blocks) => Ok(blocks.place(pack, call.number, call.length).is_some()),
            Err(Refusal::Busy) => Err(Refusal::Busy),
            // An answer, not a failure: whoever asks would wait for ever for
            // an image that is damaged, and can do without.
            Err(error) => {
                warn!(%image, error = chain(&error), "a capture cannot compare with this image");
                Ok(false)
            }
        }
    }

    /// Refuses the word of a run that its image is there, unless it is: this
    /// image, under the name that was ordered, as a version newer than all
    /// there were when the run began.
    pub(crate) async fn check_captured(
        &self,
        run: &StoredRun,
        number: u64,
        image: &str,
        at: RefName,
    ) -> Result<(), Refusal> {
        let refuse = |reason: String| Err(Refusal::NotCaptured { number, reason });
        let Some(order) = run.assignment.work.capture() else {
            return refuse("the run captures nothing".to_owned());
        };
        if at.name != order.wish.name {
            return refuse(format!("the run captures {:?}", order.wish.name));
        }
        if at.sequence <= order.after {
            return refuse(format!(
                "version {} was there before the run began",
                at.sequence
            ));
        }
        let version = at.sequence;
        match self.share.record(at).await? {
            Some(record) if record.image.to_string() == image => Ok(()),
            Some(record) => refuse(format!("version {version} is image {}", record.image)),
            None => refuse(format!("the share has no version {version} of it")),
        }
    }
}
