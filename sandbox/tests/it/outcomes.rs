//! Each way a job can end on its own has its own value.

use std::time::Duration;

use sandbox::{Outcome, Profile};

use crate::bed;

#[test]
fn exit_codes_pass_through() {
    for profile in [Profile::Runner, Profile::Native] {
        for code in [0, 1, 42, 255] {
            let report = bed::job(profile, &["exit", &code.to_string()]);
            assert_eq!(report.outcome, Outcome::Exited(code), "{profile:?}");
        }
    }
}

/// Pid 1 dies of SIGSEGV when it aborts; under init the true signal is seen.
#[test]
fn an_abort_is_a_signal() {
    let native = bed::run(&mut bed::slot(), bed::probe(Profile::Native, "abort"));
    assert_eq!(native.outcome, Outcome::Signaled(libc::SIGABRT));
    let runner = bed::run(&mut bed::slot(), bed::probe(Profile::Runner, "abort"));
    assert_eq!(runner.outcome, Outcome::Signaled(libc::SIGSEGV));
}

#[test]
fn a_forbidden_call_is_a_violation() {
    let runner = bed::run(&mut bed::slot(), bed::probe(Profile::Runner, "open_socket"));
    assert!(
        matches!(runner.outcome, Outcome::SeccompViolation { .. }),
        "{runner:?}"
    );
    let native = bed::run(&mut bed::slot(), bed::probe(Profile::Native, "unshare"));
    assert!(
        matches!(native.outcome, Outcome::SeccompViolation { .. }),
        "{native:?}"
    );
}

#[test]
fn the_runner_may_seal_once_and_execute_never_again() {
    let report = bed::job(Profile::Runner, &["seal"]);
    assert_eq!(report.outcome, Outcome::Exited(0), "{report:?}");
    for attack in ["second_exec", "new_filter", "be_traced"] {
        let report = bed::job(Profile::Runner, &["seal", "then", attack]);
        let died = matches!(report.outcome, Outcome::SeccompViolation { .. });
        assert!(died, "{attack} {report:?}");
    }
    // What the second filter takes away was there before it: the same call, unsealed, is refused
    // by the empty root instead.
    let report = bed::job(Profile::Runner, &["attack", "new_filter", ""]);
    assert_eq!(report.outcome, Outcome::Exited(0), "{report:?}");
}

#[test]
fn threads_up_to_the_limit_work() {
    for profile in [Profile::Runner, Profile::Native] {
        let report = bed::job(profile, &["threads", "3"]);
        assert_eq!(report.outcome, Outcome::Exited(0), "{report:?}");
        assert_eq!(report.stdout, b"sum 3\n");
    }
}

#[test]
fn usage_is_filled_in() {
    let report = bed::job(Profile::Runner, &["exit", "0"]);
    let usage = report.usage;
    assert!(usage.peak_memory_bytes > 100_000, "{usage:?}");
    assert!(
        usage.minor_faults > 0 && usage.wall > Duration::ZERO,
        "{usage:?}"
    );
    assert!(report.setup > Duration::ZERO && report.setup <= usage.wall);
    assert_eq!(report.tier, *bed::sandbox().tier());
}
