//! The proof that a machine holds an image, and how to check it years later.
//!
//! The machine reads its disk back and states what it found, signed with the
//! key of its run. The server compares that with the manifest and countersigns.
//! Checking needs no server: only the file, and the server's public key.

use image_format::proof::Proof;
use inventory::{Identity, MachineId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::trust::{PublicKey, Signature, SigningKey, TrustError, labelled};

const STATEMENT: &str = "receipt statement";
const COUNTERSIGNATURE: &str = "receipt countersignature";

/// What the machine states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The run.
    pub run: String,
    /// The machine as the server knows it.
    pub machine: MachineId,
    /// The name it got.
    pub name: String,
    /// The names it was recognised by.
    pub identity: Identity,
    /// The disk it lies on.
    pub disk: ProvenDisk,
    /// What was read back, compared with image and plan.
    pub proof: Proof,
    /// Steps finished so far, in order.
    pub steps: Vec<String>,
    /// Seconds since 1970 by the machine's clock when the run began there.
    pub started: u64,
    /// The same when the read-back was complete.
    pub finished: u64,
}

/// A disk by the names that stay with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenDisk {
    /// Model.
    pub model: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// World-wide name.
    pub wwid: Option<String>,
    /// Bytes.
    pub size: u64,
}

/// A statement with one signature or two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// What is stated.
    pub statement: Statement,
    /// The run's key.
    pub run_key: PublicKey,
    /// The run's signature over the statement.
    pub run_signature: Signature,
    /// The server's confirmation; without it the receipt is a claim only.
    pub confirmed: Option<Countersignature>,
}

/// The server compared the statement with the manifest and agrees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Countersignature {
    /// The server's key.
    pub key: PublicKey,
    /// Seconds since 1970 by the server's clock.
    pub time: u64,
    /// Over statement, run key, run signature and time.
    pub signature: Signature,
}

/// Why a receipt proves nothing.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// A signature does not hold.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// No server has confirmed it.
    #[error("the receipt carries no countersignature: it is the machine's claim only")]
    Unconfirmed,
    /// Another server's.
    #[error("the receipt is countersigned by {found}, not by the expected server {expected}")]
    OtherServer {
        /// The key asked for.
        expected: PublicKey,
        /// The key found.
        found: PublicKey,
    },
}

impl Receipt {
    /// States `statement`, signed with the run's key.
    ///
    /// # Errors
    /// When the statement cannot be written.
    pub fn claim(statement: Statement, key: &SigningKey) -> Result<Self, ReceiptError> {
        let run_signature = key.sign(&labelled(STATEMENT, &canonical(&statement)?));
        Ok(Self {
            statement,
            run_key: key.public(),
            run_signature,
            confirmed: None,
        })
    }

    /// Adds the server's confirmation at `time`.
    ///
    /// # Errors
    /// When the run's own signature does not hold.
    pub fn confirm(mut self, key: &SigningKey, time: u64) -> Result<Self, ReceiptError> {
        self.check_claim()?;
        let signature = key.sign(&self.confirmed_bytes(time)?);
        self.confirmed = Some(Countersignature {
            key: key.public(),
            time,
            signature,
        });
        Ok(self)
    }

    /// Whether the run's key signed the statement.
    ///
    /// # Errors
    /// When it did not.
    pub fn check_claim(&self) -> Result<(), ReceiptError> {
        let bytes = labelled(STATEMENT, &canonical(&self.statement)?);
        Ok(self
            .run_key
            .verify(STATEMENT, &bytes, &self.run_signature)?)
    }

    /// Checks both signatures; `server` is the key to expect, if it is known.
    ///
    /// # Errors
    /// The first reason why it proves nothing.
    pub fn verify(&self, server: Option<&PublicKey>) -> Result<&Countersignature, ReceiptError> {
        self.check_claim()?;
        let confirmed = self.confirmed.as_ref().ok_or(ReceiptError::Unconfirmed)?;
        if let Some(&expected) = server.filter(|&&key| key != confirmed.key) {
            return Err(ReceiptError::OtherServer {
                expected,
                found: confirmed.key,
            });
        }
        let bytes = self.confirmed_bytes(confirmed.time)?;
        confirmed
            .key
            .verify(COUNTERSIGNATURE, &bytes, &confirmed.signature)?;
        Ok(confirmed)
    }

    fn confirmed_bytes(&self, time: u64) -> Result<Vec<u8>, ReceiptError> {
        let claim = (&self.statement, &self.run_key, &self.run_signature, time);
        Ok(labelled(COUNTERSIGNATURE, &canonical(&claim)?))
    }
}

/// The one way a value is written for signing: JSON, fields in declared order,
/// no spaces; neither maps nor fractions occur in it.
fn canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, TrustError> {
    serde_json::to_vec(value).map_err(|source| TrustError::Content {
        what: STATEMENT,
        source,
    })
}
