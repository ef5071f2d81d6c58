//! A plan as people read it before they agree.

use std::fmt;

use image_format::layout::Volume;

use super::{Plan, PlannedVolume};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = bytes(self.layout.size);
        writeln!(
            f,
            "{} ({size}) becomes image {}",
            self.target,
            self.image.short()
        )?;
        for volume in &self.volumes {
            self.show_volume(volume, f)?;
        }
        match self.destroys.as_slice() {
            [] => writeln!(f, "  destroyed: nothing known")?,
            lost => writeln!(f, "  destroyed: {}", lost.join("; "))?,
        }
        if !self.overlay.is_empty() {
            writeln!(f, "  laid over the image: {} paths", self.overlay.len())?;
        }
        writeln!(f, "  fetched: at most {}", bytes(self.bytes_to_fetch()))?;
        self.notes
            .iter()
            .try_for_each(|note| writeln!(f, "  note: {note}"))
    }
}

impl Plan {
    fn show_volume(&self, volume: &PlannedVolume, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(partition) = self.partition(volume) else {
            return Ok(());
        };
        let name = String::from_utf16_lossy(&partition.name);
        write!(
            f,
            "  partition {} {name} {}",
            partition.number,
            kind(&partition.volume)
        )?;
        if volume.was > 0 && volume.was != partition.size {
            write!(f, " {} ->", bytes(volume.was))?;
        }
        write!(f, " {}", bytes(partition.size))?;
        match volume.tree.entries.len() {
            0 | 1 => writeln!(f),
            count => writeln!(f, ", {count} entries"),
        }
    }
}

fn kind(volume: &Volume) -> &'static str {
    match volume {
        Volume::Ext4(_) => "ext4",
        Volume::Fat(_) => "FAT",
        Volume::Swap { .. } => "swap",
        Volume::Raw => "raw",
        Volume::Empty => "empty",
        Volume::Tree => "directory tree",
    }
}

/// A length for people: three digits and a binary unit.
pub(super) fn bytes(length: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if length < 1024 {
        return format!("{length} bytes");
    }
    let mut unit = 0;
    // Tenths are enough, and integers cannot surprise.
    let mut tenths = u128::from(length) * 10 / 1024;
    while tenths >= 10 * 1024 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    match (tenths / 10, tenths % 10) {
        (whole, part) if whole < 100 => format!("{whole}.{part} {}", UNITS[unit]),
        (whole, _) => format!("{whole} {}", UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn lengths_are_shown_with_the_unit_that_fits() {
        assert_eq!(bytes(0), "0 bytes");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(500 << 30), "500 GiB");
        assert_eq!(bytes(u64::MAX), "15.9 EiB");
    }
}
