//! Goal: one process per home, one chain and layout per directory. Method: a second process tries,
//! and STORE is rewritten.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use protocol::units::TimeMs;
use storage::home::{HomeError, check_store};
use storage::{ExitKind, HomeLock, OpenError};

use crate::scene::{chain, init_sign_state, open};

const HOME: &str = "STORAGE_TEST_LOCKED_HOME";

/// The second process's part: exits as the node would.
#[test]
fn second_process() {
    let Some(home) = std::env::var_os(HOME) else {
        return;
    };
    match open(Path::new(&home)) {
        Ok(_) => std::process::exit(0),
        Err(error) => {
            println!("@{error}");
            std::process::exit(i32::from(error.exit().code()));
        }
    }
}

fn run_second(home: &Path) -> (i32, String) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "locked_twice::second_process", "--nocapture"])
        .env(HOME, home)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.split_once('@'))
        .map(|(_, error)| error);
    (
        output.status.code().unwrap(),
        line.unwrap_or_default().to_owned(),
    )
}

#[test]
fn the_second_process_ends_with_75_and_names_the_first() {
    let home = tempfile::tempdir().unwrap();
    init_sign_state(home.path());
    let (storage, _) = open(home.path()).unwrap();
    let (code, error) = run_second(home.path());
    assert_eq!(code, 75, "{error}");
    assert!(
        error.contains(&format!("process {}", std::process::id())),
        "{error}"
    );
    storage.close().unwrap();
    assert_eq!(run_second(home.path()).0, 0, "the lock outlived its holder");
}

#[test]
fn the_second_hold_in_one_process_is_refused_too() {
    let home = tempfile::tempdir().unwrap();
    let first = HomeLock::acquire(home.path()).unwrap();
    let error = HomeLock::acquire(home.path()).unwrap_err();
    let pid = std::process::id();
    assert!(
        matches!(error, HomeError::Locked { pid: Some(found), .. } if found == pid),
        "{error}"
    );
    assert_eq!(error.exit(), ExitKind::SignState);
    drop(first);
    assert!(HomeLock::acquire(home.path()).is_ok());
}

#[test]
fn an_orderly_stop_is_told_from_a_crash() {
    let home = tempfile::tempdir().unwrap();
    let lock = HomeLock::acquire(home.path()).unwrap();
    assert_eq!(lock.previous(), None);
    drop(lock);
    let lock = HomeLock::acquire(home.path()).unwrap();
    assert_eq!(lock.previous().unwrap().stopped, None);
    assert_eq!(lock.stopped_ago(TimeMs(u64::MAX)), None, "after a crash");
    lock.release(TimeMs(1234)).unwrap();
    let lock = HomeLock::acquire(home.path()).unwrap();
    let previous = lock.previous().unwrap();
    assert_eq!(
        (previous.stopped, previous.boot_id.as_str()),
        (Some(TimeMs(1234)), lock.boot_id())
    );
    let second = std::time::Duration::from_secs(1);
    assert_eq!(lock.stopped_ago(TimeMs(2234)), Some(second));
    assert_eq!(lock.stopped_ago(TimeMs(1000)), None, "the clock went back");
    drop(lock);
    // The same lines from before the machine was started again.
    fs::write(
        home.path().join("run/lock"),
        "pid=1\nboot=other\nstopped=1234\n",
    )
    .unwrap();
    let lock = HomeLock::acquire(home.path()).unwrap();
    assert_eq!(lock.previous().unwrap().stopped, Some(TimeMs(1234)));
    assert_eq!(lock.stopped_ago(TimeMs(2234)), None);
}

#[test]
fn store_file() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    check_store(&data, chain(), "0.1.0").unwrap();
    check_store(&data, chain(), "0.2.0").unwrap();
    let store = data.join("STORE");
    let text = fs::read_to_string(&store).unwrap();
    assert_eq!(
        text,
        format!("layout=1\ngenesis={}\ncreated_by=0.1.0\n", chain())
    );
    let other = protocol::digest::ChainId::of_genesis(b"other");
    let table = [
        (
            text.replace("layout=1", "layout=2"),
            chain(),
            ExitKind::NewerLayout,
        ),
        (
            text.replace("layout=1", "layout=0"),
            chain(),
            ExitKind::Durability,
        ),
        (text.clone(), other, ExitKind::Configuration),
        (
            text.replace("genesis", "genes"),
            chain(),
            ExitKind::Durability,
        ),
        (String::new(), chain(), ExitKind::Durability),
        (
            text.replace("layout=1", "layout=x"),
            chain(),
            ExitKind::Durability,
        ),
    ];
    for (text, chain, exit) in table {
        fs::write(&store, &text).unwrap();
        let error = check_store(&data, chain, "0.1.0").unwrap_err();
        assert_eq!(error.exit(), exit, "{text:?}: {error}");
    }
}

#[test]
fn a_newer_layout_stops_the_open() {
    let home = tempfile::tempdir().unwrap();
    init_sign_state(home.path());
    let data = home.path().join("data");
    fs::write(
        data.join("STORE"),
        format!("layout=9\ngenesis={}\n", chain()),
    )
    .unwrap();
    let error = open(home.path()).unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::Home(HomeError::NewerLayout { found: 9, .. })
        ),
        "{error}"
    );
    assert_eq!(error.exit().code(), 74);
}
