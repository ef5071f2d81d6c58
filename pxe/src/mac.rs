//! An Ethernet address and how people write it.

use std::fmt;
use std::str::FromStr;

/// An Ethernet address, written `52:54:00:77:01:00`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// The text is not six bytes in hexadecimal with `:` or `-` between.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an Ethernet address: 52:54:00:77:01:00 expected")]
pub struct MacError(String);

impl FromStr for Mac {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, MacError> {
        let bytes: Option<Vec<u8>> = text
            .split([':', '-'])
            .map(|part| {
                // `from_str_radix` alone takes a sign.
                let digits = part.bytes().all(|byte| byte.is_ascii_hexdigit());
                (part.len() == 2 && digits).then(|| u8::from_str_radix(part, 16).ok())?
            })
            .collect();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| MacError(text.to_owned()))
    }
}
