//! What an operating system says of itself.

use serde::{Deserialize, Serialize};

/// The facts of an installed operating system, raw as found
/// (os-release(5): `ID`, `VERSION_ID`, `PRETTY_NAME`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OsFacts {
    /// `ID`, e.g. `debian`.
    pub id: String,
    /// `VERSION_ID`, e.g. `12`; empty on rolling systems.
    pub version: String,
    /// `PRETTY_NAME`.
    pub name: String,
    /// Machine hardware name, e.g. `x86_64`; empty where nobody could tell.
    pub architecture: String,
}

impl OsFacts {
    /// Reads the text of an os-release file. Lines that are not
    /// `NAME=value` are passed over, as os-release(5) asks.
    pub fn from_os_release(text: &str) -> Self {
        let mut facts = Self::default();
        for line in text.lines() {
            let Some((key, value)) = line.trim().split_once('=') else {
                continue;
            };
            match key {
                "ID" => facts.id = unquoted(value),
                "VERSION_ID" => facts.version = unquoted(value),
                "PRETTY_NAME" => facts.name = unquoted(value),
                _ => {}
            }
        }
        facts
    }
}

/// A value without its shell quotes and backslashes.
fn unquoted(value: &str) -> String {
    let inner = ['"', '\'']
        .iter()
        .find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value);
    let mut text = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.extend(characters.next()),
            _ => text.push(character),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_release_is_read_with_and_without_quotes() {
        let text = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n# note\nVERSION_ID='12'\nODD\n";
        let facts = OsFacts::from_os_release(text);
        assert_eq!(facts.id, "debian");
        assert_eq!(facts.version, "12");
        assert_eq!(facts.name, "Debian GNU/Linux 12 (bookworm)");
    }

    #[test]
    fn missing_keys_stay_empty() {
        assert_eq!(OsFacts::from_os_release(""), OsFacts::default());
    }
}
