//! A running net as expectations see it: through the public API of its nodes and its supervisor.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::process::Command;
use std::rc::Rc;

use serde_json::Value as Json;

use crate::client::{Api, list, number, text};
use crate::expect::{Value, View};
use crate::files::NetDir;
use crate::histogram::{percentile_ms, whole};
use crate::log_line::is_event;
use crate::plan::Plan;
use crate::supervisor::{NodeReport, NodeState};

/// How many heights below the common one must agree as well.
const AGREE_DEPTH: u64 = 4;
/// Over how many commits the interval is measured.
const INTERVAL_BLOCKS: u64 = 50;
/// What finality is read from.
const FINALITY: &str = "palisade_consensus_commit_interval_seconds";

/// One look at a net. Answers are kept, so that one evaluation sees one state of each node.
#[derive(Debug)]
pub struct LiveView<'a> {
    dir: &'a NetDir,
    plan: &'a Plan,
    nodes: BTreeMap<String, NodeReport>,
    liars: Vec<String>,
    seen: RefCell<BTreeMap<String, Option<Rc<Json>>>>,
}

impl<'a> LiveView<'a> {
    /// A fresh look. `liars` are nodes told to misbehave since the start, beside the plan's.
    #[must_use]
    pub fn new(dir: &'a NetDir, plan: &'a Plan, nodes: Vec<NodeReport>, liars: &[String]) -> Self {
        let planned = plan.nodes.iter().filter(|node| node.byzantine.is_some());
        let mut liars = liars.to_vec();
        liars.extend(planned.map(|node| node.name.clone()));
        let nodes = nodes
            .into_iter()
            .map(|node| (node.name.clone(), node))
            .collect();
        Self {
            dir,
            plan,
            nodes,
            liars,
            seen: RefCell::default(),
        }
    }

    /// Nodes whose processes run and that were not told to lie.
    #[must_use]
    pub fn honest(&self) -> Vec<String> {
        let runs = |name: &String| self.state(name) == Some(NodeState::Running);
        self.plan
            .names()
            .into_iter()
            .filter(|n| runs(n) && !self.liars.contains(n))
            .collect()
    }

    fn state(&self, node: &str) -> Option<NodeState> {
        self.nodes.get(node).map(|report| report.state)
    }

    fn api(&self, node: &str) -> Option<Api> {
        self.nodes
            .get(node)
            .map(|report| Api::new(report.api.clone()))
    }

    /// The JSON at a path of a node; `None` if it did not answer.
    fn get(&self, node: &str, path: &str) -> Option<Rc<Json>> {
        let key = format!("{node} {path}");
        if let Some(known) = self.seen.borrow().get(&key) {
            return known.clone();
        }
        let running = self.state(node) == Some(NodeState::Running);
        let answer = running
            .then(|| self.api(node)?.get(path).ok().map(Rc::new))
            .flatten();
        self.seen.borrow_mut().insert(key, answer.clone());
        answer
    }

    /// The same from the first honest node that answers: for what is replicated.
    fn chain(&self, path: &str) -> Option<Rc<Json>> {
        self.honest().iter().find_map(|node| self.get(node, path))
    }

    fn height_of(&self, node: &str) -> Option<u64> {
        number(self.get(node, "/v1/status")?.as_ref(), "height").ok()
    }

    fn height(&self) -> Option<u64> {
        let heights: Option<Vec<u64>> = self
            .honest()
            .iter()
            .map(|node| self.height_of(node))
            .collect();
        heights?.into_iter().min()
    }

    fn agree(&self) -> Option<bool> {
        let common = self.height()?;
        for height in common.saturating_sub(AGREE_DEPTH).max(1)..=common {
            let mut first: Option<(String, String)> = None;
            for node in self.honest() {
                let block = self.get(&node, &format!("/v1/blocks/{height}"))?;
                let seen = (
                    text(&block, "id").ok()?.to_owned(),
                    text(&block, "state_root").ok()?.to_owned(),
                );
                if *first.get_or_insert_with(|| seen.clone()) != seen {
                    return Some(false);
                }
            }
        }
        Some(true)
    }

    fn validator(&self, node: &str) -> Option<Json> {
        let id = &self.plan.node(node)?.validator;
        let validators = self.chain("/v1/validators")?;
        let found = list(&validators, "validators")
            .ok()?
            .iter()
            .find(|v| v["id"] == **id);
        found.cloned()
    }

