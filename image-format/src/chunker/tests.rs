use super::*;

fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

fn lengths(chunking: Chunking, parts: &[&[u8]]) -> Vec<usize> {
    let mut chunker = Chunker::new(chunking);
    let mut lengths = Vec::new();
    let mut out = |chunk: &[u8]| -> Result<(), ()> {
        lengths.push(chunk.len());
        Ok(())
    };
    for part in parts {
        chunker.push(part, &mut out).unwrap();
    }
    chunker.finish(0, &mut out).unwrap();
    lengths
}

#[test]
fn cut_points_are_those_of_the_format_for_ever() {
    let golden = [
        1_660_009, 795_372, 1_161_044, 1_398_683, 1_395_912, 1_892_488, 1_387_872, 308_620,
    ];
    assert_eq!(
        lengths(Chunking::ContentDefined, &[&noise(10_000_000)]),
        golden
    );
}

#[test]
fn cut_points_are_those_of_the_crate_read_whole() {
    let bytes = noise(9_999_999);
    let whole = fastcdc::v2020::FastCDC::new(&bytes, LEAST, AVERAGE, MAX_CHUNK);
    let expected: Vec<usize> = whole.map(|chunk| chunk.length).collect();
    assert_eq!(lengths(Chunking::ContentDefined, &[&bytes]), expected);
}

#[test]
fn how_a_stream_is_handed_in_does_not_move_its_cuts() {
    let bytes = noise(9_000_001);
    for chunking in [
        Chunking::Whole,
        Chunking::ContentDefined,
        Chunking::Fixed(FIXED),
    ] {
        let whole = lengths(chunking, &[&bytes]);
        for portion in [1_000, 65_536, 5_000_000] {
            let parts: Vec<&[u8]> = bytes.chunks(portion).collect();
            assert_eq!(
                lengths(chunking, &parts),
                whole,
                "{chunking:?} by {portion}"
            );
        }
        assert_eq!(whole.iter().sum::<usize>(), bytes.len());
    }
}

#[test]
fn insertion_moves_only_the_cuts_near_it() {
    let bytes = noise(20 << 20);
    let mut longer = bytes.clone();
    longer.splice(1_000_000..1_000_000, *b"inserted");
    let (before, after) = (
        lengths(Chunking::ContentDefined, &[&bytes]),
        lengths(Chunking::ContentDefined, &[&longer]),
    );
    let same = before
        .iter()
        .rev()
        .zip(after.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    assert!(same + 4 >= before.len(), "{same} of {}", before.len());
}

#[test]
fn pathological_content_is_cut_at_the_longest_chunk() {
    assert_eq!(
        lengths(Chunking::ContentDefined, &[&vec![0; 9 << 20]]),
        [4 << 20, 4 << 20, 1 << 20]
    );
}

#[test]
fn fixed_pieces_stay_aligned_behind_a_hole() {
    let mut chunker = Chunker::new(Chunking::Fixed(FIXED));
    let mut lengths = Vec::new();
    let mut out = |chunk: &[u8]| -> Result<(), ()> {
        lengths.push(chunk.len());
        Ok(())
    };
    chunker.push(&[1; 1000], &mut out).unwrap();
    chunker.finish(5000, &mut out).unwrap();
    chunker.push(&[1; 200_000], &mut out).unwrap();
    chunker.finish(0, &mut out).unwrap();
    assert_eq!(lengths[..3], [1000, FIXED - 6000, FIXED]);
}

#[test]
fn name_size_and_first_bytes_choose_the_rule() {
    let rule = |extension: &[u8], size, head: &[u8]| Chunking::for_stream(extension, size, head);
    assert_eq!(rule(b"vhdx", 1 << 30, b""), Chunking::Fixed(FIXED));
    assert_eq!(rule(b"dll", 1 << 20, b""), Chunking::ContentDefined);
    assert_eq!(rule(b"vhdx", (1 << 20) - 1, b""), Chunking::Whole);
    assert_eq!(rule(b"", 64 << 20, b"QFI\xfb"), Chunking::Fixed(FIXED));
    assert_eq!(
        rule(b"", (64 << 20) - 1, b"QFI\xfb"),
        Chunking::ContentDefined
    );
    let mut boot_sector = vec![0; 512];
    boot_sector[510..].copy_from_slice(b"\x55\xaa");
    assert_eq!(rule(b"", 1 << 30, &boot_sector), Chunking::Fixed(FIXED));
    boot_sector.pop();
    assert_eq!(rule(b"", 1 << 30, &boot_sector), Chunking::ContentDefined);
}

#[test]
fn a_disk_of_any_size_has_a_bounded_number_of_pieces() {
    for size in [1_u64 << 20, 4 << 30, (4 << 30) + 1, 100 << 30, 500 << 30] {
        let piece = fixed_piece(size) as u64;
        assert!(size.div_ceil(piece) <= FIXED_PIECES, "{size}");
        assert!(piece == FIXED as u64 || size.div_ceil(piece / 2) > FIXED_PIECES);
    }
    assert_eq!(fixed_piece(u64::MAX), MAX_CHUNK);
}
