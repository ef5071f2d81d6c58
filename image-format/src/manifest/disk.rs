//! The disk layout: bytes in the manifest's root.

use super::ManifestError;
use crate::bytes::{CutOff, Fields, length};
use crate::layout::{DiskLayout, Ext4Facts, FatFacts, Partition, Scheme, Volume};

const GPT: u8 = 1;
const MBR: u8 = 2;
const NO_TABLE: u8 = 0;
const NO_DISK: u8 = 3;

const EMPTY: u8 = 0;
const RAW: u8 = 1;
const SWAP: u8 = 2;
const FAT: u8 = 3;
const EXT4: u8 = 4;
const TREE: u8 = 5;

pub(super) fn encode(disk: &DiskLayout) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(disk.sector_size.to_le_bytes());
    out.extend(disk.size.to_le_bytes());
    match disk.scheme {
        Scheme::None => out.push(NO_TABLE),
        Scheme::Tree => out.push(NO_DISK),
        Scheme::Gpt { disk_guid } => {
            out.push(GPT);
            out.extend(disk_guid);
        }
        Scheme::Mbr { signature } => {
            out.push(MBR);
            out.extend(signature.to_le_bytes());
        }
    }
    put_bytes(&mut out, &disk.boot_code);
    out.extend((disk.partitions.len() as u64).to_le_bytes());
    disk.partitions
        .iter()
        .for_each(|partition| put_partition(&mut out, partition));
    out
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(length(bytes).to_le_bytes());
    out.extend(bytes);
}

fn put_partition(out: &mut Vec<u8>, partition: &Partition) {
    out.extend(partition.number.to_le_bytes());
    out.extend(partition.start.to_le_bytes());
    out.extend(partition.size.to_le_bytes());
    out.extend(partition.type_guid);
    out.extend(partition.guid);
    out.extend(partition.attributes.to_le_bytes());
    let name: Vec<u8> = partition
        .name
        .iter()
        .flat_map(|unit| unit.to_le_bytes())
        .collect();
    put_bytes(out, &name);
    match &partition.volume {
        Volume::Empty => out.push(EMPTY),
        Volume::Raw => out.push(RAW),
        Volume::Tree => out.push(TREE),
        Volume::Swap {
            uuid,
            label,
            page_size,
        } => {
            out.push(SWAP);
            out.extend(uuid);
            out.extend(label);
            out.extend(page_size.to_le_bytes());
        }
        Volume::Fat(facts) => put_fat(out, facts),
        Volume::Ext4(facts) => put_ext4(out, facts),
    }
}

fn put_fat(out: &mut Vec<u8>, facts: &FatFacts) {
    out.extend([FAT, facts.bits]);
    out.extend(facts.serial.to_le_bytes());
    out.extend(facts.label);
    out.extend(facts.cluster_size.to_le_bytes());
    out.extend(facts.size.to_le_bytes());
    out.extend(facts.used.to_le_bytes());
    out.extend(facts.hidden_sectors.to_le_bytes());
    out.extend(facts.oem_name);
    put_bytes(out, &facts.boot_code);
}

fn put_ext4(out: &mut Vec<u8>, facts: &Ext4Facts) {
    out.push(EXT4);
    out.extend(facts.uuid);
    out.extend(facts.label);
    out.extend(facts.hash_seed);
    out.extend(facts.block_size.to_le_bytes());
    out.extend(facts.inode_size.to_le_bytes());
    out.extend(facts.size.to_le_bytes());
    out.extend(facts.used.to_le_bytes());
    facts
        .features
        .iter()
        .chain(&facts.defaults)
        .for_each(|word| out.extend(word.to_le_bytes()));
    out.extend(facts.reserved_percent.to_le_bytes());
}

