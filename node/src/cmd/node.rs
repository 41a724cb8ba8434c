//! `palisade node run`

use std::sync::Mutex;

use anyhow::Result;
use clap::Subcommand;

use super::Context;
use crate::exit::Exit;
use crate::run::{self, Handed, Options};

/// What to do with a node.
#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    /// Run it in the foreground until SIGTERM or SIGINT.
    Run {
        /// End when this process, our parent, ends.
        #[arg(long, value_name = "PID", hide = true)]
        die_with: Option<u32>,
    },
}

/// Sockets handed to this process, taken before anything else was opened.
static HANDED: Mutex<Option<Handed>> = Mutex::new(None);

/// Takes the sockets. Called first in `main`.
pub(crate) fn take_sockets() {
    if let Ok(mut handed) = HANDED.lock() {
        *handed = Some(run::handed());
    }
}

/// Runs the verb.
pub(crate) fn run(context: &Context, verb: &Verb) -> Result<Exit> {
    let Verb::Run { die_with } = verb;
    // Nothing hangs on it: without, the node only uses more memory.
    let _bounded = sandbox::keep_heap_small();
    let handed = HANDED
        .lock()
        .ok()
        .and_then(|mut handed| handed.take())
        .unwrap_or_default();
    run::run(
        context,
        Options {
            handed,
            die_with: *die_with,
        },
    )
}
