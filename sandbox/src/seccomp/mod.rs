//! The third wall: one filter per profile, merged once from three lists of commented JSON.
//!
//! ```text
//! kill    listed -> the process dies          else allow
//! absent  listed -> ENOSYS                    else allow
//! allow   listed -> allow                     else die (runner) or EPERM (native)
//! ```
//! They are read as three filters stacked in this order: the strictest answer wins, and among
//! errnos the last, so `allow` must let through what `absent` answers. seccompiler compiles each;
//! `merge.rs` makes one of them that gives the same answers (tested call by call) and is cheap to
//! install.

mod machine;
mod merge;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::OnceLock;

use seccompiler::{BpfProgram, TargetArch};
use serde_json::Value;

use crate::error::SealError;
use crate::limits::Limits;
use crate::spec::Profile;
use merge::Parts;

/// Profile of our own runner.
pub(crate) const RUNNER_JSON: &str = include_str!("../../profiles/x86_64/runner.json");
/// Profile of other people's static programs.
pub(crate) const NATIVE_JSON: &str = include_str!("../../profiles/x86_64/native.json");

/// The JSON source of a profile, for people to read.
#[must_use]
pub fn profile_source(profile: Profile) -> &'static str {
    match profile {
        Profile::Runner => RUNNER_JSON,
        Profile::Native => NATIVE_JSON,
    }
}

/// Filters of one profile.
#[derive(Debug)]
pub(crate) struct Filters {
    /// What the program is under.
    pub(crate) program: BpfProgram,
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
    /// What pid 1 restricts itself to.
    pub(crate) fn init(&self) -> &BpfProgram {
        &self.native.init
    }

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
    let init = map.remove("init").unwrap_or_default();
    let part = |name: &str| {
        map.get(name)
            .map(Vec::as_slice)
            .ok_or(format!("profile lacks filter {name}"))
    };
    let parts = Parts {
        stacked: [part("kill")?, part("absent")?, part("allow")?],
        by_arguments: &argument_rules(json)?,
    };
    let program = merge::merge(&parts)?;
    Ok(Filters { program, init })
}

/// For each call that `allow` judges by its arguments, a filter of that call's rules alone.
fn argument_rules(json: &str) -> Result<Vec<BpfProgram>, String> {
    let profile: Value = serde_json::from_str(json).map_err(|e| e.to_string())?;
    let allow = &profile["allow"];
    let rules = allow["filter"].as_array().ok_or("allow holds no rules")?;
    let judged: BTreeSet<&str> = rules
        .iter()
        .filter(|rule| !rule["args"].is_null())
        .filter_map(|rule| rule["syscall"].as_str())
        .collect();
    judged
        .into_iter()
        .map(|name| {
            let own: Vec<&Value> = rules
                .iter()
                .filter(|rule| rule["syscall"] == *name)
                .collect();
            let alone = serde_json::json!({"allow": {
                "mismatch_action": allow["mismatch_action"],
                "match_action": allow["match_action"],
                "filter": own,
            }});
            compile(&alone.to_string())?
                .remove("allow")
                .ok_or(format!("no filter for {name}"))
        })
        .collect()
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

/// Compiles a profile, and holds the merged filter against its parts where it compiles.
#[cfg(feature = "fuzzing")]
pub(crate) fn check_profile(json: &str) {
    let (Ok(merged), Ok(mut map)) = (filters(json), compile(json)) else {
        return;
    };
    let parts = ["kill", "absent", "allow"].map(|name| map.remove(name).unwrap_or_default());
    for number in (0..520).chain([1 << 30, u32::MAX]) {
        for value in [0, 1, 6, 38, 4096, u64::MAX] {
            let call = machine::Call {
                architecture: merge::ARCHITECTURE,
                number,
                arguments: Some([value; 6]),
            };
            let act = |program: &[seccompiler::sock_filter]| match machine::answer(program, &call) {
                Some(machine::Answer::Action(action)) => action,
                other => panic!("{call:?}: {other:?}"),
            };
            let answers = parts.each_ref().map(|program| act(program));
            assert_eq!(act(&merged.program), merge::strictest(&answers), "{call:?}");
        }
    }
}