pub(super) fn decode(bytes: &[u8]) -> Result<DiskLayout, ManifestError> {
    let mut fields = Fields::new(bytes);
    let disk = read(&mut fields).map_err(|problem| match problem {
        Problem::CutOff(source) => ManifestError::CutOff {
            part: "disk layout",
            source,
        },
        Problem::Unknown(what, found) => ManifestError::Layout {
            reason: format!("unknown {what} {found}"),
        },
    })?;
    if fields.left() > 0 {
        return Err(ManifestError::Layout {
            reason: format!("{} bytes after its end", fields.left()),
        });
    }
    Ok(disk)
}

enum Problem {
    CutOff(CutOff),
    Unknown(&'static str, u64),
}

impl From<CutOff> for Problem {
    fn from(cut: CutOff) -> Self {
        Self::CutOff(cut)
    }
}

fn read(fields: &mut Fields<'_>) -> Result<DiskLayout, Problem> {
    let (sector_size, size) = (fields.u32()?, fields.u64()?);
    let scheme = match fields.u8()? {
        NO_TABLE => Scheme::None,
        NO_DISK => Scheme::Tree,
        GPT => Scheme::Gpt {
            disk_guid: fields.array()?,
        },
        MBR => Scheme::Mbr {
            signature: fields.u32()?,
        },
        other => return Err(Problem::Unknown("partition table", u64::from(other))),
    };
    let boot_code = take_bytes(fields)?;
    // Nothing is allocated for what is not there: rows are read one by one.
    let partitions = (0..fields.u64()?)
        .map(|_| partition(fields))
        .collect::<Result<_, _>>()?;
    Ok(DiskLayout {
        sector_size,
        size,
        scheme,
        boot_code,
        partitions,
    })
}

fn take_bytes(fields: &mut Fields<'_>) -> Result<Vec<u8>, CutOff> {
    let length = usize::try_from(fields.u64()?).unwrap_or(usize::MAX);
    fields.take(length).map(<[u8]>::to_vec)
}

fn partition(fields: &mut Fields<'_>) -> Result<Partition, Problem> {
    let (number, start, size) = (fields.u32()?, fields.u64()?, fields.u64()?);
    let (type_guid, guid, attributes) = (fields.array()?, fields.array()?, fields.u64()?);
    let name = take_bytes(fields)?;
    if !name.len().is_multiple_of(2) {
        return Err(Problem::Unknown(
            "length of a partition name:",
            length(&name),
        ));
    }
    let units = name.chunks_exact(2).filter_map(|unit| unit.try_into().ok());
    let name = units.map(u16::from_le_bytes).collect();
    let volume = match fields.u8()? {
        EMPTY => Volume::Empty,
        RAW => Volume::Raw,
        TREE => Volume::Tree,
        SWAP => Volume::Swap {
            uuid: fields.array()?,
            label: fields.array()?,
            page_size: fields.u32()?,
        },
        FAT => Volume::Fat(fat(fields)?),
        EXT4 => Volume::Ext4(ext4(fields)?),
        other => return Err(Problem::Unknown("kind of volume", u64::from(other))),
    };
    Ok(Partition {
        number,
        start,
        size,
        type_guid,
        guid,
        attributes,
        name,
        volume,
    })
}

fn fat(fields: &mut Fields<'_>) -> Result<FatFacts, CutOff> {
    Ok(FatFacts {
        bits: fields.u8()?,
        serial: fields.u32()?,
        label: fields.array()?,
        cluster_size: fields.u32()?,
        size: fields.u64()?,
        used: fields.u64()?,
        hidden_sectors: fields.u32()?,
        oem_name: fields.array()?,
        boot_code: take_bytes(fields)?,
    })
}

fn ext4(fields: &mut Fields<'_>) -> Result<Ext4Facts, CutOff> {
    Ok(Ext4Facts {
        uuid: fields.array()?,
        label: fields.array()?,
        hash_seed: fields.array()?,
        block_size: fields.u32()?,
        inode_size: fields.u32()?,
        size: fields.u64()?,
        used: fields.u64()?,
        features: [fields.u32()?, fields.u32()?, fields.u32()?],
        defaults: [fields.u32()?, fields.u32()?, fields.u32()?],
        reserved_percent: fields.u32()?,
    })
}
