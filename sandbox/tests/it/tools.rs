//! Goal: ordinary static programs run as they do elsewhere. Method: a C program that does what C
//! libraries do, linked in both static ways; and a shell with its tools, where the host has one.

use std::path::Path;
use std::process::Command;

use sandbox::{Outcome, Profile, Program, Report, Scratch, Spec};

use crate::bed;

fn run(path: &Path, words: &[&str], stdin: &[u8]) -> Report {
    let mut spec = Spec::new(Program::open(path).unwrap(), Profile::Native, words);
    spec.stdin = stdin.to_vec();
    spec.scratch = Some(Scratch {
        bytes: 16 << 20,
        inodes: 1024,
        collect: vec!["kept".to_owned()],
        collect_bytes: 16 << 20,
    });
    bed::run(&mut bed::slot(), spec)
}

#[test]
fn a_c_program_runs_in_both_static_forms() {
    let directory = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tool.c");
    for form in ["-static", "-static-pie"] {
        let program = directory.path().join(form);
        let mut compiler = Command::new("cc");
        let made = compiler
            .args([form, "-pthread", "-o"])
            .args([&program, &source])
            .output();
        if !made.as_ref().is_ok_and(|made| made.status.success()) {
            eprintln!("skipped {form}: no C compiler with a static library: {made:?}");
            continue;
        }
        let report = run(&program, &["tool"], b"");
        let said = String::from_utf8_lossy(&report.stdout);
        assert_eq!(report.outcome, Outcome::Exited(0), "{form}: {said}");
        assert_eq!(said.lines().count(), 27, "{said}");
    }
}

/// The first static busybox of this host.
fn busybox() -> Option<&'static Path> {
    let places = ["/bin/busybox", "/usr/bin/busybox"].map(Path::new);
    let found = places.into_iter().find(|path| {
        let report = path.exists().then(|| run(path, &["busybox", "true"], b""));
        report.is_some_and(|report| report.outcome == Outcome::Exited(0))
    });
    if found.is_none() {
        eprintln!("skipped: no static busybox here");
    }
    found
}

fn shell(busybox: &Path, script: &str, stdin: &[u8]) -> (Outcome, String) {
    let report = run(busybox, &["busybox", "sh", "-c", script], stdin);
    let said = [report.stdout, report.stderr].concat();
    (report.outcome, String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_shell_and_its_tools_do_their_work() {
    let Some(busybox) = busybox() else { return };
    let numbers: String = (0..100_000).map(|n| format!("{}\n", n % 1000)).collect();
    let rows = [
        ("sort -n | uniq -c | wc -l", "1000\n"),
        ("gzip -9 | gunzip | wc -c", "389000\n"),
        ("awk '{ sum += $1 } END { print sum }'", "49950000\n"),
        ("head -n 3 | sed s/^/n/ | tr '\\n' ' '", "n0 n1 n2 "),
        ("cat > f; tar cf t f; rm f; tar xf t; wc -l < f", "100000\n"),
        (
            "mkdir -p a/b; cat > x; mv x a/b; find . -type f",
            "./a/b/x\n",
        ),
        ("cat >/dev/null; ln -s y l; echo 7 > y; cat l", "7\n"),
        ("seq 20 | xargs -P 4 -n 1 echo | wc -l", "20\n"),
        (
            "dd if=/dev/zero bs=1k count=64 2>/dev/null | wc -c",
            "65536\n",
        ),
        (
            "exec 2>/dev/null; timeout 1 sleep 9 || echo ended",
            "ended\n",
        ),
    ];
    for (script, wanted) in rows {
        let (outcome, said) = shell(busybox, script, numbers.as_bytes());
        assert_eq!(said, wanted, "{script}");
        assert_eq!(outcome, Outcome::Exited(0), "{script}");
    }
}

#[test]
fn a_shell_that_misbehaves_ends_as_it_should() {
    let Some(busybox) = busybox() else { return };
    assert_eq!(shell(busybox, "exit 3", b"").0, Outcome::Exited(3));
    assert_eq!(shell(busybox, "kill -9 $$", b"").0, Outcome::Signaled(9));
    let flood = shell(busybox, "yes", b"").0;
    assert!(matches!(flood, Outcome::OutputLimit { .. }), "{flood:?}");
    let huge = shell(busybox, "dd if=/dev/zero of=f bs=1M count=64", b"").0;
    assert_eq!(huge, Outcome::FileSizeLimit);
    let (refused, said) = shell(busybox, "nc 127.0.0.1 80", b"");
    assert_eq!(refused, Outcome::Exited(1), "{said}");
    let violation = shell(busybox, "exec chroot / sh", b"").0;
    let died = matches!(violation, Outcome::SeccompViolation { .. });
    assert!(died, "{violation:?}");
}
