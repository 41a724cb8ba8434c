//! What takes the demo's place in an operator's build, which carries nobody who misbehaves.

use anyhow::Result;
use clap::Args;

use crate::cli::Context;
use crate::error::CommandError;

/// `palisade demo`, which needs a liar.
#[derive(Debug, Clone, Args)]
pub struct DemoCommand {
    /// Whatever the demo takes elsewhere.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub arguments: Vec<String>,
}

impl DemoCommand {
    /// Says why not.
    ///
    /// # Errors
    /// Always.
    pub fn run(self, _: &Context<'_>) -> Result<()> {
        Err(CommandError::left_out("the demo").into())
    }
}
