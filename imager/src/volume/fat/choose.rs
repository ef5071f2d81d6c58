//! Which FAT fits a partition: bits, cluster size, lengths of the tables.

use image_format::layout::FatFacts;

use super::boot::BootSector;

/// Cluster sizes a FAT may have.
const CLUSTERS: [u32; 8] = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536];
/// From here on a FAT is FAT32 by its count of clusters.
const LEAST_32: u32 = 65_525;
const LEAST_16: u32 = 4_085;
const MOST_32: u32 = 0x0fff_fff4;
/// What `mkfs.fat` gives the fixed root directory.
const ROOT_ENTRIES: u32 = 512;

/// How much room is left around tables and clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spacing {
    /// Clusters begin at a multiple of their size, the root has usual room.
    Aligned,
    /// As close as the format allows.
    Tight,
}

/// What a tree needs: root slots, and clusters for a cluster size.
pub(super) struct Needs<'tree> {
    pub root_slots: u32,
    /// Clusters of directories and files; the root's own with FAT32 included
    /// when the second argument says so.
    pub clusters: &'tree dyn Fn(u64, bool) -> u64,
}

/// The shape for a partition of `size` bytes; `None` when nothing fits.
pub(super) fn choose(
    facts: &FatFacts,
    size: u64,
    sector_size: u32,
    needs: &Needs<'_>,
) -> Option<BootSector> {
    let shapes = candidates(facts, size, sector_size);
    let mut made = shapes.filter_map(|(bits, cluster, is_strict, spacing)| {
        let boot = shape(facts, (bits, cluster, spacing), size, sector_size, needs)?;
        (bits != 32 || !is_strict || boot.clusters() >= LEAST_32).then_some(boot)
    });
    made.find(|boot| holds(boot, needs))
}

/// The least volume any shape needs, in whole pieces of 4096 bytes.
pub(super) fn least_size(facts: &FatFacts, sector_size: u32, needs: &Needs<'_>) -> u64 {
    let sizes = [12, 16, 32]
        .into_iter()
        .flat_map(|bits| CLUSTERS.map(|cluster| (bits, cluster)));
    let least = sizes
        .filter(|&(bits, cluster)| cluster >= sector_size && (bits != 32 || facts.bits == 32))
        .map(|(bits, cluster)| {
            let floor = if bits == 16 { u64::from(LEAST_16) } else { 1 };
            let clusters = (needs.clusters)(u64::from(cluster), bits == 32).max(floor);
            let table = ((clusters + 2) * u64::from(bits))
                .div_ceil(8)
                .next_multiple_of(u64::from(sector_size));
            let root = if bits == 32 {
                0
            } else {
                u64::from(needs.root_slots) * 32
            };
            let reserved = u64::from(reserved(bits)) * u64::from(sector_size);
            let most = match bits {
                12 => u64::from(LEAST_16 - 1),
                16 => u64::from(LEAST_32 - 1),
                _ => u64::from(MOST_32),
            };
            let total = reserved
                + 2 * table
                + root.next_multiple_of(u64::from(sector_size))
                + clusters * u64::from(cluster);
            if clusters > most {
                u64::MAX
            } else {
                total.next_multiple_of(4096)
            }
        });
    least.min().unwrap_or(u64::MAX)
}

fn holds(boot: &BootSector, needs: &Needs<'_>) -> bool {
    let is_32 = boot.bits == 32;
    let root_fits = is_32 || boot.root_entries >= needs.root_slots;
    root_fits && (needs.clusters)(boot.cluster_size(), is_32) <= u64::from(boot.clusters())
}

