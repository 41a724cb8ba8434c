//! `--limit NAME=VALUE`.

use anyhow::Result;
use sandbox::Limits;

use crate::problem::refuse;

const NAMES: &str =
    "wall, cpu, memory, address_space, tasks, open_files, file_size, stdin, stdout, stderr";

/// What a number counts.
enum Unit {
    Millis,
    Seconds,
    Bytes,
    Count,
}

/// Sets one limit. Whether it is within the profile's ceiling is checked with all the others.
pub(super) fn lower(limits: &mut Limits, text: &str) -> Result<()> {
    let Some((name, value)) = text.split_once('=') else {
        refuse!(
            "sandbox.spec",
            "--limit {text}: write NAME=VALUE; names are {NAMES}"
        );
    };
    let mut address_space = None;
    let (field, unit) = match name {
        "wall" | "wall_ms" => (&mut limits.wall_ms, Unit::Millis),
        "cpu" | "cpu_seconds" => (&mut limits.cpu_seconds, Unit::Seconds),
        "memory" | "memory_bytes" => (&mut limits.memory_bytes, Unit::Bytes),
        "address_space" | "address_space_bytes" => (address_space.insert(0), Unit::Bytes),
        "tasks" => (&mut limits.tasks, Unit::Count),
        "open_files" => (&mut limits.open_files, Unit::Count),
        "file_size" | "file_bytes" => (&mut limits.file_bytes, Unit::Bytes),
        "stdin" | "stdin_bytes" => (&mut limits.stdin_bytes, Unit::Bytes),
        "stdout" | "stdout_bytes" => (&mut limits.stdout_bytes, Unit::Bytes),
        "stderr" | "stderr_bytes" => (&mut limits.stderr_bytes, Unit::Bytes),
        _ => refuse!(
            "sandbox.spec",
            "there is no limit {name:?}; names are {NAMES}"
        ),
    };
    let Some(number) = read(value, &unit) else {
        let example = match unit {
            Unit::Millis => "2s or 500ms",
            Unit::Seconds => "3s",
            Unit::Bytes => "64MiB, 8KiB or 4096",
            Unit::Count => "4",
        };
        refuse!(
            "sandbox.spec",
            "--limit {name}: {value:?} is no value; write {example}"
        );
    };
    *field = number;
    if address_space.is_some() {
        limits.address_space_bytes = address_space;
    }
    Ok(())
}

fn read(value: &str, unit: &Unit) -> Option<u64> {
    let digits = value
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(value.len());
    let (number, suffix) = value.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let factor = match (unit, suffix) {
        (_, "") | (Unit::Millis, "ms") | (Unit::Seconds, "s") | (Unit::Bytes, "B") => 1,
        (Unit::Millis, "s") => 1000,
        (Unit::Bytes, "K" | "KiB") => 1 << 10,
        (Unit::Bytes, "M" | "MiB") => 1 << 20,
        (Unit::Bytes, "G" | "GiB") => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_units_and_bad_ones_are_refused() {
        let mut limits = Limits::ceiling(sandbox::Profile::Native);
        for text in [
            "wall=2s",
            "cpu=3s",
            "memory=64MiB",
            "tasks=2",
            "address_space=1K",
        ] {
            lower(&mut limits, text).unwrap();
        }
        assert_eq!((limits.wall_ms, limits.cpu_seconds), (2000, 3));
        assert_eq!((limits.memory_bytes, limits.tasks), (64 << 20, 2));
        assert_eq!(limits.address_space_bytes, Some(1024));
        for text in [
            "wall",
            "wall=",
            "wall=2h",
            "wall=-1",
            "tasks=1s",
            "cpu=500ms",
            "speed=1",
            "memory=99999999999G",
        ] {
            let error = lower(&mut limits, text).unwrap_err().to_string();
            assert!(!error.is_empty(), "{text}");
        }
    }
}
