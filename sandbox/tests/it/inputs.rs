//! Inputs: sealed memory files and read-only files, from descriptor 3 up.

use std::fs::File;
use std::os::fd::OwnedFd;

use sandbox::{Outcome, Profile, sealed_memfd};

use crate::bed;

#[test]
fn inputs_arrive_in_order_from_their_start() {
    let model = sealed_memfd("model", &vec![7u8; 100_000]).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"hello").unwrap();
    let mut slot = bed::slot();
    for profile in [Profile::Runner, Profile::Native, Profile::Runner] {
        let mut spec = bed::spec(profile, &["inputs"]);
        // The same memory file three times over: an offset shared between runs would show.
        let read_only: OwnedFd = File::open(file.path()).unwrap().into();
        spec.inputs = vec![model.try_clone().unwrap(), read_only];
        let report = bed::run(&mut slot, spec);
        assert_eq!(report.outcome, Outcome::Exited(0), "{report:?}");
        let text = String::from_utf8(report.stdout).unwrap();
        assert_eq!(text, "100000 Some(7)\n5 Some(104)\nsecond call 0\n");
    }
}

#[test]
fn a_sealed_memory_file_cannot_be_written() {
    use std::io::Write;
    let sealed = sealed_memfd("input", b"fixed").unwrap();
    let error = File::from(sealed).write_all(b"x").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
}