    /// A validator's state on the chain: `active`, `jailed`, `tombstoned` and others; `None` while no
    /// honest node answers.
    #[must_use]
    pub fn validator_state(&self, node: &str) -> Option<String> {
        let validator = self.validator(node)?;
        text(&validator, "state").ok().map(str::to_owned)
    }

    fn in_state(&self, node: &str, state: &str) -> Option<bool> {
        Some(self.validator_state(node)? == state)
    }

    /// The slashes of one node, of one offence if it is named.
    fn slashes(&self, node: &str, offence: Option<&String>) -> Option<Vec<Json>> {
        let id = &self.plan.node(node)?.validator;
        let slashes = self.chain("/v1/slashes")?;
        let of_node = |slash: &&Json| {
            slash["validator"] == **id && offence.is_none_or(|o| slash["offence"] == **o)
        };
        Some(
            list(&slashes, "slashes")
                .ok()?
                .iter()
                .filter(of_node)
                .cloned()
                .collect(),
        )
    }

    fn count(&self, path: &str, key: &str, keep: impl Fn(&Json) -> bool) -> Option<u64> {
        let found = self.chain(path)?;
        let kept = list(&found, key)
            .ok()?
            .iter()
            .filter(|item| keep(item))
            .count();
        u64::try_from(kept).ok()
    }

    fn jobs(&self, outcome: &str) -> Option<u64> {
        let states: &[&str] = match outcome {
            "paid" => &["settled", "resolved"],
            "refunded" => &["cancelled", "expired", "ambiguous"],
            _ => &["failed"],
        };
        self.count("/v1/jobs?limit=100", "jobs", |job| {
            let state = job["state"]
                .as_str()
                .unwrap_or_default()
                .to_ascii_lowercase();
            states.iter().any(|wanted| state.starts_with(wanted))
        })
    }

    fn banned(&self, peer: &str) -> Option<bool> {
        let id = self.plan.node(peer).map_or(peer, |node| &node.peer_id);
        let mut known = false;
        for node in self.honest() {
            let peers = self.get(&node, "/v1/peers")?;
            known |= list(&peers, "bans")
                .ok()?
                .iter()
                .any(|ban| ban["peer_id"] == *id);
        }
        Some(known)
    }

    fn balance(&self, account: &str) -> Option<u64> {
        let accounts: crate::files::Accounts = self.dir.read("accounts.json").ok()??;
        let named = accounts.accounts.iter().find(|known| known.name == account);
        let address = named.map_or(account, |known| &known.address);
        number(
            self.chain(&format!("/v1/accounts/{address}"))?.as_ref(),
            "balance",
        )
        .ok()
    }

    fn supply_conserved(&self) -> Option<bool> {
        for node in self.honest() {
            let chain = self.get(&node, "/v1/chain")?;
            let parts = chain["compartments"].as_object()?;
            let sums: Option<Vec<u64>> = parts
                .keys()
                .map(|name| number(&chain["compartments"], name).ok())
                .collect();
            let supply = number(&chain, "genesis_supply").ok()?;
            if sums?.into_iter().sum::<u64>() != supply {
                return Some(false);
            }
        }
        Some(true)
    }

    fn audit_ok(&self) -> Option<bool> {
        for node in self.honest() {
            let verify = Command::new(crate::palisade::SELF)
                .arg("--home")
                .arg(self.dir.home(&node))
                .args(["--output", "json", "audit", "verify"])
                .output()
                .ok()?;
            match verify.status.code() {
                Some(0) => {}
                Some(8) => return Some(false),
                _ => return None,
            }
        }
        Some(true)
    }

    /// 95th percentile of the time between the headers of the last blocks, in milliseconds.
    fn commit_interval_p95(&self) -> Option<u64> {
        let node = self.honest().into_iter().next()?;
        let top = self.height_of(&node)?;
        let from = top.saturating_sub(INTERVAL_BLOCKS).max(1);
        let times: Option<Vec<u64>> = (from..=top)
            .map(|h| {
                number(
                    self.get(&node, &format!("/v1/blocks/{h}"))?.as_ref(),
                    "time_ms",
                )
                .ok()
            })
            .collect();
        let times = times?;
        let mut gaps: Vec<u64> = times
            .windows(2)
            .map(|pair| pair[1].saturating_sub(pair[0]))
            .collect();
        gaps.sort_unstable();
        gaps.get((gaps.len() * 95 / 100).min(gaps.len().checked_sub(1)?))
            .copied()
    }

