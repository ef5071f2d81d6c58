use super::*;

#[test]
fn names_tell_their_lane_and_version_numbers_do_not() {
    let key = |hint: &str| {
        let key = LaneKey::of(hint.as_bytes());
        (
            String::from_utf8(key.extension).unwrap(),
            String::from_utf8(key.base).unwrap(),
        )
    };
    assert_eq!(key("usr/lib/libc.so.6"), ("so".into(), "libc".into()));
    assert_eq!(key("a/KERNEL32.DLL"), ("dll".into(), "kernel32".into()));
    assert_eq!(key("usr/bin/bash"), (String::new(), "bash".into()));
    assert_eq!(key(".bashrc"), (String::new(), ".bashrc".into()));
    assert_eq!(key("x.d/name"), (String::new(), "name".into()));
    assert_eq!(key(""), (String::new(), String::new()));
    assert_eq!(key("1.2.3"), (String::new(), "1".into()));
    assert_eq!(key("dot."), (String::new(), "dot.".into()));
}

/// All that is full.
fn taken(lanes: &mut Lanes) -> Vec<Gathered> {
    std::iter::from_fn(|| lanes.take().unwrap()).collect()
}

fn noise(seed: u8, length: u32) -> Vec<u8> {
    let mut bytes = vec![0; length as usize];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[seed]).finalize_xof().fill(&mut bytes);
    bytes
}

#[test]
fn programs_and_data_never_share_a_block() {
    let mut lanes = Lanes::new(Profile::Fast);
    for number in 0..40_u8 {
        let mut key = LaneKey::of(format!("f{number}").as_bytes());
        let x86 = number % 2 == 1;
        key.class = if x86 { Class::X86 } else { Class::Data };
        lanes.push(&key, ChunkId::of(&[number]), vec![number; 9]);
        assert_eq!(lanes.take().unwrap(), None);
    }
    lanes.drain();
    let blocks = taken(&mut lanes);
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        let of_x86 = block.raw.iter().all(|byte| byte % 2 == 1);
        assert_eq!(of_x86, block.class == Class::X86);
    }
}

#[test]
fn like_chunks_leave_together_in_order_of_name_and_no_block_is_too_long() {
    let mut lanes = Lanes::new(Profile::Fast);
    let mut out = Vec::new();
    for number in 0..300_u32 {
        let hint = format!(
            "f{:03}.{}",
            299 - number,
            if number % 2 == 0 { "dll" } else { "txt" }
        );
        let bytes = vec![u8::try_from(number % 2).unwrap(); 100_000 + number as usize];
        let id = ChunkId::of(&number.to_le_bytes());
        lanes.push(&LaneKey::of(hint.as_bytes()), id, bytes);
        out.extend(taken(&mut lanes));
    }
    assert!(
        out.iter()
            .all(|block| block.raw.iter().all(|byte| *byte == block.raw[0]))
    );
    lanes.drain();
    out.extend(taken(&mut lanes));
    assert_eq!(
        out.iter().map(|block| block.chunks.len()).sum::<usize>(),
        300
    );
    assert!(
        out.iter()
            .all(|block| block.raw.len() <= Profile::Fast.block_limit())
    );
    let descending = out[0].chunks.windows(2).all(|pair| pair[0].1 > pair[1].1);
    assert!(descending, "names fall while lengths rise");
    lanes.drain();
    assert!(taken(&mut lanes).is_empty());
}

#[test]
fn what_waits_is_bounded() {
    for profile in [Profile::Fast, Profile::Archive] {
        let mut lanes = Lanes::new(profile);
        for number in 0..200_u32 {
            let key = LaneKey {
                class: Class::Data,
                extension: (number % 90).to_le_bytes().to_vec(),
                base: Vec::new(),
            };
            let bytes = noise(u8::try_from(number).unwrap(), 1 << 20);
            lanes.push(&key, ChunkId::of(&bytes), bytes);
            assert!(lanes.held <= GATHERED_MAX);
            taken(&mut lanes);
        }
    }
}

#[test]
fn chunk_longer_than_any_block_of_its_class_is_one_alone() {
    for profile in [Profile::Fast, Profile::Archive] {
        let mut lanes = Lanes::new(profile);
        let lengths = [1000, 2 << 20, 1000, 3 << 20, 1 << 20, 5];
        for (number, length) in (0..).zip(lengths) {
            let bytes = vec![number; length];
            lanes.push(&LaneKey::manifest(), ChunkId::of(&bytes), bytes);
        }
        lanes.drain();
        let blocks = taken(&mut lanes);
        let found = blocks.iter().map(|block| block.raw.len());
        assert_eq!(found.collect::<Vec<_>>(), lengths, "{profile:?}");
        assert!(blocks.iter().all(|block| block.chunks.len() == 1));
    }
}

#[test]
fn what_packs_well_leaves_too_when_there_is_no_room() {
    let mut lanes = Lanes::new(Profile::Archive);
    let mut push = |extension: String, bytes: Vec<u8>| {
        let key = LaneKey {
            class: Class::Data,
            extension: extension.into(),
            base: Vec::new(),
        };
        lanes.push(&key, ChunkId::of(&bytes), bytes);
        assert!(lanes.held <= GATHERED_MAX);
        taken(&mut lanes).len()
    };
    for number in 0..100_u8 {
        assert_eq!(push((number % 20).to_string(), vec![number; 4 << 20]), 0);
    }
    let blocks: usize = (0..30_u8)
        .map(|number| push(format!("noise{}", number % 6), noise(number, 4 << 20)))
        .sum();
    assert!(blocks >= 40, "{blocks}");
}

/// Two large files with much in common, one after the other, among noise.
fn alike() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let first: Vec<_> = (0..20).map(|seed| noise(seed, 1 << 20)).collect();
    let second = first.iter().map(|bytes| {
        let mut bytes = bytes.clone();
        bytes.rotate_left(300_000);
        bytes[..200_000].fill(1);
        bytes
    });
    let second = second.collect();
    (first, second)
}

#[test]
fn profiles_that_take_their_time_bring_together_what_resembles_each_other() {
    let (first, second) = alike();
    let mut lanes = Lanes::new(Profile::Archive);
    let mut out = Vec::new();
    for (name, chunks) in [("cc1", &first), ("lto1", &second)] {
        for bytes in chunks {
            let key = LaneKey::of(name.as_bytes());
            lanes.push(&key, ChunkId::of(bytes), bytes.as_slice());
            out.extend(taken(&mut lanes));
        }
    }
    lanes.drain();
    out.extend(taken(&mut lanes));
    let place = |bytes: &[u8]| {
        let id = ChunkId::of(bytes);
        out.iter().enumerate().find_map(|(block, gathered)| {
            let at = gathered.chunks.iter().position(|chunk| chunk.0 == id)?;
            Some((block, at))
        })
    };
    let beside = first.iter().zip(&second).filter(|(one, other)| {
        let (one, other) = (place(one).unwrap(), place(other).unwrap());
        one.0 == other.0 && one.1 + 1 == other.1
    });
    // Between two blocks a pair may be parted.
    assert!(beside.count() >= 18);
    for block in &out {
        let mut at = 0;
        for (id, length) in &block.chunks {
            let end = at + *length as usize;
            assert_eq!(ChunkId::of(&block.raw[at..end]), *id);
            at = end;
        }
        assert_eq!(at, block.raw.len());
        assert!(at <= Profile::Archive.block_limit());
    }
    assert_eq!(
        out.iter().map(|block| block.chunks.len()).sum::<usize>(),
        40
    );
}
