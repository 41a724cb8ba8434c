//! Standard streams: bounded, never a reason to hang.

use sandbox::{Outcome, Profile, Stream};

use crate::{bed, clock};

#[test]
fn stdin_reaches_stdout_whole() {
    for profile in [Profile::Runner, Profile::Native] {
        let mut spec = bed::spec(profile, &["echo"]);
        spec.stdin = (0..900_000u32).map(|n| n.to_le_bytes()[0]).collect();
        let wanted = spec.stdin.clone();
        let report = bed::run(&mut bed::slot(), spec);
        assert_eq!(report.outcome, Outcome::Exited(0), "{profile:?}");
        assert!(
            report.stdout == wanted,
            "{} bytes came back",
            report.stdout.len()
        );
        assert_eq!(report.usage.stdin_bytes, 900_000);
        assert_eq!(report.usage.output_bytes, 900_000);
    }
}

#[test]
fn stdin_that_nobody_reads_is_no_deadlock() {
    for words in [["exit", "0"].as_slice(), &["read-one-byte"]] {
        let mut spec = bed::spec(Profile::Runner, words);
        spec.stdin = vec![1; 8 << 20];
        let started = clock::now();
        let report = bed::run(&mut bed::slot(), spec);
        assert_eq!(report.outcome, Outcome::Exited(0), "{words:?}");
        assert!(started.elapsed() < bed::AT_ONCE);
        assert!(report.usage.stdin_bytes < 8 << 20);
    }
}

#[test]
fn each_output_has_its_own_limit() {
    let mut spec = bed::spec(Profile::Runner, &["say", "12345678", "abc"]);
    spec.limits.stdout_bytes = 8;
    spec.limits.stderr_bytes = 3;
    let report = bed::run(&mut bed::slot(), spec);
    assert_eq!(report.outcome, Outcome::Exited(0));
    assert_eq!(
        (report.stdout, report.stderr),
        (b"12345678".to_vec(), b"abc".to_vec())
    );

    let mut spec = bed::spec(Profile::Runner, &["say", "12345678", "abcd"]);
    spec.limits.stderr_bytes = 3;
    let report = bed::run(&mut bed::slot(), spec);
    assert_eq!(
        report.outcome,
        Outcome::OutputLimit {
            stream: Stream::Stderr
        }
    );
    assert_eq!(report.stderr, b"abc");
}
