//! Several images in one store.

use super::{MIMEO, OURS, claim, limit, peer};
use crate::bench::row::Measure::Size;
use crate::bench::row::{Against, Caches, Ground, Row, Tool, Tree};

const OPTIMIZED: &str = "mimeo, optimized";
const BORG: &str = "borg zstd,3";
const RESTIC: &str = "restic";
const WIM: &str = "one WIM, XPRESS";
const PEERS: Against = Against::Best(&[BORG, RESTIC, WIM]);

/// 6: a system, the same a while later, and another.
pub(super) const THREE_IMAGES: Row = Row {
    id: "6",
    work: "desktop, updated desktop and system in one store",
    trees: &[Tree::Desktop, Tree::Updated, Tree::System],
    ground: Ground::Folder,
    caches: Caches::Warm,
    tools: &[
        Tool {
            before: r#""$mimeo" share init "$kept/store""#,
            run: r#"for name in desktop updated system; do
"$mimeo" capture "${!name}" --no-default-excludes --share "$kept/store" --name $name
done"#,
            ..MIMEO
        },
        // A copy, so that the share as captured keeps its figure.
        Tool {
            name: OPTIMIZED,
            run: r#"cp -a "$row/mimeo/kept/store" "$new/store"
"$mimeo" share optimize "$new/store"
"$mimeo" share gc --grace 0 "$new/store""#,
            ..MIMEO
        },
        Tool {
            before: r#"borg init --encryption none "$new/store""#,
            ..peer(
                BORG,
                "borg",
                r#"for name in desktop updated system; do
cd "${!name}"
borg create --compression zstd,3 "$new/store::$name" .
done"#,
            )
        },
        Tool {
            before: r#"restic --quiet --repo "$new/store" init --repository-version 2"#,
            ..peer(
                RESTIC,
                "restic",
                r#"for name in desktop updated system; do
cd "${!name}"
restic --quiet --repo "$new/store" backup .
done"#,
            )
        },
        peer(
            WIM,
            "wimlib-imagex",
            r#"wimlib-imagex capture "$desktop" "$new/store.wim" desktop --unix-data --compress=XPRESS > /dev/null
wimlib-imagex append "$updated" "$new/store.wim" updated --unix-data > /dev/null
wimlib-imagex append "$system" "$new/store.wim" system --unix-data > /dev/null"#,
        ),
        peer(
            "casync",
            "casync",
            r#"for name in desktop updated system; do
casync make --store "$new/store" "$new/$name.caidx" "${!name}" > /dev/null
done"#,
        ),
    ],
    claims: &[
        claim(OURS, Size, PEERS, 0.90),
        claim(OPTIMIZED, Size, PEERS, 0.75),
    ],
};

/// 7: a large file that changed a little everywhere. What is stored is what the
/// second capture added.
pub(super) const EDITED_DISK: Row = Row {
    id: "7",
    work: "capture a 2 GiB disk again, 1 % of its blocks edited",
    trees: &[Tree::Machine, Tree::Edited],
    ground: Ground::Folder,
    caches: Caches::Warm,
    tools: &[
        Tool {
            prepare: r#""$mimeo" share init "$kept/store"
"$mimeo" capture "$machine" --no-default-excludes --share "$kept/store" --name bench"#,
            run: r#""$mimeo" capture "$edited" --no-default-excludes --share "$kept/store" --name bench"#,
            ..MIMEO
        },
        Tool {
            prepare: r#"casync make --store "$kept/store" "$kept/first.caidx" "$machine" > /dev/null"#,
            ..peer(
                "casync, 64 KiB",
                "casync",
                r#"casync make --store "$kept/store" "$kept/second.caidx" "$edited" > /dev/null"#,
            )
        },
        Tool {
            prepare: r#"borg init --encryption none "$kept/store"
cd "$machine"
borg create --chunker-params 10,23,16,4095 --compression zstd,3 "$kept/store::first" ."#,
            ..peer(
                "borg, 64 KiB",
                "borg",
                r#"cd "$edited"
borg create --chunker-params 10,23,16,4095 --compression zstd,3 "$kept/store::second" ."#,
            )
        },
    ],
    claims: &[limit(Size, Against::Limit(60e6))],
};
