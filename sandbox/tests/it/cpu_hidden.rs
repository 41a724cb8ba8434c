//! Goal: CPU burnt where `rusage` does not see it is charged all the same. Method: five ways of
//! burning 300 ms in children that nobody waits for; control groups must see at least 95 %.

use std::time::Duration;

use sandbox::{Outcome, Profile, Spec};

use crate::bed;

fn hiding(pattern: &str) -> Spec {
    bed::spec(
        Profile::Native,
        &[sandbox::PROBE_MODE, "one", "hide_cpu", pattern],
    )
}

#[test]
fn five_cpu_hiding_patterns_are_charged() {
    if !bed::has_cgroup("five_cpu_hiding_patterns_are_charged") {
        return;
    }
    let mut slot = bed::slot();
    let patterns = [
        "unwaited",
        "session",
        "double_fork",
        "killed_parent",
        "two_children",
    ];
    for pattern in patterns {
        let report = bed::run(&mut slot, hiding(pattern));
        assert_eq!(report.outcome, Outcome::Exited(10), "{pattern} {report:?}");
        let burnt = if pattern == "two_children" { 600 } else { 300 };
        let least = Duration::from_millis(burnt * 95 / 100);
        assert!(report.usage.cpu >= least, "{pattern}: {:?}", report.usage);
        let most = Duration::from_millis(burnt + 300);
        assert!(report.usage.cpu <= most, "{pattern}: {:?}", report.usage);
    }
}
