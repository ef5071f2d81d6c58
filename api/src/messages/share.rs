//! Who may use a share over the network.

use serde::{Deserialize, Serialize};

/// A token that shall be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewShareToken {
    /// What people call it; no two tokens share one.
    pub label: String,
    /// Which share it opens.
    pub share: String,
    /// Names it may capture under, `*` for any text; `None`: it only reads.
    pub writes: Option<String>,
}

/// A token as the server knows it: what it opens, not the token itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareToken {
    /// What people call it.
    pub label: String,
    /// Which share it opens.
    pub share: String,
    /// Names it may capture under; `None`: it only reads.
    pub writes: Option<String>,
    /// When it was made, in seconds since 1970.
    pub created: u64,
}

/// A token just made. It is shown once and kept nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeShareToken {
    /// The secret.
    pub token: String,
    /// What it opens.
    pub opens: ShareToken,
}

/// All tokens for shares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareTokenList {
    /// By label.
    pub tokens: Vec<ShareToken>,
}
