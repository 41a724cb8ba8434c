//! `palisade completions` and `palisade man`: references generated from the parser itself, so that
//! they cannot say anything else than it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use serde_json::json;

use super::Context;
use crate::cli::Cli;
use crate::exit::Exit;
use crate::problem::Problem;

/// The binary's name in shells and pages.
const NAME: &str = "palisade";

/// For which shell.
#[derive(clap::Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell that will read it.
    #[arg(value_enum)]
    shell: Shell,
}

/// Where to.
#[derive(clap::Args, Debug)]
pub(crate) struct ManArgs {
    /// The directory for the pages, made if it is missing.
    dir: PathBuf,
}

/// Prints a completion script.
pub(crate) fn completions(context: &Context, args: &CompletionsArgs) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), NAME, &mut script);
    let script = String::from_utf8(script)?;
    let document = json!({
        "schema": "palisade.completions/1", "shell": args.shell.to_string(), "script": script,
    });
    context.output.document(&document, || script);
    Ok(Exit::Ok)
}

/// Writes one page a command, `palisade-job-submit.1` and so on.
pub(crate) fn man(context: &Context, args: &ManArgs) -> Result<Exit> {
    let dir = &args.dir;
    std::fs::create_dir_all(dir).map_err(|error| unwritten(dir, &error))?;
    let mut command = Cli::command();
    command.build();
    let mut pages = Vec::new();
    pages_of(dir, command, &mut pages)?;
    let document = json!({
        "schema": "palisade.man/1", "dir": dir.display().to_string(), "pages": pages,
    });
    context.output.document(&document, || {
        format!(
            "{} pages in {}\nnext: man {}/palisade.1",
            pages.len(),
            dir.display(),
            dir.display()
        )
    });
    Ok(Exit::Ok)
}

fn unwritten(dir: &Path, error: &std::io::Error) -> Problem {
    let text = format!("cannot write to {}: {error}", dir.display());
    Problem::new("storage.failed", text).hint("name a directory that you may write to, with room")
}

/// The page of a command, then those of its subcommands.
fn pages_of(dir: &Path, command: Command, pages: &mut Vec<String>) -> Result<()> {
    let below: Vec<Command> = command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set())
        .cloned()
        .collect();
    let page = clap_mangen::Man::new(command);
    let path = page
        .generate_to(dir)
        .map_err(|error| unwritten(dir, &error))?;
    let name = path.file_name().unwrap_or_default();
    pages.push(name.to_string_lossy().into_owned());
    below
        .into_iter()
        .try_for_each(|sub| pages_of(dir, sub, pages))
}