    /// A block is final once it is committed, so what a net takes to make something final is the time
    /// from one block to the next: the slowest node's 95th percentile of it, over all of its life.
    fn finality_p95(&self) -> Option<u64> {
        let of = |node: &String| percentile_ms(&self.metrics_page(node)?, FINALITY, 95);
        let found: Option<Vec<u64>> = self.honest().iter().map(of).collect();
        found?.into_iter().max()
    }

    fn metrics_page(&self, node: &str) -> Option<String> {
        let report = self
            .nodes
            .get(node)
            .filter(|r| r.state == NodeState::Running)?;
        let (base, path) = report.metrics.rsplit_once('/')?;
        Api::new(base).text(&format!("/{path}")).ok()
    }

    fn metric(&self, node: &str, name: &str) -> Option<u64> {
        let page = self.metrics_page(node)?;
        let full = format!("palisade_{name}");
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix(full.as_str())?.strip_prefix(' '));
        let value: f64 = line?.trim().parse().ok()?;
        Some(whole(value))
    }

    fn log(&self, node: &str, event: &str) -> Option<u64> {
        let text = std::fs::read_to_string(self.dir.log(node)).ok()?;
        let lines = text.lines().filter(|line| is_event(line, event));
        u64::try_from(lines.count()).ok()
    }
}

impl View for LiveView<'_> {
    fn call(&self, name: &str, arguments: &[String]) -> Value {
        let first = arguments.first().map(String::as_str).unwrap_or_default();
        let second = arguments.get(1);
        match name {
            "height" if arguments.is_empty() => self.height().into(),
            "height" => self.height_of(first).into(),
            "agree" => self.agree().into(),
            "up" => self
                .state(first)
                .map(|state| state == NodeState::Running)
                .into(),
            "synced" => self
                .get(first, "/v1/status")
                .map(|s| s["sync"]["state"] == "synced" || s["sync"] == "synced")
                .into(),
            "signing" => self
                .get(first, "/v1/status")
                .and_then(|s| s["signing"].as_bool())
                .into(),
            "active" | "jailed" | "tombstoned" => self.in_state(first, name).into(),
            "slashed" => self
                .slashes(first, second)
                .map(|found| !found.is_empty())
                .into(),
            "slashed_amount" => self
                .slashes(first, None)
                .and_then(|all| {
                    all.iter()
                        .map(|slash| number(slash, "amount").ok())
                        .sum::<Option<u64>>()
                })
                .into(),
            "slashes" => self.count("/v1/slashes", "slashes", |_| true).into(),
            "stake" => self
                .validator(first)
                .and_then(|v| number(&v, "stake").ok())
                .into(),
            "restarts" => self
                .nodes
                .get(first)
                .map(|node| u64::from(node.restarts))
                .into(),
            "balance" => self.balance(first).into(),
            "jobs" => self.jobs(first).into(),
            "evidence" => self
                .count("/v1/evidence", "evidence", |item| {
                    item["kind"]
                        .as_str()
                        .is_some_and(|kind| snake(kind) == first)
                })
                .into(),
            "banned" => self.banned(first).into(),
            "metric" => second.and_then(|metric| self.metric(first, metric)).into(),
            "log" => second.and_then(|event| self.log(first, event)).into(),
            "supply_conserved" => self.supply_conserved().into(),
            "audit_ok" => self.audit_ok().into(),
            "commit_interval_p95" => self.commit_interval_p95().into(),
            "finality_p95" => self.finality_p95().into(),
            _ => Value::Unknown,
        }
    }

    fn set(&self, name: &str) -> Option<Vec<String>> {
        match name {
            "honest" => {
                let names = self.plan.names().into_iter();
                Some(names.filter(|node| !self.liars.contains(node)).collect())
            }
            "validators" => Some(self.plan.names()),
            _ => None,
        }
    }
}

/// `DoubleVote` and `double-vote` to `double_vote`.
fn snake(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(if letter == '-' {
            '_'
        } else {
            letter.to_ascii_lowercase()
        });
    }
    text
}

#[cfg(test)]
mod tests;
