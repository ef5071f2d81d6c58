//! The body of every answer that is not a success.

use serde::{Deserialize, Serialize};

/// What went wrong, for programs (`code`) and people (`message`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Stable word, e.g. `unknown-code`.
    pub code: String,
    /// A sentence that says what to do next.
    pub message: String,
}
