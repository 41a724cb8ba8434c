//! Goal: nobody opens the containers by accident. The files are read as shipped; what they do on a
//! real engine is tried by deploy/docker/check.sh.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::repository;

const PROFILE: &str = "deploy/seccomp-palisade.json";

/// Calls that a job's walls are made of, which Docker's default refuses.
const GRANTED: [&str; 9] = [
    "clone",
    "clone3",
    "mount",
    "umount2",
    "pivot_root",
    "sethostname",
    "landlock_create_ruleset",
    "landlock_add_rule",
    "landlock_restrict_self",
];

/// Calls that nothing in a container needs and much has been broken with.
const REFUSED: [&str; 24] = [
    "acct",
    "add_key",
    "bpf",
    "chroot",
    "clock_settime",
    "delete_module",
    "finit_module",
    "init_module",
    "io_uring_enter",
    "io_uring_setup",
    "kexec_load",
    "keyctl",
    "move_pages",
    "open_by_handle_at",
    "perf_event_open",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "reboot",
    "request_key",
    "setns",
    "swapon",
    "syslog",
    "userfaultfd",
];

/// Every call of the profile with the conditions of its entries.
fn allowed() -> BTreeMap<String, Vec<Value>> {
    let profile: Value = serde_json::from_str(&repository(PROFILE)).unwrap();
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    let mut calls: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for entry in profile["syscalls"].as_array().unwrap() {
        assert_eq!(entry["action"], "SCMP_ACT_ALLOW", "{entry}");
        let comment = entry["comment"].as_str().unwrap_or_default();
        assert!(comment.len() > 12, "an entry without a reason: {entry}");
        for name in entry["names"].as_array().unwrap() {
            let conditions = calls.entry(name.as_str().unwrap().to_owned()).or_default();
            conditions.push(entry["args"].clone());
        }
    }
    calls
}

#[test]
fn profile_grants_the_walls_and_nothing_dangerous() {
    let calls = allowed();
    for name in GRANTED {
        assert!(
            calls.contains_key(name),
            "{name} is refused: no job could be sealed"
        );
    }
    for name in REFUSED {
        assert!(!calls.contains_key(name), "{name} is allowed");
    }
    for (name, conditions) in &calls {
        let open = conditions.iter().any(Value::is_null);
        assert!(!open || conditions.len() == 1, "{name} is named twice");
    }
    let families = &calls["socket"];
    assert!(
        families.iter().all(|args| !args.is_null()),
        "any socket family is allowed"
    );
}

#[test]
fn every_service_of_ours_is_sealed() {
    let text = repository("docker-compose.yml");
    for word in [
        "privileged",
        "cap_add",
        "network_mode: host",
        "pid: host",
        "docker.sock",
    ] {
        assert!(!text.contains(word), "docker-compose.yml says {word}");
    }
    let services = text.split_once("\nservices:\n").unwrap().1;
    let services = services.split_once("\nnetworks:\n").unwrap().0;
    let mut names = 0;
    for (number, line) in services.lines().enumerate() {
        let named = line
            .strip_prefix("  ")
            .filter(|rest| !rest.starts_with([' ', '#']));
        let Some(name) = named.and_then(|rest| rest.strip_suffix(':')) else {
            continue;
        };
        names += 1;
        let first = services.lines().nth(number + 1).unwrap_or_default().trim();
        let sealed = ["<<: *sealed", "<<: *validator"].contains(&first);
        assert!(
            sealed || name == "prometheus",
            "{name} is not sealed: {first}"
        );
    }
    assert_eq!(names, 7, "services");
    for line in [
        "cap_drop: [ALL]",
        "read_only: true",
        "- no-new-privileges",
        "- seccomp=deploy/seccomp-palisade.json",
        "user: \"10001:10001\"",
        "pids_limit:",
        "mem_limit:",
    ] {
        let sealed = text.split_once("\nx-validator:").unwrap().0;
        assert!(sealed.contains(line), "the seal lacks {line}");
    }
}

/// An engine without BuildKit builds every stage above its target.
#[test]
fn prebuilt_image_pulls_nothing() {
    let text = repository("deploy/docker/Dockerfile");
    let above = text.split_once(" AS build\n").unwrap().0;
    let stages: Vec<&str> = above
        .lines()
        .filter(|line| line.starts_with("FROM ") && line.contains(" AS "))
        .collect();
    assert_eq!(stages, ["FROM scratch AS base", "FROM base AS prebuilt"]);
}

#[test]
fn the_binary_carries_the_profile_that_is_shipped() {
    let dir = tempfile::tempdir().unwrap();
    let printed = crate::run(dir.path(), &["sandbox", "container-profile"]);
    assert_eq!(printed.status.code(), Some(0));
    assert_eq!(crate::stdout(&printed), repository(PROFILE));
}
