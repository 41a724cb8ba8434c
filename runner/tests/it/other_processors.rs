//! The same lines on processors this host is not, under emulation where it is installed.

use std::process::{Command, Output};

use crate::hostile_environment::{EXPECTED, example};

fn emulated(emulator: &str, cpu: &str) -> Option<Output> {
    let mut command = Command::new(emulator);
    command
        .env_clear()
        .args(["-cpu", cpu])
        .arg(example())
        .output()
        .ok()
}

fn emulator() -> Option<&'static str> {
    let known = ["/usr/bin/qemu-x86_64-static", "/usr/bin/qemu-x86_64"];
    let found = known
        .into_iter()
        .find(|path| std::path::Path::new(path).exists());
    if found.is_none() {
        eprintln!("skipped: qemu-x86_64 is not installed, so no other processor was tried");
    }
    found
}

#[test]
fn haswell_and_epyc_answer_alike() {
    let Some(emulator) = emulator() else { return };
    for cpu in ["Haswell", "EPYC"] {
        let output = emulated(emulator, cpu).expect("the emulator starts");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{cpu}: {stderr}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), EXPECTED, "{cpu}");
    }
}

#[test]
fn nehalem_is_below_the_floor() {
    let Some(emulator) = emulator() else { return };
    let output = emulated(emulator, "Nehalem").expect("the emulator starts");
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("lacks avx2"));
}
