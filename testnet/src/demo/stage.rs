//! The running net that all facts are checked on, and the questions they share.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::client::{Api, list, number, text};
use crate::clock::{Deadline, poll};
use crate::error::CommandError;
use crate::files::{Endpoints, NetDir};
use crate::models::Model;
use crate::net::Net;
use crate::palisade::Palisade;

/// The stage of the demo.
pub(super) struct Stage {
    pub net: Net,
    /// Every node with its API, in order.
    pub apis: Vec<(String, Api)>,
    /// A client of the first node.
    pub client: Palisade,
    /// When the show must be over.
    pub deadline: Deadline,
}

impl Stage {
    pub(super) fn new(net: Net, endpoints: &Endpoints, deadline: Deadline) -> Result<Self> {
        let apis: Vec<(String, Api)> = endpoints
            .nodes
            .iter()
            .map(|node| (node.name.clone(), Api::new(node.api.clone())))
            .collect();
        let client = Palisade::new(&endpoints.api, &net.dir);
        Ok(Self {
            net,
            apis,
            client,
            deadline,
        })
    }

    /// Waits for a condition, at most so long and never beyond the deadline.
    pub(super) fn wait<T>(
        &self,
        what: &str,
        limit: Duration,
        ask: impl FnMut() -> Option<T>,
    ) -> Result<T> {
        let limit = limit.min(self.deadline.left());
        poll(limit, ask).with_context(|| format!("{what}: not within {:.0} s", limit.as_secs_f64()))
    }

    /// The first node's API.
    pub(super) fn api(&self) -> &Api {
        &self.apis[0].1
    }

    /// A node's API.
    pub(super) fn api_of(&self, node: &str) -> Result<&Api> {
        let found = self.apis.iter().find(|(name, _)| name == node);
        found
            .map(|(_, api)| api)
            .with_context(|| format!("no node {node}"))
    }

    /// Heights of the named nodes; `None` if one does not answer.
    pub(super) fn heights(&self, nodes: &[&str]) -> Option<Vec<u64>> {
        nodes
            .iter()
            .map(|node| self.api_of(node).ok()?.height().ok())
            .collect()
    }

    /// The block id that these nodes have at a height; an error if they differ.
    pub(super) fn common_block(&self, height: u64, nodes: &[&str]) -> Result<String> {
        let mut common: Option<String> = None;
        for node in nodes {
            let block = self.api_of(node)?.get(&format!("/v1/blocks/{height}"))?;
            let id = text(&block, "id")?.to_owned();
            if *common.get_or_insert_with(|| id.clone()) != id {
                bail!("{node} has block {id} at height {height}, another node another");
            }
        }
        common.context("no nodes")
    }

    /// A validator's row on a node.
    pub(super) fn validator(&self, api: &Api, node: &str) -> Result<Value> {
        let id = &self.net.plan.node(node).context("no such node")?.validator;
        let validators = api.get("/v1/validators")?;
        let row = list(&validators, "validators")?
            .iter()
            .find(|row| row["id"] == **id);
        row.cloned()
            .with_context(|| format!("{node} is no validator"))
    }

    /// A job as a node sees it.
    pub(super) fn job(&self, api: &Api, id: &str) -> Result<Value> {
        api.get(&format!("/v1/jobs/{id}"))
    }

    /// Waits for a job's end and returns it.
    pub(super) fn job_end(&self, id: &str, limit: Duration) -> Result<Value> {
        self.wait(&format!("end of job {id}"), limit, || {
            let job = self.job(self.api(), id).ok()?;
            number(&job, "end_height").ok().map(|_| job)
        })
    }

    /// Submits a shipped model with its example input and returns the job's id.
    pub(super) fn submit(&self, model: &str, flags: &[&str]) -> Result<String> {
        let model = Model::by_name(model).context("no such model")?;
        let (file, inputs) = model.write(&self.net.dir.file("models"))?;
        let answer = self.client.submit_with(&file, &inputs, false, flags)?;
        job_id(&answer)
    }
}

/// The id in a client's answer to `job submit`.
pub(super) fn job_id(answer: &Value) -> Result<String> {
    Ok(text(answer, "job")?.to_owned())
}

/// Whether a job ended in a state, whatever detail follows its name.
pub(super) fn ended_in(job: &Value, states: &[&str]) -> bool {
    let state = job["state"]
        .as_str()
        .unwrap_or_default()
        .to_ascii_lowercase();
    states.iter().any(|wanted| state.starts_with(wanted))
}

/// Refuses to start on a host whose sandbox is weaker than the nodes were told to accept.
pub(super) fn require_sandbox(dir: &NetDir) -> Result<()> {
    let node = Palisade::new("http://127.0.0.1:1", dir).at_home(dir.home(super::NAMES[0]));
    let output = node.run(&["doctor", "--sandbox"])?;
    if output.status.success() {
        return Ok(());
    }
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let failing = list(&document, "checks")
        .unwrap_or_default()
        .iter()
        .filter(|row| row["ok"] == false);
    let named: Vec<String> = failing
        .map(|row| format!("{}: {}", row["check"], row["found"]))
        .collect();
    let detail = format!("this host's sandbox is too weak: {}", named.join(", "));
    let hint = "`palisade doctor --sandbox` names the remedies; --allow-degraded accepts a gap";
    Err(CommandError::unavailable(detail, hint).into())
}
