//! Goal: an operator's build carries nobody who misbehaves, and every build says what it carries.
//! Method: the same assertions under both settings of the feature `byzantine`; `.ci/run` runs them
//! under both. The binary's own bytes are searched for names that occur in profiles alone.

use std::fs::File;
use std::io::Read as _;

use serde_json::Value;

use crate::{refused, run, stdout};

const CARRIED: bool = cfg!(feature = "byzantine");
const NAMES: [&str; 3] = ["forged-evidence", "withhold-reveal", "wrong-juror"];

#[test]
fn an_operator_build_carries_profiles() {
    let mut binary = File::open(env!("CARGO_BIN_EXE_palisade")).unwrap();
    let mut found = [false; NAMES.len()];
    // Chunks overlap by more than a name.
    let (mut buffer, mut kept) = (vec![0; 4 << 20], 0);
    loop {
        let read = binary.read(&mut buffer[kept..]).unwrap();
        if read == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&buffer[..kept + read]);
        for (name, found) in NAMES.iter().zip(&mut found) {
            *found |= text.contains(name);
        }
        let end = kept + read;
        kept = end.min(64);
        buffer.copy_within(end - kept..end, 0);
    }
    assert_eq!(found, [CARRIED; NAMES.len()], "{NAMES:?}");
}

#[test]
fn a_build_does_not_say_what_it_carries() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(dir.path(), &["--version", "--output", "json"]);
    let document: Value = serde_json::from_str(&stdout(&ran)).unwrap();
    let features = document["features"].as_array().unwrap();
    assert_eq!(features.iter().any(|name| name == "byzantine"), CARRIED);
}

#[test]
fn a_build_without_profiles_rehearses() {
    if CARRIED {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let told = ["testnet", "byzantine", "mallory", "no-show"];
    for args in [&["demo"], told.as_slice()] {
        refused(&run(dir.path(), args), "testnet.left_out", 2);
    }
}
