//! A boot tree from made-up packages: what is built passes the check, and
//! what is damaged afterwards does not.

use winpe_assets::linux::build::{INITRD, KERNEL, SHIM, STAGE2};
use winpe_assets::linux::{cpio, expand};
use winpe_assets::{
    BootConfig, BootRecord, CONFIG_PATH, Hex32, Inputs, Modules, Node, Package, RECORD_NAME,
    TABLE_PATH, Tree, build, check, wanted,
};

const RELEASE: &str = "6.12.1-amd64";

/// A `.deb` with these files; nothing compressed.
fn package(name: &str, files: &[(String, Vec<u8>)]) -> Package {
    let control = format!("Package: {name}\nVersion: 1.0\n").into_bytes();
    let control = tarball(&[("./control".to_owned(), control)]);
    let data = tarball(files);
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, content) in [("control.tar", &control), ("data.tar", &data)] {
        let size = content.len();
        let header = format!(
            "{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n",
            0, 0, 0, 100_644
        );
        bytes.extend(header.bytes());
        bytes.extend_from_slice(content);
    }
    Package::open(&bytes, wanted).unwrap()
}

fn tarball(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive
            .append_data(&mut header, path, bytes.as_slice())
            .unwrap();
    }
    archive.into_inner().unwrap()
}

