//! Goal: a net that finds no room says which path and why, with exit code 4, and begins anew once there is
//! room. Method: the folder of nets is a small file system of its own, in a mount namespace of its own.
//! No root is needed where the kernel lets users have namespaces; where it does not the test says so.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs a script where `palisade-testnet` can be mounted on; `None` if this user may not.
fn in_namespace(dir: &Path, script: &str) -> Option<Output> {
    let mut command = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    let mount =
        "mkdir palisade-testnet && mount -t tmpfs -o size=$1 disk palisade-testnet || exit 99";
    let output = command
        .args(["--mount", "--propagation", "private", "sh", "-c"])
        .arg(format!("{}\n{script}", mount.replace("$1", "\"$SIZE\"")))
        .current_dir(dir)
        .env("PALISADE", env!("CARGO_BIN_EXE_palisade"))
        .env_remove("PALISADE_HOME")
        .env("SIZE", SIZES[0])
        .output()
        .ok()?;
    (![Some(99), Some(1)].contains(&output.status.code())).then_some(output)
}

/// Too little for a home's files; enough for those and not for what a node writes; plenty.
const SIZES: [&str; 3] = ["64k", "4m", "1g"];

const SCRIPT: &str = r#"
up() {
    "$PALISADE" --output json testnet up --detach --name small --nodes 1 "$@" >out 2>err
    echo "$? $(tail -n 1 err)"
}
resize() {
    # The options it has name users that a namespace does not know; they stay as they are.
    mount --options-mode ignore -o "remount,size=$1" palisade-testnet || exit 98
}
up
resize 4m
up
resize 1g
up --fresh
"$PALISADE" --output json testnet assert --name small 'height >= 1 && agree' >out 2>err
echo "$? $(tail -n 1 err)"
"$PALISADE" --output json testnet down --name small >out 2>err
echo "$? $(tail -n 1 err)"
exit 0
"#;

#[test]
fn a_full_disk_is_named_and_a_fresh_start_repairs() {
    let dir = tempfile::tempdir().unwrap();
    let Some(output) = in_namespace(dir.path(), SCRIPT) else {
        eprintln!("skipped: this user may not mount a disk of its own (unshare, mount)");
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<(&str, &str)> = said
        .lines()
        .filter_map(|line| line.split_once(' '))
        .collect();
    let [unwritten, unstarted, fresh, held, down] = lines.as_slice() else {
        panic!("{said} {}", String::from_utf8_lossy(&output.stderr));
    };
    for (size, (exit, line)) in SIZES.iter().zip([unwritten, unstarted]) {
        let problem: Value = serde_json::from_str(line).unwrap_or_default();
        assert_eq!(
            (*exit, problem["code"].as_str()),
            ("4", Some("testnet.unavailable")),
            "{line}"
        );
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(
            detail.contains("palisade-testnet/small"),
            "{size}: {detail}"
        );
        assert!(
            detail.to_lowercase().contains("no space"),
            "{size}: {detail}"
        );
        assert!(
            problem["hint"].as_str().unwrap().contains("--fresh"),
            "{size}: {problem}"
        );
    }
    for (exit, line) in [fresh, held, down] {
        assert_eq!(*exit, "0", "{line}");
    }
}
