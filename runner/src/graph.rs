//! From a checked proto and a job's dims to a graph whose every shape is known.

use protocol::manifest::InputTensor;
use tract_onnx::pb::{
    ModelProto, TensorShapeProto, tensor_shape_proto::Dimension, tensor_shape_proto::dimension,
    type_proto,
};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::{Factoid, InferenceModelExt};

use crate::operators::{Growth, growth_of};
use crate::proto::{Axis, Port, Refused, graph_of, inputs_of};
use crate::report::Refusal;
use crate::standard::{reader, settle_defaults};
use crate::tensor::datum;

/// A typed graph, and what building it has already cost.
pub(crate) struct Typed {
    pub(crate) model: TypedModel,
    /// Work on constants that tract did while analysing, which no typed node shows any more.
    pub(crate) folded: u64,
    /// The ONNX operator of node `n0`, of `n1`, and so on.
    pub(crate) operators: Vec<String>,
}

fn mismatch(why: impl Into<String>) -> Refused {
    Refused::new(Refusal::ShapeMismatch, why)
}

/// Checks a job's inputs against the graph's own declaration; the manifest was checked before.
pub(crate) fn check_inputs(model: &ModelProto, given: &[InputTensor]) -> Result<(), Refused> {
    let declared = inputs_of(graph_of(model)?)?;
    if declared.len() != given.len() {
        return Err(mismatch(format!(
            "{} inputs, not {}",
            declared.len(),
            given.len()
        )));
    }
    let mut lengths = std::collections::BTreeMap::new();
    for (port, tensor) in declared.iter().zip(given) {
        check_input(port, tensor, &mut lengths)?;
    }
    Ok(())
}

fn check_input(
    port: &Port,
    given: &InputTensor,
    lengths: &mut std::collections::BTreeMap<String, u64>,
) -> Result<(), Refused> {
    let name = &port.name;
    if *name != given.name || port.dtype != given.dtype {
        return Err(mismatch(format!("input {name} of {}", port.dtype)));
    }
    let Some(axes) = &port.axes else {
        return Ok(());
    };
    if axes.len() != given.dims.len() {
        return Err(mismatch(format!("input {name} has {} axes", axes.len())));
    }
    for (axis, dim) in axes.iter().zip(&given.dims) {
        let fits = match axis {
            Axis::Fixed(length) => length == dim,
            Axis::Free(None) => true,
            Axis::Free(Some(symbol)) => lengths.entry(symbol.clone()).or_insert(*dim) == dim,
        };
        if !fits {
            return Err(mismatch(format!(
                "input {name} may not have shape {:?}",
                given.dims
            )));
        }
    }
    Ok(())
}

/// Replaces what the file says about shapes by the job's dims, and names by numbers.
///
/// Neither symbols nor value hints reach tract, whose parser and unifier would judge text that a
/// stranger wrote; node names must be unique there and need not be in ONNX.
fn settle(model: &mut ModelProto, given: &[InputTensor]) -> Result<Vec<String>, Refused> {
    let graph = model
        .graph
        .as_mut()
        .ok_or_else(|| Refused::bad("holds no graph"))?;
    graph.value_info.clear();
    settle_defaults(graph);
    for input in &mut graph.input {
        let Some(job) = given.iter().find(|tensor| tensor.name == input.name) else {
            continue;
        };
        let dim = |length: &u64| Dimension {
            value: i64::try_from(*length).ok().map(dimension::Value::DimValue),
            ..Dimension::default()
        };
        let shape = TensorShapeProto {
            dim: job.dims.iter().map(dim).collect(),
        };
        if let Some(type_proto::Value::TensorType(tensor)) =
            input.r#type.as_mut().and_then(|t| t.value.as_mut())
        {
            tensor.shape = Some(shape);
        }
    }
    for (index, node) in graph.node.iter_mut().enumerate() {
        node.name = format!("n{index}");
        node.doc_string.clear();
    }
    Ok(graph.node.iter().map(|node| node.op_type.clone()).collect())
}

/// Builds the typed graph. Consumes the proto, whose weights are copied on the way.
pub(crate) fn build(mut proto: ModelProto, given: &[InputTensor]) -> Result<Typed, Refused> {
    let operators = settle(&mut proto, given)?;
    let mut model = reader()
        .model_for_proto_model(&proto)
        .map_err(|error| Refused::bad(format!("cannot be built: {error:#}")))?;
    drop(proto);
    for (place, tensor) in given.iter().enumerate() {
        // An input that is an output too has lost its type while the outputs were read.
        let dims: TVec<TDim> = tensor.dims.iter().map(|dim| dim.to_dim()).collect();
        model
            .set_input_fact(place, InferenceFact::dt_shape(datum(tensor.dtype), dims))
            .map_err(|error| Refused::bad(format!("input {}: {error:#}", tensor.name)))?;
    }
    model
        .analyse(false)
        .map_err(|error| mismatch(format!("shapes disagree: {error:#}")))?;
    let folded = folded_work(&model, &operators);
    let model = model
        .into_typed()
        .map_err(|error| mismatch(format!("shapes disagree: {error:#}")))?;
    Ok(Typed {
        model,
        folded,
        operators,
    })
}

/// The work of nodes whose value is known already.
fn folded_work(model: &InferenceModel, operators: &[String]) -> u64 {
    let volume = |fact: &InferenceFact| {
        let value = fact.value.concretize();
        value.map_or(0, |tensor| tensor.len() as u64)
    };
    let mut total = 0_u64;
    for node in model.nodes() {
        let operator = node
            .name
            .strip_prefix('n')
            .and_then(|index| index.parse::<usize>().ok());
        let growth = operator
            .and_then(|index| operators.get(index))
            .and_then(|op| growth_of(op));
        let known = node
            .outputs
            .iter()
            .all(|outlet| outlet.fact.value.is_concrete());
        let Some(growth) = growth.filter(|_| known && !node.inputs.is_empty()) else {
            continue;
        };
        let read: Vec<u64> = node
            .inputs
            .iter()
            .filter_map(|i| model.outlet_fact(*i).ok())
            .map(volume)
            .collect();
        let written = node
            .outputs
            .iter()
            .fold(0, |sum: u64, o| sum.saturating_add(volume(&o.fact)));
        let most = read.iter().copied().max().unwrap_or(1).max(1);
        let moved = read
            .iter()
            .fold(written, |sum, next| sum.saturating_add(*next));
        let work = match growth {
            Growth::Linear => moved.saturating_mul(16),
            Growth::Product => written.saturating_mul(most),
            Growth::Points => written.saturating_mul(most).saturating_mul(256),
        };
        total = total.saturating_add(work);
    }
    total
}
