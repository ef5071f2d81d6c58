//! A record of the master file table, and the attributes in it.

const SIGNATURE: &[u8] = b"FILE";
/// Every so many bytes end in a word that a torn write would leave wrong.
const STRIDE: usize = 512;
const FIXUP_OFFSET: usize = 4;
const FIXUP_COUNT: usize = 6;
const FIRST_ATTRIBUTE: usize = 20;
const FLAGS: usize = 22;
const IN_USE: u16 = 1;

const END: u32 = 0xffff_ffff;
const ATTRIBUTE_LENGTH: usize = 4;
const NON_RESIDENT: usize = 8;
const NAME_LENGTH: usize = 9;
const VALUE_LENGTH: usize = 16;
const VALUE_OFFSET: usize = 20;
const LOWEST_CLUSTER: usize = 16;
const RUNS_OFFSET: usize = 32;
const DATA_SIZE: usize = 48;

const ATTRIBUTE_NAME: u32 = 0x30;
const FILE_NAME_LENGTH: usize = 64;
const FILE_NAME: usize = 66;

/// A file record whose fix-ups are undone.
pub(super) struct Record {
    bytes: Vec<u8>,
}

/// Clusters that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClusterRun {
    pub(super) first: u64,
    pub(super) clusters: u64,
}

/// What an attribute holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// In the record itself.
    Resident(Vec<u8>),
    /// In clusters, `size` bytes long.
    Runs { size: u64, runs: Vec<ClusterRun> },
}

impl Record {
    /// `None` for what is not a whole record in use.
    pub(super) fn decode(mut bytes: Vec<u8>) -> Option<Self> {
        if bytes.get(..4)? != SIGNATURE || word(&bytes, FLAGS)? & IN_USE == 0 {
            return None;
        }
        let fixup = usize::from(word(&bytes, FIXUP_OFFSET)?);
        let count = usize::from(word(&bytes, FIXUP_COUNT)?);
        if count.checked_sub(1)?.checked_mul(STRIDE)? != bytes.len() {
            return None;
        }
        let mark = word(&bytes, fixup)?;
        for stride in 1..count {
            let right = word(&bytes, fixup + 2 * stride)?;
            let at = stride * STRIDE - 2;
            if word(&bytes, at)? != mark {
                return None;
            }
            bytes
                .get_mut(at..at + 2)?
                .copy_from_slice(&right.to_le_bytes());
        }
        Some(Self { bytes })
    }

    /// The first unnamed attribute of a kind, from its first cluster on.
    pub(super) fn attribute(&self, kind: u32) -> Option<Value> {
        let mut at = usize::from(word(&self.bytes, FIRST_ATTRIBUTE)?);
        loop {
            let rest = self.bytes.get(at..)?;
            let found = long(rest, 0)?;
            if found == END {
                return None;
            }
            let length = usize::try_from(long(rest, ATTRIBUTE_LENGTH)?).ok()?;
            // The least an attribute has; also what makes this loop end.
            if length < 24 {
                return None;
            }
            let attribute = rest.get(..length)?;
            if found == kind && *attribute.get(NAME_LENGTH)? == 0 {
                return value(attribute);
            }
            at = at.checked_add(length)?;
        }
    }

    /// Whether the file has this name, in ASCII.
    pub(super) fn is_named(&self, name: &str) -> bool {
        let Some(Value::Resident(found)) = self.attribute(ATTRIBUTE_NAME) else {
            return false;
        };
        let units: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let count = found.get(FILE_NAME_LENGTH).map(|&count| usize::from(count));
        count == Some(units.len() / 2)
            && found.get(FILE_NAME..FILE_NAME + units.len()) == Some(&units)
    }
}

