use super::*;
use crate::entry::{Content, Kind};

fn file(path: &str, content: &[u8], link: Option<u32>) -> Entry {
    let mut entry = Entry::new(path, Kind::File);
    entry.link = link;
    if !content.is_empty() {
        entry.content = Content::Inline(content.to_vec());
    }
    entry
}

fn root(entries: &[Entry], skip: &[&str]) -> VolumeProof {
    volume_root(
        1,
        entries,
        &skip.iter().map(|path| path.as_bytes().to_vec()).collect(),
    )
}

#[test]
fn link_numbers_do_not_matter_but_who_belongs_together_does() {
    let of = |a, b, c| [file("a", b"1", a), file("b", b"", b), file("c", b"", c)];
    let together = root(&of(Some(1), Some(1), None), &[]);
    assert_eq!(together, root(&of(Some(7), Some(7), None), &[]));
    assert_ne!(together, root(&of(Some(1), None, Some(1)), &[]));
    assert_ne!(together, root(&of(Some(1), Some(1), Some(1)), &[]));
    assert_eq!(
        root(&of(None, None, None), &[]),
        root(&of(Some(1), None, None), &[])
    );
    assert_eq!((together.entries, together.bytes), (3, 1));
}

#[test]
fn name_laid_over_by_the_overlay_leaves_its_content_to_the_next_of_its_group() {
    let image = [
        file("a", b"1", Some(1)),
        file("b", b"", Some(1)),
        file("c", b"", None),
    ];
    let target = [
        file("a", b"new", None),
        file("b", b"1", None),
        file("c", b"", None),
        file("d", b"x", None),
    ];
    assert_eq!(root(&image, &["a", "d"]), root(&target, &["a", "d"]));
}

#[test]
fn all_that_an_apply_writes_changes_the_digest_and_what_reading_moves_does_not() {
    let plain = file("a", b"1", None);
    let mut moved = plain.clone();
    moved.times.accessed.seconds = 5;
    moved.times.changed.seconds = 6;
    assert_eq!(entry_digest(&plain), entry_digest(&moved));
    let changes: [fn(&mut Entry); 9] = [
        |entry| entry.path.push(b'b'),
        |entry| entry.kind = Kind::Fifo,
        |entry| entry.mode = 1,
        |entry| entry.gid = 1,
        |entry| entry.flags = 1,
        |entry| entry.times.modified.nanoseconds = 1,
        |entry| entry.times.created.seconds = 1,
        |entry| entry.short_name = Some([b' '; 11]),
        |entry| entry.content = Content::Inline(b"2".to_vec()),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut entry = plain.clone();
        change(&mut entry);
        assert_ne!(entry_digest(&entry), entry_digest(&plain), "{number}");
    }
}

#[test]
fn proof_survives_json_and_every_field_moves_its_digest() {
    let overlay = OverlayEntry {
        partition: 1,
        path: b"etc/\xff\\x".to_vec(),
        digest: [4; 32],
    };
    let proof = Proof {
        image: ImageId::of(b"image"),
        plan: [1; 32],
        volumes: vec![VolumeProof {
            partition: 1,
            root: [2; 32],
            entries: 3,
            bytes: 4,
        }],
        overlay: vec![overlay],
        boot_root: [5; 32],
    };
    let text = serde_json::to_string(&proof).unwrap();
    assert!(text.contains(r"etc/\\xff\\x5cx"), "{text}");
    assert_eq!(serde_json::from_str::<Proof>(&text).unwrap(), proof);
    assert!(serde_json::from_str::<Proof>(&text.replace("xff", "xfg")).is_err());
    let changes: [fn(&mut Proof); 4] = [
        |proof| proof.plan[0] = 0,
        |proof| proof.volumes[0].bytes = 0,
        |proof| proof.overlay.clear(),
        |proof| proof.boot_root[31] = 0,
    ];
    for change in changes {
        let mut other = proof.clone();
        change(&mut other);
        assert_ne!(other.digest(), proof.digest());
    }
}
