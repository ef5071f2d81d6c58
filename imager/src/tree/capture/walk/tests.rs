use std::fs;
use std::path::Path;

use super::*;

/// Nothing is left out, and what cannot be read is an error.
fn strict<'r>(excludes: &'r Excludes, omit: &'r HashSet<Inode>, notes: &'r Notes) -> Rules<'r> {
    Rules {
        excludes,
        omit,
        notes,
        skip_unreadable: false,
    }
}

/// Walks below `root` and tells every path and what vanished; `meanwhile`
/// sees each path before the walk goes on.
fn walked(
    root: &Path,
    meanwhile: impl Fn(&[u8]),
) -> (Result<(), TreeError>, Vec<Vec<u8>>, Vec<String>) {
    let notes = Notes::new(1000);
    let (excludes, omit) = (Excludes::new([]).unwrap(), HashSet::new());
    let rules = strict(&excludes, &omit, &notes);
    let dir = metadata::open_directory(rustix::fs::CWD, root.to_str().unwrap().as_bytes());
    let mut paths = Vec::new();
    let result = Walk::new(&Arc::new(dir.unwrap()), &rules).and_then(|walk| {
        walk.run(|named| {
            meanwhile(&named.path);
            paths.push(named.path);
            true
        })
    });
    let noted = notes.finish();
    let vanished = noted.into_iter().find(|(why, _)| *why == Reason::Vanished);
    let vanished = vanished.map(|(_, noted)| noted.paths).unwrap_or_default();
    (result, paths, vanished)
}

#[test]
fn a_directory_removed_while_it_is_open_has_vanished_and_a_removed_root_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let gone = dir.path().join("gone");
    fs::create_dir(&gone).unwrap();
    let notes = Notes::new(1000);
    let (excludes, omit) = (Excludes::new([]).unwrap(), HashSet::new());
    let rules = strict(&excludes, &omit, &notes);
    let open = |path: &Path| {
        let path = path.to_str().unwrap().as_bytes();
        Arc::new(metadata::open_directory(rustix::fs::CWD, path).unwrap())
    };
    let mut walk = Walk::new(&open(dir.path()), &rules).unwrap();
    let removed = open(&gone);
    fs::remove_dir(&gone).unwrap();
    let at = metadata::stat(removed.as_fd(), b"").unwrap();
    walk.enter(Arc::clone(&removed), at, b"gone".to_vec())
        .unwrap();
    assert_eq!(walk.stack.len(), 1, "nothing is looked for inside");
    drop(walk);
    let refused = Walk::new(&removed, &rules).err();
    assert!(
        matches!(refused, Some(TreeError::Read { .. })),
        "{refused:?}"
    );
    let noted = notes.finish();
    let [(Reason::Vanished, noted)] = noted.as_slice() else {
        panic!("{noted:?}");
    };
    assert_eq!(noted.paths, ["/gone"]);
}

#[test]
fn what_was_moved_away_behind_the_walk_has_vanished() {
    let dir = tempfile::tempdir().unwrap();
    let mut deep = dir.path().to_path_buf();
    for _ in 0..HELD + 50 {
        deep.push("d");
        fs::create_dir(&deep).unwrap();
        // Comes behind all that is in `d`.
        fs::write(deep.join("e"), b"").unwrap();
    }
    let (top, other) = (dir.path().join("d/d"), dir.path().join("moved"));
    let bottom = deep.strip_prefix(dir.path()).unwrap().to_str().unwrap();
    let (result, paths, vanished) = walked(dir.path(), |path| {
        if path == bottom.as_bytes() {
            fs::rename(&top, &other).unwrap();
        }
    });
    result.unwrap();
    let has = |path: &str| paths.iter().any(|seen| seen == path.as_bytes());
    assert!(has(&format!("{bottom}/e")), "its directory was still open");
    assert!(has("d/e") && !has("d/d/e"));
    assert!(vanished.contains(&"/d/d".to_owned()), "{vanished:?}");
}
