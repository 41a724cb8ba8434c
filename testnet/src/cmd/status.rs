//! `testnet status`: one look at the whole net.

use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::print;
use crate::cli::{Context, Which};
use crate::client::Api;
use crate::expect::{Value, View};
use crate::files::NetDir;
use crate::net::Net;
use crate::supervisor::{NodeState, last_problem};

/// `palisade.testnet-status/1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    schema: String,
    /// Lowest over running honest nodes; `None` while one does not answer.
    pub(crate) height: Option<u64>,
    agree: Option<bool>,
    jobs: Jobs,
    slashes: Option<u64>,
    nodes: Vec<NodeRow>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Jobs {
    paid: Option<u64>,
    refunded: Option<u64>,
    failed: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct NodeRow {
    name: String,
    state: NodeState,
    height: Option<u64>,
    block_id: Option<String>,
    signing: Option<bool>,
    restarts: u32,
    exit_code: Option<i32>,
    /// What a node that ended by itself said last.
    reason: Option<String>,
    /// Its validator's state on the chain.
    validator: Option<String>,
}

impl NodeRow {
    /// What a person must know of a node beyond its height; mostly nothing.
    fn remarks(&self) -> String {
        let validator = self.validator.as_deref().filter(|state| *state != "active");
        let exit = self.exit_code.map(|code| match &self.reason {
            Some(reason) => format!("exit {code}: {reason}"),
            None => format!("exit {code}"),
        });
        let remarks: Vec<String> = validator
            .map(str::to_owned)
            .into_iter()
            .chain(exit)
            .collect();
        remarks.join(", ")
    }
}

impl Report {
    /// The one live line.
    pub(crate) fn line(&self) -> String {
        let number = |value: Option<u64>| value.map_or("?".to_owned(), |value| value.to_string());
        let signing = self
            .nodes
            .iter()
            .filter(|node| node.signing == Some(true))
            .count();
        format!(
            "height {} · {signing}/{} signing · jobs {} paid {} refunded {} failed · slashes {}",
            number(self.height),
            self.nodes.len(),
            number(self.jobs.paid),
            number(self.jobs.refunded),
            number(self.jobs.failed),
            number(self.slashes),
        )
    }
}

pub(crate) fn report(net: &Net) -> Result<Report> {
    let view = net.view()?;
    let count = |name: &str, argument: &str| {
        let arguments = if argument.is_empty() {
            vec![]
        } else {
            vec![argument.to_owned()]
        };
        match view.call(name, &arguments) {
            Value::Number(number) => Some(number),
            _ => None,
        }
    };
    let rows = net.nodes()?.into_iter().map(|node| {
        let running = node.state == NodeState::Running;
        let status = running
            .then(|| Api::new(node.api).get("/v1/status").ok())
            .flatten();
        let halted = node.state == NodeState::Halted;
        let reason = halted.then(|| last_problem(&net.dir.log(&node.name)));
        let (reason, validator) = (reason.flatten(), view.validator_state(&node.name));
        NodeRow {
            name: node.name,
            state: node.state,
            height: status.as_ref().and_then(|s| s["height"].as_u64()),
            block_id: status
                .as_ref()
                .and_then(|s| s["block_id"].as_str().map(str::to_owned)),
            signing: status.as_ref().and_then(|s| s["signing"].as_bool()),
            restarts: node.restarts,
            exit_code: node.exit_code,
            reason,
            validator,
        }
    });
    Ok(Report {
        schema: "palisade.testnet-status/1".into(),
        nodes: rows.collect(),
        height: count("height", ""),
        agree: match view.call("agree", &[]) {
            Value::Bool(agree) => Some(agree),
            _ => None,
        },
        jobs: Jobs {
            paid: count("jobs", "paid"),
            refunded: count("jobs", "refunded"),
            failed: count("jobs", "failed"),
        },
        slashes: count("slashes", ""),
    })
}

pub(crate) fn run(which: &Which, watch: bool, context: &Context<'_>) -> Result<()> {
    let net = Net::open(NetDir::of(&which.name)?)?;
    let mut last = None;
    loop {
        let report = report(&net)?;
        if last.as_ref() != Some(&report) {
            print(context, &report, || table(&report))?;
        }
        if !watch {
            return Ok(());
        }
        last = Some(report);
        std::thread::park_timeout(Duration::from_millis(250));
    }
}

fn table(report: &Report) -> String {
    let agree = match report.agree {
        Some(true) => "all nodes agree",
        Some(false) => "NODES DISAGREE",
        None => "agreement unknown: a node does not answer",
    };
    let mut text = format!("{}\n{agree}\n", report.line());
    for node in &report.nodes {
        let height = node
            .height
            .map_or("-".to_owned(), |height| height.to_string());
        let state = node.state.name();
        let block = node
            .block_id
            .as_deref()
            .and_then(|id| id.get(..12))
            .unwrap_or("-");
        text.push_str(&format!(
            "  {:<8} {state:<8} height {height:<6} block {block:<12} restarts {} {}\n",
            node.name,
            node.restarts,
            node.remarks()
        ));
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(exit_code: Option<i32>, reason: Option<&str>, validator: &str) -> NodeRow {
        NodeRow {
            name: "bob".into(),
            state: NodeState::Halted,
            height: None,
            block_id: None,
            signing: None,
            restarts: 0,
            exit_code,
            reason: reason.map(str::to_owned),
            validator: Some(validator.into()),
        }
    }

    #[test]
    fn a_halt_has_its_reason_and_a_fall_its_name() {
        assert_eq!(row(None, None, "active").remarks(), "");
        assert_eq!(row(Some(1), None, "active").remarks(), "exit 1");
        let said = row(Some(76), Some("no space"), "jailed").remarks();
        assert_eq!(said, "jailed, exit 76: no space");
    }
}
