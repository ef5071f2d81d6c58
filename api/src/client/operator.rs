//! What people ask, as bearers of the operator's token.

use super::{Client, ClientError};
use crate::messages::image::ImageList;
use crate::messages::operator::{
    Approval, Machine, MachineList, NewMachine, RunDetail, RunList, Status,
};
use crate::messages::share::{MadeShareToken, NewShareToken, ShareTokenList};
use crate::receipt::Receipt;
use crate::routes;

impl Client {
    /// The images of the share.
    ///
    /// # Errors
    /// As for all calls: see [`ClientError`].
    pub fn images(&self) -> Result<ImageList, ClientError> {
        self.get(routes::IMAGES)
    }

    /// All machines the server knows.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn machines(&self) -> Result<MachineList, ClientError> {
        self.get(routes::MACHINES)
    }

    /// Makes a machine known before it comes.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn add_machine(&self, machine: &NewMachine) -> Result<Machine, ClientError> {
        self.post(routes::MACHINES, machine)
    }

    /// Approves the machine that shows a code.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn approve(&self, approval: &Approval) -> Result<Machine, ClientError> {
        self.post(routes::APPROVE, approval)
    }

    /// All runs.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn runs(&self) -> Result<RunList, ClientError> {
        self.get(routes::RUNS)
    }

    /// One run with its events.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn run(&self, run: &str) -> Result<RunDetail, ClientError> {
        self.get(&routes::fill(routes::RUN, &[&run]))
    }

    /// The stored receipt of a run.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn run_receipt(&self, run: &str) -> Result<Receipt, ClientError> {
        self.get(&routes::fill(routes::RUN_RECEIPT, &[&run]))
    }

    /// Makes a token for a share; the answer is the only place that shows it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn make_share_token(&self, token: &NewShareToken) -> Result<MadeShareToken, ClientError> {
        self.post(routes::SHARE_TOKENS, token)
    }

    /// What each token for a share opens.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn share_tokens(&self) -> Result<ShareTokenList, ClientError> {
        self.get(routes::SHARE_TOKENS)
    }

    /// Takes a token away: it opens nothing from now on.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn remove_share_token(&self, label: &str) -> Result<(), ClientError> {
        self.delete(&routes::fill(routes::SHARE_TOKEN, &[&label]))
    }

    /// Whether the server is up, and what it heard.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn status(&self) -> Result<Status, ClientError> {
        self.get(routes::STATUS)
    }
}