/// What to try, best first: the source's own shape, then what `mkfs.fat`
/// would choose for this size, then everything else.
fn candidates(
    facts: &FatFacts,
    size: u64,
    sector_size: u32,
) -> impl Iterator<Item = (u8, u32, bool, Spacing)> {
    let order: [u8; 3] = match facts.bits {
        12 => [12, 16, 32],
        16 => [16, 32, 12],
        _ => [32, 16, 12],
    };
    let own = (facts.bits, facts.cluster_size);
    // Small FAT32 system partitions exist, and firmware reads them as such.
    let was_small =
        facts.bits == 32 && facts.size / u64::from(facts.cluster_size.max(1)) < u64::from(LEAST_32);
    order.into_iter().flat_map(move |bits| {
        let passes: &[bool] = if (bits, own.0) == (32, 32) {
            &[true, false]
        } else {
            &[true]
        };
        passes.iter().flat_map(move |&is_strict| {
            let kept = (own.0 == bits).then_some(own.1);
            let sizes = kept
                .into_iter()
                .chain([usual_cluster(bits, size)])
                .chain(CLUSTERS);
            let sizes =
                sizes.filter(move |&cluster| cluster >= sector_size && CLUSTERS.contains(&cluster));
            sizes.flat_map(move |cluster| {
                let own_small = was_small && (bits, cluster) == own;
                let is_strict = is_strict && !own_small;
                [Spacing::Aligned, Spacing::Tight]
                    .map(|spacing| (bits, cluster, is_strict, spacing))
            })
        })
    })
}

/// What `mkfs.fat` takes for a volume of `size` bytes.
fn usual_cluster(bits: u8, size: u64) -> u32 {
    let mebibytes = size >> 20;
    match (bits, mebibytes) {
        (32, 0..=259) => 512,
        (32, 260..=8191) => 4096,
        (32, 8192..=16383) => 8192,
        (32, 16384..=32767) => 16384,
        (32, _) => 32768,
        // Doubles from 2 KiB until the clusters can be counted.
        (16, _) => CLUSTERS
            .into_iter()
            .find(|&cluster| cluster >= 2048 && size / u64::from(cluster) < u64::from(LEAST_32))
            .unwrap_or(65536),
        _ => CLUSTERS
            .into_iter()
            .find(|&cluster| cluster >= 2048 && size / u64::from(cluster) < u64::from(LEAST_16))
            .unwrap_or(65536),
    }
}

/// Sectors before the tables, at least.
fn reserved(bits: u8) -> u32 {
    if bits == 32 { 32 } else { 1 }
}

fn shape(
    facts: &FatFacts,
    (bits, cluster, spacing): (u8, u32, Spacing),
    size: u64,
    sector_size: u32,
    needs: &Needs<'_>,
) -> Option<BootSector> {
    let cluster_sectors = cluster / sector_size;
    let unit = match spacing {
        Spacing::Aligned => cluster_sectors.max(4096 / sector_size),
        Spacing::Tight => 1,
    };
    let root_entries = match (bits, spacing) {
        (32, _) => 0,
        (_, Spacing::Aligned) => ROOT_ENTRIES,
        (_, Spacing::Tight) => needs.root_slots.next_multiple_of(sector_size / 32),
    };
    let mut boot = BootSector {
        sector_size,
        cluster_sectors,
        reserved: reserved(bits).next_multiple_of(unit),
        fats: 2,
        root_entries: u32::from(u16::try_from(root_entries).ok()?),
        sectors: u32::try_from(size / u64::from(sector_size)).ok()?,
        fat_sectors: 0,
        root_cluster: if bits == 32 { 2 } else { 0 },
        bits,
        hidden: 0,
        serial: facts.serial,
        label: facts.label,
        oem_name: facts.oem_name,
        dirty: false,
        boot_code: facts.boot_code.clone(),
    };
    let table_for = |clusters: u32| {
        let bytes = ((u64::from(clusters) + 2) * u64::from(bits)).div_ceil(8);
        u32::try_from(bytes.div_ceil(u64::from(sector_size)))
            .ok()?
            .checked_next_multiple_of(unit)
    };
    boot.fat_sectors = table_for(boot.clusters())?;
    // A shorter table makes room for clusters; it settles after a step or two.
    for _ in 0..8 {
        let shorter = table_for(boot.clusters())?;
        let trial = BootSector {
            fat_sectors: shorter,
            ..boot.clone()
        };
        if shorter >= boot.fat_sectors || table_for(trial.clusters())? > shorter {
            break;
        }
        boot = trial;
    }
    let is_sound = match (bits, boot.clusters()) {
        (_, 0) => false,
        (12, clusters) => clusters < LEAST_16,
        (16, clusters) => {
            (LEAST_16..LEAST_32).contains(&clusters) && boot.fat_sectors <= u32::from(u16::MAX)
        }
        (_, clusters) => clusters <= MOST_32,
    };
    (is_sound && cluster_sectors <= 128).then_some(boot)
}
