//! One thing that is wrong.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::ids::PackId;
use crate::store::RefName;

/// One thing that is wrong, and whom it touches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The file, as it lies in the share's folder.
    pub file: String,
    /// Where in the file, if that can be told.
    pub offset: Option<u64>,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
    /// Images that cannot be applied because of it, as name and sequence.
    #[serde(serialize_with = "as_texts")]
    pub images: Vec<RefName>,
}

pub(crate) fn as_texts<S: Serializer>(
    images: &[RefName],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(images.iter().map(ToString::to_string))
}

impl Finding {
    /// Something wrong with a pack.
    pub(super) fn of_pack(
        pack: &PackId,
        offset: Option<u64>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        let folder: String = pack.to_string().chars().take(2).collect();
        Self {
            file: format!("packs/{folder}/{pack}.pack"),
            offset,
            expected: expected.into(),
            found: found.into(),
            images: Vec::new(),
        }
    }

    /// Whether it is about this pack, in use or in the trash.
    pub(super) fn is_of(&self, pack: &PackId) -> bool {
        let ends = [format!("{pack}.pack"), format!("-pack-{pack}")];
        ends.iter().any(|end| self.file.ends_with(end))
    }

    /// What people can do about damaged data. Other findings say it themselves,
    /// or the manual does.
    pub fn next_step(&self) -> Option<&'static str> {
        match self.file.split_once('/')?.0 {
            "packs" => Some(
                "`mimeo share repair` takes damaged packs out of use, so that the next capture \
                 stores again what is lost",
            ),
            "trash" => Some(
                "what only a damaged pack in the trash holds is lost: capture the same machines \
                 or folders again, or bring it back with `mimeo image import`; what is found \
                 there is stored again, and the images above are whole then",
            ),
            _ => None,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(offset) = self.offset {
            write!(f, " at byte {offset}")?;
        }
        write!(f, ": expected {}, found {}", self.expected, self.found)?;
        if self.file.starts_with("manifests/") && self.images.is_empty() {
            return Ok(());
        }
        if self.images.is_empty() {
            return f.write_str("; no image needs it");
        }
        let images: Vec<String> = self.images.iter().map(ToString::to_string).collect();
        write!(f, "; needed by {}", images.join(", "))
    }
}
