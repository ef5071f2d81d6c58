//! Tokens for shares over the network: who reads, and who captures under which names.

use api::messages::share::{MadeShareToken, NewShareToken, ShareToken};
use image_format::ImageId;

use super::{House, secret, token_hash};
use crate::db;
use crate::db::audit::Act;
use crate::error::Refusal;

/// A label is for people; this is more than they type.
const LONGEST_LABEL: usize = 80;
/// As long as an image's name may be.
const LONGEST_PATTERN: usize = 80;

/// What somebody may do with a share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rights {
    /// Everything: whoever holds the operator's token.
    All,
    /// Capture under the names this pattern fits.
    Write(String),
    /// Capture under this name alone, for one run. Of the images there it reads
    /// the list of files of the parent and nothing else.
    Capture {
        /// The name; no letter of it stands for another.
        name: String,
        /// The image to compare with.
        parent: Option<ImageId>,
    },
    /// Read.
    Read,
}

impl Rights {
    /// Whether new data may be brought in at all.
    pub(crate) fn may_write(&self) -> bool {
        !matches!(self, Self::Read)
    }

    /// Whether an image may be captured, or deleted, under this name.
    pub(crate) fn may_name(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Write(pattern) => fits(pattern, name),
            Self::Capture { name: own, .. } => own == name,
            Self::Read => false,
        }
    }
}

/// Whether `*` in a pattern can stand for text so that it is the name.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

impl House {
    /// Makes a token; the answer is the only place where it is shown.
    pub(crate) async fn make_share_token(
        &self,
        now: u64,
        new: NewShareToken,
    ) -> Result<MadeShareToken, Refusal> {
        let label = (1..=LONGEST_LABEL).contains(&new.label.len());
        let pattern = new.writes.as_ref();
        let pattern = pattern.is_none_or(|names| (1..=LONGEST_PATTERN).contains(&names.len()));
        // A label stands in paths.
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        if !label || !pattern || !new.label.chars().all(plain) {
            let reason =
                "a label has 1 to 80 letters, digits, -, _ or dots, a pattern 1 to 80 bytes";
            return Err(Refusal::Malformed {
                reason: reason.to_owned(),
            });
        }
        self.shares.store(&new.share)?;
        let token = secret()?;
        let opens = ShareToken {
            label: new.label,
            share: new.share,
            writes: new.writes,
            created: now,
        };
        let names = opens.writes.as_deref().unwrap_or("nothing");
        let subject = format!("{}: share {}, writes {names}", opens.label, opens.share);
        let act = act(now, "share-token", subject);
        let row = db::ShareToken {
            label: opens.label.clone(),
            share: opens.share.clone(),
            writes: opens.writes.clone(),
            created: now,
        };
        self.db
            .save_share_token(row, token_hash(&token), act)
            .await?;
        Ok(MadeShareToken { token, opens })
    }

    /// What each token opens.
    pub(crate) async fn share_tokens(&self) -> Result<Vec<ShareToken>, Refusal> {
        let tokens = self.db.share_tokens().await?;
        let shown = |token: db::ShareToken| ShareToken {
            label: token.label,
            share: token.share,
            writes: token.writes,
            created: token.created,
        };
        Ok(tokens.into_iter().map(shown).collect())
    }

    /// Takes a token away: it opens nothing from now on.
    pub(crate) async fn remove_share_token(&self, now: u64, label: String) -> Result<(), Refusal> {
        let act = act(now, "share-token-removed", label.clone());
        if self.db.remove_share_token(label, act).await? {
            Ok(())
        } else {
            Err(Refusal::NotFound)
        }
    }

    /// What the bearer of a token may do with a share.
    pub(crate) async fn rights(&self, token: &str, share: &str) -> Result<Rights, Refusal> {
        // Hashes of this type compare in constant time.
        if blake3::hash(token.as_bytes()) == self.operator {
            return Ok(Rights::All);
        }
        let unauthorised = || Refusal::Unauthorised {
            whose: "somebody who may use this share",
        };
        let known = self.db.share_token(token_hash(token)).await?;
        let rights = match known {
            Some(known) if known.share != share => None,
            Some(known) => Some(known.writes.map_or(Rights::Read, Rights::Write)),
            None => self.rights_of_run(token, share).await?,
        };
        rights.ok_or_else(unauthorised)
    }
}

fn act(time: u64, what: &'static str, subject: String) -> Act {
    Act {
        time,
        who: "operator".to_owned(),
        what,
        subject,
    }
}

#[cfg(test)]
mod tests {
    use super::{Rights, fits};

    #[test]
    fn a_run_names_its_image_to_the_letter() {
        let rights = Rights::Capture {
            name: "of*".to_owned(),
            parent: None,
        };
        assert!(rights.may_write() && rights.may_name("of*"));
        assert!(!rights.may_name("office") && !rights.may_name("of"));
    }

    #[test]
    fn a_star_stands_for_any_text_and_nothing_else_does() {
        for (pattern, name) in [
            ("*", "a"),
            ("lab-*", "lab-7"),
            ("*-pc", "x-pc"),
            ("a*b*c", "aXbYbZc"),
            ("a", "a"),
            ("a*", "a"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("lab-*", "office"),
            ("a", "ab"),
            ("*-pc", "pc"),
            ("a*b*c", "acb"),
            ("ab*ba", "aba"),
            ("", "a"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }
}
