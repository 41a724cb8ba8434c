//! The commands of `palisade testnet`, a file each.

pub(crate) mod assert;
pub(crate) mod down;
pub(crate) mod fault;
pub(crate) mod files;
pub(crate) mod init;
pub(crate) mod logs;
pub(crate) mod run;
pub(crate) mod sim;
pub(crate) mod status;
pub(crate) mod submit;
pub(crate) mod up;

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::cli::{Context, Output};
use crate::error::CommandError;
use crate::manifest::duration_ms;
use crate::terminal::{note, stdout};

/// Prints a document: as JSON, or as the text for people.
fn print(
    context: &Context<'_>,
    document: &impl Serialize,
    human: impl FnOnce() -> String,
) -> Result<()> {
    stdout(&match context.output {
        Output::Human => human(),
        Output::Json => serde_json::to_string_pretty(document)?,
        Output::JsonLines => serde_json::to_string(document)?,
    })
}

fn duration(flag: &str, text: &str) -> Result<Duration> {
    let milliseconds = duration_ms(text).ok_or_else(|| {
        CommandError::config(
            format!("{flag}: `{text}` is no duration"),
            "write 500ms, 10s or 2m",
        )
    })?;
    Ok(Duration::from_millis(milliseconds))
}
