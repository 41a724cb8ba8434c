//! Fresh processes, some with variables that steer tract or libc: the same lines, or none at all.

use std::path::PathBuf;
use std::process::{Command, Output};

pub(crate) const EXPECTED: &str = include_str!("../../vectors/expected.txt");

/// The example that prints what every vector answers; cargo builds it beside the tests.
pub(crate) fn example() -> PathBuf {
    let tests = std::env::current_exe().expect("a path");
    let profile = tests
        .ancestors()
        .nth(2)
        .expect("target/<profile>/deps/<test>");
    profile.join("examples").join("conformance")
}

fn run(variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(example());
    command.env_clear().envs(variables.iter().copied());
    command
        .output()
        .expect("the example was built with the tests")
}

#[test]
fn twenty_fresh_processes_answer_alike() {
    for _ in 0..20 {
        let output = run(&[("TRACT_X86_KIND", "other")]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(String::from_utf8_lossy(&output.stdout), EXPECTED);
    }
}

#[test]
fn outranked_variables_change_nothing() {
    let hostile = [
        ("TRACT_CPU_ISA", "+avx512f,+avx512vnni"),
        ("TRACT_LLC_BYTES", "1"),
        ("RAYON_NUM_THREADS", "64"),
        ("OMP_NUM_THREADS", "64"),
        ("LC_ALL", "de_DE.UTF-8"),
        ("RUST_BACKTRACE", "full"),
    ];
    let output = run(&hostile);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout), EXPECTED);
}

#[test]
fn other_steering_variables_stop_the_engine() {
    for (name, value) in [
        ("TRACT_X86_KIND", "intel"),
        ("TRACT_AMX_BF16", "1"),
        ("TRACT_AVX512_FMA_UNITS", "1"),
        ("TRACT_LAZY_IM2COL_MAX_EAGER_BYTES", "1"),
        ("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX2,-FMA"),
    ] {
        let output = run(&[(name, value)]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && output.stdout.is_empty(),
            "{name}"
        );
        assert!(stderr.contains(name), "{stderr}");
    }
}
