//! Hidden modes of the binary, matched before anything else in `main`: no command line parser, no
//! threads, no logging, no fatal panic hook.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::process::ExitCode;

use runner::entry::Files;

/// One job: `__runner ENGINE` inside a sandbox.
pub(crate) const RUNNER_MODE: &str = "__runner";
const SUPERVISE_MODE: &str = "__supervise";

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
        SUPERVISE_MODE => Some(supervise(args)),
        _ => None,
    }
}

/// `__supervise DIR [--tied PID]`: a testnet's own process.
fn supervise(args: &[OsString]) -> ExitCode {
    crate::panic::install();
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
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
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
