//! Where a node's files lie.

use std::path::{Path, PathBuf};

use protocol::digest::ChainId;
use protocol::genesis::Genesis;
use protocol::limits::GENESIS_BYTES_MAX;
use storage::home::{HomeError, HomeLock};

use crate::config::load::{self, Loaded};
use crate::exit::Exit;
use crate::keys::file::read_limited;
use crate::problem::Problem;

/// A node's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Home {
    root: PathBuf,
}

/// A chain as this home knows it.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    /// The exact bytes of the file.
    pub(crate) bytes: Vec<u8>,
    /// What they say.
    pub(crate) genesis: Genesis,
    /// Their hash.
    pub(crate) id: ChainId,
}

impl Home {
    /// The home at this place.
    pub(crate) fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// `--home`, `PALISADE_HOME`, `$STATE_DIRECTORY`, then XDG's data directory.
    pub(crate) fn find(given: Option<&Path>) -> Self {
        if let Some(path) = given {
            return Self::at(path);
        }
        for variable in ["PALISADE_HOME", "STATE_DIRECTORY"] {
            if let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) {
                return Self::at(path);
            }
        }
        let base = std::env::var_os("XDG_DATA_HOME")
            .map(PathBuf::from)
            .or_else(|| {
                std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"))
            });
        Self::at(base.unwrap_or_else(|| PathBuf::from(".")).join("palisade"))
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Holds the home for this process alone.
    pub(crate) fn lock(&self) -> Result<HomeLock, Problem> {
        HomeLock::acquire(&self.root).map_err(|error| {
            let code = match &error {
                HomeError::Locked { .. } => "lock.held",
                _ => "storage.failed",
            };
            let exit = Exit::of(error.exit().code());
            Problem::new(code, &error).exit(exit)
        })
    }

    /// The configuration.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.root.join("node.toml")
    }

    /// The chain.
    pub(crate) fn genesis_file(&self) -> PathBuf {
        self.root.join("genesis.toml")
    }

    /// Key files.
    pub(crate) fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// What lives as long as the process.
    pub(crate) fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// Everything durable.
    pub(crate) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// The admin socket.
    pub(crate) fn admin_socket(&self) -> PathBuf {
        self.run().join("admin.sock")
    }

    /// Where the running node's API really listens: its socket may have been handed in.
    pub(crate) fn api_file(&self) -> PathBuf {
        self.run().join("api")
    }

    /// Why the node halted.
    pub(crate) fn halt_file(&self) -> PathBuf {
        self.run().join("halt.json")
    }

    /// Loads the configuration: the given file, else the home's, else the defaults.
    pub(crate) fn load_config(&self, given: Option<&Path>) -> Result<Loaded, Problem> {
        let own = self.config_file();
        let from_service = std::env::var_os("CONFIGURATION_DIRECTORY")
            .map(|dir| PathBuf::from(dir).join("node.toml"));
        let file = match given {
            Some(path) => Some(path.to_owned()),
            None => [Some(own), from_service]
                .into_iter()
                .flatten()
                .find(|path| path.exists()),
        };
        load::load(file.as_deref(), &load::environment())
    }

    /// Reads the genesis.
    pub(crate) fn chain(&self) -> Result<Chain, Problem> {
        Chain::read(&self.genesis_file())
    }
}

impl Chain {
    /// Reads a genesis file that somebody named on the command line.
    pub(crate) fn given(path: &Path) -> Result<Self, Problem> {
        if !path.exists() {
            let text = format!("no {}", path.display());
            return Err(Problem::new("file.unreadable", text));
        }
        Self::read(path)
    }

    /// Reads a genesis file.
    pub(crate) fn read(path: &Path) -> Result<Self, Problem> {
        if !path.exists() {
            return Err(Problem::new(
                "home.missing",
                format!("no {}", path.display()),
            ));
        }
        let max = u64::try_from(GENESIS_BYTES_MAX).unwrap_or(u64::MAX);
        let bytes = read_limited(path, max)
            .map_err(|problem| Problem::new("config.invalid", problem.detail))?;
        let genesis = Genesis::parse(&bytes).map_err(|error| {
            Problem::new("config.invalid", format!("{}: {error}", path.display()))
        })?;
        Ok(Self {
            id: ChainId::of_genesis(&bytes),
            genesis,
            bytes,
        })
    }
}
