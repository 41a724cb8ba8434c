//! Goal: the simulator's command says what is wrong with an argument, names its seeds first, and
//! prints one document of a known shape. Method: the binary, its exit code and its two streams.

use std::path::Path;

use serde_json::Value;

use crate::{palisade, run, stdout};

fn sim(dir: &Path, args: &[&str]) -> std::process::Output {
    run(dir, &[["testnet", "sim"].as_slice(), args].concat())
}

#[test]
fn arguments_that_make_no_sense() {
    let dir = tempfile::tempdir().unwrap();
    let wrong: [(&[&str], &str); 16] = [
        (&[], "--seed"),
        (&["--seeds", "5..5"], "holds no seed"),
        (&["--seeds", "9..3"], "holds no seed"),
        (&["--seeds", "0-9"], "A..B"),
        (&["--seeds", "0..x"], "`x`"),
        (&["--seeds", "0..18446744073709551616"], "too large"),
        (&["--seed", "18446744073709551615"], "is not in"),
        (&["--seed", "18446744073709551616"], "too large"),
        (&["--seed", "1", "--seeds", "0..2"], "cannot be used"),
        (&["--seed", "1", "--n", "0"], "1..=256"),
        (&["--seed", "1", "--n", "257"], "1..=256"),
        (&["--seed", "1", "--heights", "0"], "is not in"),
        (&["--seed", "1", "--threads", "0"], "is not in"),
        (&["--seed", "1", "--profile", "byzantyne"], "'byzantine'"),
        (&["--seed", "1", "--layer", "3"], "possible values"),
        (&["--economics", "--jobs", "0"], "is not in"),
    ];
    for (args, says) in wrong {
        let ran = sim(dir.path(), args);
        let text = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains(says), "{args:?}: {text}");
        assert!(ran.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn one_document_whatever_the_threads() {
    let dir = tempfile::tempdir().unwrap();
    let document = |threads: &str| -> Value {
        let args = ["--seeds", "0..3", "--threads", threads, "--output", "json"];
        let ran = sim(dir.path(), &args);
        let text = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(0), "{text}");
        let first = text.lines().next().unwrap_or_default();
        assert!(first.starts_with("seeds 0..3, 4 validators"), "{text}");
        serde_json::from_str(&stdout(&ran)).unwrap()
    };
    let (one, three) = (document("1"), document("3"));
    assert_eq!(one["schema"], "palisade.sim/1");
    assert_eq!((&one["ok"], &one["complete"]), (&true.into(), &true.into()));
    assert_eq!(one["scenarios"], 6, "both layers of each seed: {one}");
    for layer in ["1", "2"] {
        assert_eq!(one["layers"][layer]["scenarios"], 3, "{one}");
        assert_eq!(one["layers"][layer]["without_verdict"], 0, "{one}");
    }
    assert_eq!(one["failures"], Value::Array(Vec::new()));
    for same in ["digest", "events", "messages", "heights", "tally"] {
        assert_eq!(one[same], three[same], "{same}");
    }
}

/// Goal: Ctrl-C ends a run that would take years, with a report of what was done.
#[test]
fn a_run_that_is_interrupted() {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;

    let dir = tempfile::tempdir().unwrap();
    let mut child = palisade(dir.path())
        .args(["testnet", "sim", "--seeds", "0..1000000000000"])
        .args(["--layer", "1", "--output", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    // The second line is that of progress: seeds are at work.
    let first = [said.next().unwrap().unwrap(), said.next().unwrap().unwrap()];
    assert!(first[1].contains(" of 1000000000000 seeds"), "{first:?}");
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130));
    let report: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(report["complete"], false);
    assert_eq!(report["ok"], false);
    assert!(report["seeds_done"].as_u64().unwrap() > 0, "{report}");
}
