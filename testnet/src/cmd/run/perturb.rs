//! What a run does to the processes of nodes, in turn.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::manifest::{Manifest, Perturbation};
use crate::net::Net;
use crate::supervisor::{Fault, Request};

/// Between two perturbations of one node.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long a kill or pause lasts.
const LENGTH: Duration = Duration::from_secs(3);

/// Does everything that the manifest plans. `faulted` is set from a fault to the end of the time in
/// which its node comes back.
pub(super) fn all(net: &Net, manifest: &Manifest, faulted: &AtomicBool) -> Result<Vec<Value>> {
    let mut faults = Vec::new();
    for name in manifest.names() {
        for perturbation in &manifest.node[&name].perturb {
            faulted.store(true, Ordering::SeqCst);
            let fault = one(net, &name, *perturbation);
            faulted.store(false, Ordering::SeqCst);
            faults.push(fault?);
        }
    }
    Ok(faults)
}

/// Does one thing to a node and undoes it.
fn one(net: &Net, name: &str, perturbation: Perturbation) -> Result<Value> {
    let nodes = vec![name.to_owned()];
    let height = super::judge::height(net);
    let ask = |kind| {
        net.ask(&Request::Fault {
            kind,
            nodes: nodes.clone(),
        })
    };
    let kind = match perturbation {
        Perturbation::Kill => Fault::Kill,
        Perturbation::Pause => Fault::Pause,
        Perturbation::Restart => Fault::Restart,
    };
    ask(kind)?;
    if perturbation != Perturbation::Restart {
        // A perturbation lasts for a time by definition; nothing is waited for.
        std::thread::sleep(LENGTH);
        ask(Fault::Resume)?;
    }
    std::thread::sleep(INTERVAL);
    Ok(json!({ "at_height": height, "kind": kind, "node": name }))
}
