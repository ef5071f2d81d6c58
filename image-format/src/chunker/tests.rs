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
fn name_and_size_choose_the_rule() {
    assert_eq!(
        Chunking::for_stream(b"vhdx", 1 << 30),
        Chunking::Fixed(FIXED)
    );
    assert_eq!(
        Chunking::for_stream(b"dll", 1 << 20),
        Chunking::ContentDefined
    );
    assert_eq!(
        Chunking::for_stream(b"vhdx", (1 << 20) - 1),
        Chunking::Whole
    );
}
