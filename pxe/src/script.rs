//! An answer as the text a loader runs.
//!
//! Both languages expand variables and split words; what comes from outside
//! is checked first and refused when a loader would read it differently.

use std::net::Ipv4Addr;
use std::sync::Arc;

use thiserror::Error;

use crate::answer::{Answer, BootImage, BootServer, IPXE_PATH};
use crate::client::{Architecture, BootClient, Stage};
use crate::dhcp::chain::Loaders;
use crate::heard::Heard;
use crate::policy::BootPolicy;
use crate::tftp::normalise;

pub mod grub;
pub mod ipxe;

/// The only configuration GRUB asks for by itself, over TFTP or, under HTTP
/// Boot, over HTTP.
pub const GRUB_PATH: &str = "/grub/grub.cfg";
/// What our GRUB configuration asks for when we do not know who reads it,
/// followed by the card's address with colons.
pub const GRUB_HOSTS: &str = "/grub/hosts/";

/// An answer that cannot be written as a script.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScriptError {
    /// A path that is not plain.
    #[error("boot path {0:?}: a leading slash, letters, digits and -._~/:@+%=?,& expected")]
    Path(String),
    /// A kernel argument with a character a loader would expand or split at.
    #[error("kernel argument {0:?}: printable ASCII without quotes, \\, $ and ` expected")]
    Argument(String),
}

/// Serves the scripts: knows who asks, asks the policy, writes the text.
/// Used by our TFTP server and meant for an HTTP server beside it.
#[derive(Clone)]
pub struct Scripts {
    /// Decides.
    pub policy: Arc<dyn BootPolicy>,
    /// Who has which address.
    pub heard: Arc<Heard>,
    /// Where the machines reach us.
    pub server: BootServer,
    /// The loaders, for machines that must go from iPXE to GRUB.
    pub loaders: Loaders,
}

impl Scripts {
    /// The script at `target` (a path, with its query if it came by HTTP) for
    /// whoever has the address `from`; `None` when no script has that path.
    ///
    /// # Errors
    /// [`ScriptError`] when the policy's answer cannot be written.
    pub fn open(&self, from: Ipv4Addr, target: &str) -> Result<Option<String>, ScriptError> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let Some(path) = normalise(path) else {
            return Ok(None);
        };
        let path = format!("/{path}");
        let known = |stage| {
            let client = self.heard.client(from);
            client.map(|client| BootClient { stage, ..client })
        };
        if path == IPXE_PATH {
            let named = BootClient::from_query(query, Stage::Ipxe);
            let client = named.or_else(|| known(Stage::Ipxe));
            let client = client.map(|client| with_address(client, from));
            return self.ipxe(client.as_ref()).map(Some);
        }
        if path == GRUB_PATH {
            let client = known(Stage::Grub).map(|client| with_address(client, from));
            return match client {
                Some(client) => self.grub(&client).map(Some),
                None => Ok(Some(grub::ask_by_card())),
            };
        }
        let card = path.strip_prefix(GRUB_HOSTS);
        let Some(mac) = card.and_then(|card| card.parse().ok()) else {
            return Ok(None);
        };
        let client = known(Stage::Grub).filter(|client| client.mac == mac);
        let client = client.unwrap_or(BootClient {
            mac,
            uuid: None,
            architecture: Architecture::X64Efi,
            stage: Stage::Grub,
            address: None,
        });
        self.grub(&with_address(client, from)).map(Some)
    }

    fn ipxe(&self, client: Option<&BootClient>) -> Result<String, ScriptError> {
        match client {
            Some(client) => {
                let answer = self.policy.answer(client);
                ipxe::script(&answer, client.architecture, self.server, &self.loaders)
            }
            // Nobody we know: it goes to its disk, the BIOS way, because only
            // a hand-typed URL comes without the query.
            None => ipxe::script(
                &Answer::LocalDisk,
                Architecture::Bios,
                self.server,
                &self.loaders,
            ),
        }
    }

    fn grub(&self, client: &BootClient) -> Result<String, ScriptError> {
        let answer = self.policy.answer(client);
        grub::config(&answer, client.architecture, self.server)
    }
}

fn with_address(client: BootClient, from: Ipv4Addr) -> BootClient {
    BootClient {
        address: Some(from),
        ..client
    }
}

/// The arguments of a kernel as words, checked.
fn words(image: &BootImage) -> Result<Vec<&str>, ScriptError> {
    let words: Vec<&str> = image.command_line.split(' ').collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    for word in &words {
        let expanded = |byte: u8| !byte.is_ascii_graphic() || b"\"'\\$`".contains(&byte);
        // iPXE takes these for its own when they stand alone or in front.
        let operator = matches!(*word, "||" | "&&" | ";") || word.starts_with('#');
        if operator || word.bytes().any(expanded) {
            return Err(ScriptError::Argument((*word).to_owned()));
        }
    }
    Ok(words)
}

/// A path that both languages and an HTTP request line take as it is.
fn plain_path(path: &str) -> Result<&str, ScriptError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:@+%=?,&".contains(&byte);
    if path.starts_with('/') && path.bytes().all(plain) {
        Ok(path)
    } else {
        Err(ScriptError::Path(path.to_owned()))
    }
}

/// A title as a loader can show it: other characters become spaces.
fn plain_title(title: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || " -._/:,()".contains(c);
    title
        .chars()
        .take(120)
        .map(|c| if plain(c) { c } else { ' ' })
        .collect()
}

#[cfg(test)]
mod tests;
