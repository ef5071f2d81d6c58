//! 8: much of everything, in memory that does not grow with it.

use super::{MEMORY, MIMEO, limit};
use crate::bench::row::Measure::{Memory, Time};
use crate::bench::row::{Against, Caches, Claim, Ground, Row, Tool, Tree};

const IN_BOUNDS: &[Claim] = &[limit(Memory, MEMORY)];

const fn row(id: &'static str, work: &'static str, trees: &'static [Tree]) -> Row {
    Row {
        id,
        work,
        trees,
        ground: Ground::Folder,
        caches: Caches::Warm,
        tools: &[],
        claims: IN_BOUNDS,
    }
}

const PREPARE: &str = r#""$mimeo" share init "$kept/store"
"$mimeo" capture "$tree" --no-default-excludes --share "$kept/store" --name bench --profile fast"#;

/// A million files go in.
pub(super) const CAPTURE_MILLION: Row = Row {
    tools: &[Tool {
        before: r#""$mimeo" share init "$new/store""#,
        run: r#""$mimeo" capture "$tree" --no-default-excludes --share "$new/store" --name bench --profile fast"#,
        ..MIMEO
    }],
    ..row("8-capture", "capture a million files", &[Tree::Million])
};

/// A million files come out.
pub(super) const APPLY_MILLION: Row = Row {
    tools: &[Tool {
        prepare: PREPARE,
        run: r#""$mimeo" apply bench "$new/tree" --share "$kept/store""#,
        ..MIMEO
    }],
    ..row(
        "8-apply",
        "apply and verify a million files",
        &[Tree::Million],
    )
};

/// A hole is not read.
pub(super) const SPARSE_CAPTURE: Row = Row {
    tools: &[Tool {
        before: r#""$mimeo" share init "$new/store""#,
        run: r#""$mimeo" capture "$tree" --no-default-excludes --share "$new/store" --name bench --profile fast"#,
        ..MIMEO
    }],
    ..row(
        "8-sparse-capture",
        "capture a sparse file of 50 GB",
        &[Tree::Sparse],
    )
};

/// A hole is not written: the file takes no more room than its data.
pub(super) const SPARSE_APPLY: Row = Row {
    tools: &[Tool {
        prepare: PREPARE,
        run: r#""$mimeo" apply bench "$new/tree" --share "$kept/store"
test "$(stat --format=%s "$new/tree/disk.img")" = "$(stat --format=%s "$tree/disk.img")"
test "$(du --block-size=1M "$new/tree/disk.img" | cut --fields=1)" -lt 100"#,
        ..MIMEO
    }],
    ..row(
        "8-sparse-apply",
        "apply a sparse file of 50 GB",
        &[Tree::Sparse],
    )
};

/// One folder of one of ten images is found without reading the rest. Between
/// the captures a file changes, so that there are ten images and not one.
pub(super) const LIST: Row = Row {
    tools: &[Tool {
        prepare: r#""$mimeo" share init "$kept/store"
for turn in 0 1 2 3 4 5 6 7 8 9; do
echo $turn > "$tree/turn"
"$mimeo" capture "$tree" --no-default-excludes --share "$kept/store" --name bench$turn --profile fast
done
rm "$tree/turn""#,
        run: r#""$mimeo" image ls bench5 /500 --share "$kept/store" > /dev/null"#,
        ..MIMEO
    }],
    claims: &[limit(Time, Against::Limit(0.1)), limit(Memory, MEMORY)],
    ..row(
        "8-list",
        "list a folder of one of ten images of a million files",
        &[Tree::Million],
    )
};
