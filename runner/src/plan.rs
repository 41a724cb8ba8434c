//! From an exact graph to one that runs.
//!
//! Some passes of tract's optimiser contradict themselves where an operator that takes every second
//! element follows a reshaping, or a product what was repeated: it gives up on a graph that is right. The
//! second attempt keeps such neighbours apart. Which attempt is run follows from the graph alone.

use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::array::{MultiBroadcastTo, StridedSlice, Tile};
use tract_onnx::tract_core::ops::einsum::EinSum;

use crate::exact::Apart;
use crate::proto::Refused;
use crate::report::Refusal;

/// An optimised graph in the order of its evaluation.
pub(crate) type Plan = Arc<TypedRunnableModel>;

/// Optimises a graph; the operators are those of the nodes `n0`, `n1` and so on.
pub(crate) fn plan_of(model: TypedModel, operators: &[String]) -> Result<Plan, Refused> {
    let spare = model.clone();
    let plan = optimised(model).or_else(|_| optimised(parted(spare)?));
    plan.map_err(|error| {
        let text = format!("{error:#}");
        let operator = blamed(&text, operators).unwrap_or("an operator");
        let why = format!("{operator} cannot be optimised beside its neighbours: {text}");
        Refused::new(Refusal::UnsupportedOp, why)
    })
}

fn optimised(model: TypedModel) -> TractResult<Plan> {
    model.into_optimized()?.into_runnable()
}

/// The same graph with a wall before each slice with steps, and between repetition and product.
fn parted(mut model: TypedModel) -> TractResult<TypedModel> {
    for node in 0..model.nodes().len() {
        let steps = model.node(node).op_is::<StridedSlice>();
        let product = model.node(node).op_is::<EinSum>();
        for (slot, outlet) in model.node(node).inputs.clone().into_iter().enumerate() {
            let source = model.node(outlet.node);
            let repeats = source.op_is::<MultiBroadcastTo>() || source.op_is::<Tile>();
            if steps && slot == 0 || product && repeats {
                let name = format!("{}.apart.{slot}", model.node(node).name);
                let own = model.wire_node(name, Apart, &[outlet])?.remove(0);
                model.add_edge(own, InletId::new(node, slot))?;
            }
        }
    }
    Ok(model)
}

/// The ONNX operator of the first node that an error names, for the remark.
fn blamed<'a>(text: &str, operators: &'a [String]) -> Option<&'a str> {
    let names = text.split('"').filter_map(|word| word.strip_prefix('n'));
    let mut places = names.filter_map(|name| name.split('.').next()?.parse::<usize>().ok());
    places
        .find_map(|place| operators.get(place))
        .map(String::as_str)
}
