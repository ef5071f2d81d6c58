//! What a boot environment is made from and what it carries.

use winpe_assets::linux::elf::{check_static, section};
use winpe_assets::linux::expand::expand as expand_up_to;
use winpe_assets::linux::modules::modinfo::Modinfo;
use winpe_assets::linux::{cpio as archive, kernel};
use winpe_assets::{BootConfig, BootRecord, Modules, Package, authenticode};

use super::repair;

/// What the target allows a compressed input to become.
const EXPAND_LIMIT: usize = 1 << 20;
/// So many modules are loaded and asked for, of the first ones in a table.
const MODULES_TRIED: usize = 32;

/// An archive that reads is written to one that reads the same.
pub(super) fn cpio(input: &[u8]) {
    let Ok(tree) = archive::read(input) else {
        return;
    };
    let held: usize = tree.files().map(|(_, bytes)| bytes.len()).sum();
    assert!(held <= input.len());
    let bytes = archive::write(&tree).expect("a tree that was read can be written");
    assert_eq!(archive::read(&bytes).expect("it reads again"), tree);
}

/// A package opens to files with paths inside it, whatever its tars say.
pub(super) fn package(input: &[u8]) {
    check_package(input);
    let mut repaired = input.to_vec();
    repair_members(&mut repaired);
    check_package(&repaired);
}

/// Repairs the tars of all members that are not compressed.
fn repair_members(package: &mut [u8]) {
    const MAGIC: usize = 8;
    const HEADER: usize = 60;
    const SIZE: std::ops::Range<usize> = 48..58;
    let mut header = MAGIC;
    while let Some(field) = package.get(header..).and_then(|rest| rest.get(SIZE)) {
        let digits = std::str::from_utf8(field).ok().map(str::trim_end);
        let size = digits.and_then(|digits| digits.parse::<usize>().ok());
        let start = header + HEADER;
        let end = size.and_then(|size| start.checked_add(size));
        let Some((end, member)) = end.and_then(|end| Some((end, package.get_mut(start..end)?)))
        else {
            return;
        };
        repair::tar(member);
        header = end + (end - start) % 2;
    }
}

fn check_package(bytes: &[u8]) {
    let Ok(package) = Package::open(bytes, |_| true) else {
        return;
    };
    assert_eq!(package.sha256.len(), 64);
    for (path, content) in package.files() {
        let inside = |name: &str| !matches!(name, "" | "." | "..");
        assert!(path.split('/').all(inside), "{path:?} leaves the package");
        assert_eq!(package.file(path), Some(content));
    }
}

/// What expands stays below its limit, and plain bytes stay as they are.
pub(super) fn expand(input: &[u8]) {
    let Ok(plain) = expand_up_to(input, EXPAND_LIMIT) else {
        return;
    };
    assert!(plain.len() <= EXPAND_LIMIT);
    let packed = [b"\xfd7zXZ\0".as_slice(), b"\x28\xb5\x2f\xfd"];
    if !packed.iter().any(|magic| input.starts_with(magic)) {
        assert_eq!(plain, input);
    }
    if let Some(less) = plain.len().checked_sub(1) {
        assert!(expand_up_to(input, less).is_err(), "a limit was passed");
    }
}

/// A section lies in its file; a program is static or not, the same each time.
pub(super) fn elf(input: &[u8]) {
    for name in ["", ".modinfo", ".text", ".shstrtab"] {
        if let Ok(Some(content)) = section(input, name) {
            assert!(input.as_ptr_range().contains(&content.as_ptr()) || content.is_empty());
            assert!(content.len() <= input.len());
        }
    }
    assert_eq!(check_static(input), check_static(input));
}

/// A module's words are no longer than the module.
pub(super) fn modinfo(input: &[u8]) {
    let Ok(info) = Modinfo::read(input) else {
        return;
    };
    let lists = [
        info.aliases,
        info.depends,
        info.before,
        info.after,
        info.firmware,
    ];
    let held: usize = lists.iter().flatten().map(String::len).sum();
    assert!(held <= input.len());
}

/// A signature lies in its program, and a release is a short word.
pub(super) fn signed_program(input: &[u8]) {
    if let Ok(range) = authenticode::signature(input) {
        assert!(!range.is_empty());
        assert!(
            input.get(range).is_some(),
            "the signature leaves the program"
        );
    }
    if let Some(release) = kernel::release(input) {
        assert!((1..=64).contains(&release.len()) && !release.contains([' ', '\0']));
    }
}

/// A table of modules encodes to one that says the same, and every module has
/// an order to load it in or an error.
pub(super) fn modules(input: &[u8]) {
    let Ok(modules) = Modules::parse(input) else {
        return;
    };
    let again = Modules::parse(&modules.encode()).expect("an encoded table parses");
    assert_eq!(again, modules);
    for module in modules.all().iter().take(MODULES_TRIED) {
        if let Ok(order) = modules.load_order(&module.name) {
            assert!(
                order.len() <= modules.all().len(),
                "a module is loaded twice"
            );
        }
        for alias in module.aliases.iter().take(MODULES_TRIED) {
            assert!(modules.for_modalias(alias).len() <= modules.all().len());
        }
    }
}

/// A configuration that parses encodes to one that says the same.
pub(super) fn boot_config(input: &[u8]) {
    if let Ok(config) = BootConfig::parse(input) {
        let bytes = config.encode().expect("a parsed configuration encodes");
        assert_eq!(BootConfig::parse(&bytes).expect("it parses again"), config);
    }
}

/// A record that parses encodes to one that says the same.
pub(super) fn boot_record(input: &[u8]) {
    if let Ok(record) = BootRecord::parse(input) {
        let bytes = record.encode().expect("a parsed record encodes");
        assert_eq!(BootRecord::parse(&bytes).expect("it parses again"), record);
    }
}
