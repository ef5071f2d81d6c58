//! An image becomes a tree, and is read back.

use super::{MEMORY, MIMEO, OURS, claim, limit, peer};
use crate::bench::row::Measure::{Memory, Time};
use crate::bench::row::{Against, Caches, Claim, Ground, Row, Tool, Tree};

const UNSQUASHFS: &str = "unsquashfs zstd-3";
const COPY: &str = "cp -a";
const B3SUM: &str = "b3sum";

/// The sources are read warm: they were written just before.
const TOOLS: &[Tool] = &[
    Tool {
        prepare: r#""$mimeo" share init "$kept/store"
"$mimeo" capture "$tree" --no-default-excludes --share "$kept/store" --name bench --profile fast"#,
        run: r#""$mimeo" apply bench "$target/tree" --share "$kept/store" --no-verify"#,
        ..MIMEO
    },
    Tool {
        prepare: r#"mksquashfs "$tree" "$kept/image" -comp zstd -Xcompression-level 3 -no-progress -quiet"#,
        ..peer(
            UNSQUASHFS,
            "unsquashfs",
            r#"unsquashfs -no-progress -quiet -dest "$target/tree" "$kept/image""#,
        )
    },
    peer(COPY, "cp", r#"cp -a "$tree" "$target/tree""#),
];

const CLAIMS: &[Claim] = &[
    claim(OURS, Time, Against::Tool(UNSQUASHFS), 1.0),
    claim(OURS, Time, Against::Tool(COPY), 0.6),
    limit(Memory, MEMORY),
];

/// 4: a server.
pub(super) const SYSTEM: Row = Row {
    id: "4-system",
    work: "apply system to a fresh ext4",
    trees: &[Tree::System],
    ground: Ground::FreshExt4,
    caches: Caches::Warm,
    tools: TOOLS,
    claims: CLAIMS,
};

/// 4: a desktop.
pub(super) const DESKTOP: Row = Row {
    id: "4-desktop",
    work: "apply desktop to a fresh ext4",
    trees: &[Tree::Desktop],
    ground: Ground::FreshExt4,
    caches: Caches::Warm,
    tools: TOOLS,
    claims: CLAIMS,
};

/// 5: reading back costs hardly more than reading. `b3sum` reads the tree that
/// ours applied; where it is measured alone, a copy.
pub(super) const VERIFY: Row = Row {
    id: "5",
    work: "verify an applied desktop",
    trees: &[Tree::Desktop],
    ground: Ground::Folder,
    caches: Caches::Dropped,
    tools: &[
        Tool {
            prepare: r#""$mimeo" share init "$kept/store"
"$mimeo" capture "$tree" --no-default-excludes --share "$kept/store" --name bench --profile fast
"$mimeo" apply bench "$row/applied" --share "$kept/store" --no-verify"#,
            run: r#""$mimeo" verify bench "$row/applied" --share "$kept/store""#,
            ..MIMEO
        },
        Tool {
            prepare: r#"test -e "$row/applied" || cp -a "$tree" "$row/applied""#,
            ..peer(
                B3SUM,
                "b3sum",
                r#"find "$row/applied" -type f -print0 | xargs -0 b3sum > /dev/null"#,
            )
        },
    ],
    claims: &[claim(OURS, Time, Against::Tool(B3SUM), 1.3)],
};
