//! `format.json`: which version a share has and what a program must know.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files::Files;
use crate::store::StoreError;

const FORMAT: &str = "format.json";
const WORD: &str = "mimeo share";
const VERSION: u32 = 1;
const EXPECTED: &str = "a mimeo share of version 1";
/// `format.json` is a few lines.
const MAX_FORMAT: u64 = 64 << 10;

/// What `format.json` says. A reader passes over compatible features it does
/// not know, writes nothing when a read-only-compatible one is unknown, and
/// refuses incompatible ones. This version knows none.
#[derive(Debug, Serialize, Deserialize)]
struct Format {
    format: String,
    version: u32,
    compatible: Vec<String>,
    read_only_compatible: Vec<String>,
    incompatible: Vec<String>,
}

/// Makes an empty folder a share; the last step of it.
pub(super) fn write(dir: &Path, files: &Files) -> Result<(), StoreError> {
    let format = Format {
        format: WORD.to_owned(),
        version: VERSION,
        compatible: Vec::new(),
        read_only_compatible: Vec::new(),
        incompatible: Vec::new(),
    };
    let path = dir.join(FORMAT);
    let mut text = serde_json::to_vec_pretty(&format).map_err(|error| StoreError::Io {
        doing: "writing",
        path: path.clone(),
        source: error.into(),
    })?;
    text.push(b'\n');
    files.put(&path, &text)
}

/// Whether this program may use the share; the feature that forbids writing.
pub(super) fn check(dir: &Path, files: &Files) -> Result<Option<String>, StoreError> {
    let path = dir.join(FORMAT);
    let refuse = |found: String| StoreError::Format {
        path: dir.to_owned(),
        expected: EXPECTED,
        found,
    };
    let text = match files.read("share", &path, MAX_FORMAT) {
        Ok(text) => text,
        Err(StoreError::Missing { .. }) => {
            return Err(refuse(format!(
                "no {FORMAT}; `mimeo share init` makes a share"
            )));
        }
        Err(error) => return Err(error),
    };
    let format: Format =
        serde_json::from_slice(&text).map_err(|error| refuse(format!("{FORMAT}: {error}")))?;
    if format.format != WORD {
        return Err(refuse(format!("{:?}", format.format)));
    }
    match format.version {
        VERSION => {}
        0 => {
            return Err(refuse(
                "version 0, which is no longer read: make a new share and capture again".to_owned(),
            ));
        }
        later => return Err(refuse(format!("version {later}: use a newer program"))),
    }
    if let Some(feature) = format.incompatible.first() {
        return Err(refuse(format!("feature {feature:?}: use a newer program")));
    }
    Ok(format.read_only_compatible.into_iter().next())
}
