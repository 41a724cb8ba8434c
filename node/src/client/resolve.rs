//! Which node, which chain, which key: found without asking the node, whose word proves nothing.

use std::path::{Path, PathBuf};

use anyhow::Result;
use protocol::keys::SecretKey;
use serde_json::Value;
use testnet::files::{NETS, check_name};

use super::Api;
use crate::cli::Global;
use crate::home::{Chain, Home};
use crate::keys::{Role, dev, file, password};
use crate::problem::{Problem, refuse};

/// No `endpoints.json` is longer.
const ENDPOINTS_BYTES_MAX: u64 = 1 << 20;

/// What a client's verb is about.
#[derive(Debug)]
pub(crate) struct Resolved {
    global: Global,
    home: Home,
    /// The node.
    pub(crate) api: Api,
}

/// A key that signs.
#[derive(Debug)]
pub(crate) struct Signer {
    /// The key.
    pub(crate) key: SecretKey,
}

impl Resolved {
    /// Finds the node: `--api`, else where the home's node says it listens, else its `node.toml`, else the testnet's endpoints.
    pub(crate) fn find(global: &Global, home: &Home) -> Result<Self> {
        let base = match &global.api {
            Some(url) => url.clone(),
            None if home.api_file().exists() => {
                let bytes = file::read_limited(&home.api_file(), ENDPOINTS_BYTES_MAX)?;
                format!("http://{}", String::from_utf8_lossy(&bytes))
            }
            None if home.config_file().exists() => {
                let config = home.load_config(global.config.as_deref())?.config;
                format!("http://{}", config.api.listen)
            }
            None if global.home.as_ref().is_some_and(|dir| !dir.exists()) => {
                refuse!("home.missing", "no {}", home.root().display())
            }
            None => testnet_api(&testnet_dir(global)?)?,
        };
        Ok(Self {
            global: global.clone(),
            home: home.clone(),
            api: Api::new(&base)?,
        })
    }

    /// The chain: the home's genesis, else the testnet's.
    pub(crate) fn chain(&self) -> Result<Chain> {
        chain_of(&self.global, &self.home)
    }

    /// Asks in the name of the wallet, where the node wants a name: on another host always, on this
    /// one if it says so, since an address here may be the published port of a container.
    pub(crate) fn as_wallet<T>(&self, ask: impl Fn(&Api) -> Result<T>) -> Result<T> {
        let signing = || -> Result<Api> {
            let chain = self.chain()?;
            Ok(self.api.signing(self.wallet(&chain)?.key, chain.id))
        };
        if !self.api.is_loopback() {
            return ask(&signing()?);
        }
        match ask(&self.api) {
            Err(refused) if has_status(&refused, 401) => match signing() {
                Ok(api) => ask(&api),
                // What the node said tells more than that there is no key here.
                Err(error) if has_status(&error, 404) => Err(refused),
                Err(error) => Err(error),
            },
            answer => answer,
        }
    }

    /// The key that signs as a client: `--key`, the home's only wallet, or a development account.
    pub(crate) fn wallet(&self, chain: &Chain) -> Result<Signer> {
        self.signer(chain, Role::Wallet)
    }

    /// The key of a role.
    pub(crate) fn signer(&self, chain: &Chain, role: Role) -> Result<Signer> {
        let local = chain.genesis.is_local();
        let found: Vec<file::Found> = file::list(&self.home.keys())?
            .into_iter()
            .filter(|found| found.label.role == role)
            .collect();
        let wanted = self.global.key.as_deref();
        let mut fitting = found
            .iter()
            .filter(|found| wanted.is_none_or(|name| found.name == name));
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => self.open(only, local),
            (Some(_), Some(_)) => refuse!("key.ambiguous", "{} {role} keys here", found.len()),
            (None, _) => development(wanted, role, local),
        }
    }

    fn open(&self, found: &file::Found, local: bool) -> Result<Signer> {
        if found.label.dev && !local {
            refuse!("key.dev", "{} on a chain that is not local", found.name);
        }
        let given = password_file(&self.global, &self.home)?;
        let secret = match (found.label.dev, given) {
            (true, None) => found.open(b"")?,
            (_, given) => {
                found.open(&password::find(given.as_deref(), password::Purpose::Open)?)?
            }
        };
        Ok(Signer { key: secret })
    }
}

/// `--password-file`, else what the home's configuration names.
pub(crate) fn password_file(global: &Global, home: &Home) -> Result<Option<PathBuf>> {
    if global.password_file.is_some() || !home.config_file().exists() {
        return Ok(global.password_file.clone());
    }
    let configured = home.load_config(global.config.as_deref())?.config.keys;
    Ok(configured.password_file.map(|path| home.root().join(path)))
}

fn development(wanted: Option<&str>, role: Role, local: bool) -> Result<Signer> {
    let name = wanted.unwrap_or("client-0");
    let index = dev::wallet_index(name);
    match (local, role, index) {
        (true, Role::Wallet, Some(index)) => Ok(Signer {
            key: dev::wallet(index)?,
        }),
        _ => refuse!(
            "key.unknown",
            "no {role} key{}",
            wanted.map(|n| format!(" named {n}")).unwrap_or_default()
        ),
    }
}

/// The chain: the home's genesis, else the testnet's.
pub(crate) fn chain_of(global: &Global, home: &Home) -> Result<Chain> {
    let net = testnet_dir(global)?.join("genesis.toml");
    match [home.genesis_file(), net]
        .into_iter()
        .find(|path| path.exists())
    {
        Some(path) => Ok(Chain::read(&path)?),
        None => refuse!(
            "home.missing",
            "no genesis in {} or ./{NETS}",
            home.root().display()
        ),
    }
}

/// The net's folder. A path in place of a name would have another directory's files believed.
fn testnet_dir(global: &Global) -> Result<PathBuf> {
    match check_name("--net", &global.net) {
        Ok(()) => Ok(Path::new(NETS).join(&global.net)),
        Err(error) => Err(Problem::new(&error.code, &error.detail)
            .hint(error.hint)
            .into()),
    }
}

fn testnet_api(dir: &Path) -> Result<String> {
    let path = dir.join("endpoints.json");
    if !path.exists() {
        refuse!(
            "api.unreachable",
            "no --api, no home and no {}",
            path.display()
        );
    }
    let bytes = file::read_limited(&path, ENDPOINTS_BYTES_MAX)?;
    let value: Value = serde_json::from_slice(&bytes)?;
    match value.get("api").and_then(Value::as_str) {
        Some(api) => Ok(api.to_owned()),
        None => refuse!("api.unreachable", "{} names no API", path.display()),
    }
}

fn has_status(error: &anyhow::Error, status: u16) -> bool {
    error
        .downcast_ref::<Problem>()
        .is_some_and(|problem| problem.status == status)
}
