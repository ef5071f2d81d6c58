//! The header's payload: which format, which features, as `format.json` of a share.

use serde::{Deserialize, Serialize};

use super::payload::{PayloadError, expect};

const WORD: &str = "mimeo single file";
const VERSION: u32 = 1;

/// A reader refuses incompatible features it does not know, and appends
/// nothing when it does not know a read-only-compatible one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Features {
    format: String,
    version: u32,
    compatible: Vec<String>,
    read_only_compatible: Vec<String>,
    incompatible: Vec<String>,
}

impl Default for Features {
    fn default() -> Self {
        Self {
            format: WORD.to_owned(),
            version: VERSION,
            compatible: Vec::new(),
            read_only_compatible: Vec::new(),
            incompatible: Vec::new(),
        }
    }
}

impl Features {
    /// The payload of a header.
    ///
    /// # Errors
    /// JSON failed, which it does not for these fields.
    pub fn encode(&self) -> Result<Vec<u8>, PayloadError> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }

    /// Reads it and refuses what cannot be read right.
    ///
    /// # Errors
    /// Not such a header, another version, or an unknown incompatible feature.
    pub fn decode(bytes: &[u8]) -> Result<Self, PayloadError> {
        let features: Self = serde_json::from_slice(bytes)?;
        expect("format", WORD, features.format.as_str())?;
        expect("version of the file", VERSION, features.version)?;
        match features.incompatible.first() {
            Some(feature) => Err(PayloadError::Feature {
                feature: feature.clone(),
            }),
            None => Ok(features),
        }
    }

    /// Whether something may be appended by this program.
    ///
    /// # Errors
    /// Names the feature that forbids it.
    pub fn check_append(&self) -> Result<(), PayloadError> {
        match self.read_only_compatible.first() {
            Some(feature) => Err(PayloadError::Feature {
                feature: feature.clone(),
            }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_survive_their_bytes_and_unknown_ones_stop_what_they_forbid() {
        let features = Features::default();
        let text = String::from_utf8(features.encode().unwrap()).unwrap();
        assert_eq!(Features::decode(text.as_bytes()).unwrap(), features);

        let compatible = text.replace("\"compatible\": []", "\"compatible\": [\"x\"]");
        Features::decode(compatible.as_bytes()).unwrap();
        let later = text.replace("\"incompatible\": []", "\"incompatible\": [\"x\"]");
        assert!(Features::decode(later.as_bytes()).is_err());
        let kept = text.replace(
            "\"read_only_compatible\": []",
            "\"read_only_compatible\": [\"x\"]",
        );
        let kept = Features::decode(kept.as_bytes()).unwrap();
        assert!(kept.check_append().is_err());
        let version = text.replace("\"version\": 1", "\"version\": 2");
        assert!(Features::decode(version.as_bytes()).is_err());
    }

    #[test]
    fn every_cut_header_is_refused() {
        let text = Features::default().encode().unwrap();
        for length in 0..text.len() - 2 {
            assert!(Features::decode(&text[..length]).is_err());
        }
    }
}
