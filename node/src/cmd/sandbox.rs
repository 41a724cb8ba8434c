//! `palisade sandbox run`: one static program under the sandbox, for whoever wants just that.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use anyhow::Result;
use sandbox::{Cancel, Limits, Outcome, Program, Report, Sandbox, Scratch, Slot, Spec, Stream};
use serde_json::{Value, json};

use super::Context;
use super::doctor::{ProfileName, sandbox_config};
use crate::problem::{Problem, refuse};

mod elf;
mod limits;

/// Memory of the scratch directory, and of what is collected from it.
const SCRATCH_BYTES: u64 = 16 << 20;
const SCRATCH_INODES: u64 = 1024;

/// What to run.
///
/// The command ends with the program's own exit code, with 128 and the signal's number if one
/// ended it, and otherwise: 124 wall or CPU time, 137 memory, 123 tasks, 141 output, 153 file
/// size, 159 forbidden system call, 126 not started, 125 launcher lost, 130 cancelled.
#[derive(clap::Args, Debug)]
pub(crate) struct RunArgs {
    /// Which filters and ceilings: `sandbox profile NAME` prints them.
    #[arg(long, value_enum, default_value = "native")]
    profile: ProfileName,
    /// A file the program finds open for reading, the first as descriptor 3.
    #[arg(long, value_name = "FILE")]
    input: Vec<PathBuf>,
    /// A file for its standard input; `-` is this command's own. Without it, the end of file.
    #[arg(long, value_name = "FILE")]
    stdin: Option<PathBuf>,
    /// A lower limit, as `wall=2s`, `cpu=1s`, `memory=64MiB`, `tasks=4`, `stdout=64KiB`.
    #[arg(long, value_name = "NAME=VALUE")]
    limit: Vec<String>,
    /// A file of its directory /scratch to keep, as `NAME` or `NAME=FILE`.
    #[arg(long, value_name = "NAME[=FILE]")]
    collect: Vec<String>,
    /// An environment variable, of those that are allowed.
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// No /scratch, /dev/null and /proc/self/exe: a root with nothing in it.
    #[arg(long)]
    bare: bool,
    /// The program, a static executable, and its arguments.
    #[arg(required = true, trailing_var_arg = true, value_name = "PROGRAM")]
    command: Vec<String>,
}

/// Runs the program and ends as it did.
pub(crate) fn run(context: &Context, args: &RunArgs) -> Result<u8> {
    let (spec, keep) = spec(args)?;
    let (config, _dir) = sandbox_config(context)?;
    let report = in_thread(config, spec)?;
    for (file, to) in report.files.iter().zip(&keep) {
        match &file.content {
            Ok(bytes) => std::fs::write(to, bytes).map_err(|error| {
                Problem::new("sandbox.file", format!("{}: {error}", to.display()))
            })?,
            Err(errno) => context.output.progress(&format!(
                "/scratch/{} was not collected: {}",
                file.name,
                std::io::Error::from_raw_os_error(*errno)
            )),
        }
    }
    let code = exit_code(&report.outcome);
    show(context, args, &report, code);
    Ok(code)
}

/// How the command ends.
fn exit_code(outcome: &Outcome) -> u8 {
    let byte = |number: i32| u8::try_from(number & 0xff).unwrap_or(u8::MAX);
    match outcome {
        Outcome::Exited(code) => byte(*code),
        Outcome::Signaled(signal) => byte(128 + (signal & 0x7f)),
        Outcome::WallTimeout | Outcome::CpuTimeout => 124,
        Outcome::MemoryLimit => 137,
        Outcome::PidsLimit => 123,
        Outcome::OutputLimit { .. } => 141,
        Outcome::FileSizeLimit => 153,
        Outcome::SeccompViolation { .. } => 159,
        Outcome::Cancelled => 130,
        Outcome::SetupFailed { .. } => 126,
        Outcome::LauncherLost => 125,
    }
}

