//! What the fuzz targets of `fuzz/` feed: each takes any bytes and panics only for a real fault.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::collect::collect;
use crate::plan::{self, Strings};
use crate::seccomp;
use crate::spec::Scratch;
use crate::wire::{self, Reply, Request};

/// Bytes on the socket between slot and launcher, either way.
pub fn launcher_wire(bytes: &[u8]) {
    if let Ok(request) = wire::decode::<Request>(bytes) {
        assert!(wire::encode(&request).is_ok_and(|again| again.len() <= bytes.len()));
        if let Request::Start(start) = &request {
            // What a job's process would lay out from it.
            drop(Strings::new(&start.args));
            drop(Strings::new(&start.env));
            drop(start.scratch.map(plan::scratch_options));
            drop(plan::program_path(&start.program_path));
            assert!(plan::rlimits(start).len() >= 11);
        }
    }
    if let Ok(reply) = wire::decode::<Reply>(bytes) {
        assert!(wire::encode(&reply).is_ok_and(|again| again.len() <= bytes.len()));
    }
}

/// Bytes as a profile: as JSON, or, since few bytes are, as changes to one of ours.
pub fn profile_loader(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        seccomp::check_profile(text);
    }
    if let Some(text) = changed_profile(bytes) {
        seccomp::check_profile(&text);
    }
}

/// Each four bytes drop, double, move or alter one rule.
fn changed_profile(bytes: &[u8]) -> Option<String> {
    let (which, changes) = bytes.split_first()?;
    let source = [seccomp::RUNNER_JSON, seccomp::NATIVE_JSON][usize::from(which % 2)];
    let mut profile: serde_json::Value = serde_json::from_str(source).ok()?;
    for change in changes.chunks_exact(4).take(8) {
        let &[list, at, act, value] = change else {
            continue;
        };
        let name = ["kill", "absent", "allow"][usize::from(list % 3)];
        let rules = profile[name]["filter"].as_array_mut()?;
        let at = usize::from(at) % rules.len().max(1);
        match act % 5 {
            0 if rules.len() > 1 => drop(rules.remove(at)),
            1 => rules.push(rules.get(at)?.clone()),
            2 => {
                rules.get_mut(at)?["args"] = serde_json::json!([{
                    "index": value % 8, "type": "dword", "op": "eq", "val": value,
                }])
            }
            3 => drop(rules.get_mut(at)?.as_object_mut()?.remove("args")),
            4 => profile[name]["match_action"] = serde_json::json!({"errno": value}),
            _ => {}
        }
    }
    Some(profile.to_string())
}

/// Bytes as what a job does to its scratch directory, and as the names that are asked for.
pub fn output_collector(bytes: &[u8]) {
    static OUTER: OnceLock<PathBuf> = OnceLock::new();
    let outer = OUTER.get_or_init(|| {
        let path = std::env::temp_dir().join(format!("collector-{}", std::process::id()));
        fs::create_dir_all(&path).ok();
        fs::write(path.join("secret"), SECRET).ok();
        path
    });
    let inner = outer.join("scratch");
    fs::remove_dir_all(&inner).ok();
    fs::create_dir_all(inner.join("d")).ok();
    let mut names = Vec::new();
    for act in bytes.chunks(4).take(16) {
        let &[what, a, b, c] = act else { continue };
        names.push(name(b, c));
        make(&inner, what, &name(a, b), &name(b, c), usize::from(c));
    }
    let scratch = Scratch {
        bytes: 1 << 20,
        inodes: 64,
        collect: names,
        collect_bytes: 64,
    };
    let Ok(directory) = File::open(&inner) else {
        return;
    };
    let mut total = 0;
    for file in collect(Some(&OwnedFd::from(directory)), &scratch) {
        let Ok(content) = file.content else { continue };
        total += content.len();
        let leaked = content.windows(SECRET.len()).any(|part| part == SECRET);
        assert!(!leaked, "{} led outside", file.name);
    }
    assert!(total <= 64, "{total} bytes came out");
}

const SECRET: &[u8] = b"a secret of the host";

/// Names that meet each other, and some that lead out.
fn name(a: u8, b: u8) -> String {
    let parts = [
        "a",
        "b",
        "d",
        "..",
        ".",
        "secret",
        "d/a",
        "../secret",
        "/",
        "",
    ];
    let part = |n: u8| parts[usize::from(n) % parts.len()];
    match a % 3 {
        0 => part(b).to_owned(),
        1 => format!("{}/{}", part(a / 3), part(b)),
        _ => format!("{}/{}/{}", part(a / 3), part(b), part(b / 10)),
    }
}

/// Only beneath the directory: the job it plays is locked in there, too.
fn make(inner: &Path, what: u8, at: &str, other: &str, size: usize) {
    let inside = !at.contains("..") && !at.starts_with('/') && !at.is_empty();
    if !inside {
        return;
    }
    let path = inner.join(at);
    // Not to be kept waiting by a FIFO that nobody reads.
    let open = |create: bool| {
        fs::OpenOptions::new()
            .append(true)
            .create(create)
            .custom_flags(libc::O_NONBLOCK)
            .open(&path)
    };
    let content = vec![b'x'; size];
    match what % 6 {
        0 => drop(open(true).and_then(|mut file| file.write_all(&content))),
        1 => drop(symlink(other, &path)),
        2 => drop(nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU)),
        3 => drop(fs::create_dir(&path)),
        4 => drop(open(true).and_then(|file| file.set_len(1 << 40))),
        _ => drop(open(false).and_then(|mut file| file.write_all(b"more"))),
    }
}
