//! The second wall: one rule, execute and read on the program's own file, nothing writable.

use std::os::fd::{BorrowedFd, OwnedFd};

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, Scope,
};

use crate::sys;

/// Least ABI with which anything is ever run: the first to control truncation.
pub(crate) const ABI_MIN: u32 = 3;
/// ABI from which signals and abstract sockets are scoped: tier `full`.
pub(crate) const ABI_FULL: u32 = 6;

/// Rights on the scratch directory: data, directories, links and pipes, moved about as one likes;
/// never execution, sockets or devices.
pub(crate) fn scratch_rights() -> u64 {
    let rights = AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::MakeSym
        | AccessFs::MakeFifo
        // Without it a file cannot be renamed into another directory.
        | AccessFs::Refer;
    rights.bits()
}

/// A ruleset that allows executing and reading `program` and refuses every other right the ABI
/// knows. What the minimum ABI offers must be enforced; newer rights are added where they exist.
pub(crate) fn ruleset(program: BorrowedFd<'_>) -> Result<OwnedFd, i32> {
    let built = build(program).map_err(|error| errno(&error).unwrap_or(libc::ENOSYS))?;
    built.ok_or(libc::ENOSYS)
}

/// What the kernel said, if it was the kernel.
fn errno(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return io.raw_os_error();
        }
        cause = error.source();
    }
    None
}

fn build(program: BorrowedFd<'_>) -> Result<Option<OwnedFd>, RulesetError> {
    let required = if sys::landlock_abi() >= ABI_FULL {
        ABI::V6
    } else {
        ABI::V3
    };
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(required))?;
    let ruleset = match required {
        ABI::V6 => ruleset
            .handle_access(AccessNet::from_all(required))?
            .scope(Scope::from_all(required))?,
        _ => ruleset,
    };
    let ruleset = ruleset
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V9))?
        .handle_access(AccessNet::from_all(ABI::V9))?
        .create()?
        .set_compatibility(CompatLevel::HardRequirement)
        .add_rule(PathBeneath::new(
            program,
            AccessFs::Execute | AccessFs::ReadFile,
        ))?;
    Ok(ruleset.into())
}
