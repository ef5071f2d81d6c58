use super::*;
use crate::ids::ImageId;

fn record(name: &str, sequence: u64) -> ImageRecord {
    ImageRecord {
        image: ImageId::of(b"image"),
        name: name.to_owned(),
        sequence,
        captured: 1,
        parent: None,
        system: None,
        logical_size: 2,
        entries: 3,
        profile: None,
        source: Some("disk".to_owned()),
        witnesses: None,
    }
}

#[test]
fn ref_survives_its_bytes_and_an_older_one_is_refused() {
    let bytes = encode(&record("office pc", 4), None).unwrap();
    assert_eq!(
        decode(&bytes, 4, None).unwrap().record,
        record("office pc", 4)
    );
    assert!(matches!(
        decode(&bytes, 5, None),
        Err(RefError::Older {
            known: 5,
            found: 4,
            ..
        })
    ));
}

#[test]
fn other_versions_are_refused_with_what_to_do() {
    let text = String::from_utf8(encode(&record("a", 1), None).unwrap()).unwrap();
    for (version, word) in [(0, "capture again"), (2, "newer program")] {
        let other = text.replace("\"version\": 1", &format!("\"version\": {version}"));
        let error = decode(other.as_bytes(), 0, None).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn names_survive_their_file_names_and_never_leave_the_folder() {
    for name in [
        "debian-12",
        "../../etc/passwd",
        ".",
        "..",
        "a b",
        "Büro",
        "%41",
        "con.txt",
    ] {
        let file = name_to_file(name);
        assert!(!file.contains('/') && !file.starts_with('.'), "{file}");
        assert_eq!(name_from_file(&file).as_deref(), Some(name));
    }
    for bad in ["", " a", "a\n", &"x".repeat(81)] {
        assert!(encode(&record(bad, 1), None).is_err());
    }
    assert_eq!(name_from_file("a%2"), None);
    assert_eq!(name_from_file("%61"), None);
}
