//! Whether this host's switches let us make user namespaces.

use std::fs;
use std::path::Path;

use crate::sys;

/// Sysctls that can forbid user namespaces, the value that does, and whether root is exempt.
const SWITCHES: [(&str, &str, bool); 3] = [
    ("/proc/sys/user/max_user_namespaces", "0", false),
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", true),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        true,
    ),
];

/// The first thing that stands against user namespaces.
///
/// A slot's launcher is unprivileged even under root, so root is exempt from none in effect; but
/// AppArmor's switch spares confined programs, and only a whole job can tell. The self-test makes
/// one, and a job that cannot be set up closes the sandbox.
pub(crate) fn available() -> Result<(), String> {
    for (path, forbidding, spares_root) in SWITCHES {
        let value = fs::read_to_string(path).unwrap_or_default();
        let spared = spares_root && sys::effective_uid() == 0;
        if value.trim() == forbidding && !spared {
            return Err(format!("{path} = {forbidding}"));
        }
    }
    for name in ["user", "pid", "mnt", "net", "ipc", "uts", "cgroup"] {
        if !Path::new(&format!("/proc/self/ns/{name}")).exists() {
            return Err(format!("kernel without {name} namespaces"));
        }
    }
    Ok(())
}