fn spec(args: &RunArgs) -> Result<(Spec, Vec<PathBuf>)> {
    let profile = args.profile.profile();
    let name = args.command.first().map_or("", String::as_str);
    let path = elf::locate(name)?;
    elf::check(&path)?;
    let program = Program::open(&path).map_err(|error| unreadable(&path, &error))?;
    let words: Vec<&str> = args.command.iter().map(String::as_str).collect();
    let mut spec = Spec::new(program, profile, &words);
    let mut scratch = Scratch {
        bytes: SCRATCH_BYTES,
        inodes: SCRATCH_INODES,
        collect: Vec::new(),
        collect_bytes: SCRATCH_BYTES,
    };
    for text in &args.limit {
        limits::lower(&mut spec.limits, text)?;
    }
    let mut keep = Vec::new();
    for wanted in &args.collect {
        let (name, to) = wanted.split_once('=').unwrap_or((wanted, wanted));
        scratch.collect.push(name.to_owned());
        let last = Path::new(to).file_name().map_or(to.as_ref(), Path::new);
        keep.push(if wanted.contains('=') {
            to.into()
        } else {
            last.to_owned()
        });
    }
    let has_scratch = profile == sandbox::Profile::Native && !args.bare;
    if !has_scratch && !keep.is_empty() {
        refuse!(
            "sandbox.spec",
            "--collect needs /scratch: --profile native without --bare"
        );
    }
    spec.scratch = has_scratch.then_some(scratch);
    spec.env = args
        .env
        .iter()
        .map(|entry| entry.clone().into_bytes())
        .collect();
    for path in &args.input {
        let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        if !metadata.is_file() {
            refuse!(
                "sandbox.spec",
                "--input {}: not a regular file",
                path.display()
            );
        }
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        spec.inputs.push(file.into());
    }
    spec.stdin = stdin(args.stdin.as_deref(), &spec.limits)?;
    spec.validate()
        .map_err(|error| Problem::new("sandbox.spec", error))?;
    Ok((spec, keep))
}

fn stdin(from: Option<&Path>, limits: &Limits) -> Result<Vec<u8>> {
    let most = limits.stdin_bytes.saturating_add(1);
    let mut bytes = Vec::new();
    match from {
        None => {}
        Some(path) if path == Path::new("-") => {
            std::io::stdin().lock().take(most).read_to_end(&mut bytes)?;
        }
        Some(path) => {
            let file = File::open(path).map_err(|error| unreadable(path, &error))?;
            file.take(most)
                .read_to_end(&mut bytes)
                .map_err(|error| unreadable(path, &error))?;
        }
    }
    Ok(bytes)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new("sandbox.file", format!("{}: {error}", path.display()))
}

/// The launcher dies with the thread that started it, so one thread does it all.
fn in_thread(config: sandbox::SandboxConfig, spec: Spec) -> Result<Report> {
    let (send, receive) = mpsc::channel();
    let work = move || -> Result<Report> {
        let (sandbox, _) =
            Sandbox::open(config).map_err(|closed| Problem::new("check.sandbox", closed))?;
        if !sandbox.allows(spec.profile) {
            let text = format!(
                "profile {} does not run on tier {}",
                spec.profile.name(),
                sandbox.tier()
            );
            return Err(Problem::new("check.sandbox", text).into());
        }
        let mut slot = Slot::spawn(sandbox.slot(1)?)?;
        slot.run(spec, &Cancel::new()?)
            .map_err(|error| Problem::new("sandbox.spec", error).into())
    };
    let thread = std::thread::Builder::new().spawn(move || drop(send.send(work())))?;
    let report = receive.recv()?;
    drop(thread.join());
    report
}

