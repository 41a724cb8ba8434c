//! The profiles hold what the design says, and merging changes no answer.

use super::machine::{Answer, Call};
use super::*;
use proptest::prelude::*;

fn rules(json: &str, filter: &str) -> Vec<Value> {
    let value: Value = serde_json::from_str(json).unwrap();
    value[filter]["filter"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}

fn names(json: &str, filter: &str) -> BTreeSet<String> {
    rules(json, filter)
        .iter()
        .map(|r| r["syscall"].as_str().unwrap().to_owned())
        .collect()
}

fn filter_names(json: &str) -> Vec<String> {
    let value: Value = serde_json::from_str(json).unwrap();
    value.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn both_profiles_compile() {
    let compiled = compile_all().unwrap();
    assert!(
        !compiled.native.init.is_empty(),
        "init has a filter of its own"
    );
    for filters in [
        &compiled.runner,
        &compiled.native,
        &compiled.native_processes,
    ] {
        // A filter this long would take as long to install as the three it replaces.
        let length = filters.program.len();
        assert!((50..600).contains(&length), "{length} instructions");
    }
}

/// An entry nobody can explain is an entry nobody dares to remove.
#[test]
fn every_entry_says_who_needs_it() {
    for json in [RUNNER_JSON, NATIVE_JSON] {
        for filter in filter_names(json) {
            for rule in rules(json, &filter) {
                let comment = rule["comment"].as_str().unwrap_or_default();
                assert!(comment.len() > 8, "{filter}: {rule}");
            }
        }
    }
}

#[test]
fn allow_contains_all_of_absent() {
    for json in [RUNNER_JSON, NATIVE_JSON] {
        let allow = names(json, "allow");
        let missing: Vec<_> = names(json, "absent")
            .into_iter()
            .filter(|n| !allow.contains(n))
            .collect();
        assert!(missing.is_empty(), "absent but not allowed: {missing:?}");
    }
}

#[test]
fn no_rule_is_redundant() {
    for json in [
        RUNNER_JSON,
        NATIVE_JSON,
        &with_processes(NATIVE_JSON).unwrap(),
    ] {
        for filter in filter_names(json) {
            let mut unconditional = BTreeSet::new();
            let all = rules(json, &filter);
            for rule in all.iter().filter(|r| r["args"].is_null()) {
                let name = rule["syscall"].as_str().unwrap();
                assert!(
                    unconditional.insert(name.to_owned()),
                    "{filter}: {name} twice"
                );
            }
            for rule in all.iter().filter(|r| !r["args"].is_null()) {
                let name = rule["syscall"].as_str().unwrap();
                let shadowed = unconditional.contains(name) && filter != "processes";
                assert!(!shadowed, "{filter}: {name} allowed twice");
            }
        }
        let kill = names(json, "kill");
        assert!(
            kill.is_disjoint(&names(json, "allow")),
            "both killed and allowed"
        );
    }
}

#[test]
fn filters_have_the_actions_of_the_design() {
    let action = |json: &str, filter: &str, which: &str| {
        let value: Value = serde_json::from_str(json).unwrap();
        value[filter][which].clone()
    };
    let enosys = serde_json::json!({"errno": libc::ENOSYS});
    let eperm = serde_json::json!({"errno": libc::EPERM});
    for json in [RUNNER_JSON, NATIVE_JSON] {
        assert_eq!(action(json, "kill", "match_action"), "kill_process");
        assert_eq!(action(json, "absent", "match_action"), enosys);
        assert_eq!(action(json, "allow", "match_action"), "allow");
    }
    assert_eq!(
        action(RUNNER_JSON, "allow", "mismatch_action"),
        "kill_process"
    );
    assert_eq!(action(NATIVE_JSON, "allow", "mismatch_action"), eperm);
}

/// A 64-bit comparison of a 32-bit argument is bypassed by garbage in the high half. Only
/// the null check of a pointer needs all 64 bits.
#[test]
fn arguments_are_compared_as_the_kernel_reads_them() {
    for json in [RUNNER_JSON, NATIVE_JSON] {
        for filter in filter_names(json) {
            for rule in rules(json, &filter) {
                for condition in rule["args"].as_array().into_iter().flatten() {
                    let wide = condition["type"] == "qword";
                    let pointer = rule["syscall"] == "prlimit64";
                    assert_eq!(wide, pointer, "{filter}: {rule}");
                }
            }
        }
    }
}

#[test]
fn memory_files_are_never_allowed() {
    for json in [RUNNER_JSON, &with_processes(NATIVE_JSON).unwrap()] {
        let allow = names(json, "allow");
        for name in [
            "memfd_create",
            "memfd_secret",
            "socket",
            "ptrace",
            "unshare",
            "mount",
        ] {
            assert!(!allow.contains(name), "{name}");
        }
    }
}

/// Each profile as three stacked filters and as the merged one.
fn both_forms() -> Vec<([BpfProgram; 3], BpfProgram)> {
    let processes = with_processes(NATIVE_JSON).unwrap();
    [RUNNER_JSON, NATIVE_JSON, &processes]
        .into_iter()
        .map(|json| {
            let mut map = compile(json).unwrap();
            let stacked = ["kill", "absent", "allow"].map(|name| map.remove(name).unwrap());
            (stacked, filters(json).unwrap().program)
        })
        .collect()
}

fn act(program: &[seccompiler::sock_filter], call: &Call) -> u32 {
    match machine::answer(program, call) {
        Some(Answer::Action(action)) => action,
        other => panic!("{call:?}: {other:?}"),
    }
}

fn assert_alike(stacked: &[BpfProgram; 3], merged: &BpfProgram, call: &Call) {
    let answers = stacked.each_ref().map(|program| act(program, call));
    assert_eq!(act(merged, call), merge::strictest(&answers), "{call:?}");
}

/// Goal: merging loses no rule. Method: every number, native and x32 and beyond, with arguments
/// that the rules name, against the three filters seccompiler made.
#[test]
fn merging_changes_no_answer() {
    let named = [
        0,
        1,
        4,
        6,
        7,
        38,
        4096,
        0x1_0900,
        0x3d_0f00,
        0x1000_0000,
        0x1_0000_0000,
    ];
    let mut numbers: Vec<u32> = (0..1200).collect();
    numbers.extend((0..1200).map(|number| number | 0x4000_0000));
    numbers.extend([u32::MAX, 0x8000_0000]);
    for (stacked, merged) in forms() {
        for architecture in [merge::ARCHITECTURE, 0x4000_0003, 0] {
            for number in &numbers {
                for value in named {
                    let call = Call {
                        architecture,
                        number: *number,
                        arguments: Some([value; 6]),
                    };
                    assert_alike(stacked, merged, &call);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    /// The same with arguments nobody thought of.
    #[test]
    fn merging_changes_no_answer_for_any_arguments(
        number in 0u32..512,
        arguments in any::<[u64; 6]>(),
        bits in 0u64..(1 << 17),
    ) {
        for (stacked, merged) in forms() {
            for first in [arguments[0], bits] {
                let mut arguments = arguments;
                arguments[0] = first;
                let call = Call {
                    architecture: merge::ARCHITECTURE,
                    number,
                    arguments: Some(arguments),
                };
                assert_alike(stacked, merged, &call);
            }
        }
    }
}

fn forms() -> &'static [([BpfProgram; 3], BpfProgram)] {
    static FORMS: OnceLock<Vec<([BpfProgram; 3], BpfProgram)>> = OnceLock::new();
    FORMS.get_or_init(both_forms)
}

#[test]
fn the_strictest_answer_wins_and_the_newest_errno() {
    let errno = |number: u32| libc::SECCOMP_RET_ERRNO | number;
    let (kill, allow) = (libc::SECCOMP_RET_KILL_PROCESS, libc::SECCOMP_RET_ALLOW);
    assert_eq!(merge::strictest(&[allow, allow, allow]), allow);
    assert_eq!(merge::strictest(&[kill, errno(38), allow]), kill);
    assert_eq!(merge::strictest(&[allow, errno(38), allow]), errno(38));
    assert_eq!(merge::strictest(&[allow, errno(38), errno(1)]), errno(1));
    assert_eq!(merge::strictest(&[allow, errno(1), kill]), kill);
}
