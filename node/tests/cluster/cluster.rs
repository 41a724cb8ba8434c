//! A running net, and the questions that several tests ask it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use serde_json::Value;
use testnet::clock::{Stopwatch, poll};

use crate::cli::{Cli, Ran, arg, example, list, number, text};

/// Nets mostly wait for their next block, so two cores carry as many as the harness has threads. A test
/// that takes the processors, ends a net and starts it again, or counts what is left, has the machine
/// to itself.
static MACHINE: RwLock<()> = RwLock::new(());
/// A net's addresses are its own from the moment its supervisor runs, so nets come up one by one.
static START: Mutex<()> = Mutex::new(());

/// A test's share of the machine, or all of it.
type Turn = (
    Option<RwLockReadGuard<'static, ()>>,
    Option<RwLockWriteGuard<'static, ()>>,
);

/// 1000 PAL, what every node bonds at genesis.
pub(crate) const STAKE: u64 = 1_000_000_000;
pub(crate) const NAMES: [&str; 4] = ["alice", "bob", "carol", "mallory"];

/// How long a condition is waited for. Nothing takes this long unless it is broken, not even where
/// other programs take most of the machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// Windows three times as long as a local chain's. A job whose seats all speak ends as soon as they
/// have; what the length is for is that no honest seat of a busy machine comes too late.
const WINDOWS: &str = "commit_slack_blocks = 16\nreveal_blocks = 16\nunbonding_blocks = 160\n";

/// A net of this test alone. Ended when dropped, also by a failed assertion.
pub(crate) struct Cluster {
    pub cli: Cli,
    /// What the last `up` printed.
    pub endpoints: Value,
    /// How long the last `up` took.
    pub started_in: Duration,
    name: &'static str,
    _turn: Turn,
}

/// A job that was accepted.
pub(crate) struct Submitted {
    pub id: String,
    /// What its transaction cost, which never comes back.
    pub fee: u64,
}

/// Waits until no other test has a net. One that failed meanwhile has ended its net all the same.
pub(crate) fn alone() -> Turn {
    let turn = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
    (None, Some(turn))
}

/// Waits until no other test needs to be alone.
fn shared() -> Turn {
    let turn = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    (Some(turn), None)
}

impl Cluster {
    /// Four honest validators.
    pub(crate) fn up(name: &'static str) -> Self {
        Self::start(name, shared(), &[])
    }

    /// The same, with no other net beside it.
    pub(crate) fn up_alone(name: &'static str) -> Self {
        Self::start(name, alone(), &[])
    }

    /// The same with further arguments to `up`.
    pub(crate) fn start(name: &'static str, turn: Turn, flags: &[&str]) -> Self {
        let mut cluster = Self::planned(name, turn);
        cluster.start_again(flags);
        cluster
    }

    /// Four honest validators on a chain where every seat of an honest one is kept.
    pub(crate) fn with_jobs(name: &'static str) -> Self {
        Self::with_windows(name, shared(), &NAMES)
    }

    /// The same of these names, with no other net beside it.
    pub(crate) fn with_jobs_alone(name: &'static str, nodes: &[&str]) -> Self {
        Self::with_windows(name, alone(), nodes)
    }

    fn with_windows(name: &'static str, turn: Turn, nodes: &[&str]) -> Self {
        let mut cluster = Self::planned(name, turn);
        let sections = nodes.iter().map(|node| format!("[node.{node}]\n"));
        let sections: String = sections.collect();
        let manifest = format!("chain_name = \"palisade-local-1\"\n[genesis]\n{WINDOWS}{sections}");
        let file = cluster.cli.path("net.toml");
        std::fs::write(&file, manifest).unwrap();
        cluster.start_again(&["-f", arg(&file)]);
        cluster
    }

    /// A net of this name, not up yet.
    pub(crate) fn planned(name: &'static str, turn: Turn) -> Self {
        Self {
            cli: Cli::new(),
            endpoints: Value::Null,
            started_in: Duration::ZERO,
            name,
            _turn: turn,
        }
    }

    /// `up --detach`; the net may have been up before.
    pub(crate) fn start_again(&mut self, flags: &[&str]) {
        let _others_wait = START.lock().unwrap_or_else(PoisonError::into_inner);
        let clock = Stopwatch::start();
        self.endpoints = self.testnet("up", &[&["--detach"], flags].concat());
        self.started_in = clock.elapsed();
    }

    /// The ends of all logs, for a message about a net that did not do what it should.
    pub(crate) fn logs(&self) -> String {
        let mut text = String::new();
        for node in NAMES {
            let log = std::fs::read_to_string(self.file(&format!("nodes/{node}/log.jsonl")));
            let log = log.unwrap_or_default();
            let lines: Vec<&str> = log.lines().rev().take(5).collect();
            for line in lines.into_iter().rev() {
                text.push_str(&format!("{node}: {line}\n"));
            }
        }
        text
    }

    /// A file of the net's folder.
    pub(crate) fn file(&self, name: &str) -> std::path::PathBuf {
        self.cli.path("palisade-testnet").join(self.name).join(name)
    }

    /// `palisade testnet VERB --name NAME …`, which must succeed.
    pub(crate) fn testnet(&self, verb: &str, args: &[&str]) -> Value {
        let ran = self.try_testnet(verb, args);
        assert_eq!(
            ran.code,
            0,
            "testnet {verb} {args:?}: {}\n{}",
            ran.stderr,
            self.logs()
        );
        ran.document
    }

