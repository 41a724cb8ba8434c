//! What building and optimising a graph costs before it runs, by its ONNX nodes alone.
//!
//! tract optimises by patches, and looks at the whole graph again after each. Most element-wise nodes are
//! left as they are; products, normalisations, recurrences and some others are taken apart, so that a
//! chain of them costs with the square of its length. A node's rounds and its own fee were measured over chains of
//! 20 to 3,000 nodes of each kind (ADR 21), with a margin for slower hosts.

use tract_onnx::pb::{GraphProto, ModelProto};

use crate::check::nested_graphs;
use crate::operators::{Growth, growth_of};

/// Building, analysing and optimising a node.
const FUEL_PER_NODE: u64 = 500_000;
/// One look at one node after a patch, in a short graph.
const FUEL_PER_LOOK: u64 = 2_000;
/// Graphs up to this long are paid for by the fee for each node.
const SHORT: u64 = 64;

/// How much of a graph's optimisation one of its nodes is to blame for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Rework {
    /// Rounds over the whole graph, as a multiple of what a product causes.
    rounds: u64,
    /// What the node costs however short the graph is, beside [`FUEL_PER_NODE`].
    fee: u64,
}

fn rework_of(operator: &str) -> Rework {
    let (rounds, fee) = match operator {
        "GRU" => (6, 20_000_000),
        "LSTM" | "RNN" => (2, 3_500_000),
        "QLinearConv" | "QLinearMatMul" | "ConvInteger" | "MatMulInteger" => (6, 0),
        "LayerNormalization"
        | "InstanceNormalization"
        | "HardSigmoid"
        | "Selu"
        | "Celu"
        | "GatherND" => (1, 0),
        _ => match growth_of(operator) {
            Some(Growth::Product | Growth::Points) => (1, 0),
            Some(Growth::Linear) | None => (0, 0),
        },
    };
    Rework { rounds, fee }
}

/// How many nodes a model has, nested graphs included.
pub(crate) fn count_nodes(model: &ModelProto) -> u64 {
    model.graph.as_ref().map_or(0, |graph| {
        let mut count = 0_u64;
        each_operator(graph, &mut |_| count = count.saturating_add(1));
        count
    })
}

fn each_operator<'a>(graph: &'a GraphProto, visit: &mut impl FnMut(&'a str)) {
    for node in &graph.node {
        visit(&node.op_type);
        for nested in node.attribute.iter().flat_map(nested_graphs) {
            each_operator(nested, visit);
        }
    }
}

/// What it costs to get a model ready to run.
pub(crate) fn rework_fuel(model: &ModelProto) -> u64 {
    let Some(graph) = &model.graph else {
        return 0;
    };
    let (mut nodes, mut rounds, mut fees) = (0_u64, 0_u64, 0_u64);
    each_operator(graph, &mut |operator| {
        let rework = rework_of(operator);
        nodes = nodes.saturating_add(1);
        rounds = rounds.saturating_add(rework.rounds);
        fees = fees
            .saturating_add(rework.fee)
            .saturating_add(FUEL_PER_NODE);
    });
    let looks = rounds.saturating_mul(nodes.saturating_sub(SHORT));
    let dearer = FUEL_PER_LOOK.saturating_add(nodes);
    fees.saturating_add(looks.saturating_mul(dearer))
}

#[cfg(test)]
mod tests {
    use tract_onnx::pb::NodeProto;

    use super::*;

    fn graph_of(kinds: &[(&str, usize)]) -> ModelProto {
        let node = |operator: &str| NodeProto {
            op_type: operator.to_owned(),
            ..NodeProto::default()
        };
        let nodes = kinds
            .iter()
            .flat_map(|(kind, count)| std::iter::repeat_n(node(kind), *count));
        ModelProto {
            graph: Some(GraphProto {
                node: nodes.collect(),
                ..GraphProto::default()
            }),
            ..ModelProto::default()
        }
    }

    /// Seconds of one core that a chain of each kind took, in thousandths: none is cheaper than that.
    #[test]
    fn no_chain_costs_less_than_it_takes() {
        let chains: [(&[(&str, usize)], u64); 15] = [
            (&[("MatMul", 300)], 150),
            (&[("MatMul", 900)], 1_410),
            (&[("MatMul", 3_000)], 27_800),
            (&[("Conv", 900)], 1_420),
            (&[("ConvTranspose", 900)], 1_850),
            (&[("LayerNormalization", 900)], 1_290),
            (&[("LSTM", 100), ("Squeeze", 100)], 210),
            (&[("LSTM", 1_000), ("Squeeze", 1_000)], 9_500),
            (&[("GRU", 20), ("Squeeze", 20)], 210),
            (&[("GRU", 300), ("Squeeze", 300)], 4_840),
            (
                &[
                    ("QLinearMatMul", 300),
                    ("QuantizeLinear", 300),
                    ("DequantizeLinear", 300),
                ],
                2_830,
            ),
            (&[("MatMulInteger", 300), ("Cast", 600)], 2_260),
            (&[("GatherND", 3_000)], 2_130),
            (&[("HardSigmoid", 1_000)], 480),
            (&[("Celu", 1_000)], 390),
        ];
        for (kinds, milliseconds) in chains {
            let fuel = rework_fuel(&graph_of(kinds));
            assert!(fuel > milliseconds * 1_300_000, "{kinds:?}: {fuel}");
        }
    }

    /// A graph of a usual size pays its fees and little else; so do long ones of what stays as it is.
    #[test]
    fn usual_graphs_are_as_cheap_as_before() {
        let fees = |nodes: u64| nodes * FUEL_PER_NODE;
        let element_wise = graph_of(&[("Relu", 1_000), ("Add", 1_000)]);
        assert_eq!(rework_fuel(&element_wise), fees(2_000));
        let short = graph_of(&[("MatMul", 30), ("Add", 30)]);
        assert_eq!(rework_fuel(&short), fees(60));
        let residual = graph_of(&[("Conv", 152), ("Relu", 151), ("Add", 50)]);
        assert!(rework_fuel(&residual) < 2 * fees(353));
    }
}
