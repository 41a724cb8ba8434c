//! What the binary does for `palisade testnet` and `palisade demo`: homes and development keys.

use anyhow::Result;
use protocol::digest::ChainId;
use protocol::keys::{PublicKey, SecretKey};
use protocol::units::Height;
use std::path::Path;
use std::sync::Arc;
use storage::home::HomeLock;
use storage::layer::OsLayer;
use storage::sign::portable::StoppedSignState;
use storage::sign::slot::SignerIdentity;
use testnet::cli::{DemoCommand, TestnetCommand};
use testnet::error::CommandError;
use testnet::home::{DevBranch, HomeSpec, Host, KeySource};

use super::Context;
use super::doctor::degradations;
use super::keys::label;
use crate::config::{Config, Role as NodeRole};
use crate::exit::Exit;
use crate::home::Home;
use crate::keys::{Role, bip32, dev, file, keystore};
use crate::output::Format;
use crate::peer_id;
use crate::problem::Problem;

/// The file in a home with the password of keys that came from the operating system.
const PASSWORD_FILE: &str = "password";

/// The binary as its testnets see it.
#[derive(Debug)]
pub(crate) struct Binary;

/// `palisade testnet …`
pub(crate) fn testnet(context: &Context, command: TestnetCommand) -> Result<Exit> {
    outcome(command.run(&for_testnet(context)))
}

/// `palisade demo`
pub(crate) fn demo(context: &Context, command: DemoCommand) -> Result<Exit> {
    outcome(command.run(&for_testnet(context)))
}

fn for_testnet(context: &Context) -> testnet::cli::Context<'static> {
    let output = match context.output.format {
        Format::Human => testnet::cli::Output::Human,
        Format::Json => testnet::cli::Output::Json,
        Format::Jsonl => testnet::cli::Output::JsonLines,
    };
    testnet::cli::Context {
        host: &Binary,
        output,
    }
}

fn outcome(result: Result<()>) -> Result<Exit> {
    let Err(error) = result else {
        return Ok(Exit::Ok);
    };
    match error.downcast_ref::<CommandError>() {
        Some(known) => Err(Problem::new(&known.code, &known.detail)
            .hint(known.hint.clone())
            .exit(Exit::of(known.exit))
            .into()),
        None => Err(error),
    }
}

impl Host for Binary {
    fn dev_key(&self, branch: DevBranch, index: u32) -> Result<SecretKey> {
        let role = match branch {
            DevBranch::Wallet => Role::Wallet,
            DevBranch::Operator => Role::Operator,
        };
        Ok(bip32::derive(dev::MNEMONIC, role, index)?)
    }

    fn dev_mnemonic(&self) -> &str {
        dev::MNEMONIC
    }

    fn peer_id(&self, key: &PublicKey) -> String {
        peer_id::of(key)
    }

    fn check_degradations(&self, names: &[String]) -> Result<()> {
        degradations(names)?;
        Ok(())
    }

    fn write_home(&self, spec: &HomeSpec<'_>) -> Result<()> {
        write_home(spec).map_err(|error| unwritten(error, &spec.dir))
    }

    fn write_client(&self, dir: &Path, name: &str, genesis: &[u8], key: &SecretKey) -> Result<()> {
        write_client(dir, name, genesis, key).map_err(|error| unwritten(error, dir))
    }
}

/// What a home could not be written for, with its folder named. A disk that refuses is told apart.
fn unwritten(error: anyhow::Error, dir: &Path) -> anyhow::Error {
    match error.downcast_ref::<Problem>() {
        Some(problem) if problem.code == "storage.failed" => {
            CommandError::unwritten(problem.detail.clone()).into()
        }
        Some(_) => error,
        None => CommandError::of_disk(error.context(dir.display().to_string())),
    }
}

/// An empty home with its genesis.
fn new_home(dir: &Path, genesis: &[u8]) -> Result<Home> {
    let home = Home::at(dir);
    for dir in [home.root().to_owned(), home.keys(), home.run(), home.data()] {
        file::private_dir(&dir)?;
    }
    file::write_private(&home.genesis_file(), genesis)?;
    Ok(home)
}

/// A password nobody has to remember, kept beside the keys it opens.
fn new_password(home: &Home) -> Result<String> {
    let password = hex::encode(keystore::random::<16>()?);
    file::write_private(&home.root().join(PASSWORD_FILE), password.as_bytes())?;
    Ok(password)
}

fn write_client(dir: &Path, name: &str, genesis: &[u8], key: &SecretKey) -> Result<()> {
    let home = new_home(dir, genesis)?;
    let password = new_password(&home)?;
    let label = label(Role::Wallet, key, false);
    file::create(&home.keys(), name, key, password.as_bytes(), label)?;
    let mut config = Config::default();
    name.clone_into(&mut config.node.moniker);
    config.node.role = NodeRole::Client;
    config.keys.password_file = Some(PASSWORD_FILE.into());
    let config = toml::to_string(&config)?;
    Ok(file::write_private(&home.config_file(), config.as_bytes())?)
}

fn write_home(spec: &HomeSpec<'_>) -> Result<()> {
    degradations(&spec.allow_degraded)?;
    let home = new_home(&spec.dir, &spec.genesis)?;
    let random = spec.source == KeySource::Random;
    let password = if random {
        new_password(&home)?
    } else {
        String::new()
    };
    let keys = [
        (Role::Consensus, &spec.keys.consensus),
        (Role::Session, &spec.keys.session),
        (Role::Peer, &spec.keys.peer),
        (Role::Operator, &spec.keys.operator),
    ];
    for (role, key) in keys {
        let label = label(role, key, !random);
        file::create(&home.keys(), &spec.name, key, password.as_bytes(), label)?;
    }
    let config = toml::to_string(&configuration(spec, random))?;
    file::write_private(&home.config_file(), config.as_bytes())?;
    first_sign_state(&home, spec)
}

fn configuration(spec: &HomeSpec<'_>, random: bool) -> Config {
    let mut config = Config::default();
    config.node.moniker.clone_from(&spec.name);
    config.api.listen = spec.api;
    config.metrics.listen = spec.metrics;
    config.net.listen.clone_from(&spec.listen);
    config.net.persistent.clone_from(&spec.peers);
    if random {
        config.keys.password_file = Some(PASSWORD_FILE.into());
    } else {
        // A development host rarely delegates control groups; the runner does not need them.
        config.sandbox.allow_degraded = vec!["landlock-abi".to_owned()];
    }
    let waived = &mut config.sandbox.allow_degraded;
    for name in &spec.allow_degraded {
        if !waived.contains(name) {
            waived.push(name.clone());
        }
    }
    config
}

/// The keys were made a moment ago: nothing can have been signed with them.
fn first_sign_state(home: &Home, spec: &HomeSpec<'_>) -> Result<()> {
    let lock = HomeLock::acquire(home.root())?;
    let identity = SignerIdentity {
        chain: ChainId::of_genesis(&spec.genesis),
        public_key: spec.keys.consensus.public(),
    };
    let data = home.data();
    StoppedSignState::new(Arc::new(OsLayer), &data, identity, &lock).init(Height::ZERO)?;
    Ok(())
}
