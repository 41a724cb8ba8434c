//! The operators the engine admits, and how much a constant one may cost while the graph is built.
//!
//! tract ignores domains and computes what it can before the first input arrives, so the list is ours
//! and what is computed early is charged as well.
//!
//! Known oddities, alike on every host, are listed for clients in `docs/reference/models.md`.

/// How an operator's work grows, for the part of a graph that depends on no input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Growth {
    /// With the elements read and written.
    Linear,
    /// With elements written times elements read: products, convolutions, recurrences.
    Product,
    /// As products, and evaluated point by point.
    Points,
}

use Growth::{Linear, Points, Product};

/// Every admitted operator of the default domain, opset 9 to 18.
pub const ADMITTED: &[(&str, Growth)] = &[
    // element
    ("Abs", Linear),
    ("Add", Linear),
    ("Sub", Linear),
    ("Mul", Linear),
    ("Div", Linear),
    ("Mod", Linear),
    ("Neg", Linear),
    ("Pow", Linear),
    ("Sqrt", Linear),
    ("Reciprocal", Linear),
    ("Exp", Linear),
    ("Log", Linear),
    ("Sin", Linear),
    ("Cos", Linear),
    ("Erf", Linear),
    ("Sign", Linear),
    ("Ceil", Linear),
    ("Floor", Linear),
    ("Round", Linear),
    ("Clip", Linear),
    ("Min", Linear),
    ("Max", Linear),
    ("Mean", Linear),
    ("Sum", Linear),
    ("Equal", Linear),
    ("Greater", Linear),
    ("GreaterOrEqual", Linear),
    ("Less", Linear),
    ("LessOrEqual", Linear),
    ("And", Linear),
    ("Or", Linear),
    ("Xor", Linear),
    ("Not", Linear),
    ("Where", Linear),
    ("IsNaN", Linear),
    ("IsInf", Linear),
    // activation
    ("Relu", Linear),
    ("LeakyRelu", Linear),
    ("PRelu", Linear),
    ("Elu", Linear),
    ("Selu", Linear),
    ("Celu", Linear),
    ("ThresholdedRelu", Linear),
    ("Sigmoid", Linear),
    ("HardSigmoid", Linear),
    ("HardSwish", Linear),
    ("Tanh", Linear),
    ("Softplus", Linear),
    ("Softsign", Linear),
    ("Mish", Linear),
    ("Softmax", Linear),
    ("LogSoftmax", Linear),
    // linear, pool
    ("MatMul", Product),
    ("Gemm", Product),
    ("Einsum", Points),
    ("Conv", Product),
    ("ConvTranspose", Product),
    ("BatchNormalization", Linear),
    ("InstanceNormalization", Linear),
    ("LayerNormalization", Linear),
    ("LRN", Product),
    ("MaxPool", Product),
    ("AveragePool", Product),
    ("GlobalAveragePool", Linear),
    ("GlobalMaxPool", Linear),
    // reduce
    ("ReduceL1", Linear),
    ("ReduceL2", Linear),
    ("ReduceLogSum", Linear),
    ("ReduceLogSumExp", Linear),
    ("ReduceMax", Linear),
    ("ReduceMean", Linear),
    ("ReduceMin", Linear),
    ("ReduceProd", Linear),
    ("ReduceSum", Linear),
    ("ReduceSumSquare", Linear),
    ("ArgMax", Linear),
    ("ArgMin", Linear),
    ("CumSum", Linear),
    ("TopK", Linear),
    // recurrent
    ("LSTM", Product),
    ("RNN", Product),
    ("GRU", Product),
    // shape
    ("Cast", Linear),
    ("Concat", Linear),
    ("Constant", Linear),
    ("ConstantOfShape", Linear),
    ("DepthToSpace", Linear),
    ("SpaceToDepth", Linear),
    ("Dropout", Linear),
    ("Expand", Linear),
    ("EyeLike", Linear),
    ("Flatten", Linear),
    ("Gather", Linear),
    ("GatherElements", Linear),
    ("GatherND", Linear),
    ("Identity", Linear),
    ("OneHot", Linear),
    ("Pad", Linear),
    ("Range", Linear),
    ("Reshape", Linear),
    ("Resize", Linear),
    ("ScatterElements", Linear),
    ("ScatterND", Linear),
    ("Shape", Linear),
    ("Size", Linear),
    ("Slice", Linear),
    ("Split", Linear),
    ("Squeeze", Linear),
    ("Tile", Linear),
    ("Transpose", Linear),
    ("Trilu", Linear),
    ("Unsqueeze", Linear),
    // int8
    ("QuantizeLinear", Linear),
    ("DequantizeLinear", Linear),
    ("DynamicQuantizeLinear", Linear),
    ("MatMulInteger", Product),
    ("ConvInteger", Product),
    ("QLinearConv", Product),
    ("QLinearMatMul", Product),
];

/// How an admitted operator's work grows; `None` if it is not admitted.
#[must_use]
pub fn growth_of(operator: &str) -> Option<Growth> {
    ADMITTED
        .iter()
        .find(|(name, _)| *name == operator)
        .map(|(_, growth)| *growth)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operator_is_listed_once_and_known_to_tract() {
        let names: std::collections::BTreeSet<_> = ADMITTED.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), ADMITTED.len());
        let register = tract_onnx::onnx().op_register.0;
        for name in names {
            assert!(
                register.contains_key(*name),
                "{name} is not an operator of tract"
            );
        }
    }

    #[test]
    fn costly_random_and_data_dependent_operators_are_absent() {
        for name in [
            "If",
            "Loop",
            "Scan",
            "NonZero",
            "NonMaxSuppression",
            "Compress",
            "DFT",
            "STFT",
            "Tan",
            "Sinh",
            "RandomNormal",
            "RandomUniform",
            "Multinomial",
            "Attention",
            "HannWindow",
        ] {
            assert_eq!(growth_of(name), None, "{name}");
        }
    }
}
