//! Writes a net: genesis, homes, accounts, plan. Starts nothing.

use anyhow::{Context, Result};
use protocol::digest::ChainId;
use protocol::genesis::{Genesis, GenesisAccount, GenesisValidator, is_local_name};
use protocol::keys::SecretKey;
use protocol::units::{Amount, TimeMs};

use crate::error::CommandError;
use crate::files::{Account, Accounts, NetDir, write_atomically};
use crate::home::{DevBranch, HomeSpec, Host, KeySource, NodeKeys, random_key};
use crate::manifest::Manifest;
use crate::plan::{Plan, PlannedNode};

/// Balance of every funded client at genesis.
const CLIENT_BALANCE: Amount = Amount::pal(1000);
/// How many clients are funded without being named.
pub(crate) const CLIENTS: u32 = 4;
/// What each operator holds beside its stake, for fees.
const OPERATOR_BALANCE: Amount = Amount::pal(100);
/// Index of the faucet on the wallet branch.
const FAUCET_INDEX: u32 = 99;
const FAUCET_BALANCE: Amount = Amount::pal(1_000_000);
/// The p2p port of every node; addresses differ instead.
const P2P_PORT: u16 = 8640;

/// Where the nodes of a net listen.
#[derive(Debug, Clone)]
pub enum Addresses {
    /// `127.<slot>.<i>.1`.
    Slot(u8),
    /// One address a node, as given.
    Given(Vec<String>),
}

/// What is needed to write a net.
#[derive(Debug)]
pub struct Setup<'a> {
    /// The net's name.
    pub name: &'a str,
    /// Where to.
    pub dir: &'a NetDir,
    /// What of.
    pub manifest: &'a Manifest,
    /// Where node keys come from.
    pub keys: KeySource,
    /// Where nodes listen.
    pub addresses: Addresses,
    /// Accounts funded beside the development ones.
    pub fund: &'a [(protocol::digest::Address, Amount)],
    /// A client with a random wallet, funded and given a home of its own.
    pub client: Option<&'a str>,
    /// Header time before height 1. Headers rise by a minute a block at most, so a net that begins
    /// long ago has wrong times, and wrong intervals in its metrics, until it has caught up.
    pub genesis_time: TimeMs,
    /// Layers of the sandbox that the nodes may lack and still take jobs.
    pub allow_degraded: &'a [String],
    /// A fixed API port of the first node.
    pub api_port: Option<u16>,
    /// A fixed metrics port of the first node.
    pub metrics_port: Option<u16>,
}

/// A client whose key nobody else has.
struct Client<'a> {
    name: &'a str,
    key: SecretKey,
}

/// What a net is made of, all in memory.
struct Composed<'a> {
    members: Vec<Member>,
    accounts: Accounts,
    client: Option<Client<'a>>,
    /// Of the genesis.
    text: String,
    chain_id: ChainId,
}

struct Member {
    name: String,
    keys: NodeKeys,
    peer_id: String,
    p2p: String,
    stake: Amount,
}

