//! Everything linked is under a licence that `deny.toml` allows.

use std::collections::BTreeSet;

use lab::command::sh;
use serde_json::Value;

/// The licences between the brackets of `allow` in `deny.toml`.
fn allowed() -> BTreeSet<String> {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../deny.toml")).unwrap();
    let list = text
        .split_once("allow = [")
        .and_then(|(_, rest)| rest.split_once(']'))
        .unwrap()
        .0;
    list.split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// Whether a licence expression can be met: one alternative of every part.
fn met(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let plain = expression.replace(['(', ')'], " ").replace('/', " OR ");
    plain.split(" AND ").all(|part| {
        part.split(" OR ").any(|one| {
            let one = one.trim();
            allowed.contains(one)
                || one
                    .split_once(" WITH ")
                    .is_some_and(|(base, _)| allowed.contains(base))
        })
    })
}

#[test]
fn no_dependency_has_a_licence_that_is_not_allowed() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let metadata = [
        "metadata",
        "--format-version=1",
        "--locked",
        "--filter-platform",
    ];
    let text = sh(&[
        &[cargo.as_str()],
        &metadata[..],
        &["x86_64-unknown-linux-gnu"],
    ]
    .concat())
    .unwrap();
    let metadata: Value = serde_json::from_str(&text).unwrap();
    let allowed = allowed();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100, "the list of packages is not complete");
    let refused: Vec<String> = packages
        .iter()
        .filter(|package| !met(package["license"].as_str().unwrap_or("none"), &allowed))
        .map(|package| {
            format!(
                "{} {}: {}",
                package["name"], package["version"], package["license"]
            )
        })
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn expressions_are_met_part_by_part() {
    let allowed: BTreeSet<String> = ["MIT", "ISC"].iter().map(|&l| l.to_owned()).collect();
    assert!(met("MIT OR GPL-3.0", &allowed));
    assert!(met("(MIT OR Apache-2.0) AND ISC", &allowed));
    assert!(!met("GPL-3.0-only", &allowed));
    assert!(!met("MIT AND GPL-3.0", &allowed));
}
