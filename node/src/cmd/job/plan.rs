//! From files and wishes to a job on the chain.

use std::path::Path;

use anyhow::Result;
use protocol::digest::{Digest, JobId};
use protocol::engine::{ENGINE_ONNX_GEN, ENGINE_PROBE};
use protocol::job::{JobParams, JobSpec};
use protocol::limits::{JOB_EXPIRY_BLOCKS_MAX, SEATS_MAX};
use protocol::manifest::{InputManifest, ModelManifest};
use protocol::params::Params;
use protocol::tx::{SubmitJob, TxBody};
use protocol::units::{Amount, Fuel};
use sandbox::SandboxConfig;
use serde_json::{Value, json};

use super::super::Context;
use super::super::account::sent;
use super::super::model;
use super::inputs;
use crate::client::resolve::Resolved;
use crate::estimate::{self, Estimate, Trial};
use crate::exit::Exit;
use crate::home::Chain;
use crate::output::{pal, parse_amount};
use crate::printable::printable;
use crate::problem::{Problem, refuse};

/// How long a job waits for a committee unless told otherwise.
const EXPIRY_BLOCKS: u64 = 100;
/// Where the arguments of a plan are explained.
const HELP: &str = "palisade job submit --help";
/// A job as it is asked for.
#[derive(clap::Args, Debug)]
pub(crate) struct PlanArgs {
    /// A model's root or name, or an .onnx file, which is put first.
    #[arg(long, required_unless_present = "probe_attack")]
    model: Option<String>,
    /// An input as .npy, once per model input: FILE or NAME=FILE.
    #[arg(long, value_name = "[NAME=]FILE")]
    input: Vec<String>,
    /// How much fuel it may use; what the estimate used by default.
    #[arg(long)]
    fuel_limit: Option<u64>,
    /// What is locked for it; just enough by default.
    #[arg(long, value_parser = parse_amount)]
    max_price: Option<u64>,
    /// How many seats; the chain's parameter by default, which is the least.
    #[arg(long)]
    seats: Option<u16>,
    /// How many blocks it waits for a committee.
    #[arg(long, default_value_t = EXPIRY_BLOCKS, value_parser = clap::value_parser!(u64).range(3..=JOB_EXPIRY_BLOCKS_MAX))]
    expiry: u64,
    /// Do not run it here first; needs --fuel-limit.
    #[arg(long, requires = "fuel_limit")]
    no_estimate: bool,
    /// `probe` plays a captured runner, on local chains.
    #[arg(long, hide = true, default_value = "onnx")]
    engine: String,
    /// What the captured runner tries.
    #[arg(long, hide = true)]
    probe_attack: Option<String>,
}

/// A job ready to be priced.
struct Plan {
    engine: u16,
    model: ModelManifest,
    file: Vec<u8>,
    input: InputManifest,
    bundle: Vec<u8>,
}

/// What it costs.
struct Price {
    fuel_limit: Fuel,
    k: u16,
    max_price: Amount,
    estimate: Option<Estimate>,
}

impl Price {
    /// In lines for people, with the reason if nothing would come of it.
    fn human(&self) -> String {
        let estimate = self.estimate.as_ref();
        let line = format!(
            "outcome {}, fuel {}, {} seats, locks {}",
            estimate.map_or("not run", |estimate| estimate.outcome),
            self.fuel_limit,
            self.k,
            pal(self.max_price.0)
        );
        match estimate {
            Some(estimate) if estimate.outcome != "ok" => {
                format!("{line}\nwhy: {}", estimate.remark)
            }
            _ => line,
        }
    }
}

/// `job estimate`.
pub(super) fn estimate(context: &Context, node: &Resolved, args: &PlanArgs) -> Result<Exit> {
    let chain = node.chain()?;
    let plan = plan(context, node, &chain, args)?;
    let price = price(context, &chain, &plan, args)?;
    let document = describe(&plan, &price);
    context.output.document(&document, || price.human());
    Ok(Exit::Ok)
}