impl Setup<'_> {
    /// Writes everything and returns the plan, which is on disk too.
    ///
    /// # Errors
    /// If the folder holds a net already, or the disk refuses; the path is named.
    pub fn write(&self, host: &dyn Host) -> Result<Plan> {
        if self.dir.file("plan.json").exists() {
            let detail = format!("{} holds a net already", self.dir.path().display());
            let hint = "`testnet up --fresh` replaces it, `testnet init --if-missing` leaves it";
            return Err(CommandError::config(detail, hint).into());
        }
        let Composed {
            members,
            accounts,
            client,
            text,
            chain_id,
        } = self.compose(host)?;
        let plan = self.plan(&chain_id, &members);
        let write = || -> Result<()> {
            self.write_homes(host, &members, text.as_bytes())?;
            if let Some(Client { name, key }) = &client {
                host.write_client(&self.dir.client(name), name, text.as_bytes(), key)?;
            }
            write_atomically(&self.dir.file("genesis.toml"), text.as_bytes())?;
            let manifest = toml::to_string(self.manifest)?;
            write_atomically(&self.dir.file("manifest.toml"), manifest.as_bytes())?;
            self.dir.write("accounts.json", &accounts)?;
            self.dir.write("plan.json", &plan)
        };
        write().map_err(CommandError::of_disk)?;
        Ok(plan)
    }

    /// Everything that can be wrong before anything is written.
    ///
    /// # Errors
    /// As [`Self::write`], but for the disk.
    pub fn check(&self, host: &dyn Host) -> Result<()> {
        host.check_degradations(self.allow_degraded)?;
        self.compose(host).map(drop)
    }

    fn compose(&self, host: &dyn Host) -> Result<Composed<'_>> {
        let members = self.members(host)?;
        let accounts = self.accounts(host, &members)?;
        let client = self.client()?;
        let genesis = self.genesis(&members, &accounts, client.as_ref())?;
        let text = genesis.to_toml();
        // What was written is what every node will read: parse it as they do.
        let genesis = Genesis::parse(text.as_bytes()).map_err(|error| {
            let hint = "stakes, --fund and [genesis.fund] count together: lower them, or mend the manifest";
            CommandError::config(format!("this makes no genesis: {error}"), hint)
        })?;
        Ok(Composed {
            members,
            accounts,
            client,
            text,
            chain_id: genesis.chain_id,
        })
    }

    fn members(&self, host: &dyn Host) -> Result<Vec<Member>> {
        let mut members = Vec::new();
        for (index, name) in self.manifest.names().into_iter().enumerate() {
            let operator = match self.keys {
                KeySource::Dev(_) => host.dev_key(DevBranch::Operator, u32::try_from(index)?)?,
                KeySource::Random => random_key()?,
            };
            let keys = NodeKeys::make(self.keys, &name, operator)?;
            let peer_id = host.peer_id(&keys.peer.public());
            let address = match &self.addresses {
                Addresses::Slot(slot) => format!("127.{slot}.{}.1", index + 1),
                Addresses::Given(given) => given.get(index).cloned().with_context(|| {
                    format!(
                        "{} addresses for more nodes: --addr takes one each",
                        given.len()
                    )
                })?,
            };
            let p2p = format!("/ip4/{address}/udp/{P2P_PORT}/quic-v1");
            let stake = self.manifest.stake(&name)?;
            members.push(Member {
                name,
                keys,
                peer_id,
                p2p,
                stake,
            });
        }
        Ok(members)
    }

    fn client(&self) -> Result<Option<Client<'_>>> {
        let made = |name| random_key().map(|key| Client { name, key });
        self.client.map(made).transpose()
    }

    /// Clients and the faucet on local chains, operators always. Random operators' keys lie in their
    /// homes only, so `accounts.json` names none of them.
    fn accounts(&self, host: &dyn Host, members: &[Member]) -> Result<Accounts> {
        let mut accounts = Vec::new();
        if is_local_name(&self.manifest.chain_name) {
            for index in (0..CLIENTS).chain([FAUCET_INDEX]) {
                let key = host.dev_key(DevBranch::Wallet, index)?;
                let (name, usual) = if index == FAUCET_INDEX {
                    ("faucet".to_owned(), FAUCET_BALANCE)
                } else {
                    (format!("client-{index}"), CLIENT_BALANCE)
                };
                let balance = self.manifest.funded(&name)?.unwrap_or(usual);
                accounts.push(account(
                    name,
                    format!("m/44'/1'/0'/0/{index}"),
                    &key,
                    balance,
                ));
            }
        }
        if matches!(self.keys, KeySource::Dev(_)) {
            for (index, member) in members.iter().enumerate() {
                let (name, path) = (
                    format!("operator-{}", member.name),
                    format!("m/44'/1'/1'/0/{index}"),
                );
                let balance = self.manifest.funded(&name)?.unwrap_or(OPERATOR_BALANCE);
                accounts.push(account(name, path, &member.keys.operator, balance));
            }
        }
        let mnemonic = host.dev_mnemonic().to_owned();
        Ok(Accounts {
            schema: "palisade.accounts/1".into(),
            dev: true,
            mnemonic,
            accounts,
        })
    }

    fn genesis(
        &self,
        members: &[Member],
        accounts: &Accounts,
        client: Option<&Client<'_>>,
    ) -> Result<Genesis> {
        let mut funded = Vec::new();
        for account in &accounts.accounts {
            let balance = Amount(account.balance.parse()?);
            funded.push(GenesisAccount {
                address: account.address.parse()?,
                balance,
            });
        }
        if self.keys == KeySource::Random {
            funded.extend(members.iter().map(|member| GenesisAccount {
                address: member.keys.operator.public().address(),
                balance: OPERATOR_BALANCE,
            }));
        }
        funded.extend(client.map(|client| GenesisAccount {
            address: client.key.public().address(),
            balance: CLIENT_BALANCE,
        }));
        let named = self.manifest.funded_addresses()?;
        funded.extend(
            self.fund
                .iter()
                .copied()
                .chain(named)
                .map(|(address, balance)| GenesisAccount { address, balance }),
        );
        let validator = |member: &Member| GenesisValidator {
            moniker: member.name.clone(),
            operator: member.keys.operator.public().address(),
            consensus_pk: member.keys.consensus.public(),
            session_pk: member.keys.session.public(),
            peer_id: member.peer_id.clone(),
            self_bond: member.stake,
        };
        Ok(Genesis {
            chain_id: ChainId::ZERO,
            chain_name: self.manifest.chain_name.clone(),
            time_ms: self.genesis_time,
            params: self.manifest.params()?,
            accounts: funded,
            validators: members.iter().map(validator).collect(),
        })
    }

    fn write_homes(&self, host: &dyn Host, members: &[Member], genesis: &[u8]) -> Result<()> {
        for member in members {
            let others = members.iter().filter(|other| other.name != member.name);
            host.write_home(&HomeSpec {
                dir: self.dir.home(&member.name),
                name: member.name.clone(),
                genesis: genesis.to_vec(),
                keys: &member.keys,
                source: self.keys,
                listen: vec![member.p2p.clone()],
                peers: others
                    .map(|o| format!("{}/p2p/{}", o.p2p, o.peer_id))
                    .collect(),
                allow_degraded: self.allow_degraded.to_vec(),
                api: ([127, 0, 0, 1], 0).into(),
                metrics: ([127, 0, 0, 1], 0).into(),
            })?;
        }
        Ok(())
    }

    fn plan(&self, chain: &ChainId, members: &[Member]) -> Plan {
        let node = |member: &Member| {
            let section = &self.manifest.node[&member.name];
            let operator = member.keys.operator.public().address();
            PlannedNode {
                name: member.name.clone(),
                validator: protocol::digest::ValidatorId::derive(chain, &operator, 0).to_text(),
                peer_id: member.peer_id.clone(),
                p2p: format!("{}/p2p/{}", member.p2p, member.peer_id),
                start_at: section.start_at,
                byzantine: section
                    .byzantine
                    .first()
                    .map(|section| (section.profile.clone(), section.from_height)),
            }
        };
        Plan {
            name: self.name.to_owned(),
            chain_name: self.manifest.chain_name.clone(),
            chain_id: chain.to_string(),
            slot: match self.addresses {
                Addresses::Slot(slot) => slot,
                Addresses::Given(_) => 0,
            },
            api_port: self.api_port,
            metrics_port: self.metrics_port,
            nodes: members.iter().map(node).collect(),
        }
    }
}

fn account(name: String, path: String, key: &SecretKey, balance: Amount) -> Account {
    Account {
        name,
        address: key.public().address().to_string(),
        path,
        private_key: protocol::digest::Digest(*key.expose()).to_string(),
        balance: balance.to_string(),
    }
}
