use super::*;

fn sample() -> Packet {
    let mut packet = Packet::request(Kind::Discover, Mac([2, 0, 0, 0, 0, 1]), 0x1234_5678);
    packet.set(code::USER_CLASS, b"iPXE");
    packet.set(code::ARCHITECTURE, &[0, 7, 0, 9]);
    packet.set(code::UUID, &[0; 17]);
    packet.set(code::RELAY, &[1, 2, 3, 4]);
    packet.set(209, &[7; 600]);
    packet.file = b"undionly.kpxe".to_vec();
    packet.sname = b"10.0.0.1".to_vec();
    packet
}

#[test]
fn a_packet_comes_back_as_it_was_written() {
    let packet = sample();
    assert_eq!(Packet::decode(&packet.encode()), Ok(packet));
}

#[test]
fn a_small_packet_is_padded_to_300_bytes() {
    let packet = Packet::request(Kind::Request, Mac::default(), 1);
    assert_eq!(packet.encode().len(), 300);
}

#[test]
fn the_relay_option_is_written_last() {
    let mut packet = sample();
    packet.options.remove(&209);
    let bytes = packet.encode();
    let relay = bytes.windows(6).position(|six| six == [82, 4, 1, 2, 3, 4]);
    assert_eq!(bytes.get(relay.unwrap() + 6), Some(&END));
}

#[test]
fn options_in_file_and_sname_are_read() {
    let mut packet = Packet::request(Kind::Offer, Mac::default(), 1);
    packet.set(OVERLOAD, &[3]);
    let mut bytes = packet.encode();
    bytes[FILE_AT..FILE_AT + 7].copy_from_slice(&[1, 4, 255, 255, 0, 0, 255]);
    bytes[SNAME_AT..SNAME_AT + 7].copy_from_slice(&[3, 4, 10, 0, 0, 1, 255]);
    let read = Packet::decode(&bytes).unwrap();
    assert_eq!(read.address(code::MASK), Some([255, 255, 0, 0].into()));
    assert_eq!(read.address(code::ROUTER), Some([10, 0, 0, 1].into()));
    assert!(read.file.is_empty() && read.sname.is_empty());
}

#[test]
fn what_is_not_an_ethernet_client_is_refused() {
    let mut bytes = sample().encode();
    bytes[2] = 16;
    assert!(matches!(
        Packet::decode(&bytes),
        Err(DhcpError::Hardware { length: 16, .. })
    ));
    bytes[2] = 255;
    assert!(Packet::decode(&bytes).is_err());
    bytes[2] = 6;
    bytes[236] = 0;
    assert_eq!(Packet::decode(&bytes), Err(DhcpError::Cookie));
}

#[test]
fn no_truncation_and_no_flipped_bit_panics() {
    let bytes = sample().encode();
    for end in 0..bytes.len() {
        let _ = Packet::decode(&bytes[..end]);
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let _ = Packet::decode(&flipped);
    }
}

#[test]
fn a_file_name_too_long_for_its_field_is_left_out() {
    let mut packet = sample();
    packet.file = vec![b'a'; 128];
    packet.sname = vec![b'a'; 64];
    let read = Packet::decode(&packet.encode()).unwrap();
    assert!(read.file.is_empty() && read.sname.is_empty());
}

#[test]
fn an_option_without_a_value_is_not_lost() {
    let mut packet = Packet::request(Kind::Discover, Mac([2, 0, 0, 0, 0, 1]), 7);
    packet.set(80, &[]);
    assert_eq!(Packet::decode(&packet.encode()), Ok(packet));
}
