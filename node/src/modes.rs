//! Hidden modes of the binary, matched before anything else in `main`: no command line parser, no
//! threads, no logging, no fatal panic hook.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::ExitCode;

use runner::entry::Files;

/// One job: `__runner ENGINE` inside a sandbox.
pub(crate) const RUNNER_MODE: &str = "__runner";

/// The environment of a runner: tract reads this one past its own knobs.
pub(crate) fn runner_environment() -> Vec<Vec<u8>> {
    let wanted = [("TRACT_X86_KIND", "other")];
    let allowed = |name: &str| sandbox::ENVIRONMENT_ALLOWED.contains(&name);
    let written = wanted.iter().filter(|(name, _)| allowed(name));
    written
        .map(|(name, value)| format!("{name}={value}").into_bytes())
        .collect()
}

/// Runs a hidden mode, if one is meant.
pub(crate) fn run(args: &[OsString]) -> Option<ExitCode> {
    let mode = args.get(1)?.to_str()?;
    if mode == sandbox::LAUNCHER_MODE {
        sandbox::launcher_main();
    }
    if mode == sandbox::PROBE_MODE {
        sandbox::probe_main();
    }
    match mode {
        RUNNER_MODE => Some(runner(args.get(2))),
        testnet::supervisor::MODE => Some(supervise(args)),
        _ => None,
    }
}

/// `__supervise DIR [--tied PID]`: a testnet's own process.
fn supervise(args: &[OsString]) -> ExitCode {
    crate::panic::install();
    take_name(args);
    let Some(dir) = args.get(2) else {
        return ExitCode::from(2);
    };
    let tied = match args.get(3).map(|word| word == "--tied") {
        Some(true) => args
            .get(4)
            .and_then(|pid| pid.to_str())
            .and_then(|pid| pid.parse().ok()),
        _ => None,
    };
    let dir = testnet::files::NetDir::at(std::path::PathBuf::from(dir));
    match testnet::supervisor::supervise(&dir, tied) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // On a full disk there is no room for a log; whoever waits for the net hears it here.
            let words = testnet::supervisor::LastWords::of(&error).to_line();
            drop(writeln!(io::stdout(), "{words}"));
            drop(writeln!(io::stderr(), "{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Takes the name it was called by, as `ps` shows it: one that was started as `/proc/self/exe` would
/// be called `exe` there.
pub(crate) fn take_name(args: &[OsString]) {
    let called = args.first().map(Path::new).and_then(Path::file_name);
    if let Some(name) = called.and_then(|name| CString::new(name.as_bytes()).ok()) {
        let taken = nix::sys::prctl::set_name(&name);
        debug_assert!(taken.is_ok(), "a name in our own memory is always taken");
    }
}

fn runner(engine: Option<&OsString>) -> ExitCode {
    let engine = engine
        .and_then(|text| text.to_str())
        .and_then(|text| text.parse().ok());
    let mut files = sandbox::inherited().into_iter().map(File::from);
    let (Some(engine), Some(request)) = (engine, files.next()) else {
        return ExitCode::from(2);
    };
    let files = Files {
        request,
        model: files.next(),
        bundle: files.next(),
    };
    let seal = || sandbox::seal().map_err(io::Error::other);
    let mut out = io::stdout().lock();
    match runner::entry::serve(engine, files, &mut out, seal, attack) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// What a captured runner would try. The model file of engine 0 holds a name and perhaps a target.
fn attack(name: &str) -> String {
    let (name, target) = name.split_once(' ').unwrap_or((name, ""));
    match sandbox::attacks::as_runner(name, target.trim()) {
        Some(attempt) => attempt.to_string(),
        None => format!("no attack named {name}"),
    }
}
