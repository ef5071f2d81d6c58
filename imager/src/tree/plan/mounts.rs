//! What is mounted below a target: nothing on another mount is removed, and
//! that must be known before anything is.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use image_format::entry::printable;

use super::PlanError;

/// The kernel's list of what is mounted where (`proc_pid_mountinfo(5)`).
const LIST: &str = "/proc/self/mountinfo";
/// Which word of a line is the place.
const PLACE: usize = 4;

/// Refuses a target with mounts below it.
pub(super) fn refuse(target: &Path) -> Result<(), PlanError> {
    let failed = |source| PlanError::Mounts {
        target: target.to_owned(),
        source,
    };
    let whole = std::fs::canonicalize(target).map_err(failed)?;
    let list = std::fs::read(LIST).map_err(failed)?;
    let below = below(&list, whole.as_os_str().as_bytes());
    match below.first() {
        None => Ok(()),
        Some(first) => Err(PlanError::Mounted {
            target: target.to_owned(),
            count: below.len(),
            first: printable(first),
        }),
    }
}

/// Places in a list of mounts that lie below a folder.
fn below(list: &[u8], folder: &[u8]) -> Vec<Vec<u8>> {
    let lines = list.split(|&byte| byte == b'\n');
    let places = lines.filter_map(|line| {
        let place = line.split(|&byte| byte == b' ').nth(PLACE)?;
        let place = unescaped(place);
        let rest = place.strip_prefix(folder)?;
        rest.starts_with(b"/").then_some(place)
    });
    places.collect()
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescaped(place: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(place.len());
    let mut rest = place;
    while let Some((&byte, behind)) = rest.split_first() {
        let digits = behind.get(..3).filter(|_| byte == b'\\');
        let number = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match number {
            Some(number) => {
                bytes.push(number);
                rest = behind.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(byte);
                rest = behind;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_mounted_below_the_folder_is_found() {
        let list = b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
            2 1 8:2 / /srv/a\\040b rw - ext4 /dev/sda2 rw\n\
            3 2 0:5 / /srv/a\\040b/proc rw - proc proc rw\n\
            4 1 0:6 / /srv/a\\040bc rw - tmpfs tmpfs rw\nshort\n";
        assert_eq!(below(list, b"/srv/a b"), [b"/srv/a b/proc"]);
        assert!(below(list, b"/srv/a").is_empty());
        assert_eq!(below(list, b"/srv").len(), 3);
    }
}
