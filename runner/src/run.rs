//! The phases of one run, in order; the phase decides the outcome.

use std::panic::{AssertUnwindSafe, catch_unwind};

use protocol::digest::sha256;
use protocol::job::{DeclineReason, Outcome};
use protocol::limits::OUTPUT_BYTES_MAX;
use protocol::manifest::ModelKind;
use protocol::result::{Dtype, blob_bytes, encode_blob};
use protocol::units::Fuel;
use tract_onnx::prelude::*;

use crate::check::{TENSOR_BYTES_MAX, check};
use crate::exact::make_exact;
use crate::fuel::{file_fuel, work_of};
use crate::graph::{Typed, build, check_inputs};
use crate::plan::{Plan, plan_of};
use crate::proto::{Port, Refused, decode, graph_of, outputs_of};
use crate::report::{MODEL_TRAP_CODE, Refusal, Report, Verdict};
use crate::request::Request;
use crate::rework::rework_fuel;
use crate::tensor;

/// Why a run ends without an answer.
enum End {
    /// Fixed by model and input.
    Failed {
        outcome: Outcome,
        code: u32,
        fuel: u64,
        why: String,
    },
    /// The host's, or nobody's, fault.
    Declined { reason: DeclineReason, why: String },
}

impl End {
    fn refused(refused: Refused, fuel: u64) -> Self {
        let (outcome, code) = (Outcome::EngineRefused, refused.code.code());
        Self::Failed {
            outcome,
            code,
            fuel,
            why: refused.why,
        }
    }
}

/// Runs a model on an input; a panic of the engine is a Decline.
pub(crate) fn run(engine: u16, request: &Request, model: Vec<u8>, bundle: &[u8]) -> Report {
    let ran = catch_unwind(AssertUnwindSafe(|| phases(request, model, bundle)));
    let (verdict, why) = match ran {
        Ok(Ok(verdict)) => (verdict, String::new()),
        Ok(Err(End::Failed {
            outcome,
            code,
            fuel,
            why,
        })) => (
            Verdict::Failed {
                outcome,
                code,
                fuel: Fuel(fuel),
            },
            why,
        ),
        Ok(Err(End::Declined { reason, why })) => (Verdict::Declined { reason }, why),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            let why = format!("the engine panicked: {}", text.unwrap_or("no reason given"));
            (
                Verdict::Declined {
                    reason: DeclineReason::EnginePanic,
                },
                why,
            )
        }
    };
    Report::new(engine, verdict, &why)
}

fn phases(request: &Request, file: Vec<u8>, bundle: &[u8]) -> Result<Verdict, End> {
    check_files(request, &file, bundle)?;
    let file_bytes = file.len() as u64;
    let limit = request.fuel_limit.0;
    let cap = |fuel: u64| fuel.min(limit);
    let bare = cap(file_fuel(file_bytes));
    let proto = decode(&file).map_err(|refused| End::refused(refused, bare))?;
    drop(file);
    let parsed = file_fuel(file_bytes).saturating_add(rework_fuel(&proto));
    let refused = |refused| End::refused(refused, cap(parsed));
    if parsed > limit {
        return Err(exhausted(parsed, limit));
    }
    check(&proto).map_err(refused)?;
    check_request(request).map_err(refused)?;
    check_inputs(&proto, &request.input.inputs).map_err(refused)?;
    let declared = graph_of(&proto).and_then(outputs_of).map_err(refused)?;
    let ports = wanted(request, &declared).map_err(refused)?;
    let built = build(proto, &request.input.inputs).map_err(refused)?;
    let Typed {
        mut model,
        folded,
        operators,
    } = built;
    let work = work_of(&model).map_err(refused)?;
    let total = parsed.saturating_add(folded).saturating_add(work);
    check_tensors(&model).map_err(refused)?;
    let shapes = select(&mut model, &ports, &declared).map_err(refused)?;
    if total > limit {
        return Err(exhausted(total, parsed));
    }
    if too_large(&ports, &shapes, request.out_bytes) {
        let why = format!(
            "the output blob would be longer than {} bytes",
            request.out_bytes
        );
        let outcome = Outcome::OutputTooLarge;
        return Err(End::Failed {
            outcome,
            code: 0,
            fuel: total,
            why,
        });
    }
    make_exact(&mut model).map_err(refused)?;
    let plan = plan_of(model, &operators).map_err(refused)?;
    let blob = execute(&plan, request, bundle, &ports, &shapes, total)?;
    Ok(Verdict::Answered {
        fuel: Fuel(total),
        blob,
    })
}

fn exhausted(needed: u64, fuel: u64) -> End {
    let why = format!("needs {needed} fuel");
    End::Failed {
        outcome: Outcome::FuelExhausted,
        code: 0,
        fuel,
        why,
    }
}

/// The files must be those the manifests name. Were they not, this host would be at fault, and a
/// host's fault is never signed.
fn check_files(request: &Request, file: &[u8], bundle: &[u8]) -> Result<(), End> {
    let (model, input) = (&request.model.file, &request.input.bundle);
    let whole = file.len() as u64 == model.size && sha256(file) == model.sha256;
    let bundled = bundle.len() as u64 == input.size && sha256(bundle) == input.sha256;
    if whole && bundled {
        return Ok(());
    }
    let why = "the model or the bundle is not the file its manifest names".to_owned();
    Err(End::Declined {
        reason: DeclineReason::Unavailable,
        why,
    })
}

