//! Whoever reads foreign bytes is asked here: one function a decoder, each with
//! a property that must hold for every input.
//!
//! The same functions run in two places: in `cargo test` over a corpus and
//! seeded mutations of it (`tests/fuzz_smoke.rs`), and under libFuzzer
//! (`fuzz/`). A target panics when its property does not hold.

mod boot;
mod disks;
pub mod drive;
mod image;
mod machines;
mod mutate;
pub mod repair;
mod single;
pub mod sparse;
pub mod watched;
mod wire;
mod words;

/// A name, which is also that of the corpus folder and of the libFuzzer
/// program, and what to run.
pub type Target = (&'static str, fn(&[u8]));

/// Every decoder of foreign bytes.
pub const TARGETS: &[Target] = &[
    ("block", image::block),
    ("filter", image::filter),
    ("pack", image::pack),
    ("segment", image::segment),
    ("manifest", image::manifest),
    ("root", image::root),
    ("leaf", image::leaf),
    ("directory", image::directory),
    ("witnesses", image::witnesses),
    ("image_ref", image::image_ref),
    ("trash_name", image::trash_name),
    ("mim_section", single::section),
    ("mim_footer", single::footer),
    ("mim_tables", single::mim_tables),
    ("mim_stream", single::stream),
    ("table", disks::table),
    ("ext4", disks::ext4),
    ("fat", disks::fat),
    ("swap", disks::swap),
    ("ntfs", disks::ntfs),
    ("exfat", disks::exfat),
    ("scratch", disks::scratch),
    ("volume", disks::volume),
    ("dhcp", wire::dhcp),
    ("pxe_options", wire::pxe_options),
    ("tftp", wire::tftp),
    ("script", wire::script),
    ("dhcp_client", machines::dhcp_client),
    ("dhcp_server", machines::dhcp_server),
    ("dhcp_proxy", machines::dhcp_proxy),
    ("tftp_transfer", machines::tftp_transfer),
    ("cpio", boot::cpio),
    ("package", boot::package),
    ("expand", boot::expand),
    ("elf", boot::elf),
    ("modinfo", boot::modinfo),
    ("signed_program", boot::signed_program),
    ("modules", boot::modules),
    ("boot_config", boot::boot_config),
    ("boot_record", boot::boot_record),
    ("smbios", words::smbios),
    ("os_release", words::os_release),
    ("events", words::events),
    ("sequence", words::sequence),
    ("hello", words::hello),
    ("standing", words::standing),
    ("receipt", words::receipt),
];

/// The target of this name.
pub fn target(name: &str) -> Option<fn(&[u8])> {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    found.map(|(_, target)| *target)
}
