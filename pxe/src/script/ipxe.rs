//! An answer as an iPXE script.
//!
//! The network is up when this script arrives: it configures nothing, because
//! a second autoconfiguration waits 12 s for IPv6 where there is none.

use super::{ScriptError, plain_path, plain_title, words};
use crate::answer::{Answer, BootImage, BootServer};
use crate::client::Architecture;
use crate::dhcp::chain::Loaders;

/// Seconds a failure stays on the screen before the machine starts again.
const FAILURE_SECONDS: u32 = 60;

/// The script for a machine of this architecture.
///
/// # Errors
/// [`ScriptError`] when a path or an argument would be read differently.
pub fn script(
    answer: &Answer,
    architecture: Architecture,
    server: BootServer,
    loaders: &Loaders,
) -> Result<String, ScriptError> {
    let body = match answer {
        Answer::Boot(image) => boot(image, architecture, server)?,
        Answer::LocalDisk | Answer::Ignore => disk(architecture, server, loaders),
    };
    Ok(format!("#!ipxe\n{body}"))
}

fn boot(
    image: &BootImage,
    architecture: Architecture,
    server: BootServer,
) -> Result<String, ScriptError> {
    let names = initrd_names(image.initrd.len());
    let kernel = server.url(plain_path(&image.kernel)?);
    // The EFI stub asks iPXE for the initrd by name; BIOS ignores it.
    let mut line = format!("kernel {kernel}");
    for name in &names {
        line.push_str(&format!(" initrd={name}"));
    }
    for word in words(image)? {
        line.push(' ');
        line.push_str(word);
    }
    let mut script = format!("echo {}\n", plain_title(&image.title));
    script.push_str(&format!("{line} || goto failed\n"));
    for (name, path) in names.iter().zip(&image.initrd) {
        let url = server.url(plain_path(path)?);
        script.push_str(&format!("initrd --name {name} {url} || goto failed\n"));
    }
    script.push_str("boot || goto failed\n");
    script.push_str(&failure(architecture, "the boot files could not be loaded"));
    Ok(script)
}

/// BIOS goes on to the next boot device when iPXE ends. UEFI does not: there
/// the chain goes on to GRUB, which starts the disk's own loader.
fn disk(architecture: Architecture, server: BootServer, loaders: &Loaders) -> String {
    if !architecture.is_uefi() {
        return "echo Nothing to do here: starting from the disk\nexit 1\n".to_owned();
    }
    let mut script = "echo Nothing to do here: going on to the disk\n".to_owned();
    if let Some(grub) = loaders.grub(architecture) {
        let address = server.address;
        // GRUB and not shim: shim reads files through iPXE's PXE interface at
        // a wrong length and gives up ("Malformed binary"). `--autofree`: an
        // image left behind would join the next initrd.
        script.push_str(&format!(
            "chain --autofree tftp://{address}/{grub} || goto failed\n"
        ));
    }
    script.push_str(&again("the disk's loader could not be reached"));
    script
}

/// On UEFI the firmware goes on with its own network boot: with Secure Boot on
/// it refuses the kernel from an iPXE that nobody signed, and shim is the way.
fn failure(architecture: Architecture, what: &str) -> String {
    if architecture.is_uefi() {
        return format!(":failed\necho {what}; the firmware goes on\nexit 1\n");
    }
    again(what)
}

fn again(what: &str) -> String {
    format!(
        ":failed\necho {what}; starting again in {FAILURE_SECONDS} s\n\
         sleep {FAILURE_SECONDS}\nreboot\n"
    )
}

fn initrd_names(count: usize) -> Vec<String> {
    match count {
        1 => vec!["initrd.img".to_owned()],
        _ => (1..=count).map(|at| format!("initrd{at}.img")).collect(),
    }
}
