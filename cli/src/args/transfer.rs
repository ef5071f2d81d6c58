//! `mimeo image export` and `mimeo image import`.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use image_format::file::{DEFAULT_PART, LEAST_PART, MOST_PART};

/// `mimeo image export`.
#[derive(Debug, ClapArgs)]
pub(crate) struct ExportArgs {
    /// Names or ids of the images; of a name the newest version
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<String>,
    /// The share, or a single file to take them from
    #[arg(long, value_name = "DIR")]
    pub(crate) share: PathBuf,
    /// The file to write, as office.mim; - writes to standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Add to a file that is there; images it holds already change nothing
    #[arg(long)]
    pub(crate) append: bool,
    /// Write parts FILE.001, FILE.002... of at most SIZE bytes (K, M and G are
    /// powers of 1024); without =SIZE they fit on FAT32
    #[arg(long, value_name = "SIZE", num_args = 0..=1, require_equals = true,
        conflicts_with = "append", value_parser = part_size,
        default_missing_value = "0")]
    pub(crate) split: Option<u64>,
}

/// `mimeo image import`.
#[derive(Debug, ClapArgs)]
pub(crate) struct ImportArgs {
    /// The file, or any part of a split one; - reads standard input
    pub(crate) file: PathBuf,
    /// The share to import into
    #[arg(long, value_name = "DIR")]
    pub(crate) share: PathBuf,
}

/// Length of a part in bytes.
fn part_size(text: &str) -> Result<u64, String> {
    if text == "0" {
        return Ok(DEFAULT_PART);
    }
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit: u64 = match text.get(digits.len()..).unwrap_or_default() {
        "" => 1,
        "K" | "k" => 1 << 10,
        "M" | "m" => 1 << 20,
        "G" | "g" => 1 << 30,
        other => return Err(format!("{other:?} is no unit: expected K, M or G")),
    };
    let number: u64 = digits
        .parse()
        .map_err(|error| format!("{digits:?}: {error}"))?;
    let size = number.checked_mul(unit).ok_or("too large")?;
    match size {
        LEAST_PART..=MOST_PART => Ok(size),
        _ => Err(format!(
            "expected {LEAST_PART} to {MOST_PART} bytes (the most a FAT32 file holds), found {size}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_sizes_are_read_with_units_and_kept_within_fat32() {
        assert_eq!(part_size("0"), Ok(DEFAULT_PART));
        assert_eq!(part_size("100M"), Ok(100 << 20));
        assert_eq!(part_size("2g"), Ok(2 << 30));
        assert_eq!(part_size("4294901760"), Ok(MOST_PART));
        for wrong in ["4G", "1M", "12X", "G", "-1", "99999999999G"] {
            assert!(part_size(wrong).is_err(), "{wrong}");
        }
    }
}
