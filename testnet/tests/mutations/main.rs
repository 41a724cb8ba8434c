//! Goal: the oracles can fail. Each fault that is planted breaks one within 2,000 seeds.
//!
//! `cargo test -p testnet --features planted --test mutations`; docs/simulator.md lists the first
//! seeds, and these tests compare them.
#![allow(missing_docs, reason = "tests")]

mod agreement;
mod ledger;

use std::fmt::Debug;

use testnet::sim::app::Broken;

const SEEDS: u64 = 2_000;

/// Seed and oracle of each row of the tables, in their order: agreement, ledger, workflows.
fn documented() -> Vec<(u64, String)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/simulator.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, after) = text.split_once("## Planted faults").unwrap();
    let (section, _) = after.split_once("\n## ").unwrap();
    let row = |line: &str| {
        let mut cells = line.split('|').map(str::trim).skip(2);
        Some((cells.next()?.parse().ok()?, cells.next()?.to_owned()))
    };
    section.lines().filter_map(row).collect()
}

/// Each fault is seen, where and by which oracle the document says.
fn compare<B: Debug, P>(
    bugs: &[B],
    rows: &[(u64, String)],
    plant: impl Fn(&B) -> P,
    broken: impl Fn(u64) -> Option<Broken>,
) {
    assert_eq!(
        bugs.len(),
        rows.len(),
        "one row of docs/simulator.md a fault"
    );
    let mut wrong = Vec::new();
    for (bug, row) in bugs.iter().zip(rows) {
        let planted = plant(bug);
        let first = (0..SEEDS).find_map(|seed| Some((seed, broken(seed)?)));
        drop(planted);
        let Some((seed, found)) = first else {
            wrong.push(format!("{bug:?} stays green for {SEEDS} seeds"));
            continue;
        };
        let text: String = found.text.chars().take(120).collect();
        println!("{bug:?}: seed {seed}, {}: {text}", found.oracle);
        if *row != (seed, found.oracle.to_owned()) {
            wrong.push(format!("{bug:?}: {seed}, {}, not {row:?}", found.oracle));
        }
    }
    assert!(wrong.is_empty(), "docs/simulator.md: {wrong:#?}");
}
