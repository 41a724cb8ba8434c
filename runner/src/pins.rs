//! What makes two hosts compute alike: the pinned kernels, the pinned environment, the host floor.
//!
//! tract chooses kernels by probing the processor, and kernels differ in their last bits. Cohort `gen`
//! takes every optional instruction set away from it. Some code asks the processor past that knob (libm,
//! a few tract operators); above the floor, AVX2 and FMA, it takes one branch everywhere.

use std::ffi::OsString;

use thiserror::Error;
use tract_onnx::tract_core::tract_linalg::{isa, knobs};

use crate::{ENGINE_ONNX_GEN, ENGINE_PROBE};

/// Every optional x86-64 feature tract 0.23.9 knows. A feature missing here would show in the assertion.
const GEN_ISA: &str =
    "-avx,-avx2,-fma,-f16c,-avx512f,-avx512vnni,-avx512fp16,-avxvnni,-amx-int8,-amx-bf16";
/// What tract must print afterwards.
const GEN_ISA_SEEN: &str = "x86_64";
/// Cache sizes steer blocking, hence the order of sums; nobody's real cache is asked.
const LLC_BYTES: &str = "8M";

/// The one variable a runner may find, and its value: tract reads it past its knobs.
const KIND_VARIABLE: (&str, &str) = ("TRACT_X86_KIND", "other");
/// Variables that our own settings outrank.
const OUTRANKED: [&str; 2] = ["TRACT_CPU_ISA", "TRACT_LLC_BYTES"];

/// Why this process may not compute for others.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// No such engine in this release.
    #[error("engine {0} is not known")]
    UnknownEngine(u16),
    /// The processor is older than the floor, or of another architecture.
    #[error("the processor lacks {0}")]
    CpuFloor(&'static str),
    /// tract sees other instruction sets than the cohort's.
    #[error("instruction sets {found}, expected {expected}")]
    Isa {
        /// What it must see.
        expected: &'static str,
        /// What it sees.
        found: String,
    },
    /// The environment holds a variable that could change results.
    #[error("environment variable {0} could change results")]
    Environment(String),
    /// The built-in graph failed.
    #[error("the warm-up graph failed: {0}")]
    WarmUp(String),
}

/// Pins everything an engine needs, before any other call into tract.
pub(crate) fn pin(engine: u16) -> Result<(), PrepareError> {
    match engine {
        ENGINE_PROBE => Ok(()),
        ENGINE_ONNX_GEN => pin_gen(),
        other => Err(PrepareError::UnknownEngine(other)),
    }
}

fn pin_gen() -> Result<(), PrepareError> {
    floor()?;
    check_environment(std::env::vars_os())?;
    knobs::TRACT_CPU_ISA.set(Some(GEN_ISA.to_owned()));
    knobs::TRACT_LLC_BYTES.set(LLC_BYTES.to_owned());
    let found = format!("{:?}", isa::native());
    if found == GEN_ISA_SEEN {
        Ok(())
    } else {
        Err(PrepareError::Isa {
            expected: GEN_ISA_SEEN,
            found,
        })
    }
}

/// What the processor must have for its results to equal everybody's. Changes nothing.
///
/// # Errors
/// [`PrepareError::CpuFloor`] naming what it lacks.
#[cfg(target_arch = "x86_64")]
pub fn floor() -> Result<(), PrepareError> {
    if !std::is_x86_feature_detected!("avx2") {
        return Err(PrepareError::CpuFloor("avx2"));
    }
    if !std::is_x86_feature_detected!("fma") {
        return Err(PrepareError::CpuFloor("fma"));
    }
    Ok(())
}

/// What the processor must have for its results to equal everybody's. Changes nothing.
///
/// # Errors
/// [`PrepareError::CpuFloor`], always: this is another architecture.
#[cfg(not(target_arch = "x86_64"))]
pub fn floor() -> Result<(), PrepareError> {
    Err(PrepareError::CpuFloor("x86-64"))
}

fn check_environment(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), PrepareError> {
    for (name, value) in variables {
        let name = name.to_string_lossy().into_owned();
        let pinned = OUTRANKED.contains(&name.as_str())
            || (name == KIND_VARIABLE.0 && value == KIND_VARIABLE.1);
        let steers = name.starts_with("TRACT_") || name == "GLIBC_TUNABLES";
        if steers && !pinned {
            return Err(PrepareError::Environment(name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_steer_are_refused() {
        let check = |name: &str, value: &str| check_environment([(name.into(), value.into())]);
        assert_eq!(check("PATH", "/bin"), Ok(()));
        assert_eq!(check("TRACT_X86_KIND", "other"), Ok(()));
        assert_eq!(check("TRACT_CPU_ISA", "+avx512f"), Ok(()));
        for (name, value) in [
            ("TRACT_X86_KIND", "intel"),
            ("TRACT_AMX_BF16", "1"),
            ("TRACT_AVX512_FMA_UNITS", "2"),
            ("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX2"),
        ] {
            assert_eq!(
                check(name, value),
                Err(PrepareError::Environment(name.to_owned()))
            );
        }
    }

    #[test]
    fn unknown_engines_are_refused() {
        assert_eq!(pin(2), Err(PrepareError::UnknownEngine(2)));
    }
}
