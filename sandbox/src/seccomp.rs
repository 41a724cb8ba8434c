//! The third wall: three stacked filters per profile, compiled once from commented JSON.
//!
//! ```text
//! kill    listed -> the process dies          else allow
//! absent  listed -> ENOSYS                    else allow
//! allow   listed -> allow                     else die (runner) or EPERM (native)
//! ```
//! All three run on every call and the strictest answer wins; among errnos the newest filter
//! wins, so `allow`, installed last, must let through what `absent` answers.

use std::collections::HashMap;
use std::sync::OnceLock;

use seccompiler::{BpfProgram, TargetArch};
use serde_json::Value;

use crate::error::SealError;
use crate::limits::Limits;
use crate::spec::Profile;

/// Profile of our own runner.
pub(crate) const RUNNER_JSON: &str = include_str!("../profiles/x86_64/runner.json");
/// Profile of other people's static programs.
pub(crate) const NATIVE_JSON: &str = include_str!("../profiles/x86_64/native.json");

/// The JSON source of a profile, for people to read.
#[must_use]
pub fn profile_source(profile: Profile) -> &'static str {
    match profile {
        Profile::Runner => RUNNER_JSON,
        Profile::Native => NATIVE_JSON,
    }
}

/// Filters of one profile in the order they are installed.
#[derive(Debug)]
pub(crate) struct Filters {
    pub(crate) stages: [BpfProgram; 3],
    /// What pid 1 restricts itself to (native).
    pub(crate) init: BpfProgram,
}

/// Every filter of this build.
#[derive(Debug)]
pub(crate) struct Compiled {
    runner: Filters,
    native: Filters,
    native_processes: Filters,
}

impl Compiled {
    /// The filters for one job: native gets process calls only if it may have processes.
    pub(crate) fn of(&self, profile: Profile, limits: &Limits) -> &Filters {
        match profile {
            Profile::Runner => &self.runner,
            Profile::Native if limits.tasks > 1 => &self.native_processes,
            Profile::Native => &self.native,
        }
    }
}

/// Compiles on first use. The profiles are part of the binary and a unit test compiles them, so
/// a failure here is a broken build, reported as text.
pub(crate) fn compiled() -> Result<&'static Compiled, String> {
    static COMPILED: OnceLock<Result<Compiled, String>> = OnceLock::new();
    COMPILED
        .get_or_init(compile_all)
        .as_ref()
        .map_err(Clone::clone)
}

fn compile_all() -> Result<Compiled, String> {
    let merged = with_processes(NATIVE_JSON)?;
    Ok(Compiled {
        runner: filters(RUNNER_JSON)?,
        native: filters(NATIVE_JSON)?,
        native_processes: filters(&merged)?,
    })
}

fn compile(json: &str) -> Result<HashMap<String, BpfProgram>, String> {
    seccompiler::compile_from_json(json.as_bytes(), TargetArch::x86_64).map_err(|e| e.to_string())
}

fn filters(json: &str) -> Result<Filters, String> {
    let mut map = compile(json)?;
    let mut take = |name: &str| {
        map.remove(name)
            .ok_or(format!("profile lacks filter {name}"))
    };
    Ok(Filters {
        stages: [take("kill")?, take("absent")?, take("allow")?],
        init: take("init").unwrap_or_default(),
    })
}

/// The profile with its `processes` rules added to `allow`.
pub(crate) fn with_processes(json: &str) -> Result<String, String> {
    let mut value: Value = serde_json::from_str(json).map_err(|e| e.to_string())?;
    let extra = value["processes"]["filter"].take();
    let (Some(extra), Some(allow)) = (extra.as_array(), value["allow"]["filter"].as_array_mut())
    else {
        return Err("profile lacks filter processes or allow".to_owned());
    };
    allow.extend(extra.iter().cloned());
    value["processes"]["filter"] = Value::Array(Vec::new());
    if let Some(map) = value.as_object_mut() {
        map.remove("processes");
    }
    Ok(value.to_string())
}

/// The runner's second filter, on every thread: from here on nothing can be executed and no
/// privilege or filter changed. Called before the first foreign byte is read.
///
/// # Errors
/// When the filter cannot be installed; the caller must then end the process.
pub fn seal() -> Result<(), SealError> {
    let mut map = compile(RUNNER_JSON).map_err(SealError)?;
    let filter = map
        .remove("seal")
        .ok_or_else(|| SealError("profile lacks seal".to_owned()))?;
    seccompiler::apply_filter_all_threads(&filter).map_err(|e| SealError(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

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
            assert!(filters.stages.iter().all(|stage| !stage.is_empty()));
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
}
