//! How fast four processes agree when nothing holds them back but their disks and their signatures.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use testnet::client::Api;
use testnet::clock::Stopwatch;

use crate::bed::{Bed, Scale};

/// The quotas for consensus messages fit paced blocks (20 messages a second and signer); unpaced they
/// would be what is measured.
pub(crate) const CONSENSUS_FACTOR: u32 = 500;

/// One net, unpaced.
#[derive(Debug, Clone)]
pub(crate) struct Unpaced {
    /// Heights a second, one per window.
    pub heights_per_second: Vec<f64>,
    /// CPU of one node for one height, in milliseconds.
    pub cpu_ms_per_node_height: f64,
    /// Resident memory of each node afterwards, in MiB.
    pub rss_mib: Vec<f64>,
    /// Resident memory of each node of an idle, paced net, in MiB.
    pub idle_rss_mib: Vec<f64>,
    /// CPU of one node of an idle, paced net, in percent of one core.
    pub idle_cpu_percent: f64,
}

/// Measures windows of some seconds.
///
/// # Errors
/// If the net does not run.
pub(crate) fn measure(binary: &Path, scale: Scale) -> Result<Unpaced> {
    let (idle_rss_mib, idle_cpu_percent) = idle(binary, scale)?;
    // One millisecond is the smallest interval there is: the next height starts at once.
    let settings =
        format!("[limits]\nconsensus_factor = {CONSENSUS_FACTOR}\n[log]\nfilter = \"warn\"\n");
    let bed = Bed::up(binary, "block_time = \"1ms\"", &[], &settings)?;
    let alice = Api::new(bed.apis()?.swap_remove(0));
    let window = scale.pick(Duration::from_secs(2), Duration::from_secs(6));
    settle(window);
    let (first, cpu) = (alice.height()?, bed.cpu_ms()?);
    let mut heights_per_second = Vec::new();
    let mut height = first;
    for _ in 0..scale.pick(3, 5) {
        let clock = Stopwatch::start();
        settle(window);
        let now = alice.height()?;
        heights_per_second.push(as_float(now - height) / clock.seconds());
        height = now;
    }
    let heights = as_float(height - first);
    let cpu_ms_per_node_height = (bed.cpu_ms()? - cpu) / 4.0 / heights;
    heights_per_second.sort_by(f64::total_cmp);
    Ok(Unpaced {
        heights_per_second,
        cpu_ms_per_node_height,
        rss_mib: bed.rss_mib()?,
        idle_rss_mib,
        idle_cpu_percent,
    })
}

fn idle(binary: &Path, scale: Scale) -> Result<(Vec<f64>, f64)> {
    let bed = Bed::up(binary, "", &[], "")?;
    let time = scale.pick(Duration::from_secs(3), Duration::from_secs(15));
    let (cpu, clock) = (bed.cpu_ms()?, Stopwatch::start());
    settle(time);
    let percent = (bed.cpu_ms()? - cpu) / 4.0 / clock.seconds() / 10.0;
    Ok((bed.rss_mib()?, percent))
}

/// The measured time itself: nothing is waited for.
fn settle(time: Duration) {
    std::thread::sleep(time);
}

/// Counts here are far below 2^53.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub(crate) fn as_float(count: u64) -> f64 {
    count as f64
}
