//! Whether a file can be run at all where nothing else can be loaded: said before it is tried,
//! because the kernel's answer to a script or a dynamic program is "no such file".

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::problem::{Problem, refuse};

/// Enough of a file for its header and the table that follows it.
const HEAD_BYTES: u64 = 16 * 1024;
const INTERPRETER: u32 = 3;
const X86_64: u16 = 62;

/// The file a word on the command line means, as a shell would find it.
pub(super) fn locate(word: &str) -> Result<PathBuf> {
    if word.contains('/') {
        return Ok(PathBuf::from(word));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|directory| directory.join(word))
        .find(|candidate| candidate.is_file());
    found.ok_or_else(|| {
        Problem::new("sandbox.missing", format!("no program {word:?} in PATH")).into()
    })
}

/// Refuses what cannot run alone, and says what to do about it.
pub(super) fn check(path: &Path) -> Result<()> {
    let shown = path.display();
    let missing = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Problem::new("sandbox.missing", format!("no file {shown}")),
        _ => Problem::new("sandbox.file", format!("{shown}: {error}")),
    };
    // Looked at before it is opened: opening a pipe waits for somebody to write.
    let metadata = std::fs::metadata(path).map_err(missing)?;
    if !metadata.is_file() {
        refuse!("sandbox.program", "{shown} is not a regular file");
    }
    let file = File::open(path).map_err(missing)?;
    let mut head = Vec::new();
    file.take(HEAD_BYTES)
        .read_to_end(&mut head)
        .map_err(missing)?;
    match kind(&head) {
        Kind::Static if metadata.permissions().mode() & 0o111 == 0 => {
            refuse!(
                "sandbox.program",
                "{shown} is not executable: chmod +x {shown}"
            )
        }
        Kind::Static => Ok(()),
        Kind::Script => refuse!(
            "sandbox.program",
            "{shown} is a script: run its interpreter, a static one, and hand the script in with --stdin or --input"
        ),
        Kind::Dynamic(loader) => refuse!(
            "sandbox.program",
            "{shown} is dynamic, and there is no {loader} in the sandbox: link it statically (-static, crt-static, CGO_ENABLED=0)"
        ),
        Kind::Foreign => refuse!(
            "sandbox.program",
            "{shown} is for another kind of processor"
        ),
        Kind::Unknown => refuse!("sandbox.program", "{shown} is not an ELF executable"),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Static,
    Dynamic(String),
    Script,
    Foreign,
    Unknown,
}

fn kind(head: &[u8]) -> Kind {
    if head.starts_with(b"#!") {
        return Kind::Script;
    }
    if !head.starts_with(b"\x7fELF") {
        return Kind::Unknown;
    }
    let is_64_little = head.get(4..6) == Some(&[2, 1]);
    if !is_64_little || half(head, 18) != Some(X86_64) {
        return Kind::Foreign;
    }
    match interpreter(head) {
        Some(Some(loader)) => Kind::Dynamic(loader),
        Some(None) => Kind::Static,
        None => Kind::Unknown,
    }
}

/// The loader the program asks for, if any; `None` for a header that makes no sense.
fn interpreter(head: &[u8]) -> Option<Option<String>> {
    let table = usize::try_from(long(head, 32)?).ok()?;
    let size = usize::from(half(head, 54)?);
    let count = usize::from(half(head, 56)?);
    for index in 0..count {
        let row = table.checked_add(index.checked_mul(size)?)?;
        let Some(kind) = word(head, row) else {
            // A table beyond the first pages: left to the kernel.
            return Some(None);
        };
        if kind == INTERPRETER {
            let at = usize::try_from(long(head, row.checked_add(8)?)?).ok()?;
            let rest = head.get(at..).unwrap_or_default();
            let name = rest.split(|byte| *byte == 0).next().unwrap_or_default();
            return Some(Some(String::from_utf8_lossy(name).into_owned()));
        }
    }
    Some(None)
}

fn bytes<const N: usize>(head: &[u8], at: usize) -> Option<[u8; N]> {
    head.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn half(head: &[u8], at: usize) -> Option<u16> {
    bytes(head, at).map(u16::from_le_bytes)
}

fn word(head: &[u8], at: usize) -> Option<u32> {
    bytes(head, at).map(u32::from_le_bytes)
}

fn long(head: &[u8], at: usize) -> Option<u64> {
    bytes(head, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head_of(path: &str) -> Vec<u8> {
        let mut head = Vec::new();
        let file = File::open(path).unwrap();
        file.take(HEAD_BYTES).read_to_end(&mut head).unwrap();
        head
    }

    #[test]
    fn kinds_of_files_are_told_apart() {
        assert_eq!(kind(b"#!/bin/sh\n"), Kind::Script);
        assert_eq!(kind(b""), Kind::Unknown);
        assert_eq!(kind(b"\x7fELF\x02\x01\x01"), Kind::Foreign);
        assert_eq!(kind(b"\x7fELF\x01\x01\x01"), Kind::Foreign);
        // This test is as static as the binary it belongs to; the C library's tools are not.
        let own = std::env::current_exe().unwrap();
        assert_eq!(kind(&head_of(own.to_str().unwrap())), Kind::Static);
        assert!(
            matches!(kind(&head_of("/bin/true")), Kind::Dynamic(loader) if loader.starts_with('/'))
        );
    }

    #[test]
    fn a_damaged_header_is_no_panic() {
        let own = std::env::current_exe().unwrap();
        let head = head_of(own.to_str().unwrap());
        for at in 0..64 {
            for value in [0x00, 0x7f, 0xff] {
                let mut damaged = head.clone();
                damaged[at] = value;
                kind(&damaged);
                kind(&damaged[..at]);
            }
        }
    }
}
