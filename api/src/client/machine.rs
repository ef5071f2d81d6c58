//! What a machine asks: before it has a run, and as the bearer of one.

use image_format::ids::ImageId;
use image_format::image::Manifest;
use image_format::index::Segment;
use task_sequences::Event;

use super::{Client, ClientError};
use crate::messages::machine::{Choice, Hello, Reveal, Standing, Welcome};
use crate::messages::run::{Assignment, EventList, EventsStored, MoreEvents};
use crate::receipt::Receipt;
use crate::routes;
use crate::trust::Signed;

/// Largest manifest: some millions of entries.
const LARGEST_MANIFEST: u64 = 512 << 20;
/// Largest segment of one image: some millions of chunks.
const LARGEST_SEGMENT: u64 = 256 << 20;

impl Client {
    /// Presents the machine.
    ///
    /// # Errors
    /// As for all calls: see [`ClientError`].
    pub fn hello(&self, hello: &Hello) -> Result<Welcome, ClientError> {
        self.post(routes::HELLO, hello)
    }

    /// Reveals the nonce and asks how the machine stands.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn standing(&self, session: &str, reveal: &Reveal) -> Result<Standing, ClientError> {
        self.post(&routes::fill(routes::SESSION, &[&session]), reveal)
    }

    /// Sends what was answered at the machine; its standing is asked again after.
    ///
    /// # Errors
    /// See [`ClientError`]; a refusal says which answer is not valid.
    pub fn choose(&self, session: &str, choice: &Choice) -> Result<(), ClientError> {
        self.post_raw(&routes::fill(routes::CHOICE, &[&session]), choice)
            .map(drop)
    }

    /// The assignment of the bearer's run, with its signature checked.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn assignment(&self) -> Result<Assignment, ClientError> {
        let signed: Signed<Assignment> = self.get(routes::ASSIGNMENT)?;
        Ok(signed.open("assignment", &self.key())?)
    }

    /// All events of the bearer's run.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn events(&self) -> Result<Vec<Event>, ClientError> {
        Ok(self.get::<EventList>(routes::EVENTS)?.events)
    }

    /// Adds events; answers with the number the next one must have.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn add_events(&self, events: &[Event]) -> Result<u64, ClientError> {
        let more = MoreEvents {
            events: events.to_vec(),
        };
        Ok(self.post::<_, EventsStored>(routes::EVENTS, &more)?.next)
    }

    /// Hands in a receipt; answers with the countersigned one, checked.
    ///
    /// # Errors
    /// See [`ClientError`]; a refusal says what does not agree.
    pub fn hand_in(&self, receipt: &Receipt) -> Result<Receipt, ClientError> {
        let signed: Receipt = self.post(routes::RECEIPT, receipt)?;
        let wrong = |reason: String| ClientError::Answer {
            path: routes::RECEIPT.to_owned(),
            reason,
        };
        signed
            .verify(Some(&self.key()))
            .map_err(|error| wrong(error.to_string()))?;
        if signed.statement != receipt.statement || signed.run_key != receipt.run_key {
            return Err(wrong("it confirms another receipt".to_owned()));
        }
        Ok(signed)
    }

    /// An image's whole manifest, verified against its id.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn manifest(&self, image: &ImageId) -> Result<Manifest, ClientError> {
        let path = routes::fill(routes::MANIFEST, &[image]);
        let bytes = self.bytes(&path, LARGEST_MANIFEST)?;
        Manifest::decode(image, &bytes).map_err(|error| ClientError::Answer {
            path,
            reason: chain(&error),
        })
    }

    /// Where an image's chunks lie. What comes from there is verified block by
    /// block, so the segment itself needs no hash.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn segment(&self, image: &ImageId) -> Result<Segment, ClientError> {
        let path = routes::fill(routes::SEGMENT, &[image]);
        let bytes = self.bytes(&path, LARGEST_SEGMENT)?;
        Segment::decode(bytes).map_err(|error| ClientError::Answer {
            path,
            reason: chain(&error),
        })
    }
}

/// An error with everything behind it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
