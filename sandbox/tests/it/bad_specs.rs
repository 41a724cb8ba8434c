//! Goal: a job that is out of range never becomes a process. Method: one wrong thing at a time,
//! each with its own refusal; then anything at all.

use std::fs::{File, OpenOptions};

use proptest::prelude::*;
use sandbox::{Limits, Profile, Scratch, Spec, SpecError, sealed_memfd};

use crate::bed;

fn refused(profile: Profile, change: impl FnOnce(&mut Spec)) -> SpecError {
    let mut spec = bed::spec(profile, &["exit", "0"]);
    change(&mut spec);
    spec.validate().unwrap_err()
}

fn limit(change: impl FnOnce(&mut Limits)) -> &'static str {
    match refused(Profile::Native, |spec| change(&mut spec.limits)) {
        SpecError::Limit { limit, .. } => limit,
        other => panic!("{other:?}"),
    }
}

#[test]
fn limits_of_zero_or_above_the_ceiling() {
    assert_eq!(limit(|l| l.wall_ms = 0), "wall_ms");
    assert_eq!(limit(|l| l.wall_ms = 30_001), "wall_ms");
    assert_eq!(limit(|l| l.cpu_seconds = 0), "cpu_seconds");
    assert_eq!(limit(|l| l.memory_bytes = u64::MAX), "memory_bytes");
    assert_eq!(limit(|l| l.tasks = 33), "tasks");
    assert_eq!(limit(|l| l.open_files = 3), "open_files");
    assert_eq!(limit(|l| l.file_bytes += 1), "file_bytes");
    assert_eq!(limit(|l| l.stdout_bytes += 1), "stdout_bytes");
    assert_eq!(
        limit(|l| l.address_space_bytes = Some(1)),
        "address_space_bytes"
    );
    let runner = refused(Profile::Runner, |spec| {
        spec.limits.address_space_bytes = Some(1 << 30);
    });
    assert_eq!(runner, SpecError::AddressSpaceInRunner);
}

#[test]
fn arguments_and_environment() {
    let error = refused(Profile::Native, |spec| spec.args.clear());
    assert_eq!(error, SpecError::NoArguments);
    let error = refused(Profile::Native, |spec| spec.args.push(b"a\0b".to_vec()));
    assert_eq!(error, SpecError::Nul { index: 3 });
    let error = refused(Profile::Native, |spec| {
        spec.args.push(vec![b'a'; 200 * 1024])
    });
    assert!(matches!(error, SpecError::ArgumentBytes { .. }));
    for variable in [
        "GLIBC_TUNABLES=x",
        "LD_PRELOAD=x",
        "PATH=/",
        "",
        "TRACT_CPU_ISAX=1",
    ] {
        let entry = variable.as_bytes().to_vec();
        let error = refused(Profile::Runner, |spec| spec.env.push(entry));
        assert_eq!(error, SpecError::Environment { index: 0 }, "{variable}");
    }
}

#[test]
fn inputs_that_are_too_many_or_not_plain_or_writable() {
    let memory = sealed_memfd("x", b"x").unwrap();
    let error = refused(Profile::Runner, |spec| {
        spec.inputs = (0..9).map(|_| memory.try_clone().unwrap()).collect();
    });
    assert_eq!(error, SpecError::TooManyInputs { count: 9, most: 8 });
    let writable = tempfile::tempfile().unwrap();
    let error = refused(Profile::Runner, |spec| spec.inputs.push(writable.into()));
    assert_eq!(error, SpecError::InputWritable { index: 0 });
    for path in ["/dev/null", "/proc"] {
        let file = File::open(path).unwrap();
        let error = refused(Profile::Runner, |spec| spec.inputs.push(file.into()));
        assert_eq!(error, SpecError::InputNotRegular { index: 0 }, "{path}");
    }
    let (read, _write) = nix::unistd::pipe().unwrap();
    let error = refused(Profile::Runner, |spec| spec.inputs.push(read));
    assert_eq!(error, SpecError::InputNotRegular { index: 0 });
    let named = tempfile::NamedTempFile::new().unwrap();
    let write_only = OpenOptions::new().write(true).open(named.path()).unwrap();
    let error = refused(Profile::Runner, |spec| spec.inputs.push(write_only.into()));
    assert_eq!(error, SpecError::InputWritable { index: 0 });
}