fn value(attribute: &[u8]) -> Option<Value> {
    if *attribute.get(NON_RESIDENT)? == 0 {
        let from = usize::from(word(attribute, VALUE_OFFSET)?);
        let length = usize::try_from(long(attribute, VALUE_LENGTH)?).ok()?;
        let bytes = attribute.get(from..from.checked_add(length)?)?;
        return Some(Value::Resident(bytes.to_vec()));
    }
    if quad(attribute, LOWEST_CLUSTER)? != 0 {
        return None;
    }
    let from = usize::from(word(attribute, RUNS_OFFSET)?);
    Some(Value::Runs {
        size: quad(attribute, DATA_SIZE)?,
        runs: runs(attribute.get(from..)?)?,
    })
}

/// Decodes data runs: a byte with two lengths, the count of clusters, and the
/// signed distance from the run before. `None` with a sparse run, which no
/// file read here may have.
fn runs(mut bytes: &[u8]) -> Option<Vec<ClusterRun>> {
    let (mut runs, mut at) = (Vec::new(), 0_i64);
    loop {
        let (&head, rest) = bytes.split_first()?;
        if head == 0 {
            return Some(runs);
        }
        let (count, distance) = (usize::from(head & 15), usize::from(head >> 4));
        if !(1..=8).contains(&count) || !(1..=8).contains(&distance) {
            return None;
        }
        let clusters = u64::try_from(number(rest.get(..count)?, false)).ok()?;
        at = at.checked_add(number(rest.get(count..count + distance)?, true))?;
        let first = u64::try_from(at).ok().filter(|_| clusters > 0)?;
        runs.push(ClusterRun { first, clusters });
        bytes = rest.get(count + distance..)?;
    }
}

/// One to eight bytes, little-endian.
fn number(bytes: &[u8], signed: bool) -> i64 {
    let negative = signed && bytes.last().is_some_and(|&byte| byte & 0x80 != 0);
    let mut whole = [if negative { 0xff } else { 0 }; 8];
    for (to, &from) in whole.iter_mut().zip(bytes) {
        *to = from;
    }
    i64::from_le_bytes(whole)
}

/// Whether a log's first page says that nothing waits to be replayed: no
/// client has it open, it says so itself, or it was never used.
pub(super) fn log_is_empty(page: &[u8]) -> bool {
    if page.iter().all(|&byte| byte == 0xff) {
        return true;
    }
    let area = page
        .get(..4)
        .filter(|&mark| mark == b"RSTR")
        .and_then(|_| word(page, 24))
        .map(usize::from);
    let Some(area) = area.and_then(|area| page.get(area..)) else {
        return false;
    };
    let (in_use, flags) = (word(area, 12), word(area, 14));
    in_use == Some(0xffff) || flags.is_some_and(|flags| flags & 2 != 0)
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let raw = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes(raw.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    let raw = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(raw.try_into().ok()?))
}

fn quad(bytes: &[u8], at: usize) -> Option<u64> {
    let raw = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(raw.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_counted_from_the_one_before() {
        let run = |first, clusters| ClusterRun { first, clusters };
        let bytes = [0x21, 0x18, 0x34, 0x56, 0x11, 0x02, 0xfc, 0];
        let expected = vec![run(0x5634, 0x18), run(0x5630, 2)];
        assert_eq!(runs(&bytes), Some(expected));
        assert_eq!(runs(&[0x01, 0x10, 0]), None);
        assert_eq!(runs(&[0x11, 1, 0x80, 0]), None);
        for length in 0..bytes.len() {
            assert_eq!(runs(&bytes[..length]), None);
        }
    }

    #[test]
    fn a_log_is_empty_when_no_client_has_it_open() {
        let mut page = vec![0; 4096];
        assert!(!log_is_empty(&page));
        page[..4].copy_from_slice(b"RSTR");
        page[24] = 48;
        assert!(!log_is_empty(&page));
        page[60..62].copy_from_slice(&[0xff, 0xff]);
        assert!(log_is_empty(&page));
        page[60..64].copy_from_slice(&[0, 0, 2, 0]);
        assert!(log_is_empty(&page));
        assert!(log_is_empty(&[0xff; 4096]));
        assert!(!log_is_empty(&[]) || log_is_empty(&[0xff]));
    }
}
