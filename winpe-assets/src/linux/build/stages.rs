//! Which drivers travel in which stage. The first holds what it takes to reach
//! the server and is fetched by boot loaders at 2 to 3 MB/s; the second is
//! fetched by Linux.

use crate::linux::modules::select::Wishes;

/// Wanted before the server answers: common network adapters, the buses they
/// sit on, entropy, EFI variables. Left out are adapters that need firmware
/// files to send a packet at all, and rare ones.
pub(super) const FIRST: Wishes<'static> = Wishes {
    names: &[
        // Buses and what a first handshake needs.
        "virtio_pci",
        "virtio_mmio",
        "virtio_rng",
        "efivarfs",
        "af_packet",
        "ipv6",
        "pci_hyperv",
        "xhci_pci",
        "ehci_pci",
        "ohci_pci",
        "uhci_hcd",
        "vmd",
        // Virtual machines.
        "virtio_net",
        "vmxnet3",
        "hv_netvsc",
        "xen_netfront",
        "ena",
        "gve",
        "tulip",
        "pcnet32",
        // Intel.
        "e100",
        "e1000",
        "e1000e",
        "igb",
        "igbvf",
        "igc",
        "ixgbe",
        "ixgbevf",
        "i40e",
        "iavf",
        "ice",
        // Realtek, Broadcom, Marvell and the others of desktops and laptops.
        "r8169",
        "8139too",
        "8139cp",
        "tg3",
        "bnx2",
        "atlantic",
        "alx",
        "atl1",
        "atl1c",
        "atl1e",
        "sky2",
        "skge",
        "forcedeth",
        "jme",
        "via_rhine",
        "via_velocity",
        "sis900",
        "lan743x",
        // Servers.
        "bnxt_en",
        "mlx4_en",
        "mlx5_core",
        "be2net",
        "enic",
        "sfc",
        "amd_xgbe",
        "ionic",
        // On USB.
        "r8152",
        "r8153_ecm",
        "ax88179_178a",
        "asix",
        "aqc111",
        "cdc_ether",
        "cdc_ncm",
        "smsc95xx",
        "smsc75xx",
        "lan78xx",
        "dm9601",
        "sr9700",
        "mcs7830",
    ],
    folders: &[],
};

/// Wanted once the server has answered: disks, file systems, keyboards, the
/// power state, and the network adapters that a second card may be.
pub(super) const SECOND: Wishes<'static> = Wishes {
    names: &[
        // Disks of virtual machines.
        "virtio_blk",
        "virtio_scsi",
        "vmw_pvscsi",
        "hv_storvsc",
        "xen_blkfront",
        "mptspi",
        "mptsas",
        // Disks of PCs.
        "nvme",
        "ahci",
        "sd_mod",
        "sr_mod",
        "usb_storage",
        "uas",
        "mmc_block",
        "sdhci_pci",
        "sdhci_acpi",
        "rtsx_pci_sdmmc",
        "ufshcd_pci",
        // Disks of servers.
        "megaraid_sas",
        "megaraid_mbox",
        "mpt3sas",
        "mpi3mr",
        "hpsa",
        "smartpqi",
        "aacraid",
        "isci",
        "mvsas",
        "pm80xx",
        "arcmsr",
        "3w_sas",
        "3w_9xxx",
        "aic7xxx",
        "aic79xx",
        "sym53c8xx",
        "BusLogic",
        // File systems with what they ask for by name.
        "loop",
        "vfat",
        "exfat",
        "ext4",
        "isofs",
        "udf",
        "crc32c_generic",
        "crc32c_intel",
        "nls_cp437",
        "nls_cp850",
        "nls_ascii",
        "nls_utf8",
        "nls_iso8859_1",
        // Keyboards.
        "usbhid",
        "hid_generic",
        "hyperv_keyboard",
        "hid_hyperv",
        "i2c_hid_acpi",
        "hid_multitouch",
        "hid_apple",
        "hid_logitech_dj",
        "hid_microsoft",
        "hid_lenovo",
        "hid_cherry",
        "virtio_input",
        "intel_lpss_pci",
        "intel_lpss_acpi",
        "surface_hid",
        "surface_kbd",
        // Mains or battery, and the channel to a virtual machine's host.
        "ac",
        "battery",
        "hv_utils",
        "virtio_console",
        "virtio_balloon",
    ],
    folders: &[
        "drivers/ata",
        "drivers/net/ethernet",
        "drivers/net/phy",
        "drivers/net/mdio",
    ],
};

/// Every network adapter in the first stage: for a site whose machines have no
/// other, at the price of some megabytes.
pub(super) const FIRST_WIDE: Wishes<'static> = Wishes {
    names: FIRST.names,
    folders: &["drivers/net/ethernet", "drivers/net/phy", "drivers/net/usb"],
};

/// Modules the kernel would ask modprobe for in the middle of its work. There
/// is no modprobe here, so they are loaded before whoever asks.
pub(super) const COMPANIONS: &[(&str, &[&str])] = &[
    ("tg3", &["broadcom"]),
    ("r8169", &["realtek"]),
    ("b44", &["broadcom"]),
    ("lan743x", &["microchip"]),
    ("lan78xx", &["microchip"]),
    ("smsc95xx", &["smsc"]),
    ("asix", &["ax88796b"]),
    (
        "vfat",
        &["nls_cp437", "nls_ascii", "nls_iso8859_1", "nls_utf8"],
    ),
    ("isofs", &["nls_utf8"]),
    ("ext4", &["crc32c_generic", "crc32c_intel"]),
    ("usbhid", &["hid_generic"]),
    ("mmc_block", &["sdhci_pci", "sdhci_acpi"]),
];

/// What must be in the first stage (or in the kernel) for it to be of any use.
pub(super) const ESSENTIAL: &[&str] = &[
    "virtio_net",
    "e1000e",
    "r8169",
    "tg3",
    "xhci_pci",
    "efivarfs",
];
