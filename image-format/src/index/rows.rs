//! The bytes of a segment: in memory, or a file mapped into it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Shared bytes that do not change: a clone costs nothing.
#[derive(Clone)]
pub struct SegmentBytes(Arc<dyn AsRef<[u8]> + Send + Sync>);

impl SegmentBytes {
    /// Bytes held by whatever holds them, as a mapping of a file.
    pub fn new(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self(Arc::new(bytes))
    }
}

impl From<Vec<u8>> for SegmentBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

impl Deref for SegmentBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

impl fmt::Debug for SegmentBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentBytes({})", self.len())
    }
}

impl PartialEq for SegmentBytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for SegmentBytes {}
