//! What to run: program, arguments, inputs, limits, profile.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;

use crate::error::SpecError;
use crate::limits::{ARGUMENT_BYTES_MAX, COLLECT_FILES_MAX, INPUTS_MAX, Limits};
use crate::sys;
use crate::wire::{Decode, Encode};

/// Variables a job may be given. `GLIBC_TUNABLES` and the loader's are not among them.
pub const ENVIRONMENT_ALLOWED: &[&str] =
    &["TRACT_CPU_ISA", "TRACT_X86_KIND", "RUST_BACKTRACE", "LANG"];

/// Which set of filters and ceilings a job gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Profile {
    /// Our own interpreter of models: it computes, reads its inputs and writes its output.
    Runner,
    /// Somebody's static program: may also have processes and a scratch directory.
    Native,
}

impl Profile {
    /// Lower-case name, as in profile files and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Profile::Runner => "runner",
            Profile::Native => "native",
        }
    }
}

/// The program file, opened once and shared by every run.
#[derive(Debug, Clone)]
pub struct Program {
    file: Arc<OwnedFd>,
    /// Where it lies, without links; empty if that cannot be told.
    path: Arc<[u8]>,
}

impl Program {
    /// The binary this process runs.
    ///
    /// # Errors
    /// When `/proc/self/exe` cannot be opened.
    pub fn current() -> io::Result<Self> {
        Self::open(Path::new("/proc/self/exe"))
    }

    /// A static executable on the host.
    ///
    /// # Errors
    /// When the file cannot be opened. Whether it can be executed shows when it is run.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let real = std::fs::canonicalize(path).unwrap_or_default();
        Ok(Program {
            file: Arc::new(file.into()),
            path: real.as_os_str().as_bytes().into(),
        })
    }

    pub(crate) fn path(&self) -> &[u8] {
        &self.path
    }
}

impl AsFd for Program {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// A writable directory `/scratch` of the job, in memory, gone with it; the job starts there. With
/// it come `/tmp`, which is the same, the devices null, zero, full, random and urandom in `/dev`, and
/// `/proc/self/exe`, a link to the program in `/program`: what shells and other tools cannot do without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scratch {
    /// Size of the file system, at most 16 MiB.
    pub bytes: u64,
    /// Number of files and directories, at most 1024.
    pub inodes: u64,
    /// Files to hand back after the job: plain names or relative paths beneath `/scratch`.
    pub collect: Vec<String>,
    /// Most bytes handed back over all files.
    pub collect_bytes: u64,
}

/// One job.
#[derive(Debug)]
pub struct Spec {
    /// What to execute.
    pub program: Program,
    /// Arguments, the program's own name first.
    pub args: Vec<Vec<u8>>,
    /// Environment, `NAME=value`, names from [`ENVIRONMENT_ALLOWED`].
    pub env: Vec<Vec<u8>>,
    /// Descriptors the job finds from 3 up: read-only regular files or sealed memory files.
    pub inputs: Vec<OwnedFd>,
    /// Bytes written to standard input, then end of file.
    pub stdin: Vec<u8>,
    /// Bounds.
    pub limits: Limits,
    /// Filters and ceilings.
    pub profile: Profile,
    /// Writable directory, native only.
    pub scratch: Option<Scratch>,
}

impl Spec {
    /// A job with the profile's ceilings as limits and nothing optional.
    #[must_use]
    pub fn new(program: Program, profile: Profile, args: &[&str]) -> Self {
        Spec {
            program,
            args: args
                .iter()
                .map(|argument| argument.as_bytes().to_vec())
                .collect(),
            env: Vec::new(),
            inputs: Vec::new(),
            stdin: Vec::new(),
            limits: Limits::ceiling(profile),
            profile,
            scratch: None,
        }
    }

