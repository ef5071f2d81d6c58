//! One TFTP read transfer as a machine (RFC 1350, 2347 to 2349, 7440).
//!
//! [`Transfer::poll_transmit`] until it gives nothing; then wait for a packet
//! or for [`Transfer::poll_timeout`], hand packets to [`Transfer::handle`],
//! and begin again, until [`Transfer::outcome`] is something.
//!
//! A window of blocks is under way at a time. An acknowledgement of a block
//! inside it means the rest was lost and is sent again from there; one of the
//! block before it counts once, so that a doubled acknowledgement does not
//! double every packet after it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::wire::tftp::{ErrorCode, Packet, Request};

const DEFAULT_BLOCK: u16 = 512;
/// RFC 2348: 8 to 65464 bytes.
const SMALLEST_BLOCK: u16 = 8;
/// RFC 2348's largest block.
pub const LARGEST_BLOCK: u16 = 65464;
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(4);
/// Silence after this many repetitions ends the transfer: 18 s with the waits
/// above.
const REPEAT_LIMIT: u32 = 6;

/// Files a loader can ask for. Called for each request, so it answers from
/// memory.
pub trait TftpFiles: Send + Sync {
    /// The file of this normalised path ([`normalise`]) for this client, or
    /// `None` when there is none, which the client is told at once.
    fn open(&self, client: SocketAddr, path: &str) -> Option<Arc<[u8]>>;
}

impl<F: Fn(SocketAddr, &str) -> Option<Arc<[u8]>> + Send + Sync> TftpFiles for F {
    fn open(&self, client: SocketAddr, path: &str) -> Option<Arc<[u8]>> {
        self(client, path)
    }
}

/// A path as files are looked up by: no leading slash, no empty parts, no
/// `.`, backslashes as slashes. `None` for a path with `..`, a control
/// character, or nothing in it. shim asks for `//grubx64.efi`, Windows for
/// `\Boot\BCD`.
#[must_use]
pub fn normalise(path: &str) -> Option<String> {
    if path.chars().any(char::is_control) {
        return None;
    }
    let parts: Vec<&str> = path
        .split(['/', '\\'])
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    let usable = !parts.is_empty() && !parts.contains(&"..");
    usable.then(|| parts.join("/"))
}

/// What a client may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TftpLimits {
    /// Largest block granted, in bytes. The default fills an Ethernet frame:
    /// a larger one is cut into fragments that firmware may not put together.
    pub block: u16,
    /// Most blocks under way at a time.
    pub window: u16,
}

impl Default for TftpLimits {
    fn default() -> Self {
        Self {
            block: 1468,
            window: 16,
        }
    }
}

/// How a transfer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferEnd {
    /// The client has the whole file.
    Complete,
    /// The client wanted no more; edk2 does this once it knows the size.
    Aborted {
        /// The client's error code.
        code: u16,
        /// The client's words.
        message: String,
    },
    /// The client fell silent.
    Silent,
}

/// One file on its way to one client.
#[derive(Debug)]
pub struct Transfer {
    file: Arc<[u8]>,
    block: usize,
    window: u64,
    first_wait: Duration,
    /// The granted options, until the client acknowledges them.
    options: Option<Vec<(String, String)>>,
    /// Blocks the client is known to have.
    acked: u64,
    /// The next block to send; at most `acked + window + 1`.
    next: u64,
    /// The option acknowledgement is to be sent.
    send_options: bool,
    /// An acknowledgement of `acked` itself was already taken as a loss.
    rewound: bool,
    repeats: u32,
    deadline: Option<Instant>,
    end: Option<TransferEnd>,
}

impl Transfer {
    /// Begins to answer a request for `file`.
    ///
    /// # Errors
    /// The error packet to send instead: a mode other than `octet`.
    pub fn new(request: &Request, file: Arc<[u8]>, limits: TftpLimits) -> Result<Self, Vec<u8>> {
        if !request.mode.eq_ignore_ascii_case("octet") {
            let message = "only mode octet is served";
            return Err(Packet::error(ErrorCode::Other, message));
        }
        let mut transfer = Self {
            file,
            block: usize::from(DEFAULT_BLOCK),
            window: 1,
            first_wait: FIRST_WAIT,
            options: None,
            acked: 0,
            next: 1,
            send_options: false,
            rewound: false,
            repeats: 0,
            deadline: None,
            end: None,
        };
        let granted = transfer.grant(&request.options, limits);
        transfer.send_options = !granted.is_empty();
        transfer.options = (!granted.is_empty()).then_some(granted);
        Ok(transfer)
    }

    /// Takes a packet of the client.
    pub fn handle(&mut self, _now: Instant, bytes: &[u8]) {
        if self.end.is_some() {
            return;
        }
        match Packet::decode(bytes) {
            Ok(Packet::Ack { block }) => self.acknowledged(block),
            Ok(Packet::Error { code, message }) => {
                self.end = Some(TransferEnd::Aborted { code, message });
            }
            // Anything else is no part of this conversation.
            _ => {}
        }
    }

