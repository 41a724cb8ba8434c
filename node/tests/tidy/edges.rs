//! Which crate may depend on which: the list of the architecture, over `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use crate::tree::{Violation, root, violation};

/// Every allowed edge of ours.
const ALLOWED: [(&str, &[&str]); 10] = [
    ("protocol", &[]),
    ("ledger", &["protocol"]),
    ("consensus", &["protocol"]),
    ("net", &["protocol"]),
    ("storage", &["protocol"]),
    ("sandbox", &[]),
    ("runner", &["protocol"]),
    (
        "actors",
        &[
            "protocol",
            "ledger",
            "consensus",
            "net",
            "storage",
            "sandbox",
        ],
    ),
    (
        "testnet",
        &[
            "protocol",
            "net",
            "storage",
            "ledger",
            "consensus",
            "actors",
        ],
    ),
    (
        "node",
        &[
            "protocol",
            "ledger",
            "consensus",
            "net",
            "storage",
            "sandbox",
            "runner",
            "actors",
            "testnet",
        ],
    ),
];

pub(crate) fn check() -> Vec<Violation> {
    judge(&edges())
}

/// Ordinary dependencies between members of the workspace.
fn edges() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let ours: BTreeSet<&str> = packages.iter().filter_map(|p| p["name"].as_str()).collect();
    let mut edges = BTreeMap::new();
    for package in packages {
        let name = package["name"].as_str().expect("a name").to_owned();
        let dependencies = package["dependencies"].as_array().expect("dependencies");
        let ordinary = dependencies.iter().filter(|d| d["kind"].is_null());
        let names = ordinary.filter_map(|d| d["name"].as_str());
        edges.insert(
            name,
            names
                .filter(|n| ours.contains(n))
                .map(str::to_owned)
                .collect(),
        );
    }
    edges
}

fn judge(edges: &BTreeMap<String, BTreeSet<String>>) -> Vec<Violation> {
    let mut found = Vec::new();
    for (from, targets) in edges {
        let path = format!("{from}/Cargo.toml");
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| name == from) else {
            found.push(violation(
                &path,
                1,
                "a crate that the architecture does not know",
            ));
            continue;
        };
        for to in targets.iter().filter(|to| !allowed.contains(&to.as_str())) {
            let reason = format!("{from} -> {to} is forbidden by the architecture");
            found.push(violation(&path, 1, reason));
        }
    }
    found
}

#[test]
fn a_forbidden_edge_is_named() {
    let mut edges = edges();
    edges
        .entry("consensus".into())
        .or_default()
        .insert("ledger".into());
    let found = judge(&edges);
    assert!(
        found
            .iter()
            .any(|v| v.reason.contains("consensus -> ledger")),
        "{found:?}"
    );
}