/// What submitting already refuses, for jobs that were submitted elsewhere.
fn check_request(request: &Request) -> Result<(), Refused> {
    if request.model.kind != ModelKind::Onnx {
        return Err(Refused::bad("the manifest does not name an ONNX model"));
    }
    request
        .model
        .check()
        .map_err(|error| Refused::bad(error.to_string()))?;
    let mismatch = |error: protocol::manifest::ManifestError| {
        Refused::new(Refusal::ShapeMismatch, error.to_string())
    };
    request.input.check().map_err(mismatch)?;
    request.model.accepts(&request.input).map_err(mismatch)
}

/// The outputs to answer with, as the graph and the manifest agree on them.
fn wanted(request: &Request, declared: &[Port]) -> Result<Vec<Port>, Refused> {
    let mismatch = |why: String| Refused::new(Refusal::OutputMismatch, why);
    let specs = &request.model.outputs;
    let agree = specs.len() == declared.len()
        && specs.iter().zip(declared).all(|(spec, port)| {
            let rank = port.axes.as_ref().map(Vec::len);
            spec.name == port.name
                && spec.dtype == port.dtype
                && rank.is_none_or(|rank| rank == usize::from(spec.rank))
        });
    if !agree {
        return Err(mismatch(
            "the manifest lists other outputs than the graph".to_owned(),
        ));
    }
    let mut names: Vec<&str> = request.outputs.iter().map(String::as_str).collect();
    if names.is_empty() {
        names = declared.iter().map(|port| port.name.as_str()).collect();
    }
    let mut ports: Vec<Port> = Vec::new();
    for name in names {
        let port = declared.iter().find(|port| port.name == name);
        match port {
            Some(port) if !ports.contains(port) => ports.push(port.clone()),
            _ => {
                return Err(mismatch(format!(
                    "output {name:?} is unknown or asked for twice"
                )));
            }
        }
    }
    Ok(ports)
}

/// No tensor of the typed graph may be larger than the limit.
fn check_tensors(model: &TypedModel) -> Result<(), Refused> {
    for outlet in model.nodes().iter().flat_map(|node| &node.outputs) {
        let volume = crate::fuel::volume(&outlet.fact)?;
        let bytes = volume.saturating_mul(outlet.fact.datum_type.size_of() as u64);
        if bytes > TENSOR_BYTES_MAX {
            let why = format!("a tensor of {bytes} bytes");
            return Err(Refused::new(Refusal::LimitExceeded, why));
        }
    }
    Ok(())
}

/// Narrows the graph to the wanted outputs and returns their shapes.
///
/// Outlets are found by their place in the graph's list: equal constants become one outlet with one
/// label, and an input that is an output keeps its own.
fn select(
    model: &mut TypedModel,
    ports: &[Port],
    declared: &[Port],
) -> Result<Vec<Vec<u64>>, Refused> {
    let mismatch = |why: String| Refused::new(Refusal::OutputMismatch, why);
    let bad = |error: TractError| Refused::bad(format!("{error:#}"));
    let all = model.output_outlets().map_err(bad)?.to_vec();
    let mut outlets = Vec::new();
    let mut shapes = Vec::new();
    for port in ports {
        let place = declared.iter().position(|other| other == port);
        let outlet = place.and_then(|place| all.get(place)).copied();
        let outlet = outlet.ok_or_else(|| mismatch(port.name.clone()))?;
        let fact = model.outlet_fact(outlet).map_err(bad)?;
        if !tensor::answers(port.dtype, fact.datum_type) {
            let found = fact.datum_type;
            return Err(mismatch(format!(
                "{} is {found:?}, not {}",
                port.name, port.dtype
            )));
        }
        let dims = fact
            .shape
            .as_concrete()
            .ok_or_else(|| mismatch(port.name.clone()))?;
        if port
            .axes
            .as_ref()
            .is_some_and(|axes| axes.len() != dims.len())
        {
            return Err(mismatch(format!("{} has {} axes", port.name, dims.len())));
        }
        shapes.push(dims.iter().map(|dim| *dim as u64).collect());
        outlets.push(outlet);
    }
    model.select_output_outlets(&outlets).map_err(bad)?;
    Ok(shapes)
}

fn too_large(ports: &[Port], shapes: &[Vec<u64>], out_bytes: u64) -> bool {
    let outputs = ports
        .iter()
        .zip(shapes)
        .map(|(port, dims)| -> (&str, Dtype, &[u64]) { (&port.name, port.dtype, dims) });
    let ceiling = out_bytes.min(OUTPUT_BYTES_MAX);
    blob_bytes(outputs).is_none_or(|bytes| bytes > ceiling)
}

/// Runs the graph and turns its answers into the blob.
fn execute(
    plan: &Plan,
    request: &Request,
    bundle: &[u8],
    ports: &[Port],
    shapes: &[Vec<u64>],
    total: u64,
) -> Result<Vec<u8>, End> {
    let trap = |why: String| {
        let (outcome, code) = (Outcome::ModelTrap, MODEL_TRAP_CODE);
        End::Failed {
            outcome,
            code,
            fuel: total,
            why,
        }
    };
    let answer = || -> TractResult<Vec<_>> {
        let specs = request.input.inputs.iter();
        let inputs = specs.map(|spec| Ok(tensor::input(spec, bundle)?.into_tvalue()));
        let outputs = plan.run(inputs.collect::<TractResult<TVec<_>>>()?)?;
        let named = ports.iter().zip(&outputs);
        named
            .map(|(port, value)| tensor::output(&port.name, port.dtype, value))
            .collect()
    };
    let outputs = answer().map_err(|error| trap(format!("{error:#}")))?;
    let promised = outputs.len() == shapes.len()
        && outputs
            .iter()
            .zip(shapes)
            .all(|(output, dims)| output.dims == *dims);
    if !promised {
        return Err(trap(
            "an output has another shape than was computed".to_owned(),
        ));
    }
    encode_blob(&outputs).map_err(|error| trap(error.to_string()))
}
