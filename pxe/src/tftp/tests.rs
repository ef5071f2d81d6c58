use super::*;

fn request(options: &[(&str, &str)]) -> Request {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Request {
        path: "f".to_owned(),
        mode: "octet".to_owned(),
        options: options.iter().map(own).collect(),
    }
}

fn transfer(length: usize, options: &[(&str, &str)]) -> Transfer {
    let file: Arc<[u8]> = vec![7; length].into();
    Transfer::new(&request(options), file, TftpLimits::default()).unwrap()
}

fn sent(transfer: &mut Transfer, now: Instant) -> Vec<Packet> {
    let mut packets = Vec::new();
    while let Some(bytes) = transfer.poll_transmit(now) {
        packets.push(Packet::decode(&bytes).unwrap());
    }
    packets
}

fn blocks(packets: &[Packet]) -> Vec<u16> {
    let number = |packet: &Packet| match packet {
        Packet::Data { block, .. } => *block,
        other => panic!("{other:?}"),
    };
    packets.iter().map(number).collect()
}

fn ack(transfer: &mut Transfer, now: Instant, block: u16) {
    transfer.handle(now, &Packet::Ack { block }.encode());
}

#[test]
fn options_are_capped_and_unknown_ones_left_out() {
    let now = Instant::now();
    let asked = [
        ("tsize", "0"),
        ("BLKSIZE", "65464"),
        ("windowsize", "64"),
        ("utimeout", "5"),
        ("blksize", "8"),
    ];
    let mut transfer = transfer(3000, &asked);
    let expected = [("tsize", "3000"), ("BLKSIZE", "1468"), ("windowsize", "16")];
    let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    let expected = Packet::OptionAck(expected.iter().map(own).collect());
    assert_eq!(sent(&mut transfer, now), [expected]);
}

#[test]
fn without_options_data_comes_at_once() {
    let now = Instant::now();
    let mut transfer = transfer(512, &[("blksize", "4"), ("windowsize", "0")]);
    assert_eq!(blocks(&sent(&mut transfer, now)), [1]);
    ack(&mut transfer, now, 1);
    let last = sent(&mut transfer, now);
    let empty = Packet::Data {
        block: 2,
        bytes: vec![],
    };
    assert_eq!(last, [empty]);
    ack(&mut transfer, now, 2);
    assert_eq!(transfer.outcome(), Some(&TransferEnd::Complete));
    assert_eq!(transfer.delivered(), 512);
    assert_eq!(transfer.poll_timeout(), None);
}

#[test]
fn a_lost_block_is_sent_again_from_where_the_client_stopped() {
    let now = Instant::now();
    let mut transfer = transfer(5000, &[("windowsize", "4")]);
    sent(&mut transfer, now);
    ack(&mut transfer, now, 0);
    assert_eq!(blocks(&sent(&mut transfer, now)), [1, 2, 3, 4]);
    ack(&mut transfer, now, 2);
    assert_eq!(blocks(&sent(&mut transfer, now)), [3, 4, 5, 6]);
    ack(&mut transfer, now, 2);
    assert_eq!(blocks(&sent(&mut transfer, now)), [3, 4, 5, 6]);
    ack(&mut transfer, now, 2);
    assert!(sent(&mut transfer, now).is_empty());
}

#[test]
fn a_doubled_acknowledgement_does_not_double_the_data() {
    let now = Instant::now();
    let mut transfer = transfer(5000, &[]);
    sent(&mut transfer, now);
    ack(&mut transfer, now, 1);
    assert_eq!(blocks(&sent(&mut transfer, now)), [2]);
    ack(&mut transfer, now, 1);
    assert!(sent(&mut transfer, now).is_empty());
}

#[test]
fn silence_is_answered_with_longer_waits_and_then_an_end() {
    let mut now = Instant::now();
    let start = now;
    let mut transfer = transfer(5000, &[("tsize", "0")]);
    let mut count = 0;
    while transfer.outcome().is_none() {
        count += sent(&mut transfer, now).len();
        now = transfer.poll_timeout().unwrap_or(now);
    }
    assert_eq!(transfer.outcome(), Some(&TransferEnd::Silent));
    assert_eq!(count, 7);
    let waited = now.duration_since(start).as_secs();
    assert!((15..30).contains(&waited), "{waited}");
}

#[test]
fn block_numbers_roll_over() {
    let now = Instant::now();
    let options = [("blksize", "8"), ("windowsize", "16")];
    let mut transfer = transfer(8 * 70_000 + 3, &options);
    sent(&mut transfer, now);
    ack(&mut transfer, now, 0);
    let mut count = 0;
    while transfer.outcome().is_none() {
        let packets = blocks(&sent(&mut transfer, now));
        count += packets.len();
        ack(&mut transfer, now, *packets.last().unwrap());
    }
    assert_eq!(transfer.outcome(), Some(&TransferEnd::Complete));
    assert_eq!(count, 70_001);
}

#[test]
fn an_abort_after_the_size_is_an_end_and_not_a_failure() {
    let now = Instant::now();
    let mut transfer = transfer(10, &[("tsize", "0")]);
    sent(&mut transfer, now);
    transfer.handle(now, &Packet::error(ErrorCode::Other, "User aborted"));
    let code = 0;
    let message = "User aborted".to_owned();
    let aborted = TransferEnd::Aborted { code, message };
    assert_eq!(transfer.outcome(), Some(&aborted));
    assert_eq!(transfer.poll_transmit(now), None);
}

#[test]
fn acknowledgements_of_blocks_never_sent_are_left_aside() {
    let now = Instant::now();
    let mut transfer = transfer(5000, &[]);
    sent(&mut transfer, now);
    for block in [2, 9, 65535] {
        ack(&mut transfer, now, block);
    }
    assert_eq!(transfer.delivered(), 0);
    assert_eq!(transfer.outcome(), None);
}

#[test]
fn paths_are_normalised_and_never_climb() {
    let given = |path| normalise(path);
    assert_eq!(given("//grubx64.efi").as_deref(), Some("grubx64.efi"));
    assert_eq!(given("/grub/./grub.cfg").as_deref(), Some("grub/grub.cfg"));
    assert_eq!(given("\\Boot\\BCD").as_deref(), Some("Boot/BCD"));
    for bad in ["", "/", "../x", "a/../b", "a\\..\\b", "a\nb", "..", "."] {
        assert_eq!(given(bad), None, "{bad:?}");
    }
}