    /// Refuses whatever is out of range, before any process exists.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), SpecError> {
        self.limits.check(self.profile)?;
        self.check_arguments()?;
        self.check_inputs()?;
        let bytes = u64::try_from(self.stdin.len()).unwrap_or(u64::MAX);
        if bytes > self.limits.stdin_bytes {
            return Err(SpecError::Stdin {
                bytes,
                most: self.limits.stdin_bytes,
            });
        }
        match &self.scratch {
            None => Ok(()),
            Some(_) if self.profile == Profile::Runner => Err(SpecError::ScratchInRunner),
            Some(scratch) => scratch.check(),
        }
    }

    fn check_arguments(&self) -> Result<(), SpecError> {
        if self.args.is_empty() {
            return Err(SpecError::NoArguments);
        }
        let mut bytes = 0usize;
        for (index, entry) in self.args.iter().chain(&self.env).enumerate() {
            if entry.contains(&0) {
                return Err(SpecError::Nul { index });
            }
            bytes = bytes.saturating_add(entry.len()).saturating_add(16);
        }
        if bytes > ARGUMENT_BYTES_MAX {
            return Err(SpecError::ArgumentBytes {
                bytes,
                most: ARGUMENT_BYTES_MAX,
            });
        }
        for (index, entry) in self.env.iter().enumerate() {
            let name = entry.split(|byte| *byte == b'=').next().unwrap_or_default();
            if !ENVIRONMENT_ALLOWED
                .iter()
                .any(|allowed| allowed.as_bytes() == name)
            {
                return Err(SpecError::Environment { index });
            }
        }
        Ok(())
    }

    fn check_inputs(&self) -> Result<(), SpecError> {
        if self.inputs.len() > INPUTS_MAX {
            return Err(SpecError::TooManyInputs {
                count: self.inputs.len(),
                most: INPUTS_MAX,
            });
        }
        for (index, input) in self.inputs.iter().enumerate() {
            check_input(index, input.as_fd())?;
        }
        Ok(())
    }

    /// Inputs as fresh read-only open files: a run neither shares an offset with another nor
    /// receives a descriptor it could write through.
    pub(crate) fn reopen_inputs(&self) -> Result<Vec<OwnedFd>, SpecError> {
        use std::os::fd::AsRawFd;
        self.inputs
            .iter()
            .enumerate()
            .map(|(index, input)| {
                File::open(format!("/proc/self/fd/{}", input.as_raw_fd()))
                    .map(OwnedFd::from)
                    .map_err(|e| SpecError::Input {
                        index,
                        errno: e.raw_os_error().unwrap_or(0),
                    })
            })
            .collect()
    }
}

fn check_input(index: usize, input: BorrowedFd<'_>) -> Result<(), SpecError> {
    let failed = |errno| SpecError::Input { index, errno };
    let file = File::from(
        input
            .try_clone_to_owned()
            .map_err(|e| failed(e.raw_os_error().unwrap_or(0)))?,
    );
    let kind = file
        .metadata()
        .map_err(|e| failed(e.raw_os_error().unwrap_or(0)))?
        .file_type();
    if !kind.is_file() || kind.is_fifo() {
        return Err(SpecError::InputNotRegular { index });
    }
    let flags = sys::status_flags(input).map_err(failed)?;
    if flags & libc::O_PATH != 0 {
        return Err(SpecError::InputNotRegular { index });
    }
    let sealed = libc::F_SEAL_WRITE | libc::F_SEAL_GROW | libc::F_SEAL_SHRINK;
    let is_sealed = sys::seals(input).is_some_and(|seals| seals & sealed == sealed);
    if flags & libc::O_ACCMODE != libc::O_RDONLY && !is_sealed {
        return Err(SpecError::InputWritable { index });
    }
    Ok(())
}

impl Scratch {
    fn check(&self) -> Result<(), SpecError> {
        if self.bytes < 4096 || self.bytes > 16 << 20 {
            return Err(SpecError::Scratch("bytes must be 4096..=16777216"));
        }
        if self.inodes < 2 || self.inodes > 1024 {
            return Err(SpecError::Scratch("inodes must be 2..=1024"));
        }
        if self.collect.len() > COLLECT_FILES_MAX || self.collect_bytes > self.bytes {
            return Err(SpecError::Scratch(
                "collects more than the scratch directory holds",
            ));
        }
        let bad = |name: &String| name.is_empty() || name.contains('\0') || name.len() > 255;
        if self.collect.iter().any(bad) {
            return Err(SpecError::Scratch("bad name to collect"));
        }
        Ok(())
    }
}
