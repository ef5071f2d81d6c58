//! TFTP over a bad network: a small client and our machine, a queue between
//! them that loses, doubles and reorders, and a clock of our own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use pxe::TftpLimits;
use pxe::tftp::{Transfer, TransferEnd};
use pxe::wire::tftp::{Packet, Request};

/// How long a packet is under way.
const LATENCY: Duration = Duration::from_millis(2);
/// The client repeats its last acknowledgement after this long.
const CLIENT_PATIENCE: Duration = Duration::from_millis(900);

#[derive(Clone, Copy, Debug)]
struct Badness {
    /// Packets lost, doubled and delayed, of a thousand.
    lost: u64,
    doubled: u64,
    delayed: u64,
}

/// The client: RFC 7440's receiver.
struct Reader {
    file: Vec<u8>,
    block: usize,
    window: u64,
    got: u64,
    acked: u64,
    options: bool,
    done: bool,
}

impl Reader {
    fn handle(&mut self, bytes: &[u8]) -> Option<Packet> {
        match Packet::decode(bytes).unwrap() {
            Packet::OptionAck(_) if !self.options => {
                self.options = true;
                Some(Packet::Ack { block: 0 })
            }
            Packet::OptionAck(_) if self.got == 0 => Some(Packet::Ack { block: 0 }),
            Packet::OptionAck(_) => None,
            Packet::Data { block, bytes } => self.data(block, &bytes),
            other => panic!("{other:?}"),
        }
    }

    fn data(&mut self, block: u16, bytes: &[u8]) -> Option<Packet> {
        self.options = true;
        if block != number(self.got + 1) {
            // Out of order: say where we are, so that it is sent again.
            return Some(self.acknowledge());
        }
        if self.done {
            return Some(self.acknowledge());
        }
        self.got += 1;
        self.file.extend_from_slice(bytes);
        self.done = bytes.len() < self.block;
        (self.done || self.got - self.acked >= self.window).then(|| self.acknowledge())
    }

    fn acknowledge(&mut self) -> Packet {
        self.acked = self.got;
        Packet::Ack {
            block: number(self.got),
        }
    }
}

fn number(block: u64) -> u16 {
    u16::try_from(block % 65536).unwrap()
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % 1000
    }
}

struct Wire {
    dice: Dice,
    badness: Badness,
    /// Arrival, whether it is for the client, bytes.
    under_way: Vec<(Instant, bool, Vec<u8>)>,
}

impl Wire {
    fn send(&mut self, now: Instant, to_client: bool, bytes: &[u8]) {
        if self.dice.roll() < self.badness.lost {
            return;
        }
        let copies = if self.dice.roll() < self.badness.doubled {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let late = self.dice.roll() < self.badness.delayed;
            let arrival = now + if late { LATENCY * 3 } else { LATENCY };
            self.under_way.push((arrival, to_client, bytes.to_vec()));
        }
    }

    fn next(&self) -> Option<Instant> {
        self.under_way.iter().map(|(at, ..)| *at).min()
    }

    fn arrived(&mut self, now: Instant) -> Vec<(bool, Vec<u8>)> {
        let (here, later) = std::mem::take(&mut self.under_way)
            .into_iter()
            .partition(|(at, ..)| *at <= now);
        self.under_way = later;
        let here: Vec<(Instant, bool, Vec<u8>)> = here;
        here.into_iter().map(|(_, to, bytes)| (to, bytes)).collect()
    }
}

struct Run {
    file: Vec<u8>,
    end: TransferEnd,
    packets: usize,
    took: Duration,
}

fn transfer(length: usize, block: usize, window: u64, badness: Badness, seed: u64) -> Run {
    let original: Arc<[u8]> = content(length).into();
    let options = [
        ("blksize".to_owned(), block.to_string()),
        ("windowsize".to_owned(), window.to_string()),
    ];
    let request = Request {
        path: "f".to_owned(),
        mode: "octet".to_owned(),
        options: options.to_vec(),
    };
    let mut server = Transfer::new(&request, original, TftpLimits::default()).unwrap();
    let mut client = Reader {
        file: vec![],
        block,
        window,
        got: 0,
        acked: 0,
        options: false,
        done: false,
    };
    let dice = Dice(seed | 1);
    let under_way = vec![];
    let mut wire = Wire {
        dice,
        badness,
        under_way,
    };
    let start = Instant::now();
    let (mut now, mut heard, mut packets) = (start, start, 0);
    loop {
        while let Some(bytes) = server.poll_transmit(now) {
            packets += 1;
            wire.send(now, true, &bytes);
        }
        if let Some(end) = server.outcome() {
            return Run {
                file: client.file,
                end: end.clone(),
                packets,
                took: now - start,
            };
        }
        let patience = heard + CLIENT_PATIENCE;
        let times = [wire.next(), server.poll_timeout(), Some(patience)];
        now = times.into_iter().flatten().min().unwrap().max(now);
        for (to_client, bytes) in wire.arrived(now) {
            if !to_client {
                server.handle(now, &bytes);
            } else if let Some(reply) = client.handle(&bytes) {
                heard = now;
                wire.send(now, false, &reply.encode());
            } else {
                heard = now;
            }
        }
        if heard + CLIENT_PATIENCE <= now {
            heard = now;
            let again = client.acknowledge();
            if client.options {
                wire.send(now, false, &again.encode());
            }
        }
    }
}

fn content(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

const PERFECT: Badness = Badness {
    lost: 0,
    doubled: 0,
    delayed: 0,
};

#[test]
fn a_perfect_network_carries_each_block_once() {
    for window in [1, 4, 16] {
        let run = transfer(100_000, 1468, window, PERFECT, 1);
        assert_eq!(run.end, TransferEnd::Complete);
        assert!(run.file == content(100_000));
        // 69 blocks and the option acknowledgement.
        assert_eq!(run.packets, 70, "window {window}");
    }
}

#[test]
fn a_window_saves_round_trips() {
    let one = transfer(1_000_000, 1468, 1, PERFECT, 1).took;
    let many = transfer(1_000_000, 1468, 16, PERFECT, 1).took;
    assert!(many * 10 < one, "{many:?} {one:?}");
}

#[test]
fn a_network_that_doubles_everything_does_not_multiply_the_data() {
    let doubling = Badness {
        doubled: 1000,
        ..PERFECT
    };
    for window in [1, 4] {
        let run = transfer(100_000, 1468, window, doubling, 7);
        assert!(run.file == content(100_000));
        assert!(run.packets < 70 * 3, "window {window}: {}", run.packets);
    }
}

#[test]
fn a_dead_network_ends_the_transfer() {
    let dead = Badness {
        lost: 1000,
        ..PERFECT
    };
    let run = transfer(100_000, 1468, 4, dead, 3);
    assert_eq!(run.end, TransferEnd::Silent);
    assert!(run.took < Duration::from_secs(30), "{:?}", run.took);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_file_arrives_whole_over_a_bad_network(
        length in 0_usize..60_000,
        block in prop::sample::select(vec![8_usize, 512, 1024, 1468]),
        window in prop::sample::select(vec![1_u64, 2, 4, 16]),
        lost in 0_u64..100,
        doubled in 0_u64..100,
        delayed in 0_u64..100,
        seed: u64,
    ) {
        let length = length.min(block * 300);
        let badness = Badness { lost, doubled, delayed };
        let run = transfer(length, block, window, badness, seed);
        // The last acknowledgement may be lost with every one of its
        // repetitions: then the server does not know, but the client has it.
        prop_assert!(run.file == content(length), "{:?}", run.end);
    }
}
