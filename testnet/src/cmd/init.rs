//! `testnet init`.

use anyhow::Result;

use super::print;
use crate::cli::{Context, InitArgs, KeysFrom};
use crate::error::CommandError;
use crate::files::NetDir;
use crate::home::KeySource;
use crate::manifest::{Manifest, NODE_NAMES};
use crate::setup::{Addresses, Setup};

pub(crate) fn run(args: &InitArgs, context: &Context<'_>) -> Result<()> {
    let names: Vec<String> = if args.names.is_empty() {
        NODE_NAMES
            .iter()
            .take(args.nodes)
            .map(|name| (*name).to_owned())
            .collect()
    } else {
        args.names.clone()
    };
    if !args.addr.is_empty() && args.addr.len() != names.len() {
        let detail = format!("{} addresses for {} nodes", args.addr.len(), names.len());
        return Err(CommandError::config(detail, "--addr takes one address a node").into());
    }
    let mut manifest = Manifest::of_names(&names, &args.chain_name);
    manifest.order = names;
    let dir = NetDir::at(&args.dir);
    let setup = Setup {
        name: &args.chain_name,
        dir: &dir,
        manifest: &manifest,
        keys: match args.keys {
            KeysFrom::Dev => KeySource::Dev(manifest.seed),
            KeysFrom::Random => KeySource::Random,
        },
        addresses: if args.addr.is_empty() {
            Addresses::Slot(*crate::slot::SLOTS.start())
        } else {
            Addresses::Given(args.addr.clone())
        },
        fund: &[],
        api_port: None,
        metrics_port: None,
    };
    let plan = setup.write(context.host)?;
    print(context, &plan, || {
        format!(
            "wrote {} homes in {}, chain {}",
            plan.nodes.len(),
            args.dir.display(),
            plan.chain_id
        )
    })
}
