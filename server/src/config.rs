//! The one configuration file, TOML, every key documented here.
//!
//! ```toml
//! [server]
//! address = "10.77.0.1"
//! share = "/srv/mimeo/share"
//! boot = "/srv/mimeo/boot"
//!
//! [dhcp]
//! interface = "eth0"
//! mode = "proxy"
//! ```

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

/// The share that machines are deployed from is called this.
pub(crate) const MAIN: &str = "main";

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Who the server is and where its things lie.
    pub server: ServerConfig,
    /// How machines find it at power-on.
    #[serde(default)]
    pub dhcp: DhcpConfig,
    /// What machines boot.
    #[serde(default)]
    pub boot: BootConfig,
    /// `[shares]`: more shares for image builders elsewhere, each a name and a
    /// folder as made by `mimeo share init`. The share of `[server]` is called
    /// `main`.
    #[serde(default)]
    pub shares: BTreeMap<String, PathBuf>,
}

/// `[server]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// IPv4 address by which machines reach this server. It is written into
    /// boot scripts, so it cannot be `0.0.0.0`.
    pub address: Ipv4Addr,
    /// Port for machines' agents and operators; TLS 1.3 only. Default 8443.
    #[serde(default = "https_port")]
    pub https_port: u16,
    /// Port for loaders, kernel and initramfs, in the clear. Default 80; GRUB
    /// and firmware are happiest with it.
    #[serde(default = "http_port")]
    pub http_port: u16,
    /// Folder for the key, the operator's token and the database. Back it up.
    /// Default `/var/lib/mimeo`.
    #[serde(default = "state")]
    pub state: PathBuf,
    /// The deployment share, as made by `mimeo share init`.
    pub share: PathBuf,
    /// The boot tree, as made by `mimeo boot build`.
    pub boot: PathBuf,
}

/// `[boot]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootConfig {
    /// More kernel arguments for the boot environment, such as
    /// `"console=ttyS1,115200"`. Printable ASCII without quotes, backslash
    /// and `$`. Default none.
    #[serde(default)]
    pub command_line: String,
}

/// `[dhcp]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DhcpConfig {
    /// Network interface the machines are on, such as `"eth0"`; needed unless
    /// `mode = "off"`.
    pub interface: Option<String>,
    /// `"proxy"` beside a DHCP server that is there already, `"server"` when
    /// this is the only one, `"off"` for neither DHCP nor TFTP. Default off.
    #[serde(default)]
    pub mode: DhcpMode,
    /// First address to give away (`server`).
    pub first: Option<Ipv4Addr>,
    /// Last address to give away (`server`).
    pub last: Option<Ipv4Addr>,
    /// Mask of the network (`server`).
    pub netmask: Option<Ipv4Addr>,
    /// Router to announce (`server`). Default none.
    pub router: Option<Ipv4Addr>,
    /// Name servers to announce (`server`). Default none.
    #[serde(default)]
    pub dns: Vec<Ipv4Addr>,
    /// For how long an address is given, in seconds (`server`). Default 3600.
    pub lease_seconds: Option<u32>,
}

/// Who gives out addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DhcpMode {
    /// Another server; this one adds what to boot.
    Proxy,
    /// This server.
    Server,
    /// Nobody here listens: no DHCP, no TFTP.
    #[default]
    Off,
}

/// The addresses a DHCP server gives away, complete and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressRange {
    /// First address.
    pub first: Ipv4Addr,
    /// Last address.
    pub last: Ipv4Addr,
    /// Mask of the network.
    pub netmask: Ipv4Addr,
    /// Router to announce.
    pub router: Option<Ipv4Addr>,
    /// Name servers to announce.
    pub dns: Vec<Ipv4Addr>,
    /// Seconds an address is given for.
    pub lease_seconds: u32,
}

/// A configuration that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {} cannot be read", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not TOML, or has keys nobody knows. The source names the line.
    #[error("the configuration {}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Line, column and what was expected.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A value that cannot work.
    #[error("the configuration {}: {key}: expected {expected}, found {found}", path.display())]
    Value {
        /// Which file.
        path: PathBuf,
        /// Section and key.
        key: &'static str,
        /// What would be right.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
}