    /// The next packet to send now, if there is one.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.end.is_some() {
            return None;
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.repeat();
            if self.end.is_some() {
                return None;
            }
        }
        let packet = self.next_packet()?;
        let factor = 2_u32.saturating_pow(self.repeats);
        let wait = self.first_wait.saturating_mul(factor);
        let longest = LONGEST_WAIT.max(self.first_wait);
        self.deadline = now.checked_add(wait.min(longest));
        Some(packet.encode())
    }

    /// When to call [`Transfer::poll_transmit`] again without a packet.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline.filter(|_| self.end.is_none())
    }

    /// How it ended, once it has.
    #[must_use]
    pub fn outcome(&self) -> Option<&TransferEnd> {
        self.end.as_ref()
    }

    /// Bytes the client is known to have.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        let length = u64::try_from(self.file.len()).unwrap_or(u64::MAX);
        let block = u64::try_from(self.block).unwrap_or(1);
        self.acked.saturating_mul(block).min(length)
    }

    /// Reads the options and returns those granted, in the client's spelling.
    fn grant(&mut self, asked: &[(String, String)], limits: TftpLimits) -> Vec<(String, String)> {
        let mut granted: Vec<(String, String)> = Vec::new();
        for (name, value) in asked {
            let Ok(number) = value.trim().parse::<u64>() else {
                continue;
            };
            let again = |(other, _): &(String, String)| other.eq_ignore_ascii_case(name);
            if granted.iter().any(again) {
                continue;
            }
            if let Some(answer) = self.grant_one(&name.to_ascii_lowercase(), number, limits) {
                granted.push((name.clone(), answer.to_string()));
            }
        }
        granted
    }

    fn grant_one(&mut self, name: &str, number: u64, limits: TftpLimits) -> Option<u64> {
        match name {
            "tsize" => u64::try_from(self.file.len()).ok(),
            "blksize" if number >= u64::from(SMALLEST_BLOCK) => {
                let cap = limits.block.clamp(SMALLEST_BLOCK, LARGEST_BLOCK);
                let block = number.min(u64::from(cap));
                self.block = usize::try_from(block).ok()?;
                Some(block)
            }
            "windowsize" if (1..=65535).contains(&number) => {
                self.window = number.min(u64::from(limits.window.max(1)));
                Some(self.window)
            }
            "timeout" if (1..=255).contains(&number) => {
                self.first_wait = Duration::from_secs(number);
                Some(number)
            }
            _ => None,
        }
    }

    /// Blocks in the file; the last one is shorter than the others, if need
    /// be empty.
    fn blocks(&self) -> u64 {
        let whole = self.file.len() / self.block.max(1);
        u64::try_from(whole).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn acknowledged(&mut self, block: u16) {
        if self.options.is_some() {
            if block == 0 {
                self.options = None;
                self.send_options = false;
                self.progress();
            }
            return;
        }
        // The block meant is the one in the window with this number, counted
        // round after 65535.
        let ahead = u64::from(block.wrapping_sub(low_bits(self.acked)));
        let acked = self.acked.saturating_add(ahead);
        if acked >= self.next {
            return;
        }
        if ahead == 0 {
            let doubled = self.rewound || self.window == 1 || self.acked == 0;
            if !doubled {
                self.rewound = true;
                self.next = self.acked.saturating_add(1);
            }
            return;
        }
        self.acked = acked;
        self.next = acked.saturating_add(1);
        if acked >= self.blocks() {
            self.end = Some(TransferEnd::Complete);
        }
        self.progress();
    }

    fn progress(&mut self) {
        self.rewound = false;
        self.repeats = 0;
        self.deadline = None;
    }

    fn repeat(&mut self) {
        self.repeats = self.repeats.saturating_add(1);
        if self.repeats > REPEAT_LIMIT {
            self.end = Some(TransferEnd::Silent);
            return;
        }
        self.send_options = self.options.is_some();
        self.rewound = false;
        self.next = self.acked.saturating_add(1);
        self.deadline = None;
    }

    fn next_packet(&mut self) -> Option<Packet> {
        if let Some(options) = &self.options {
            let options = self.send_options.then(|| options.clone())?;
            self.send_options = false;
            return Some(Packet::OptionAck(options));
        }
        let last = self.acked.saturating_add(self.window).min(self.blocks());
        if self.next > last {
            return None;
        }
        let block = low_bits(self.next);
        let index = usize::try_from(self.next.saturating_sub(1)).ok()?;
        let start = index.checked_mul(self.block)?;
        let end = start.saturating_add(self.block).min(self.file.len());
        let bytes = self.file.get(start..end)?.to_vec();
        self.next = self.next.saturating_add(1);
        Some(Packet::Data { block, bytes })
    }
}

/// A block's number as it is on the wire.
fn low_bits(block: u64) -> u16 {
    u16::try_from(block & 0xffff).unwrap_or(0)
}

#[cfg(test)]
mod tests;