fn show(context: &Context, args: &RunArgs, report: &Report, code: u8) {
    if context.output.format != crate::output::Format::Human {
        let document = document(args, report, code);
        context.output.document(&document, String::new);
        return;
    }
    // A closed pipe is the reader's choice, not our failure.
    drop(std::io::stdout().lock().write_all(&report.stdout));
    drop(std::io::stderr().lock().write_all(&report.stderr));
    if !matches!(report.outcome, Outcome::Exited(_)) {
        let usage = &report.usage;
        context.output.progress(&format!(
            "sandbox: {} after {:.2} s, {:.2} s of CPU, {} KiB at most{}",
            report.outcome,
            usage.wall.as_secs_f64(),
            usage.cpu.as_secs_f64(),
            usage.peak_memory_bytes >> 10,
            advice(&report.outcome),
        ));
    }
}

fn advice(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::SeccompViolation { .. } => "; `palisade sandbox profile` lists what is allowed",
        Outcome::SetupFailed { .. } => "; `palisade doctor --sandbox` says what this host lacks",
        _ => "",
    }
}

fn document(args: &RunArgs, report: &Report, code: u8) -> Value {
    let usage = &report.usage;
    let mut document = json!({
        "schema": "palisade.run/1",
        "ok": report.outcome == Outcome::Exited(0),
        "outcome": report.outcome.label(),
        "exit_code": code,
        "profile": args.profile.profile().name(),
        "tier": report.tier.to_string(),
        "usage": {
            "wall_us": micros(usage.wall), "cpu_us": micros(usage.cpu),
            "user_us": micros(usage.user), "system_us": micros(usage.system),
            "peak_memory_bytes": usage.peak_memory_bytes,
            "minor_faults": usage.minor_faults, "major_faults": usage.major_faults,
            "voluntary_switches": usage.voluntary_switches,
            "involuntary_switches": usage.involuntary_switches,
            "stdin_bytes": usage.stdin_bytes, "output_bytes": usage.output_bytes,
        },
        "setup_us": micros(report.setup),
        "files": files(report),
    });
    let fields: &[(&str, Value)] = &match &report.outcome {
        Outcome::Exited(code) => vec![("code", json!(code))],
        Outcome::Signaled(signal) => vec![("signal", json!(signal))],
        Outcome::SetupFailed { stage, errno } => {
            vec![
                ("stage", json!(format!("{stage:?}"))),
                ("errno", json!(errno)),
            ]
        }
        Outcome::OutputLimit { stream } => {
            let name = if *stream == Stream::Stdout {
                "stdout"
            } else {
                "stderr"
            };
            vec![("stream", json!(name))]
        }
        _ => Vec::new(),
    };
    for (name, value) in fields {
        document[*name] = value.clone();
    }
    for (name, bytes) in [("stdout", &report.stdout), ("stderr", &report.stderr)] {
        match std::str::from_utf8(bytes) {
            Ok(text) => document[name] = json!(text),
            Err(_) => document[format!("{name}_hex")] = json!(hex::encode(bytes)),
        }
    }
    document
}

fn files(report: &Report) -> Vec<Value> {
    let row = |file: &sandbox::Collected| match &file.content {
        Ok(bytes) => json!({"name": file.name, "bytes": bytes.len()}),
        Err(errno) => json!({"name": file.name, "errno": errno}),
    };
    report.files.iter().map(row).collect()
}

fn micros(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scripts branch on these.
    #[test]
    fn exit_codes_mirror_the_outcome() {
        assert_eq!(exit_code(&Outcome::Exited(0)), 0);
        assert_eq!(exit_code(&Outcome::Exited(255)), 255);
        assert_eq!(exit_code(&Outcome::Signaled(11)), 139);
        assert_eq!(exit_code(&Outcome::WallTimeout), 124);
        assert_eq!(exit_code(&Outcome::CpuTimeout), 124);
        assert_eq!(exit_code(&Outcome::MemoryLimit), 137);
        assert_eq!(exit_code(&Outcome::SeccompViolation { nr: None }), 159);
    }
}