/// A PE program with a certificate table; as a kernel it names its release.
fn program(release: &str) -> Vec<u8> {
    let mut bytes = vec![0; 0x300];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[0x3c] = 0x40;
    bytes[0x40..0x44].copy_from_slice(b"PE\0\0");
    bytes[0x58..0x5a].copy_from_slice(&[0x0b, 0x02]);
    bytes[0x58 + 108] = 16;
    bytes[0x58 + 144..][..8].copy_from_slice(&[0, 3, 0, 0, 16, 0, 0, 0]);
    bytes[0x202..0x206].copy_from_slice(b"HdrS");
    bytes[0x20e] = 0x40;
    bytes[0x240..][..release.len()].copy_from_slice(release.as_bytes());
    bytes.extend([16, 0, 0, 0, 0, 2, 2, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    bytes
}

/// A static ELF program of nothing.
fn agent() -> Vec<u8> {
    let mut bytes = vec![0; 0x80];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    bytes[0x12] = 62;
    bytes[0x20] = 0x40;
    bytes[0x36] = 0x38;
    bytes[0x38] = 1;
    bytes[0x40] = 1;
    bytes
}

/// A signed module with this `.modinfo`.
fn module(info: &str) -> Vec<u8> {
    let info = info.replace('|', "\0").into_bytes();
    let names = b"\0.modinfo\0";
    let mut bytes = vec![0; 0x40];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    bytes.extend_from_slice(&info);
    bytes.extend_from_slice(names);
    let table = bytes.len() as u64;
    for (name, at, length) in [
        (1u32, 0x40u64, info.len() as u64),
        (0, 0x40 + info.len() as u64, names.len() as u64),
    ] {
        let mut header = [0; 0x40];
        header[..4].copy_from_slice(&name.to_le_bytes());
        header[0x18..0x20].copy_from_slice(&at.to_le_bytes());
        header[0x20..0x28].copy_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&header);
    }
    bytes[0x28..0x30].copy_from_slice(&table.to_le_bytes());
    bytes[0x3a] = 0x40;
    bytes[0x3c] = 2;
    bytes[0x3e] = 1;
    bytes.extend_from_slice(b"~Module signature appended~\n");
    bytes
}

fn packages() -> Vec<Package> {
    let modules = format!("./usr/lib/modules/{RELEASE}");
    let kernel = [
        (format!("./boot/vmlinuz-{RELEASE}"), program(RELEASE)),
        (
            format!("{modules}/modules.builtin"),
            b"kernel/virtio_pci.ko\nkernel/tg3.ko\n".to_vec(),
        ),
        (format!("{modules}/modules.order"), Vec::new()),
        (
            format!("{modules}/kernel/net/virtio_net.ko"),
            module("alias=virtio:d1v*|depends=failover|"),
        ),
        (
            format!("{modules}/kernel/net/failover.ko"),
            module("depends=|"),
        ),
        (
            format!("{modules}/kernel/net/e1000e.ko"),
            module("depends=|"),
        ),
        (
            format!("{modules}/kernel/net/r8169.ko"),
            module("depends=|firmware=rtl_nic/a.fw|firmware=b.fw|"),
        ),
        (
            format!("{modules}/kernel/usb/xhci-pci.ko"),
            module("depends=|"),
        ),
        (
            format!("{modules}/kernel/fs/efivarfs.ko"),
            module("depends=|"),
        ),
        (
            format!("{modules}/kernel/drivers/ata/ahci.ko"),
            module("depends=|"),
        ),
    ];
    let loader = |path: &str| (path.to_owned(), program(""));
    vec![
        package("linux-image-6.12.1-amd64", &kernel),
        package(
            "shim-signed",
            &[loader("./usr/lib/shim/shimx64.efi.signed")],
        ),
        package(
            "grub-efi-amd64-signed",
            &[loader(
                "./usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed",
            )],
        ),
        package("ipxe", &[loader("./usr/lib/ipxe/undionly.kpxe")]),
        package(
            "firmware-x",
            &[("./usr/lib/firmware/rtl_nic/a.fw".to_owned(), vec![1])],
        ),
    ]
}

fn built() -> Tree {
    let packages = packages();
    build(&Inputs {
        packages: &packages,
        agent: &agent(),
        server_key: Hex32([9; 32]),
        server: "192.0.2.1:8443".parse().unwrap(),
        wide: false,
    })
    .unwrap()
}

fn stage(tree: &Tree, name: &str) -> Tree {
    cpio::read(&expand::expand(tree.bytes(name).unwrap(), 1 << 24).unwrap()).unwrap()
}

/// The tree with one file replaced, or removed.
fn with(tree: &Tree, name: &str, bytes: Option<Vec<u8>>) -> Tree {
    let mut changed = Tree::new();
    for (path, node) in tree.iter() {
        if path != name {
            changed.put(path, node.clone()).unwrap();
        }
    }
    if let Some(bytes) = bytes {
        changed.file(name, 0o644, bytes).unwrap();
    }
    changed
}

fn findings(tree: &Tree) -> String {
    check(tree)
        .iter()
        .map(|finding| format!("{finding}\n"))
        .collect()
}

#[test]
fn what_is_built_passes_the_check() {
    assert_eq!(findings(&built()), "");
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    assert_eq!(built(), built());
}

#[test]
fn the_first_stage_holds_agent_trust_table_and_network_and_the_second_the_disks() {
    let tree = built();
    let (first, second) = (stage(&tree, INITRD), stage(&tree, STAGE2));
    assert_eq!(first.bytes("init"), Some(agent().as_slice()));
    assert_eq!(
        first.get("dev/console"),
        Some(&Node::Device {
            mode: 0o600,
            major: 5,
            minor: 1
        })
    );
    let config = BootConfig::parse(first.bytes(CONFIG_PATH).unwrap()).unwrap();
    assert!(config.stage2.fits(tree.bytes(STAGE2).unwrap()));
    assert_eq!(config.server_key, Hex32([9; 32]));
    let table = Modules::parse(first.bytes(TABLE_PATH).unwrap()).unwrap();
    for need in table.load_order("virtio-net").unwrap() {
        assert!(first.bytes(&need.path).is_some(), "{}", need.name);
    }
    assert!(second.bytes(&table.get("ahci").unwrap().path).is_some());
    assert_eq!(
        first.bytes("lib/firmware/rtl_nic/a.fw"),
        Some([1].as_slice())
    );
    let record = BootRecord::parse(tree.bytes(RECORD_NAME).unwrap()).unwrap();
    assert_eq!(record.firmware_missing, ["b.fw"]);
    assert_eq!(record.packages.len(), 5);
}

#[test]
fn a_changed_file_is_found_and_named() {
    let tree = built();
    for name in [SHIM, KERNEL, INITRD, STAGE2] {
        let mut bytes = tree.bytes(name).unwrap().to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        assert!(
            findings(&with(&tree, name, Some(bytes))).contains(name),
            "{name}"
        );
        assert!(findings(&with(&tree, name, None)).contains(name), "{name}");
    }
}

#[test]
fn another_second_stage_is_found_even_when_the_record_agrees() {
    let tree = built();
    let other = b"another stage".to_vec();
    let mut record = BootRecord::parse(tree.bytes(RECORD_NAME).unwrap()).unwrap();
    record
        .files
        .insert(STAGE2.to_owned(), winpe_assets::Pin::of(&other));
    let tree = with(&tree, STAGE2, Some(other));
    let tree = with(&tree, RECORD_NAME, Some(record.encode().unwrap()));
    assert!(findings(&tree).contains("not the one the first stage accepts"));
}

#[test]
fn an_unsigned_kernel_is_found() {
    let mut kernel = program(RELEASE);
    kernel[0x58 + 144..][..8].fill(0);
    assert!(findings(&with(&built(), KERNEL, Some(kernel))).contains("no signature"));
}

#[test]
fn an_agent_that_needs_a_dynamic_loader_is_refused() {
    let packages = packages();
    let mut agent = agent();
    agent[0x40] = 3;
    let server = "192.0.2.1:8443".parse().unwrap();
    let server_key = Hex32([9; 32]);
    let inputs = Inputs {
        packages: &packages,
        agent: &agent,
        server_key,
        server,
        wide: false,
    };
    assert!(
        build(&inputs)
            .unwrap_err()
            .to_string()
            .contains("crt-static")
    );
}

#[test]
fn a_missing_package_is_named() {
    let mut packages = packages();
    packages.retain(|package| package.name != "shim-signed");
    let agent = agent();
    let server = "192.0.2.1:8443".parse().unwrap();
    let server_key = Hex32([9; 32]);
    let inputs = Inputs {
        packages: &packages,
        agent: &agent,
        server_key,
        server,
        wide: false,
    };
    assert!(
        build(&inputs)
            .unwrap_err()
            .to_string()
            .contains("shim-signed")
    );
}
