//! Goal: a net's name is the plain name of a folder; nothing is written, read or removed outside of
//! `palisade-testnet/` by way of it, and nothing outside of `-d` by way of a node's name.
//! Method: every command that takes a name gets wrong ones, in a directory with something to lose beside
//! it; the whole tree is compared before and after.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::{refused, run};

const WRONG: [&str; 5] = ["../victim", "..", "/victim", "a/b", "a b"];

/// Every file below a directory with its length; directories have none.
fn tree(dir: &Path) -> BTreeMap<PathBuf, Option<u64>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let (path, meta) = entry.map(|e| (e.path(), e.metadata().unwrap())).unwrap();
        if meta.is_dir() {
            found.extend(tree(&path));
        }
        found.insert(path, meta.is_file().then_some(meta.len()));
    }
    found
}

/// A directory to work in, beside one that looks like a net.
fn workplace(dir: &Path) -> PathBuf {
    let (work, victim) = (dir.join("work"), dir.join("work/victim"));
    for dir in [&work, &victim, &work.join("palisade-testnet")] {
        std::fs::create_dir_all(dir).unwrap();
    }
    std::fs::write(victim.join("precious"), "kept").unwrap();
    std::fs::write(
        work.join("net.toml"),
        "chain_name = \"palisade-local-1\"\n[node.alice]\n",
    )
    .unwrap();
    work
}

#[test]
fn every_command_refuses_a_path_for_a_name() {
    let dir = tempfile::tempdir().unwrap();
    let work = workplace(dir.path());
    let before = tree(dir.path());
    let commands: [&[&str]; 14] = [
        &["up", "--detach"],
        &["up", "--detach", "--fresh"],
        &["down", "--purge"],
        &["status"],
        &["endpoints"],
        &["accounts"],
        &["logs"],
        &["wait", "agree"],
        &["assert", "agree"],
        &["submit"],
        &["run", "net.toml"],
        &["byzantine", "alice", "off"],
        &["fault", "kill", "alice"],
        &["up", "--detach", "-f", "net.toml"],
    ];
    for command in commands {
        for name in WRONG {
            let args = [&["testnet"], command, &["--name", name]].concat();
            let problem = refused(&run(&work, &args), "testnet.config", 78);
            let (detail, hint) = (&problem["detail"], problem["hint"].as_str().unwrap());
            assert!(
                detail.as_str().unwrap().contains("--name"),
                "{args:?}: {detail}"
            );
            assert!(hint.contains("1 to 64 of a-z, A-Z, 0-9, - and _"), "{hint}");
        }
    }
    assert_eq!(tree(dir.path()), before);
}

#[test]
fn clients_refuse_a_path_for_a_net() {
    let dir = tempfile::tempdir().unwrap();
    let work = workplace(dir.path());
    for name in WRONG {
        let args = ["--net", name, "chain", "show"];
        let problem = refused(&run(&work, &args), "testnet.config", 78);
        assert!(
            problem["detail"].as_str().unwrap().contains("--net"),
            "{problem}"
        );
    }
}

#[test]
fn init_refuses_names_that_are_paths_and_numbers_that_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let work = workplace(dir.path());
    let before = tree(dir.path());
    let long = "a".repeat(33);
    let random = ["--keys", "random", "--client"];
    for wrong in [
        &["--names", "../../victim"][..],
        &["--names", "alice,../bob"],
        &["--names", "alice,"],
        &["--names", "alice,alice"],
        &["--names", "Alice"],
        &["--names", &long],
        &["--nodes", "0"],
        &["--nodes", "17"],
        &[&random[..], &["../../victim"]].concat(),
    ] {
        let args = [&["testnet", "init", "-d", "net"], wrong].concat();
        refused(&run(&work, &args), "testnet.config", 78);
        assert_eq!(tree(dir.path()), before, "{wrong:?}");
    }
    // The same with right names is written where it was asked for, once.
    let right = ["testnet", "init", "-d", "net", "--names", "ann,bo-2"];
    assert_eq!(run(&work, &right).status.code(), Some(0));
    assert!(work.join("net/nodes/bo-2/node.toml").exists());
    let problem = refused(&run(&work, &right), "testnet.config", 78);
    assert!(
        problem["hint"].as_str().unwrap().contains("--if-missing"),
        "{problem}"
    );
}
