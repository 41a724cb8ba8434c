//! Every attack of the table, under both profiles.
use sandbox::attacks::{self, Attack};
use crate::bed;

#[test]
fn all() {
    let mut slot = bed::slot();
    let mut bad = Vec::new();
    for attack in Attack::all() {
        let native = attacks::run(&mut slot, attack.name, "").unwrap();
        let runner = attacks::run_as_runner(&mut slot, attack.name, "").unwrap();
        for r in [native, runner] {
            eprintln!("{} {:?} {} {} {}", r.attack, r.profile, r.outcome, r.detail, r.blocked);
            if !r.blocked { bad.push(r); }
        }
    }
    assert!(bad.is_empty(), "{bad:#?}");
}