/// `job submit`: the job's id and what is printed about it.
pub(super) fn submit(
    context: &Context,
    node: &Resolved,
    args: &PlanArgs,
) -> Result<(JobId, Value)> {
    let chain = node.chain()?;
    let plan = plan(context, node, &chain, args)?;
    let price = price(context, &chain, &plan, args)?;
    worth_paying(&price)?;
    model::put(context, node, &plan.model, &plan.file)?;
    model::put_input(context, node, &plan.input, &plan.bundle)?;
    let expiry = node.height(&chain)?.plus(args.expiry);
    let spec = JobSpec {
        model_root: plan.model.root(),
        engine: plan.engine,
        input: plan.input.root(),
        params: JobParams::default(),
        fuel_limit: price.fuel_limit,
        k: price.k,
        max_price: price.max_price,
        expiry,
    };
    let signer = node.wallet(&chain)?;
    let body = TxBody::SubmitJob(SubmitJob {
        spec: spec.clone(),
        sponsor: None,
    });
    let (ready, included) = node.transact(&chain, &signer, |_| Ok(body))?;
    let job = spec.job_id(&chain.id, &signer.key.public().address(), ready.nonce);
    let mut document = sent("palisade.job-submit/1", &ready, &included);
    document["job"] = json!(job.to_string());
    document["job_id"] = document["job"].clone();
    document["plan"] = describe(&plan, &price);
    Ok((job, document))
}

/// Every seat would find what the estimate found, and be paid for it.
fn worth_paying(price: &Price) -> Result<()> {
    match &price.estimate {
        Some(estimate) if estimate.outcome != "ok" => {
            refuse!("job.hopeless", "{}: {}", estimate.outcome, estimate.remark)
        }
        _ => Ok(()),
    }
}

fn describe(plan: &Plan, price: &Price) -> Value {
    json!({
        "schema": "palisade.job-estimate/1", "model": plan.model.root().to_string(),
        "input": plan.input.root().to_string(), "engine": plan.engine,
        "fuel_limit": price.fuel_limit.0, "seats": price.k, "max_price": price.max_price.to_string(),
        "outcome": price.estimate.as_ref().map(|estimate| estimate.outcome),
        "remark": price.estimate.as_ref().map(|estimate| estimate.remark.as_str()),
    })
}

fn plan(context: &Context, node: &Resolved, chain: &Chain, args: &PlanArgs) -> Result<Plan> {
    if args.engine == "probe" || args.probe_attack.is_some() {
        return probe(chain, args);
    }
    if args.engine != "onnx" {
        let text = format!("engine {}: this release has onnx", args.engine);
        return Err(Problem::new("usage", text).hint(HELP).into());
    }
    let wanted = args.model.as_deref().unwrap_or_default();
    let (model, file) = if wanted.ends_with(".onnx") {
        model::describe_file(Path::new(wanted), None, "NOASSERTION")?
    } else {
        let manifest = model::manifest_of(node, &model::root_of(node, wanted)?)?;
        let file = model::fetch(node, &manifest.file)?;
        (manifest, file)
    };
    let (input, bundle) = inputs::of(&model, &args.input)?;
    let name = printable(&model.name);
    context
        .output
        .progress(&format!("model {name} ({} bytes)", model.file.size));
    Ok(Plan {
        engine: ENGINE_ONNX_GEN,
        model,
        file,
        input,
        bundle,
    })
}

/// A job whose model is the name of an attack.
fn probe(chain: &Chain, args: &PlanArgs) -> Result<Plan> {
    if !chain.genesis.is_local() {
        refuse!("config.chain", "the probe engine is for local chains");
    }
    let Some(attack) = &args.probe_attack else {
        let text = "the probe engine needs --probe-attack";
        return Err(Problem::new("usage", text).hint(HELP).into());
    };
    let (model, file) = model::describe_attack(attack);
    // Every job has an input; the probe reads none.
    let bundle = vec![0];
    let input = InputManifest {
        version: protocol::manifest::MANIFEST_VERSION,
        inputs: vec![protocol::manifest::InputTensor {
            name: "none".to_owned(),
            dtype: protocol::result::Dtype::U8,
            dims: vec![1],
            offset: 0,
        }],
        bundle: protocol::manifest::FileDigest::of(&bundle),
    };
    Ok(Plan {
        engine: ENGINE_PROBE,
        model,
        file,
        input,
        bundle,
    })
}

