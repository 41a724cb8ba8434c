//! `palisade init`: a home for one node.

use std::path::PathBuf;

use anyhow::Result;
use protocol::digest::ChainId;
use serde_json::json;

use super::Context;
use crate::config::check::{parse_moniker, parse_peer};
use crate::config::{Config, Role as NodeRole};
use crate::exit::Exit;
use crate::home::Chain;
use crate::keys::file;
use crate::problem::{Problem, refuse};

/// What to make.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The chain's genesis file.
    #[arg(long, value_name = "GENESIS")]
    chain: PathBuf,
    /// Its hash, from somebody you trust.
    #[arg(long, value_name = "HEX")]
    genesis_hash: ChainId,
    /// What the node will do.
    #[arg(long, value_enum)]
    role: NodeRole,
    /// A name for people.
    #[arg(long, default_value = "palisade", value_parser = parse_moniker)]
    moniker: String,
    /// Peers to stay connected to, each ending in /p2p/<peer id>.
    #[arg(long, value_name = "MULTIADDR", value_parser = parse_peer)]
    peer: Vec<String>,
}

/// Writes `genesis.toml` and `node.toml`; an existing home is left as it is.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit> {
    let chain = Chain::given(&args.chain)?;
    if chain.id != args.genesis_hash {
        return Err(Problem::new(
            "config.chain",
            format!(
                "--genesis-hash {} but the file has {}",
                args.genesis_hash, chain.id
            ),
        )
        .into());
    }
    let home = &context.home;
    if home.genesis_file().exists() || home.config_file().exists() {
        refuse!("home.exists", "{}", home.root().display());
    }
    let mut config = Config::default();
    config.node.moniker.clone_from(&args.moniker);
    config.node.role = args.role;
    config.net.persistent.clone_from(&args.peer);
    let checked = config.check(Some(&chain.genesis.chain_name));
    checked.map_err(Problem::from)?;
    for dir in [home.root().to_owned(), home.keys(), home.run(), home.data()] {
        file::private_dir(&dir)?;
    }
    file::write_private(&home.genesis_file(), &chain.bytes)?;
    file::write_private(&home.config_file(), toml::to_string(&config)?.as_bytes())?;
    let document = json!({
        "schema": "palisade.init/1", "home": home.root().display().to_string(),
        "chain_id": chain.id.to_string(), "chain_name": chain.genesis.chain_name,
    });
    context.output.document(&document, || {
        let next = match args.role {
            NodeRole::Validator => {
                "palisade keys new --role consensus (then session, peer; operator offline), then \
                 palisade sign-state init --floor 0"
            }
            _ => "palisade keys new --role peer, then palisade node run",
        };
        format!(
            "home {} for {}\nnext: {next}",
            home.root().display(),
            chain.genesis.chain_name
        )
    });
    Ok(Exit::Ok)
}
