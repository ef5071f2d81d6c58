//! Little-endian fields read one after another, never past the end.

use thiserror::Error;

/// The bytes end before the field does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("cut off: {wanted} bytes expected at byte {at}, {left} are left")]
pub struct CutOff {
    /// Where the field begins.
    pub at: usize,
    /// How long it is.
    pub wanted: usize,
    /// How many bytes are left there.
    pub left: usize,
}

/// A place in bytes that moves forward with every field taken.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    pub(crate) fn take(&mut self, wanted: usize) -> Result<&'a [u8], CutOff> {
        let cut_off = CutOff {
            at: self.at,
            wanted,
            left: self.left(),
        };
        let end = self.at.checked_add(wanted).ok_or(cut_off)?;
        let taken = self.bytes.get(self.at..end).ok_or(cut_off)?;
        self.at = end;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], CutOff> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, CutOff> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, CutOff> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, CutOff> {
        self.array().map(u64::from_le_bytes)
    }
}

/// A length as formats write it.
pub(crate) fn length(bytes: &[u8]) -> u64 {
    bytes.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_in_order_and_stop_at_the_end() {
        let mut fields = Fields::new(&[1, 3, 0, 0, 0, 9, 9]);
        assert_eq!(fields.u8().unwrap(), 1);
        assert_eq!(fields.u32().unwrap(), 3);
        assert_eq!(
            fields.u32(),
            Err(CutOff {
                at: 5,
                wanted: 4,
                left: 2
            })
        );
        assert_eq!(
            fields.take(usize::MAX),
            Err(CutOff {
                at: 5,
                wanted: usize::MAX,
                left: 2
            })
        );
        assert_eq!(fields.take(2), Ok(&[9, 9][..]));
    }
}
