//! One tree becomes an image.

use super::{MEMORY, MIMEO, OURS, claim, limit, peer};
use crate::bench::row::Measure::{Memory, Size, Time};
use crate::bench::row::{Against, Caches, Ground, Row, Tool, Tree};

const SQUASHFS: &str = "mksquashfs zstd-3";
const TAR: &str = "tar, zstd -3 -T0";
const SOLID: &str = "wimlib LZMS solid";
const BORG: &str = "borg zstd,3";
const RESTIC: &str = "restic";

/// 1: as quick as the quickest, smaller than the simplest.
pub(super) const FAST: Row = Row {
    id: "1",
    work: "capture desktop, fast",
    trees: &[Tree::Desktop],
    ground: Ground::Folder,
    caches: Caches::Warm,
    tools: &[
        Tool {
            before: r#""$mimeo" share init "$new/store""#,
            run: r#""$mimeo" capture "$tree" --no-default-excludes --share "$new/store" --name bench --profile fast"#,
            ..MIMEO
        },
        peer(
            SQUASHFS,
            "mksquashfs",
            r#"mksquashfs "$tree" "$new/image" -comp zstd -Xcompression-level 3 -no-progress -quiet"#,
        ),
        peer(
            TAR,
            "zstd",
            r#"tar --create --directory "$tree" . | zstd -3 -T0 -q -o "$new/image""#,
        ),
        peer(
            "wimlib XPRESS",
            "wimlib-imagex",
            r#"wimlib-imagex capture "$tree" "$new/image.wim" bench --unix-data --compress=XPRESS > /dev/null"#,
        ),
        Tool {
            before: r#"borg init --encryption none "$new/store""#,
            ..peer(
                BORG,
                "borg",
                r#"borg create --compression zstd,3 "$new/store::bench" "$tree""#,
            )
        },
        Tool {
            before: r#"restic --quiet --repo "$new/store" init --repository-version 2"#,
            ..peer(
                RESTIC,
                "restic",
                r#"restic --quiet --repo "$new/store" backup "$tree""#,
            )
        },
        peer(
            "casync",
            "casync",
            r#"casync make --store "$new/store" "$new/image.caidx" "$tree" > /dev/null"#,
        ),
        peer(
            "fsarchiver -Z3 -j2",
            "fsarchiver",
            r#"fsarchiver savedir -Z3 -j2 "$new/image.fsa" "$tree""#,
        ),
    ],
    claims: &[
        claim(OURS, Time, Against::Tool(SQUASHFS), 1.0),
        claim(OURS, Size, Against::Tool(TAR), 0.93),
        limit(Memory, MEMORY),
    ],
};

/// 2: nearly as small as the smallest, in less than half its time.
pub(super) const ARCHIVE: Row = Row {
    id: "2",
    work: "capture system, archive",
    trees: &[Tree::System],
    ground: Ground::Folder,
    caches: Caches::Warm,
    tools: &[
        Tool {
            before: r#""$mimeo" share init "$new/store""#,
            run: r#""$mimeo" capture "$tree" --no-default-excludes --share "$new/store" --name bench --profile archive"#,
            ..MIMEO
        },
        peer(
            SOLID,
            "wimlib-imagex",
            r#"wimlib-imagex capture "$tree" "$new/image.wim" bench --unix-data --solid > /dev/null"#,
        ),
    ],
    claims: &[
        claim(OURS, Size, Against::Tool(SOLID), 1.05),
        claim(OURS, Time, Against::Tool(SOLID), 0.4),
        limit(Memory, MEMORY),
    ],
};

/// 3: a tree that did not change costs little more than looking at it.
pub(super) const AGAIN: Row = Row {
    id: "3",
    work: "capture desktop again, unchanged",
    trees: &[Tree::Desktop],
    ground: Ground::Folder,
    caches: Caches::Warm,
    tools: &[
        Tool {
            prepare: r#""$mimeo" share init "$kept/store"
"$mimeo" capture "$tree" --no-default-excludes --share "$kept/store" --name bench --profile fast"#,
            run: r#""$mimeo" capture "$tree" --no-default-excludes --share "$kept/store" --name bench --profile fast"#,
            ..MIMEO
        },
        Tool {
            prepare: r#"borg init --encryption none "$kept/store"
borg create --compression zstd,3 "$kept/store::first" "$tree""#,
            ..peer(
                BORG,
                "borg",
                r#"borg create --compression zstd,3 "$kept/store::$(date +%s%N)" "$tree""#,
            )
        },
        Tool {
            prepare: r#"restic --quiet --repo "$kept/store" init --repository-version 2
restic --quiet --repo "$kept/store" backup "$tree""#,
            ..peer(
                RESTIC,
                "restic",
                r#"restic --quiet --repo "$kept/store" backup "$tree""#,
            )
        },
    ],
    claims: &[claim(OURS, Time, Against::Best(&[BORG, RESTIC]), 0.5)],
};
