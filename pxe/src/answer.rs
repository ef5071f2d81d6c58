//! What a machine that asks gets told, as data.

use std::net::Ipv4Addr;

/// Where iPXE gets its script, over HTTP; the client's own words follow
/// as the query.
pub const IPXE_PATH: &str = "/boot/ipxe";

/// The decision about one machine. Turned into text by [`crate::script`] and
/// into DHCP fields by [`crate::dhcp`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Load and start a Linux system over the network.
    Boot(BootImage),
    /// There is nothing to do here: start what the disk holds. The machine
    /// still gets a loader, because silence costs UEFI firmware four minutes
    /// of waiting.
    LocalDisk,
    /// Not our machine. The proxy stays silent; the DHCP server gives an
    /// address without boot fields; a loader that asks for its script anyway
    /// is sent to its disk.
    Ignore,
}

/// A kernel, its initial file systems and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootImage {
    /// One line shown on the machine's screen. Printable ASCII.
    pub title: String,
    /// Path of the kernel on our HTTP server, with its leading slash.
    pub kernel: String,
    /// Paths of the initrds on our HTTP server, in the order in which they
    /// are unpacked over each other.
    pub initrd: Vec<String>,
    /// The kernel's arguments without `initrd=`: printable ASCII, no quotes,
    /// no backslash and no `$` (both script languages would expand them).
    pub command_line: String,
}

/// Where this server is reached by the machines it boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootServer {
    /// Address on the network the machines are in.
    pub address: Ipv4Addr,
    /// Port of the HTTP server. 80 is left out of every URL.
    pub http_port: u16,
}

impl BootServer {
    /// The port that needs no mention in a URL.
    pub const DEFAULT_HTTP_PORT: u16 = 80;

    /// `10.0.0.1`, or `10.0.0.1:8080` when the port is not 80.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.http_port == Self::DEFAULT_HTTP_PORT {
            self.address.to_string()
        } else {
            format!("{}:{}", self.address, self.http_port)
        }
    }

    /// The `http://` URL of an absolute path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unusual_port_is_written() {
        let address = Ipv4Addr::new(10, 0, 0, 1);
        let usual = BootServer {
            address,
            http_port: 80,
        };
        let unusual = BootServer {
            address,
            http_port: 8080,
        };
        assert_eq!(usual.url("/a"), "http://10.0.0.1/a");
        assert_eq!(unusual.url("/a"), "http://10.0.0.1:8080/a");
    }
}
