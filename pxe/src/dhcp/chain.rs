//! Which loader comes next for a client, and how DHCP says so.
//!
//! The chain: BIOS loads iPXE over TFTP; iPXE loads its script over HTTP;
//! UEFI loads shim, over TFTP or HTTP as its firmware can, and shim loads
//! GRUB from beside itself. Nothing in DHCP says whether Secure Boot is on,
//! so shim is the one answer that works for every 64-bit UEFI machine.

use crate::answer::{Answer, BootServer, IPXE_PATH};
use crate::client::{Architecture, BootClient, Stage};
use crate::policy::BootPolicy;
use crate::wire::dhcp::{Packet, code};
use crate::wire::pxe;

/// Vendor class of a PXE answer; a client ignores a proxy without it.
pub const PXE_CLASS: &[u8] = b"PXEClient";
/// Vendor class of an HTTP Boot answer; firmware requires it.
pub const HTTP_CLASS: &[u8] = b"HTTPClient";

/// The loaders by firmware: paths under the TFTP and the HTTP root alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaders {
    /// For PC BIOS.
    pub bios: String,
    /// For 64-bit x86 UEFI: shim, with `grubx64.efi` beside it.
    pub x64: String,
    /// For 64-bit ARM UEFI, where there is one.
    pub arm64: Option<String>,
}

impl Default for Loaders {
    fn default() -> Self {
        Self {
            bios: "undionly.kpxe".to_owned(),
            x64: "shimx64.efi".to_owned(),
            arm64: None,
        }
    }
}

impl Loaders {
    /// The loader of an architecture.
    #[must_use]
    pub fn loader(&self, architecture: Architecture) -> Option<&str> {
        match architecture {
            Architecture::Bios => Some(&self.bios),
            Architecture::X64Efi => Some(&self.x64),
            Architecture::Arm64Efi => self.arm64.as_deref(),
            Architecture::Ia32Efi | Architecture::Other(_) => None,
        }
    }

    /// The GRUB that shim loads from its own folder.
    #[must_use]
    pub fn grub(&self, architecture: Architecture) -> Option<String> {
        let name = match architecture {
            Architecture::X64Efi => "grubx64.efi",
            Architecture::Arm64Efi => "grubaa64.efi",
            _ => return None,
        };
        let folder = self.loader(architecture)?.rsplit_once('/');
        Some(folder.map_or(name.to_owned(), |(folder, _)| format!("{folder}/{name}")))
    }

    /// Whether a path is one of the loaders, or the GRUB beside shim.
    #[must_use]
    pub fn names(&self, path: &str) -> bool {
        let uefi = [Architecture::X64Efi, Architecture::Arm64Efi];
        let grub = |architecture| self.grub(architecture);
        path == self.bios
            || path == self.x64
            || self.arm64.as_deref() == Some(path)
            || uefi.into_iter().filter_map(grub).any(|grub| grub == path)
    }
}

/// What a client loads next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// A file by TFTP.
    Tftp(String),
    /// An URL, in an answer to the firmware's HTTP Boot.
    HttpBoot(String),
    /// An URL, for iPXE.
    Script(String),
    /// Nothing: not our machine, or it does not boot.
    Nothing,
    /// It should boot, but there is no loader for it.
    NoLoader,
}

/// Asks the policy and names the next file.
#[must_use]
pub fn next(
    client: &BootClient,
    policy: &dyn BootPolicy,
    server: BootServer,
    loaders: &Loaders,
) -> Next {
    if !client.boots() || policy.answer(client) == Answer::Ignore {
        return Next::Nothing;
    }
    if client.stage == Stage::Ipxe {
        let path = format!("{}?{}", IPXE_PATH, client.to_query());
        return Next::Script(server.url(&path));
    }
    match loaders.loader(client.architecture) {
        None => Next::NoLoader,
        Some(path) if client.stage == Stage::HttpBoot => {
            Next::HttpBoot(server.url(&format!("/{path}")))
        }
        Some(path) => Next::Tftp(path.to_owned()),
    }
}

/// Writes the boot fields: next server, file, and option 67.
///
/// The file goes into the header field, and into option 67 for clients that
/// ask for it there, where its final NUL is what firmware is used to.
pub fn write(reply: &mut Packet, request: &Packet, next: &Next, server: BootServer) {
    let file = match next {
        Next::Nothing | Next::NoLoader => return,
        Next::Tftp(file) | Next::HttpBoot(file) | Next::Script(file) => file,
    };
    reply.siaddr = server.address;
    let mut terminated = file.clone().into_bytes();
    terminated.push(0);
    if let Next::HttpBoot(_) = next {
        reply.set(code::CLASS, HTTP_CLASS);
        reply.set(code::FILE, &terminated);
        return;
    }
    reply.file = file.clone().into_bytes();
    reply.sname = server.address.to_string().into_bytes();
    if request.wants(code::FILE) {
        reply.set(code::FILE, &terminated);
    }
}

/// Tells a PXE client to load the named file at once: no menu, no discovery.
pub fn write_direct(reply: &mut Packet) {
    let control = pxe::encode(&[(pxe::DISCOVERY_CONTROL, &[pxe::USE_BOOT_FILE])]);
    reply.set(code::VENDOR, &control);
}
