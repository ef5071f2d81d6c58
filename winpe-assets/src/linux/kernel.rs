//! What a Linux kernel image says about itself.

/// Offset of the magic of the setup header.
const MAGIC_AT: usize = 0x202;
/// Offset of the version string's offset, which counts from 0x200.
const VERSION_AT: usize = 0x20e;
const VERSION_BASE: usize = 0x200;
/// `uname -r` is at most 64 bytes long (`__NEW_UTS_LEN`).
const LONGEST_RELEASE: usize = 64;

/// The release (`uname -r`) of a bzImage, after the kernel's
/// `Documentation/arch/x86/boot.rst`; `None` when it is not one.
#[must_use]
pub fn release(image: &[u8]) -> Option<&str> {
    if image.get(MAGIC_AT..MAGIC_AT + 4)? != b"HdrS" {
        return None;
    }
    let offset = u16::from_le_bytes(*image.get(VERSION_AT..)?.first_chunk()?);
    let text = image.get(VERSION_BASE + usize::from(offset)..)?;
    let text = text.get(..text.len().min(LONGEST_RELEASE + 1))?;
    let end = text.iter().position(|&byte| matches!(byte, b' ' | 0))?;
    std::str::from_utf8(text.get(..end)?)
        .ok()
        .filter(|release| !release.is_empty())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A signed "kernel" of this release, for the tests of this crate.
    pub(crate) fn sample(release: &str) -> Vec<u8> {
        // The setup header and the certificate (at 0x200) would collide, so
        // the certificate's table moves behind the version.
        let mut image = crate::authenticode::signed_sample();
        let certificate = image.split_off(0x200);
        image.resize(0x300, 0);
        image[MAGIC_AT..MAGIC_AT + 4].copy_from_slice(b"HdrS");
        image[VERSION_AT..VERSION_AT + 2].copy_from_slice(&0x40u16.to_le_bytes());
        image[0x240..0x240 + release.len()].copy_from_slice(release.as_bytes());
        image[0x240 + release.len()] = b' ';
        image.extend(certificate);
        let entry = 0x40 + 24 + 112 + 32;
        image[entry..entry + 4].copy_from_slice(&0x300u32.to_le_bytes());
        image
    }

    #[test]
    fn the_release_ends_at_the_first_space() {
        assert_eq!(release(&sample("6.12.1-amd64")), Some("6.12.1-amd64"));
    }

    #[test]
    fn a_cut_image_has_no_release_and_panics_nowhere() {
        let image = sample("6.12.1-amd64");
        for length in 0..0x24c {
            assert_eq!(release(&image[..length]), None);
        }
        assert_eq!(release(b"not a kernel"), None);
    }
}
