//! The modelled sandbox: what a job answers, how long a host takes, and when it gives up.

use protocol::digest::Digest;
use protocol::job::{DeclineReason, JobSpec, Outcome};
use protocol::result::{Dtype, OutputTensor, encode_blob, result_root};
use protocol::units::Fuel;

use actors::seat::SeatResult;

use super::scene::{HostPlan, JobKind};
use crate::sim::rng::Rng;

/// Longer than a reveal may be.
const LONG_BYTES: u64 = 5_000;
/// Longer than every commit window.
pub(super) const SLOW_MS: u64 = 30_000;

/// The one answer that a job has: a function of its kind and its input.
pub(super) fn answer(kind: JobKind, spec: &JobSpec) -> SeatResult {
    let fuel = Fuel(spec.fuel_limit.0 / 5 * 3);
    let seed = spec.input.as_bytes()[0];
    let (outcome, code) = match kind {
        JobKind::Trap => (Outcome::ModelTrap, u32::from(seed)),
        JobKind::Long => return ok(seed, LONG_BYTES, fuel),
        _ => return ok(seed, 1, fuel),
    };
    SeatResult {
        outcome,
        result_root: outcome.root(code).unwrap_or_default(),
        fuel,
        output: Vec::new(),
        code,
    }
}

fn ok(seed: u8, count: u64, fuel: Fuel) -> SeatResult {
    let outputs = [OutputTensor {
        name: "y".to_owned(),
        dtype: Dtype::U8,
        dims: vec![count],
        elements: (0..count).map(|_| seed).collect(),
    }];
    SeatResult {
        outcome: Outcome::Ok,
        result_root: result_root(&outputs).unwrap_or_default(),
        fuel,
        output: encode_blob(&outputs).unwrap_or_default(),
        code: 0,
    }
}

/// One run: after so many milliseconds it ends like this.
pub(super) fn run(
    kind: JobKind,
    spec: &JobSpec,
    plan: &HostPlan,
    rng: &mut Rng,
) -> (u64, Result<SeatResult, DeclineReason>) {
    let takes = rng.between(20, 500);
    if kind == JobKind::Poison {
        return (takes, Err(DeclineReason::SandboxKilled));
    }
    if rng.chance(plan.decline_permille) {
        return (takes, Err(DeclineReason::OutOfMemory));
    }
    let takes = if rng.chance(plan.slow_permille) {
        SLOW_MS
    } else {
        takes
    };
    (takes, Ok(answer(kind, spec)))
}

/// How long it takes to get a model or an input from peers.
pub(super) fn fetch_ms(rng: &mut Rng) -> u64 {
    rng.between(1, 250)
}

/// The root of the model of a kind; a few kinds have several models.
pub(super) fn model_root(kind: JobKind, index: u8) -> Digest {
    protocol::digest::sha256(format!("{kind:?}/{index}").as_bytes())
}
