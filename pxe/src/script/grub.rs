//! An answer as a GRUB configuration, for GRUB 2.12 as signed by Debian.
//!
//! * Its `http` is built in: under Secure Boot a module could not be loaded.
//! * It never says `exit`: firmware takes that for success and stops at its
//!   setup screen.
//! * It loads one kernel a run: a second `linux` after an `initrd` brings the
//!   firmware down. A failure therefore ends in a reboot.

use super::{ScriptError, plain_path, plain_title, words};
use crate::answer::{Answer, BootImage, BootServer};
use crate::client::Architecture;

/// Seconds a failure stays on the screen before the machine starts again.
const FAILURE_SECONDS: u32 = 60;

const WINDOWS_LOADER: &str = "/EFI/Microsoft/Boot/bootmgfw.efi";

/// The configuration for a machine of this architecture.
///
/// # Errors
/// [`ScriptError`] when a path or an argument would be read differently.
pub fn config(
    answer: &Answer,
    architecture: Architecture,
    server: BootServer,
) -> Result<String, ScriptError> {
    match answer {
        Answer::Boot(image) => boot(image, server),
        Answer::LocalDisk | Answer::Ignore => Ok(disk(architecture)),
    }
}

/// The configuration for a machine we know nothing of but that it reads this:
/// it asks again, by its card's address.
#[must_use]
pub fn ask_by_card() -> String {
    let mut config = "source $prefix/hosts/$net_default_mac\n".to_owned();
    config.push_str(&failure("no boot configuration for this machine"));
    config
}

fn boot(image: &BootImage, server: BootServer) -> Result<String, ScriptError> {
    let device = format!("(http,{})", server.authority());
    let mut linux = format!(
        "linux {}",
        quoted(&(device.clone() + plain_path(&image.kernel)?))
    );
    for word in words(image)? {
        linux.push(' ');
        linux.push_str(&quoted(word));
    }
    let mut script = format!("echo {}\n", quoted(&plain_title(&image.title)));
    if image.initrd.is_empty() {
        script.push_str(&format!("if {linux}; then\n  boot\nfi\n"));
    } else {
        let mut initrd = "initrd".to_owned();
        for path in &image.initrd {
            initrd.push(' ');
            initrd.push_str(&quoted(&(device.clone() + plain_path(path)?)));
        }
        script.push_str(&format!(
            "if {linux}; then\n  if {initrd}; then\n    boot\n  fi\nfi\n"
        ));
    }
    script.push_str(&failure("the boot files could not be loaded"));
    Ok(script)
}

/// Windows' loader first: where both exist, the removable-media path may be
/// left over from something older.
fn disk(architecture: Architecture) -> String {
    let fallback = match architecture {
        Architecture::Arm64Efi => "/EFI/BOOT/BOOTAA64.EFI",
        Architecture::Ia32Efi => "/EFI/BOOT/BOOTIA32.EFI",
        Architecture::X64Efi | Architecture::Bios | Architecture::Other(_) => {
            "/EFI/BOOT/BOOTX64.EFI"
        }
    };
    let mut script = "echo 'Nothing to do here: starting from the disk'\n".to_owned();
    for loader in [WINDOWS_LOADER, fallback] {
        // `root` is how the loader started here learns which disk it is on;
        // with the device only in the path it looks on the network.
        script.push_str(&format!(
            "if search --set=esp --file {loader}; then\n  set root=$esp\n  \
             if chainloader {loader}; then\n    boot\n  fi\nfi\n"
        ));
    }
    script.push_str(&failure("no EFI system partition with a loader was found"));
    script
}

fn failure(what: &str) -> String {
    format!(
        "echo '{what}; starting again in {FAILURE_SECONDS} s'\n\
         sleep {FAILURE_SECONDS}\nreboot\n"
    )
}

/// A word GRUB takes as it stands. What could end the quotes was refused
/// before.
fn quoted(word: &str) -> String {
    format!("'{word}'")
}
