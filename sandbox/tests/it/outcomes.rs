//! Each way a job can end has its own value.

use sandbox::{Outcome, Profile};

use crate::bed;

#[test]
fn exit_codes_pass_through() {
    for profile in [Profile::Runner, Profile::Native] {
        let report = bed::job(profile, &["exit", "0"]);
        assert_eq!(report.outcome, Outcome::Exited(0), "{profile:?} {report:?}");
        let report = bed::job(profile, &["exit", "42"]);
        assert_eq!(
            report.outcome,
            Outcome::Exited(42),
            "{profile:?} {report:?}"
        );
    }
}
