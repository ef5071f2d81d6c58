//! What the boot environment was told: by its builder, in a file that is part
//! of it, and by the kernel's command line, which anybody on the wire can forge.
//!
//! So the command line may say *where* the server is, never *who* it is.

use std::net::SocketAddr;

use inventory::HardwareAddr;

/// The words of the command line that are ours.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct CommandLine {
    /// `mimeo.server=ADDRESS:PORT`: the server, by TLS.
    pub(crate) server: Option<String>,
    /// `mimeo.boot=http://ADDRESS[:PORT]/boot`: where boot files lie.
    pub(crate) boot: Option<String>,
    /// `BOOTIF=`: the adapter we were loaded through.
    pub(crate) boot_adapter: Option<HardwareAddr>,
}

impl CommandLine {
    /// Reads the text of `/proc/cmdline`; what is not ours is passed over.
    pub(crate) fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for word in text.split_ascii_whitespace() {
            let Some((key, value)) = word.split_once('=') else {
                continue;
            };
            match key {
                "mimeo.server" => found.server = Some(value.to_owned()),
                "mimeo.boot" => found.boot = Some(value.trim_end_matches('/').to_owned()),
                "BOOTIF" => found.boot_adapter = boot_adapter(value),
                _ => {}
            }
        }
        found
    }
}

/// PXELINUX's and iPXE's form: `01-` for Ethernet, then the address; some
/// loaders leave the type out.
fn boot_adapter(value: &str) -> Option<HardwareAddr> {
    let typed = (value.len() == 20).then(|| value.get(3..)).flatten();
    typed
        .unwrap_or(value)
        .parse()
        .ok()
        .filter(HardwareAddr::identifies)
}

/// An `http://` URL taken apart; the second stage comes in the clear, known by
/// its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClearUrl {
    /// Address and port to connect to.
    pub(crate) address: SocketAddr,
    /// `address[:port]` as the URL has it, for the Host header.
    pub(crate) host: String,
    /// Path with a slash in front.
    pub(crate) path: String,
}

impl ClearUrl {
    /// Takes `url` apart. Names are not resolved: boot networks give addresses.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("http://")?;
        let (host, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/"),
        };
        let address = host
            .parse()
            .or_else(|_| format!("{host}:80").parse())
            .ok()?;
        let sound = |byte: u8| byte.is_ascii_graphic();
        path.bytes().all(sound).then(|| Self {
            address,
            host: host.to_owned(),
            path: path.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_words_are_found_among_the_kernels() {
        let line = CommandLine::parse(
            "BOOT_IMAGE=/vmlinuz console=tty0 mimeo.server=10.0.0.1:8443 quiet \
             mimeo.boot=http://10.0.0.1/boot/ BOOTIF=01-52-54-00-12-34-56 x=\n",
        );
        assert_eq!(line.server.as_deref(), Some("10.0.0.1:8443"));
        assert_eq!(line.boot.as_deref(), Some("http://10.0.0.1/boot"));
        assert_eq!(
            line.boot_adapter,
            Some("52:54:00:12:34:56".parse().unwrap())
        );
    }

    #[test]
    fn the_boot_adapter_is_read_with_and_without_its_type() {
        let expected = Some("52:54:00:12:34:56".parse().unwrap());
        for text in ["BOOTIF=52:54:00:12:34:56", "BOOTIF=01-52-54-00-12-34-56"] {
            assert_eq!(CommandLine::parse(text).boot_adapter, expected, "{text}");
        }
        for text in [
            "BOOTIF=",
            "BOOTIF=01-ff-ff-ff-ff-ff-ff",
            "BOOTIF=\u{e9}-52-54-00-12-34-5",
        ] {
            assert_eq!(CommandLine::parse(text).boot_adapter, None, "{text}");
        }
    }

    #[test]
    fn no_word_of_the_command_line_can_name_a_key() {
        let line = CommandLine::parse("mimeo.key=00 mimeo.server_key=00 server_key=00");
        assert_eq!(line, CommandLine::default());
    }

    #[test]
    fn clear_urls_have_an_address_and_perhaps_a_port() {
        let url = ClearUrl::parse("http://10.0.0.1/boot/stage2").unwrap();
        assert_eq!(url.address, "10.0.0.1:80".parse().unwrap());
        assert_eq!(
            (url.host.as_str(), url.path.as_str()),
            ("10.0.0.1", "/boot/stage2")
        );
        let url = ClearUrl::parse("http://10.0.0.1:8080").unwrap();
        assert_eq!(url.address, "10.0.0.1:8080".parse().unwrap());
        assert_eq!(url.path, "/");
        for bad in [
            "https://10.0.0.1/",
            "http://name/",
            "http:///x",
            "",
            "http://10.0.0.1/\r\nX",
        ] {
            assert_eq!(ClearUrl::parse(bad), None, "{bad}");
        }
    }
}