    pub(crate) fn try_testnet(&self, verb: &str, args: &[&str]) -> Ran {
        let mut all = vec!["testnet", verb, "--name", self.name];
        all.extend(args);
        self.cli.run(&all)
    }

    /// Waits for an expression.
    pub(crate) fn wait(&self, expression: &str) {
        let timeout = format!("{}s", PATIENCE.as_secs());
        let ran = self.try_testnet("wait", &[expression, "--timeout", &timeout]);
        if ran.code != 0 {
            let status = self.try_testnet("status", &[]).document;
            panic!("{}\n{status:#}\n{}", ran.stderr, self.logs());
        }
    }

    /// Asserts expressions now.
    pub(crate) fn holds(&self, expressions: &[&str]) {
        self.testnet("assert", expressions);
    }

    /// The API of a node as it is now: a restarted node keeps it.
    pub(crate) fn api(&self, node: &str) -> String {
        let row = list(&self.endpoints["nodes"])
            .iter()
            .find(|row| row["name"] == node);
        text(&row.unwrap_or_else(|| panic!("no node {node}"))["api"]).to_owned()
    }

    /// The `palval1…` of a node.
    pub(crate) fn validator_id(&self, node: &str) -> String {
        let row = list(&self.endpoints["nodes"])
            .iter()
            .find(|row| row["name"] == node);
        text(&row.unwrap_or_else(|| panic!("no node {node}"))["validator"]).to_owned()
    }

    /// A client's command, asked of one node.
    pub(crate) fn ask(&self, node: &str, args: &[&str]) -> Value {
        let ran = self.try_ask(node, args);
        assert_eq!(
            ran.code,
            0,
            "{args:?} of {node}: {}\n{}",
            ran.stderr,
            self.logs()
        );
        ran.document
    }

    pub(crate) fn try_ask(&self, node: &str, args: &[&str]) -> Ran {
        let api = self.api(node);
        let mut all = vec!["--api", api.as_str(), "--net", self.name];
        all.extend(args);
        self.cli.run(&all)
    }

    /// The state of a node's process.
    pub(crate) fn process(&self, node: &str) -> Value {
        let status = self.testnet("status", &[]);
        let found = list(&status["nodes"])
            .iter()
            .find(|row| row["name"] == node);
        found.unwrap_or_else(|| panic!("no node {node}")).clone()
    }

    /// Validators by moniker, as one node sees them.
    pub(crate) fn validators(&self, node: &str) -> BTreeMap<String, Value> {
        let document = self.ask(node, &["chain", "validators"]);
        let rows = list(&document["validators"]).iter();
        rows.map(|row| (text(&row["moniker"]).to_owned(), row.clone()))
            .collect()
    }

    /// All slashes, as one node sees them.
    pub(crate) fn slashes(&self, node: &str) -> Vec<Value> {
        list(&self.ask(node, &["slash", "list"])["slashes"]).to_vec()
    }

    /// An account's balance, as one node sees it.
    pub(crate) fn balance(&self, node: &str, account: &str) -> u64 {
        number(&self.ask(node, &["account", "show", account])["balance"])
    }

    /// A compartment of the ledger, as one node sees it.
    pub(crate) fn compartment(&self, node: &str, name: &str) -> u64 {
        number(&self.ask(node, &["chain", "show"])["compartments"][name])
    }

    /// Submits a job for the shipped digits.
    pub(crate) fn submit_digits(&self, sample: &str, flags: &[&str]) -> Submitted {
        let model = example("digits/digits.onnx");
        let input = example(&format!("digits/samples/{sample}"));
        self.submit(&[&["--model", arg(&model), "--input", arg(&input)], flags].concat())
    }

    /// `job submit …` to alice, from client-0.
    pub(crate) fn submit(&self, flags: &[&str]) -> Submitted {
        let document = self.ask("alice", &[&["job", "submit"], flags].concat());
        Submitted {
            id: text(&document["job"]).to_owned(),
            fee: number(&document["fee"]),
        }
    }

    /// A job, as one node sees it.
    pub(crate) fn job(&self, node: &str, id: &str) -> Value {
        self.ask(node, &["job", "show", id])
    }

    /// Waits for a job's end and returns it.
    pub(crate) fn job_end(&self, id: &str) -> Value {
        let ended = poll(PATIENCE, || {
            // Accepted is not included: the chain may not know it yet.
            let job = self.try_ask("alice", &["job", "show", id]).document;
            if let Some(seats) = job["seats"].as_array() {
                let paid: u64 = seats.iter().map(|seat| number(&seat["paid"])).sum();
                assert_eq!(
                    paid,
                    number(&job["paid"]),
                    "an answer of two heights: {job}"
                );
            }
            job["end_height"].is_u64().then_some(job)
        });
        ended.unwrap_or_else(|| {
            let now = self.try_ask("alice", &["job", "show", id]);
            panic!(
                "job {id} has not ended: {} {}\n{}",
                now.document,
                now.stderr,
                self.logs()
            )
        })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Best effort: a panic here would hide the one that matters.
        drop(
            self.cli
                .command(&["testnet", "down", "--name", self.name])
                .output(),
        );
    }
}
