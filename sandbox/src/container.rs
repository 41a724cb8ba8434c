//! Whether this process runs inside a container, and what its engine has laid around it.

use std::fs;
use std::path::Path;

/// Files that engines leave in the containers they make.
const MARKS: [(&str, &str); 2] = [("/.dockerenv", "Docker"), ("/run/.containerenv", "Podman")];

/// What stands around the processes of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Container {
    /// The engine, by its mark.
    pub(crate) engine: String,
    /// Whether a seccomp filter of the engine's is in force.
    pub(crate) filtered: bool,
    /// The AppArmor profile, if there is one.
    pub(crate) profile: Option<String>,
}

/// The container around this process, if any and if it stands in the way of anything: a mark alone
/// says little, for machines are made from images too. A few file reads; nothing is tried.
pub(crate) fn around() -> Option<Container> {
    let marked = MARKS.iter().find(|(path, _)| Path::new(path).exists());
    let named = std::env::var("container").ok();
    let engine = marked.map(|(_, engine)| (*engine).to_owned()).or(named)?;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let label = fs::read_to_string("/proc/self/attr/current").unwrap_or_default();
    let found = Container {
        engine,
        filtered: is_filtered(&status),
        profile: profile_of(&label),
    };
    (found.filtered || found.profile.is_some()).then_some(found)
}

fn is_filtered(status: &str) -> bool {
    let mode = status
        .lines()
        .find_map(|line| line.strip_prefix("Seccomp:"));
    mode.is_some_and(|mode| mode.trim() == "2")
}

fn profile_of(label: &str) -> Option<String> {
    let label = label.trim_end_matches(['\n', '\0']);
    (!label.is_empty() && label != "unconfined").then(|| label.to_owned())
}

impl Container {
    /// For people: `Docker, seccomp filter, AppArmor docker-default (enforce)`.
    pub(crate) fn describe(&self) -> String {
        let filter = match self.filtered {
            true => "seccomp filter",
            false => "no seccomp filter",
        };
        let profile = match &self.profile {
            Some(name) => format!("AppArmor {name}"),
            None => "no AppArmor profile".to_owned(),
        };
        format!("{}, {filter}, {profile}", self.engine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walls_of_an_engine_are_read_from_proc() {
        assert!(is_filtered(
            "NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n"
        ));
        assert!(!is_filtered("Seccomp:\t0\n"));
        assert_eq!(profile_of("unconfined\n"), None);
        assert_eq!(profile_of(""), None);
        let found = Container {
            engine: "Docker".to_owned(),
            filtered: true,
            profile: profile_of("docker-default (enforce)\n"),
        };
        let text = "Docker, seccomp filter, AppArmor docker-default (enforce)";
        assert_eq!(found.describe(), text);
    }
}
