//! Jobs submitted all the time while a run lasts.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::clock::Stopwatch;
use crate::error::CommandError;
use crate::manifest::Load;
use crate::models::Model;
use crate::net::Net;
use crate::palisade::Palisade;

/// The manifest's rate is one of jobs in this time.
const ROUND: Duration = Duration::from_secs(1);

/// A client that submits.
pub(super) struct Loader {
    client: Palisade,
    model: PathBuf,
    inputs: Vec<PathBuf>,
    per_round: u32,
    accepted: u64,
    refused: u64,
    last_refusal: Option<String>,
}

impl Loader {
    pub(super) fn new(net: &Net, load: &Load) -> Result<Self> {
        let shipped = Model::by_name(&load.model).ok_or_else(|| {
            let detail = format!("load.model: no model `{}`", load.model);
            CommandError::config(detail, "there are demo/echo, demo/spin and demo/digits")
        })?;
        let (model, inputs) = shipped.write(&net.dir.file("models"))?;
        Ok(Self {
            client: Palisade::new(net.api(&net.plan.nodes[0].name)?.base(), &net.dir),
            model,
            inputs,
            per_round: load.jobs_per_s,
            accepted: 0,
            refused: 0,
            last_refusal: None,
        })
    }

    /// Submits until told that the run is over, as fast as asked for or as the host can. A job that
    /// is refused while a node is down is counted, and the next one is tried.
    pub(super) fn go_on(&mut self, over: impl Fn() -> bool) {
        while !over() {
            let clock = Stopwatch::start();
            for _ in 0..self.per_round {
                if over() {
                    return;
                }
                match self.client.submit(&self.model, &self.inputs, false) {
                    Ok(_) => self.accepted += 1,
                    Err(error) => {
                        self.refused += 1;
                        self.last_refusal = Some(format!("{error:#}"));
                    }
                }
            }
            std::thread::park_timeout(ROUND.saturating_sub(clock.elapsed()));
        }
    }

    /// What came of it.
    pub(super) fn report(&self) -> Value {
        json!({
            "accepted": self.accepted, "refused": self.refused,
            "last_refusal": self.last_refusal,
        })
    }
}