fn https_port() -> u16 {
    8443
}

fn http_port() -> u16 {
    80
}

fn state() -> PathBuf {
    PathBuf::from("/var/lib/mimeo")
}

/// An hour: a lab's machines come and go, and a deployment renews in time.
const LEASE_SECONDS: u32 = 3600;
/// What a kernel command line holds in all is 2048 bytes on x86.
const LONGEST_COMMAND_LINE: usize = 1024;

impl Config {
    /// Reads the file; relative paths in it are relative to its own folder.
    ///
    /// # Errors
    /// [`ConfigError`] with file, line or key, and what was expected.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(path, &text)
    }

    /// The configuration in `text`, which stands in the file `path`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text).map_err(|source| ConfigError::Syntax {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for place in [
            &mut config.server.state,
            &mut config.server.share,
            &mut config.server.boot,
        ] {
            *place = folder.join(&*place);
        }
        for place in config.shares.values_mut() {
            *place = folder.join(&*place);
        }
        match config.fault() {
            None => Ok(config),
            Some((key, expected, found)) => Err(ConfigError::Value {
                path: path.to_owned(),
                key,
                expected,
                found,
            }),
        }
    }

    /// The range a DHCP server gives away; `None` in any other mode.
    pub fn address_range(&self) -> Option<AddressRange> {
        let dhcp = &self.dhcp;
        if dhcp.mode != DhcpMode::Server {
            return None;
        }
        Some(AddressRange {
            first: dhcp.first?,
            last: dhcp.last?,
            netmask: dhcp.netmask?,
            router: dhcp.router,
            dns: dhcp.dns.clone(),
            lease_seconds: dhcp.lease_seconds.unwrap_or(LEASE_SECONDS),
        })
    }

    fn fault(&self) -> Option<(&'static str, &'static str, String)> {
        let server = &self.server;
        if server.address.is_unspecified() || server.address.is_broadcast() {
            let expected = "an address that machines can reach";
            return Some(("server.address", expected, server.address.to_string()));
        }
        let line = &self.boot.command_line;
        let plain = |byte: u8| (b' '..=b'~').contains(&byte) && !b"\"'\\$".contains(&byte);
        if !line.bytes().all(plain) || line.len() > LONGEST_COMMAND_LINE {
            let expected = "up to 1024 printable ASCII characters without quotes, \\ and $";
            return Some(("boot.command_line", expected, format!("{line:?}")));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let named = |name: &String| {
            (1..=64).contains(&name.len()) && name.bytes().all(plain) && name != MAIN
        };
        if let Some(name) = self.shares.keys().find(|name| !named(name)) {
            let expected = "names of letters, digits, '-' and '_', none of them main";
            return Some(("shares", expected, format!("{name:?}")));
        }
        self.dhcp.fault()
    }
}

impl DhcpConfig {
    fn fault(&self) -> Option<(&'static str, &'static str, String)> {
        let missing = |key, expected| Some((key, expected, "nothing".to_owned()));
        if self.mode != DhcpMode::Off && self.interface.is_none() {
            return missing("dhcp.interface", "the interface the machines are on");
        }
        if self.mode != DhcpMode::Server {
            return None;
        }
        let Some(first) = self.first else {
            return missing("dhcp.first", "an IPv4 address");
        };
        let Some(last) = self.last else {
            return missing("dhcp.last", "an IPv4 address");
        };
        let Some(mask) = self.netmask else {
            return missing("dhcp.netmask", "a network mask");
        };
        let bits = u32::from(mask);
        if bits.leading_ones() + bits.trailing_zeros() != 32
            || !(1..=30).contains(&bits.leading_ones())
        {
            let expected = "a mask such as 255.255.255.0";
            return Some(("dhcp.netmask", expected, mask.to_string()));
        }
        if first > last || u32::from(first) & bits != u32::from(last) & bits {
            let expected = "an address after dhcp.first in the same network";
            return Some(("dhcp.last", expected, last.to_string()));
        }
        match self.lease_seconds {
            Some(seconds) if seconds < 60 => {
                Some(("dhcp.lease_seconds", "60 or more", seconds.to_string()))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