#[test]
fn stdin_and_scratch() {
    let error = refused(Profile::Runner, |spec| {
        spec.limits.stdin_bytes = 3;
        spec.stdin = vec![0; 4];
    });
    assert_eq!(error, SpecError::Stdin { bytes: 4, most: 3 });
    let scratch = |bytes, inodes, name: &str| {
        Some(Scratch {
            bytes,
            inodes,
            collect: vec![name.to_owned()],
            collect_bytes: 1,
        })
    };
    let error = refused(Profile::Runner, |spec| spec.scratch = scratch(4096, 2, "x"));
    assert_eq!(error, SpecError::ScratchInRunner);
    for bad in [
        scratch(0, 2, "x"),
        scratch(17 << 20, 2, "x"),
        scratch(4096, 0, "x"),
    ] {
        let error = refused(Profile::Native, |spec| spec.scratch = bad);
        assert!(matches!(error, SpecError::Scratch(_)), "{error:?}");
    }
    let error = refused(Profile::Native, |spec| spec.scratch = scratch(4096, 2, ""));
    assert!(matches!(error, SpecError::Scratch(_)), "{error:?}");
}

#[test]
fn a_refused_spec_leaves_the_slot_usable() {
    let mut slot = bed::slot();
    let mut spec = bed::spec(Profile::Native, &["exit", "0"]);
    spec.limits.tasks = 0;
    slot.run(spec, &sandbox::Cancel::new().unwrap())
        .unwrap_err();
    let report = bed::run(&mut slot, bed::spec(Profile::Native, &["exit", "3"]));
    assert_eq!(report.outcome, sandbox::Outcome::Exited(3));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Any spec validates or errors, and what validates is within the ceilings.
    #[test]
    fn any_limits_validate_or_error(
        numbers in proptest::array::uniform9(any::<u64>()),
        near in proptest::array::uniform9(0u64..3),
        native in any::<bool>(),
    ) {
        let profile = if native { Profile::Native } else { Profile::Runner };
        let top = Limits::ceiling(profile);
        // Mostly around the ceilings, where mistakes live.
        let pick = |n: usize, ceiling: u64| match near[n] {
            0 => ceiling,
            1 => ceiling.saturating_add(numbers[n] % 3),
            _ => numbers[n],
        };
        let mut spec = bed::spec(profile, &["exit"]);
        spec.limits = Limits {
            wall_ms: pick(0, top.wall_ms),
            cpu_seconds: pick(1, top.cpu_seconds),
            memory_bytes: pick(2, top.memory_bytes),
            address_space_bytes: top.address_space_bytes,
            tasks: pick(3, top.tasks),
            open_files: pick(4, top.open_files),
            file_bytes: pick(5, top.file_bytes),
            stdin_bytes: pick(6, top.stdin_bytes),
            stdout_bytes: pick(7, top.stdout_bytes),
            stderr_bytes: pick(8, top.stderr_bytes),
        };
        let l = &spec.limits;
        let within = l.wall_ms <= top.wall_ms && l.cpu_seconds <= top.cpu_seconds
            && l.memory_bytes <= top.memory_bytes && l.tasks <= top.tasks
            && l.open_files <= top.open_files && l.file_bytes <= top.file_bytes
            && l.stdin_bytes <= top.stdin_bytes && l.stdout_bytes <= top.stdout_bytes
            && l.stderr_bytes <= top.stderr_bytes;
        if spec.validate().is_ok() {
            prop_assert!(within);
        }
    }
}
