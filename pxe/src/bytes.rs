//! A checked big-endian reader and writer for packets.
//!
//! Everything here came over a wire anyone can speak on: each read says
//! whether the bytes were there, nothing indexes past the end.

/// Reads big-endian fields from the front of a packet.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `length` bytes, or `None` when fewer are left (nothing is
    /// consumed then).
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(length)?;
        self.rest = tail;
        Some(head)
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// Two bytes, most significant first.
    pub fn u16_be(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    /// Four bytes, most significant first.
    pub fn u32_be(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    /// The bytes before the next NUL, which is consumed too; `None` when no
    /// NUL follows.
    pub fn until_nul(&mut self) -> Option<&'a [u8]> {
        let end = self.rest.iter().position(|byte| *byte == 0)?;
        let text = self.take(end)?;
        self.take(1)?;
        Some(text)
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

/// Appends big-endian fields to a growing packet.
#[derive(Debug, Default, Clone)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty packet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Two bytes, most significant first.
    pub fn u16_be(&mut self, value: u16) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// The bytes as they are.
    pub fn put(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// A text and the NUL that ends it. A NUL inside would end it early, so
    /// such texts are cut there.
    pub fn text_nul(&mut self, text: &str) -> &mut Self {
        let whole = text.as_bytes();
        let end = whole.iter().position(|byte| *byte == 0);
        let text = end.and_then(|end| whole.get(..end)).unwrap_or(whole);
        self.put(text).put(&[0])
    }

    /// The packet.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_read_consumes_nothing() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.u32_be(), None);
        assert_eq!(reader.u16_be(), Some(0x0102));
        assert_eq!(reader.u8(), Some(3));
        assert_eq!(reader.u8(), None);
    }

    #[test]
    fn a_text_without_its_nul_is_not_a_text() {
        assert_eq!(Reader::new(b"abc").until_nul(), None);
        let mut reader = Reader::new(b"abc\0de");
        assert_eq!(reader.until_nul(), Some(&b"abc"[..]));
        assert_eq!(reader.rest(), b"de");
        assert!(reader.is_empty());
    }

    #[test]
    fn a_nul_inside_a_written_text_ends_it() {
        let mut writer = Writer::new();
        writer.u16_be(7).text_nul("a\0b").put(&[9]);
        assert_eq!(writer.finish(), [0, 7, b'a', 0, 9]);
    }
}
