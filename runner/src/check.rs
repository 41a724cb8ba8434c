//! The walk over a decoded model before tract sees any of it.
//!
//! tract panics on a dangling output, ignores domains, only warns of opsets it was never tested with,
//! and would follow external data into the file system. All of that is refused here.

use std::collections::BTreeSet;

use protocol::limits::OUTPUTS_MAX;
use protocol::manifest::INPUT_TENSORS_MAX;
use protocol::result::{TENSOR_NAME_BYTES_MAX, TENSOR_RANK_MAX};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, tensor_proto,
};

use crate::constants::check_constant_sizes;
use crate::operators::growth_of;
use crate::proto::{Refused, dtype_of, graph_of, inputs_of, outputs_of, volume_of};
use crate::report::Refusal;
use crate::rework::count_nodes;
use crate::standard::attribute;

/// Operator sets tract is tested with.
const OPSETS: std::ops::RangeInclusive<i64> = 9..=18;
/// Nodes, nested graphs included.
pub(crate) const NODES_MAX: u64 = 4_096;
/// Graphs within graphs.
const NESTING_MAX: usize = 8;
/// The largest single tensor.
pub(crate) const TENSOR_BYTES_MAX: u64 = 128 << 20;

fn limit(why: impl Into<String>) -> Refused {
    Refused::new(Refusal::LimitExceeded, why)
}

fn operator(why: impl Into<String>) -> Refused {
    Refused::new(Refusal::UnsupportedOp, why)
}

fn element_type(why: impl Into<String>) -> Refused {
    Refused::new(Refusal::UnsupportedType, why)
}

pub(crate) fn nested_graphs(attribute: &AttributeProto) -> impl Iterator<Item = &GraphProto> {
    attribute.g.iter().chain(&attribute.graphs)
}

/// Checks everything that can be checked without knowing the inputs.
pub(crate) fn check(model: &ModelProto) -> Result<(), Refused> {
    let graph = graph_of(model)?;
    check_depth(graph, 0)?;
    let nodes = count_nodes(model);
    if nodes > NODES_MAX {
        return Err(limit(format!("{nodes} nodes, at most {NODES_MAX} allowed")));
    }
    graph.node.iter().try_for_each(check_domain)?;
    check_opsets(model)?;
    if !graph.sparse_initializer.is_empty() {
        return Err(element_type("sparse tensors are not admitted"));
    }
    graph.node.iter().try_for_each(check_node)?;
    graph.initializer.iter().try_for_each(check_tensor)?;
    check_ports(graph)?;
    check_names(graph)?;
    check_constant_sizes(graph)
}

fn check_depth(graph: &GraphProto, depth: usize) -> Result<(), Refused> {
    if depth > NESTING_MAX {
        return Err(limit(format!("graphs nested deeper than {NESTING_MAX}")));
    }
    let attributes = graph.node.iter().flat_map(|node| &node.attribute);
    attributes
        .flat_map(nested_graphs)
        .try_for_each(|nested| check_depth(nested, depth + 1))
}

