//! What a module says about itself: its `.modinfo` section, strings
//! `key=value` that end in NUL (the kernel's `include/linux/module.h`).

use super::canonical;
use crate::linux::elf::{self, ElfError};

/// What ends a module that the kernel's own key signed
/// (`include/linux/module_signature.h`).
const SIGNED: &[u8] = b"~Module signature appended~\n";

/// A module's word about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Modinfo {
    /// `alias=`: modalias patterns and other names.
    pub aliases: Vec<String>,
    /// `depends=`: names of modules.
    pub depends: Vec<String>,
    /// `softdep=pre:`: names or aliases.
    pub before: Vec<String>,
    /// `softdep=post:`: names or aliases.
    pub after: Vec<String>,
    /// `firmware=`: files below the firmware folder.
    pub firmware: Vec<String>,
    /// Does it carry a signature? Under Secure Boot others do not load.
    pub signed: bool,
}

impl Modinfo {
    /// Reads an uncompressed module.
    pub fn read(module: &[u8]) -> Result<Self, ElfError> {
        let section =
            elf::section(module, ".modinfo")?.ok_or(ElfError::Damaged("no .modinfo section"))?;
        let mut info = Self {
            signed: module.ends_with(SIGNED),
            ..Self::default()
        };
        for line in section.split(|&byte| byte == 0) {
            // Descriptions may be in any encoding; what matters here is ASCII.
            if let Some((key, value)) = std::str::from_utf8(line)
                .ok()
                .and_then(|line| line.split_once('='))
            {
                info.take(key, value);
            }
        }
        Ok(info)
    }

    fn take(&mut self, key: &str, value: &str) {
        match key {
            "alias" => self.aliases.push(value.to_owned()),
            "firmware" => self.firmware.push(value.to_owned()),
            "depends" => {
                let names = value.split(',').filter(|name| !name.is_empty());
                self.depends.extend(names.map(canonical));
            }
            "softdep" => self.take_softdep(value),
            _ => {}
        }
    }

    /// `pre: a b post: c`.
    fn take_softdep(&mut self, value: &str) {
        let mut list = None;
        for word in value.split_whitespace() {
            match word {
                "pre:" => list = Some(&mut self.before),
                "post:" => list = Some(&mut self.after),
                name => {
                    if let Some(list) = &mut list {
                        list.push(canonical(name));
                    }
                }
            }
        }
    }
}

/// A module for the tests of this crate.
#[cfg(test)]
pub(crate) fn sample(info: &str) -> Vec<u8> {
    let mut module = elf::tests::with_section(".modinfo", info.replace('|', "\0").as_bytes());
    module.extend_from_slice(SIGNED);
    module
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_loading_needs_is_read() {
        let module = sample(
            "license=GPL|alias=pci:v1d2*|depends=libphy,mdio-devres|softdep=pre: realtek crypto-x post: z|firmware=rtl/a.fw|",
        );
        let info = Modinfo::read(&module).unwrap();
        assert_eq!(info.aliases, ["pci:v1d2*"]);
        assert_eq!(info.depends, ["libphy", "mdio_devres"]);
        assert_eq!(info.before, ["realtek", "crypto_x"]);
        assert_eq!(info.after, ["z"]);
        assert_eq!(info.firmware, ["rtl/a.fw"]);
        assert!(info.signed);
    }

    #[test]
    fn a_module_without_needs_has_none() {
        let info = Modinfo::read(&sample("depends=|")).unwrap();
        assert!(info.depends.is_empty());
    }

    #[test]
    fn cut_and_damaged_modules_never_panic() {
        let module = sample("alias=a|softdep=pre:|depends=,,|");
        for length in 0..module.len() {
            let _ = Modinfo::read(&module[..length]);
        }
        for at in 0..module.len() {
            let mut damaged = module.clone();
            damaged[at] ^= 0xff;
            let _ = Modinfo::read(&damaged);
        }
    }
}
