//! Lengths as people type them.

/// `1048576`, `1024K`, `512M`, `20G` or `2T`, in powers of 1024; a `iB` or `B`
/// behind the letter changes nothing.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let power = match unit.trim_end_matches(['B', 'b', 'i']) {
        "" => 0,
        "K" | "k" => 1,
        "M" | "m" => 2,
        "G" | "g" => 3,
        "T" | "t" => 4,
        _ => return Err(format!("{unit:?} is no unit: expected K, M, G or T")),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| String::from("expected a number of bytes, as 20G"))?;
    number
        .checked_mul(1 << (10 * power))
        .filter(|&size| size > 0)
        .ok_or_else(|| String::from("no disk has this size"))
}

/// 512 or 4096.
pub(crate) fn sector(text: &str) -> Result<u32, String> {
    match text {
        "512" => Ok(512),
        "4096" => Ok(4096),
        _ => Err(String::from("disks have sectors of 512 or 4096 bytes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_type_them() {
        assert_eq!(parse("512"), Ok(512));
        assert_eq!(parse("20G"), Ok(20 << 30));
        assert_eq!(parse("3MiB"), Ok(3 << 20));
        for wrong in ["", "G", "0", "-1", "1.5G", "20X", "99999999999T"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(sector("4096"), Ok(4096));
        assert!(sector("520").is_err());
    }
}