fn is_default(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

fn check_opsets(model: &ModelProto) -> Result<(), Refused> {
    let mut sets = model
        .opset_import
        .iter()
        .filter(|set| is_default(&set.domain));
    let Some(version) = sets.next().map(|set| set.version) else {
        return Err(operator("imports no default operator set"));
    };
    // Some exporters list the same set twice.
    if sets.any(|set| set.version != version) {
        let why = "imports two versions of the default operator set";
        return Err(Refused::bad(why));
    }
    if !OPSETS.contains(&version) {
        let (first, last) = (OPSETS.start(), OPSETS.end());
        let why = format!("operator set {version}, {first} to {last} are admitted");
        return Err(operator(why));
    }
    if !model.functions.is_empty() || !model.training_info.is_empty() {
        return Err(operator(
            "local functions and training graphs are not admitted",
        ));
    }
    Ok(())
}

fn check_domain(node: &NodeProto) -> Result<(), Refused> {
    if is_default(&node.domain) {
        return Ok(());
    }
    let why = format!("{} of domain {}", node.op_type, node.domain);
    Err(operator(why))
}

fn check_node(node: &NodeProto) -> Result<(), Refused> {
    let name = &node.op_type;
    if growth_of(name).is_none() {
        return Err(operator(format!("{name} is not admitted")));
    }
    let mut seen = BTreeSet::new();
    for attribute in &node.attribute {
        if !seen.insert(attribute.name.as_str()) || !attribute.ref_attr_name.is_empty() {
            return Err(Refused::bad(format!(
                "{name} repeats attribute {}",
                attribute.name
            )));
        }
        check_attribute(node, attribute)?;
    }
    check_variant(node)
}

fn check_attribute(node: &NodeProto, attribute: &AttributeProto) -> Result<(), Refused> {
    if nested_graphs(attribute).next().is_some() {
        return Err(operator(format!("{} holds a graph", node.op_type)));
    }
    let odd = attribute.sparse_tensor.is_some()
        || !attribute.sparse_tensors.is_empty()
        || !attribute.type_protos.is_empty();
    if odd {
        return Err(element_type(format!(
            "attribute {} of {}",
            attribute.name, node.op_type
        )));
    }
    attribute
        .t
        .iter()
        .chain(&attribute.tensors)
        .try_for_each(check_tensor)
}

/// Forms of admitted operators that tract ignores, panics on or computes unlike the standard.
fn check_variant(node: &NodeProto) -> Result<(), Refused> {
    let attribute = |name: &str| attribute(node, name);
    let refuse = |what: &str| Err(operator(format!("{} with {what}", node.op_type)));
    match node.op_type.as_str() {
        "GRU" if attribute("linear_before_reset").is_some_and(|a| a.i != 0) => {
            refuse("linear_before_reset")
        }
        "GRU" | "LSTM" | "RNN" => {
            let odd = [
                ("clip", attribute("clip").is_some()),
                (
                    "input_forget",
                    attribute("input_forget").is_some_and(|a| a.i != 0),
                ),
                ("other activations", !has_default_activations(node)),
            ];
            match odd.into_iter().find(|(_, found)| *found) {
                Some((name, _)) => refuse(name),
                None => Ok(()),
            }
        }
        "LRN" if attribute("size").is_some_and(|a| a.i % 2 == 0) => refuse("an even size"),
        "MaxPool" if node.output.get(1).is_some_and(|name| !name.is_empty()) => refuse("indices"),
        "Dropout" if node.input.get(2).is_some_and(|name| !name.is_empty()) => {
            refuse("training_mode")
        }
        "Cast" | "EyeLike" => {
            let name = if node.op_type == "Cast" {
                "to"
            } else {
                "dtype"
            };
            attribute(name).map_or(Ok(()), |a| {
                let code = i32::try_from(a.i).unwrap_or(-1);
                dtype_of(code, &node.op_type).map(|_| ())
            })
        }
        "Constant" => {
            let strings = attribute("value_string").or_else(|| attribute("value_strings"));
            match strings {
                Some(_) => Err(element_type("a constant of strings")),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Whether a cell names the functions that it has without naming any, once for each direction.
fn has_default_activations(node: &NodeProto) -> bool {
    let defaults: &[&[u8]] = match node.op_type.as_str() {
        "LSTM" => &[b"sigmoid", b"tanh", b"tanh"],
        "GRU" => &[b"sigmoid", b"tanh"],
        _ => &[b"tanh"],
    };
    let both = attribute(node, "direction").is_some_and(|a| a.s == b"bidirectional");
    let expected = defaults.repeat(if both { 2 } else { 1 });
    attribute(node, "activations").is_none_or(|named| {
        let names = named.strings.iter().map(|name| name.to_ascii_lowercase());
        names.eq(expected)
    })
}

fn check_tensor(tensor: &TensorProto) -> Result<(), Refused> {
    let name = &tensor.name;
    let external = tensor.data_location == Some(tensor_proto::DataLocation::External as i32);
    if external || !tensor.external_data.is_empty() {
        return Err(element_type(format!(
            "data of {name} lies outside the file"
        )));
    }
    let dtype = dtype_of(tensor.data_type, name)?;
    if tensor.dims.len() > TENSOR_RANK_MAX {
        return Err(limit(format!("{name} has {} axes", tensor.dims.len())));
    }
    let volume = volume_of(tensor).ok_or_else(|| Refused::bad(format!("shape of {name}")))?;
    let bytes = volume.checked_mul(dtype.width());
    let Some(bytes) = bytes.filter(|bytes| *bytes <= TENSOR_BYTES_MAX) else {
        return Err(limit(format!("{name} has {volume} elements")));
    };
    let (held, needed) = if tensor.raw_data.is_empty() {
        (typed_length(tensor, dtype), volume)
    } else {
        (tensor.raw_data.len(), bytes)
    };
    if held as u64 != needed || tensor.segment.is_some() {
        return Err(Refused::bad(format!(
            "{name} holds {held}, its shape needs {needed}"
        )));
    }
    Ok(())
}

fn typed_length(tensor: &TensorProto, dtype: protocol::result::Dtype) -> usize {
    use protocol::result::Dtype;
    match dtype {
        Dtype::F32 => tensor.float_data.len(),
        Dtype::I64 => tensor.int64_data.len(),
        Dtype::U8 | Dtype::I8 | Dtype::I32 | Dtype::Bool => tensor.int32_data.len(),
    }
}

fn check_ports(graph: &GraphProto) -> Result<(), Refused> {
    let (inputs, outputs) = (inputs_of(graph)?, outputs_of(graph)?);
    if inputs.len() > INPUT_TENSORS_MAX || outputs.len() > OUTPUTS_MAX {
        let counts = (inputs.len(), outputs.len());
        return Err(limit(format!(
            "{} inputs and {} outputs",
            counts.0, counts.1
        )));
    }
    if outputs.is_empty() {
        return Err(Refused::bad("has no output"));
    }
    for port in inputs.iter().chain(&outputs) {
        let rank = port.axes.as_ref().map_or(0, Vec::len);
        if rank > TENSOR_RANK_MAX || port.name.len() > TENSOR_NAME_BYTES_MAX {
            return Err(limit(format!(
                "{} has {rank} axes or too long a name",
                port.name
            )));
        }
    }
    Ok(())
}

/// Every name has one origin, and every use has an origin.
fn check_names(graph: &GraphProto) -> Result<(), Refused> {
    let mut defined = BTreeSet::new();
    let mut define = |name: &'_ str| {
        if name.is_empty() || !defined.insert(name.to_owned()) {
            return Err(Refused::bad(format!(
                "name {name:?} is empty or has two origins"
            )));
        }
        Ok(())
    };
    let held: BTreeSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    graph
        .initializer
        .iter()
        .try_for_each(|tensor| define(&tensor.name))?;
    let free = graph
        .input
        .iter()
        .filter(|input| !held.contains(input.name.as_str()));
    free.map(|input| input.name.as_str())
        .try_for_each(&mut define)?;
    let made = graph
        .node
        .iter()
        .flat_map(|node| &node.output)
        .filter(|name| !name.is_empty());
    made.map(String::as_str).try_for_each(&mut define)?;
    if let Some(node) = graph
        .node
        .iter()
        .find(|node| node.output.iter().all(String::is_empty))
    {
        return Err(Refused::bad(format!("a {} without outputs", node.op_type)));
    }
    let used = graph
        .node
        .iter()
        .flat_map(|node| &node.input)
        .filter(|name| !name.is_empty());
    let asked = graph.output.iter().map(|output| &output.name);
    if let Some(name) = used.chain(asked).find(|name| !defined.contains(*name)) {
        return Err(Refused::bad(format!("nothing makes {name:?}")));
    }
    let outputs: BTreeSet<&str> = graph
        .output
        .iter()
        .map(|output| output.name.as_str())
        .collect();
    let inputs: BTreeSet<&str> = graph
        .input
        .iter()
        .map(|input| input.name.as_str())
        .collect();
    if outputs.len() != graph.output.len() || inputs.len() != graph.input.len() {
        return Err(Refused::bad("an input or output is listed twice"));
    }
    Ok(())
}