fn price(context: &Context, chain: &Chain, plan: &Plan, args: &PlanArgs) -> Result<Price> {
    let params = &chain.genesis.params;
    let k = seats(params, args.seats)?;
    let most = params.job_fuel_max;
    let mut estimate = match plan.engine {
        ENGINE_ONNX_GEN if !args.no_estimate => Some(trial(context, plan, most)?),
        _ => None,
    };
    if let (Some(estimate), Some(limit)) = (&mut estimate, args.fuel_limit) {
        estimate.limit(Fuel(limit));
    }
    let used = estimate.as_ref().map(|estimate| estimate.fuel);
    let fuel_limit = args
        .fuel_limit
        .map(Fuel)
        .or(used)
        .unwrap_or(params.fuel_per_block);
    let max_price = args
        .max_price
        .map_or_else(|| params.price_min(k, fuel_limit), Amount);
    Ok(Price {
        fuel_limit,
        k,
        max_price,
        estimate,
    })
}

/// How many seats a job gets: the ledger's own bounds, told before anything is run or sent.
fn seats(params: &Params, wanted: Option<u16>) -> Result<u16> {
    let fillable = params.validators_max / params.eligible_per_seat.max(1);
    let most = fillable.min(SEATS_MAX.into());
    match wanted {
        Some(k) if k < params.k || u64::from(k) > most => {
            let text = format!("--seats {k}: {} to {most} allowed", params.k);
            Err(Problem::new("usage", text).hint(HELP).into())
        }
        wanted => Ok(wanted.unwrap_or(params.k)),
    }
}

fn trial(context: &Context, plan: &Plan, fuel_limit: Fuel) -> Result<Estimate> {
    context
        .output
        .progress("estimating: one run in a sandbox on this machine");
    let dir = std::env::temp_dir().join(format!("palisade-estimate-{}", std::process::id()));
    crate::keys::file::private_dir(&dir)?;
    let mut config = SandboxConfig::new(&dir);
    config.allow_degraded = sandbox::Degradation::ALL.to_vec();
    let trial = Trial {
        model: plan.model.clone(),
        file: plan.file.clone(),
        input: plan.input.clone(),
        bundle: plan.bundle.clone(),
        params: JobParams::default(),
        fuel_limit,
    };
    let estimate = estimate::run(&trial, config);
    drop(std::fs::remove_dir_all(&dir));
    estimate
}

/// The root of a result, if a job has one.
pub(super) fn result_root(job: &Value) -> Option<Digest> {
    job["result_root"].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_without_a_result_is_not_paid_for() {
        let mut price = Price {
            fuel_limit: Fuel(9),
            k: 3,
            max_price: Amount(1),
            estimate: None,
        };
        assert!(worth_paying(&price).is_ok(), "--no-estimate");
        assert_eq!(price.human().lines().count(), 1);
        let mut estimate = Estimate {
            fuel: Fuel(10),
            outcome: "ok",
            remark: String::new(),
        };
        estimate.limit(price.fuel_limit);
        price.estimate = Some(estimate);
        let refused = worth_paying(&price).unwrap_err();
        let refused = refused.downcast::<Problem>().unwrap();
        assert_eq!(refused.code, "job.hopeless");
        let why = "it takes 10 fuel, its limit is 9";
        assert!(refused.detail.contains(why), "{}", refused.detail);
        assert_eq!(
            price.human(),
            format!("outcome fuel_exhausted, fuel 9, 3 seats, locks 0.000001 PAL\nwhy: {why}")
        );
    }

    #[test]
    fn seats_outside_the_ledgers_bounds_are_refused_not_bent() {
        let (local, network) = (Params::local(), Params::network());
        for (params, wanted, found) in [
            (&local, None, 3),
            (&local, Some(3), 3),
            (&local, Some(16), 16),
            (&network, None, 5),
            (&network, Some(50), 50),
        ] {
            assert_eq!(seats(params, wanted).unwrap(), found);
        }
        for (params, wanted, range) in [
            (&local, 0, "3 to 16"),
            (&local, 2, "3 to 16"),
            (&local, 17, "3 to 16"),
            (&network, 4, "5 to 50"),
            (&network, 51, "5 to 50"),
        ] {
            let refused = seats(params, Some(wanted)).unwrap_err();
            let refused = refused.downcast::<Problem>().unwrap();
            assert_eq!(refused.code, "usage");
            assert_eq!(refused.detail, format!("--seats {wanted}: {range} allowed"));
        }
    }
}
