#!/usr/bin/env python3
"""Build the conformance vectors: a graph for every operator the engine admits.

    pip install numpy onnx
    python3 build.py

Writes `vectors.pack` and `warmup.onnx` beside this script, always the same bytes. A vector's name is
its operator, a dash and a variant. The inputs hold what hosts like to disagree on: NaN, infinities,
zeros of both signs, subnormals, ties, integer extremes. Names without an operator's are whole nets.

After a change, `cargo run -p runner --example conformance > runner/vectors/expected.txt` and put the
digest it prints to stderr beside the engine's id in `protocol`.
"""

import pathlib
import struct

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper, shape_inference

HERE = pathlib.Path(__file__).resolve().parent
CODES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9}
SWEEP = "sweep"

VECTORS = []

F = np.float32
SPECIAL = np.array(
    [
        [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45],
        [-1e-40, 1.1754944e-38, 1.0, -1.0, 0.5, -0.5],
        [1.5, 2.5, -2.5, 3.4028235e38, 32.564632, 88.72284],
        [-103.97208, 1e-8, 7.125, -3.75, 0.99999994, 1.0000001],
    ],
    F,
)
FINITE = np.linspace(-3.0, 3.0, 24, dtype=F).reshape(4, 6)


def noise(seed, *shape, scale=1.0):
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(F)


def i64(*values):
    return np.array(values, np.int64)


def model_of(nodes, inputs, outputs, weights):
    """A checked model; the outputs' types and ranks are inferred unless given."""
    infos = []
    for name, value in inputs.items():
        dtype, dims = (np.dtype(F), [65536]) if value is SWEEP else (value.dtype, value.shape)
        infos.append(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(dtype), dims))
    tensors = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    wanted = []
    for output in outputs:
        if isinstance(output, tuple):
            name, dtype, rank = output
            wanted.append(helper.make_tensor_value_info(name, dtype, [None] * rank))
        else:
            info = onnx.ValueInfoProto()
            info.name = output
            wanted.append(info)
    graph = helper.make_graph(nodes, "g", infos, wanted, tensors)
    opset = [helper.make_opsetid("", 18 if any(n.op_type == "Mish" for n in nodes) else 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8, producer_name="")
    inferred = shape_inference.infer_shapes(model, data_prop=True)
    for output, found in zip(model.graph.output, inferred.graph.output):
        if not output.HasField("type"):
            if not found.type.tensor_type.HasField("shape"):
                raise SystemExit(f"{nodes[0].op_type}: the rank of {output.name} is unknown")
            rank = len(found.type.tensor_type.shape.dim)
            kind = found.type.tensor_type.elem_type
            output.CopyFrom(helper.make_tensor_value_info(output.name, kind, [None] * rank))
    return model.SerializeToString(deterministic=True)


def net(name, nodes, inputs, outputs, weights=None):
    VECTORS.append((name, model_of(nodes, inputs, outputs, weights or {}), list(inputs.values())))


def one(name, inputs, weights=None, outputs=("y",), **attributes):
    """One node that takes the inputs, then the weights, in order; "" leaves a place empty."""
    weights = weights or {}
    operator = name.split("-")[0]
    names = [n for n in list(inputs) + list(weights)]
    places = ["" if n.startswith("_") else n for n in names]
    weights = {n: w for n, w in weights.items() if not n.startswith("_")}
    outs = [o[0] if isinstance(o, tuple) else o for o in outputs]
    node = helper.make_node(operator, places, outs, **attributes)
    net(name, [node], inputs, [o for o in outputs if o != ""], weights)


def elements():
    for name in (
        "Abs Neg Sqrt Reciprocal Exp Log Sin Cos Erf Sign Ceil Floor Round Relu Sigmoid Tanh Softplus "
        "Softsign HardSwish Mish Selu Elu Celu LeakyRelu ThresholdedRelu HardSigmoid"
    ).split():
        one(f"{name}-special", {"x": SPECIAL})
    for name in "Exp Log Sin Cos Tanh Sigmoid Erf Sqrt Softplus".split():
        one(f"{name}-sweep", {"x": SWEEP})
    one("Celu-alpha", {"x": SPECIAL}, alpha=0.5)
    for name in "IsNaN IsInf".split():
        one(f"{name}-special", {"x": SPECIAL})
    one("Clip-special", {"x": SPECIAL}, {"lo": np.array(-1, F), "hi": np.array(2.5, F)})
    one("PRelu-special", {"x": SPECIAL}, {"slope": noise(1, 6)})
    pair = {"a": SPECIAL, "b": SPECIAL.reshape(-1)[::-1].reshape(4, 6).copy()}
    for name in (
        "Add Sub Mul Div Pow Min Max Equal Greater GreaterOrEqual Less LessOrEqual"
    ).split():
        one(f"{name}-special", pair)
    one("Mod-float", {"a": FINITE, "b": np.full((4, 6), 0.7, F)}, fmod=1)
    one("Pow-sweep", {"a": SWEEP}, {"b": np.array(2.5, F)})
    zeros = np.array([0.0, -0.0, 0.0, -0.0, np.nan, 1.0], F)
    others = np.array([-0.0, 0.0, 0.0, -0.0, -1.0, np.nan], F)
    for name in "Min Max Add Sub Mul Equal".split():
        one(f"{name}-zeros", {"a": zeros, "b": others})
        one(f"{name}-scalar", {"a": np.tile(zeros, 7)}, {"b": np.array(-0.0, F)})
    for name in "Sum Mean Min Max".split():
        one(f"{name}-three", {"a": SPECIAL, "b": FINITE, "c": noise(2, 6)})
    extremes = {
        np.int32: [2147483647, -2147483648, -1, 0, 1, 65536],
        np.int64: [9223372036854775807, -9223372036854775808, -1, 0, 1, 4294967296],
        np.int8: [127, -128, -1, 0, 1, 16],
        np.uint8: [255, 0, 1, 128, 16, 17],
    }
    for dtype, values in extremes.items():
        x = np.array(values, dtype)
        for name in "Add Sub Mul".split():
            one(f"{name}-wrap-{np.dtype(dtype).name}", {"a": x, "b": x[::-1].copy()})
    small = np.array([7, -7, 9, -9, 100, 3], np.int64)
    for dtype in (np.int32, np.int64):
        x = small.astype(dtype)
        one(f"Div-{np.dtype(dtype).name}", {"a": x}, {"b": np.array([2, 2, -4, -4, 7, 5], dtype)})
        one(f"Mod-{np.dtype(dtype).name}", {"a": x}, {"b": np.array([2, 2, -4, -4, 7, 5], dtype)})
        one(f"Abs-{np.dtype(dtype).name}", {"x": x})
        one(f"Greater-{np.dtype(dtype).name}", {"a": x, "b": x[::-1].copy()})
    bits = {"a": np.array([True, True, False, False]), "b": np.array([True, False, True, False])}
    for name in "And Or Xor".split():
        one(f"{name}-bool", bits)
    one("Not-bool", {"a": bits["a"]})
    one("Where-special", {"c": SPECIAL > 0, "a": SPECIAL, "b": FINITE})


def activations_and_reductions():
    for name in "Softmax LogSoftmax".split():
        one(f"{name}-special", {"x": SPECIAL}, axis=1)
        one(f"{name}-rows", {"x": noise(3, 2, 5, 7, scale=4.0)}, axis=-1)
        one(f"{name}-middle", {"x": noise(3, 2, 5, 7, scale=4.0)}, axis=1)
    for name in "L1 L2 LogSum LogSumExp Max Mean Min Prod SumSquare".split():
        one(f"Reduce{name}-last", {"x": noise(4, 3, 50)}, axes=[1], keepdims=0)
        one(f"Reduce{name}-special", {"x": SPECIAL}, axes=[0], keepdims=1)
    one("ReduceSum-last", {"x": noise(5, 3, 50)}, {"axes": i64(1)}, keepdims=0)
    one("ReduceSum-special", {"x": SPECIAL}, {"axes": i64(0)}, keepdims=1)
    one("ReduceSum-int32", {"x": np.arange(24, dtype=np.int32).reshape(4, 6)}, keepdims=0)
    for name in "ArgMax ArgMin".split():
        one(f"{name}-special", {"x": SPECIAL}, axis=1, keepdims=0)
        one(f"{name}-ties", {"x": np.ones((3, 4), F)}, axis=1, select_last_index=1)
    one("CumSum-float", {"x": noise(6, 3, 40)}, {"axis": np.array(1, np.int64)})
    one("CumSum-back", {"x": noise(6, 3, 40)}, {"axis": np.array(1, np.int64)}, reverse=1, exclusive=1)
    one("TopK-ties", {"x": np.round(noise(7, 3, 20), 1)}, {"k": i64(5)}, ("v", "i"), axis=1)
    one("TopK-least", {"x": noise(8, 3, 20)}, {"k": i64(3)}, ("v", "i"), axis=0, largest=0)


def linear_and_pools():
    one("MatMul-rows", {"a": noise(10, 5, 33)}, {"b": noise(11, 33, 17)})
    one("MatMul-tiles", {"a": noise(9, 40, 150)}, {"b": noise(8, 150, 70)})
    one("MatMul-vector", {"a": noise(12, 1, 64)}, {"b": noise(13, 64, 40)})
    one("MatMul-batch", {"a": noise(14, 2, 3, 7, 9), "b": noise(15, 3, 9, 5)})
    one("MatMul-special", {"a": SPECIAL, "b": SPECIAL.T.copy()})
    one("MatMul-int32", {"a": np.arange(12, dtype=np.int32).reshape(3, 4) * 99999999}, {"b": np.arange(8, dtype=np.int32).reshape(4, 2)})
    one("Gemm-bias", {"a": noise(16, 4, 30)}, {"b": noise(17, 20, 30), "c": noise(18, 20)}, transB=1, alpha=0.5, beta=2.0)
    one("Einsum-two", {"a": noise(19, 2, 5, 6), "b": noise(20, 2, 6, 7)}, equation="bij,bjk->bik")
    one("Einsum-three", {"a": noise(19, 3, 4), "b": noise(20, 4, 5), "c": noise(21, 5, 2)}, equation="ij,jk,kl->il")
    one("Einsum-trace", {"a": noise(21, 6, 5)}, equation="ij->j")
    image = noise(22, 2, 3, 11, 9)
    one("Conv-plain", {"x": image}, {"w": noise(23, 8, 3, 3, 3), "b": noise(24, 8)}, pads=[1, 1, 1, 1])
    one("Conv-strided", {"x": image}, {"w": noise(25, 4, 3, 3, 2)}, strides=[2, 2], dilations=[2, 1])
    one("Conv-depthwise", {"x": image}, {"w": noise(26, 3, 1, 3, 3)}, group=3, auto_pad="SAME_UPPER")
    one("Conv-pointwise", {"x": image}, {"w": noise(27, 16, 3, 1, 1)})
    one("Conv-line", {"x": noise(28, 1, 4, 30)}, {"w": noise(29, 6, 4, 5)})
    one("Conv-special", {"x": SPECIAL.reshape(1, 1, 4, 6)}, {"w": noise(30, 2, 1, 2, 2)})
    one("ConvTranspose-plain", {"x": image}, {"w": noise(31, 3, 5, 3, 3), "b": noise(32, 5)}, strides=[2, 2], pads=[1, 1, 1, 1])
    one("ConvTranspose-group", {"x": noise(33, 1, 4, 5, 5)}, {"w": noise(34, 4, 2, 2, 2)}, group=2, output_padding=[0, 0])
    scale = {"s": noise(35, 3), "b": noise(36, 3)}
    one("BatchNormalization-plain", {"x": image}, {**scale, "m": noise(37, 3), "v": np.abs(noise(38, 3)) + F(0.1)})
    one("InstanceNormalization-plain", {"x": image}, scale)
    one("LayerNormalization-last", {"x": noise(39, 2, 5, 24)}, {"s": noise(40, 24), "b": noise(41, 24)})
    one("ConvTranspose-sized", {"x": image}, {"w": noise(31, 3, 5, 3, 3), "b": noise(32, 5)}, strides=[2, 2], output_shape=[2 * image.shape[2], 2 * image.shape[3] + 2])
    one("LRN-plain", {"x": image}, size=3, alpha=0.001, beta=0.75, bias=1.0)
    one("MaxPool-plain", {"x": image}, kernel_shape=[2, 2], strides=[2, 2])
    one("MaxPool-special", {"x": SPECIAL.reshape(1, 1, 4, 6)}, kernel_shape=[2, 2], strides=[1, 1])
    one("AveragePool-plain", {"x": image}, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    one("AveragePool-padded", {"x": image}, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)
    one("GlobalAveragePool-plain", {"x": image})
    one("GlobalMaxPool-plain", {"x": image})


def recurrences():
    seq = noise(50, 6, 2, 5)
    for name, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
        def parts(directions):
            return {
                "w": noise(51, directions, gates * 4, 5, scale=0.5),
                "r": noise(52, directions, gates * 4, 4, scale=0.5),
                "b": noise(53, directions, 2 * gates * 4, scale=0.5),
            }
        one(f"{name}-forward", {"x": seq}, parts(1), ("y", "h"), hidden_size=4)
        one(f"{name}-both", {"x": seq}, parts(2), ("y",), hidden_size=4, direction="bidirectional")
        one(f"{name}-reverse", {"x": seq}, parts(1), ("y", "h"), hidden_size=4, direction="reverse")


def shapes():
    x = noise(60, 2, 3, 4)
    one("Cast-f32-i32", {"x": FINITE}, to=T.INT32)
    one("Cast-f32-u8", {"x": np.abs(FINITE)}, to=T.UINT8)
    one("Cast-f32-i64", {"x": FINITE * F(1000)}, to=T.INT64)
    one("Cast-f32-i64-wide", {"x": np.array([3e9, -1e12, 9.2e18, 2.7], F)}, to=T.INT64)
    one("Cast-i64-i64", {"x": i64(2**33 + 5, -(2**62), 3)}, to=T.INT64)
    one("Cast-f32-bool", {"x": SPECIAL}, to=T.BOOL)
    one("Cast-i64-f32", {"x": i64(16777217, -3, 2**40)}, to=T.FLOAT)
    one("Cast-bool-f32", {"x": SPECIAL > 0}, to=T.FLOAT)
    one("Cast-i32-i8", {"x": np.array([300, -300, 127], np.int32)}, to=T.INT8)
    one("Concat-middle", {"a": x, "b": noise(61, 2, 5, 4)}, axis=1)
    net("Constant-added", [helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(SPECIAL)), helper.make_node("Add", ["x", "c"], ["y"])], {"x": FINITE}, ["y"])
    shape_of = helper.make_node("Shape", ["x"], ["s"])
    net("ConstantOfShape-like", [shape_of, helper.make_node("ConstantOfShape", ["s"], ["c"], value=numpy_helper.from_array(np.array([2.5], F))), helper.make_node("Add", ["x", "c"], ["y"])], {"x": x}, ["y"])
    one("DepthToSpace-dcr", {"x": noise(62, 1, 8, 2, 3)}, blocksize=2)
    one("DepthToSpace-crd", {"x": noise(62, 1, 8, 2, 3)}, blocksize=2, mode="CRD")
    one("SpaceToDepth-plain", {"x": noise(63, 1, 2, 4, 6)}, blocksize=2)
    one("Dropout-inference", {"x": SPECIAL})
    one("Expand-rows", {"x": noise(64, 3, 1)}, {"s": i64(2, 3, 4)})
    one("EyeLike-above", {"x": noise(65, 4, 5)}, k=1)
    one("EyeLike-int64", {"x": noise(65, 4, 5)}, dtype=T.INT64)
    one("Flatten-two", {"x": noise(66, 2, 3, 4, 5)}, axis=2)
    one("Gather-rows", {"x": noise(67, 5, 4), "i": i64(0, -1, 2)}, axis=0)
    one("GatherElements-last", {"x": noise(68, 3, 3), "i": np.array([[0, 2, 1], [2, 2, 0], [1, 0, -1]], np.int64)}, axis=1)
    one("GatherND-points", {"x": noise(69, 3, 4, 2), "i": np.array([[0, 1], [2, 3]], np.int64)})
    one("Identity-special", {"x": SPECIAL})
    one("GatherND-from-end", {"x": noise(69, 3, 4, 2), "i": np.array([[0, -1], [-3, 3]], np.int64)})
    one("OneHot-outside", {"i": i64(0, 5, -6)}, {"d": i64(5), "v": np.array([0.5, 2.0], F)})
    one("OneHot-last", {"i": i64(0, 3, -1)}, {"d": i64(5), "v": np.array([0.5, 2.0], F)})
    one("Pad-constant", {"x": x}, {"p": i64(0, 1, 2, 0, 2, 1), "v": np.array(1.5, F)})
    one("Pad-reflect", {"x": x}, {"p": i64(0, 1, 2, 0, 1, 1)}, mode="reflect")
    one("Pad-reflect-value", {"x": x}, {"p": i64(0, 1, 2, 0, -1, 1), "v": np.array(1.5, F)}, mode="reflect")
    one("Pad-edge", {"x": x}, {"p": i64(0, 1, 2, 0, 1, 1)}, mode="edge")
    one("Resize-nearest", {"x": noise(70, 1, 2, 4, 5)}, {"_roi": None, "s": np.array([1, 1, 2, 2], F)}, mode="nearest")
    one("Resize-linear", {"x": noise(70, 1, 2, 4, 5)}, {"_roi": None, "s": np.array([1, 1, 1.5, 2.5], F)}, mode="linear")
    one("Resize-cubic", {"x": noise(70, 1, 2, 4, 5)}, {"_roi": None, "_scale": None, "z": i64(1, 2, 7, 9)}, mode="cubic")
    net("Range-length", [helper.make_node("Shape", ["x"], ["s"]), helper.make_node("Squeeze", ["s"], ["n"]), helper.make_node("Range", ["z", "n", "o"], ["r"]), helper.make_node("Cast", ["r"], ["f"], to=T.FLOAT), helper.make_node("Add", ["x", "f"], ["y"])], {"x": noise(71, 7)}, ["y"], {"z": np.array(0, np.int64), "o": np.array(1, np.int64)})
    one("Reshape-inferred", {"x": x}, {"s": i64(0, -1)})
    grid = np.array([[1, 0, 2], [0, 2, 1]], np.int64)
    one("ScatterElements-set", {"x": noise(72, 3, 3), "i": grid, "u": noise(73, 2, 3)}, axis=0)
    one("ScatterElements-add", {"x": noise(72, 3, 3), "i": grid, "u": noise(73, 2, 3)}, axis=0, reduction="add")
    one("ScatterND-from-end", {"x": noise(74, 5, 3), "i": np.array([[-1], [1]], np.int64), "u": noise(75, 2, 3)})
    one("ScatterND-set", {"x": noise(74, 5, 3), "i": np.array([[4], [1]], np.int64), "u": noise(75, 2, 3)})
    one("Shape-itself", {"x": x})
    one("Size-itself", {"x": x})
    one("Slice-steps", {"x": noise(76, 6, 8)}, {"b": i64(1, -1), "e": i64(6, -9), "a": i64(0, 1), "t": i64(2, -3)})
    one("Split-uneven", {"x": noise(77, 6, 4)}, {"s": i64(1, 3, 2)}, ("p", "q", "r"), axis=0)
    one("Squeeze-one", {"x": noise(78, 1, 3, 1)}, {"a": i64(0)})
    one("Unsqueeze-two", {"x": noise(79, 3, 4)}, {"a": i64(0, 3)})
    one("Tile-both", {"x": noise(80, 2, 3)}, {"r": i64(2, 3)})
    one("Transpose-turn", {"x": x}, perm=[2, 0, 1])
    one("Trilu-upper", {"x": noise(81, 4, 5)}, upper=1)
    one("Trilu-lower", {"x": noise(81, 4, 5)}, {"k": np.array(-1, np.int64)}, upper=0)


def quantised():
    x = np.linspace(-2, 2, 24, dtype=F).reshape(2, 12)
    u8 = np.arange(24, dtype=np.uint8).reshape(2, 12) * 10
    s, z = np.array(0.02, F), np.array(100, np.uint8)
    zi = np.array(-3, np.int8)
    one("QuantizeLinear-u8", {"x": x}, {"s": s, "z": z})
    one("QuantizeLinear-i8", {"x": SPECIAL}, {"s": s, "z": zi})
    one("QuantizeLinear-axis", {"x": x}, {"s": np.array([0.01, 0.03], F), "z": np.array([0, 9], np.uint8)}, axis=0)
    one("DequantizeLinear-u8", {"x": u8}, {"s": s, "z": z})
    one("DequantizeLinear-axis", {"x": u8}, {"s": np.array([0.01, 0.03], F), "z": np.array([0, 9], np.uint8)}, axis=0)
    one("DynamicQuantizeLinear-plain", {"x": x}, None, ("y", "s", "z"))
    weights = np.arange(-18, 18, dtype=np.int8).reshape(12, 3)
    one("MatMulInteger-zeros", {"a": u8}, {"b": weights, "za": np.array(7, np.uint8), "zb": np.array(2, np.int8)})
    one("QLinearMatMul-u8", {"a": u8}, {"sa": s, "za": z, "b": weights.astype(np.uint8), "sb": s, "zb": z, "sy": np.array(0.1, F), "zy": np.array(5, np.uint8)})
    image = (np.arange(32, dtype=np.uint8) * 7).reshape(1, 2, 4, 4)
    kernel = np.arange(-12, 12, dtype=np.int8).reshape(3, 2, 2, 2)
    one("ConvInteger-zeros", {"x": image}, {"w": kernel, "zx": np.array(7, np.uint8)})
    one("QLinearConv-u8", {"x": image}, {"sx": s, "zx": z, "w": kernel, "sw": s, "zw": np.array(0, np.int8), "sy": np.array(0.1, F), "zy": z, "b": np.arange(3, dtype=np.int32)})


def nets():
    """Whole nets: what single nodes do not show, fusion among it."""
    conv = lambda i, o, name, **k: helper.make_node("Conv", [i, f"w{name}", f"b{name}"], [o], **k)
    nodes = [
        conv("x", "c0", "0", pads=[1, 1, 1, 1]), helper.make_node("Relu", ["c0"], ["r0"]),
        conv("r0", "c1", "1", pads=[1, 1, 1, 1], group=8), helper.make_node("Clip", ["c1", "lo", "hi"], ["r1"]),
        conv("r1", "c2", "2"), helper.make_node("Add", ["c2", "r0"], ["s"]),
        helper.make_node("HardSwish", ["s"], ["h"]), helper.make_node("GlobalAveragePool", ["h"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]), helper.make_node("Gemm", ["f", "wf", "bf"], ["l"]),
        helper.make_node("Softmax", ["l"], ["probs"]), helper.make_node("ArgMax", ["probs"], ["label"], axis=1, keepdims=0),
    ]
    weights = {
        "w0": noise(90, 8, 3, 3, 3), "b0": noise(91, 8), "w1": noise(92, 8, 1, 3, 3), "b1": noise(93, 8),
        "w2": noise(94, 8, 8, 1, 1), "b2": noise(95, 8), "wf": noise(96, 8, 10), "bf": noise(97, 10),
        "lo": np.array(0, F), "hi": np.array(6, F),
    }
    for batch in (1, 7):
        net(f"net-convolutions-{batch}", nodes, {"x": noise(98, batch, 3, 24, 24)}, ["probs", "label"], weights)
    d = 16
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["e"]),
        helper.make_node("LayerNormalization", ["e", "g", "b"], ["n"]),
        helper.make_node("MatMul", ["n", "wq"], ["q"]), helper.make_node("MatMul", ["n", "wk"], ["k"]),
        helper.make_node("MatMul", ["n", "wv"], ["v"]), helper.make_node("Transpose", ["k"], ["t"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "t"], ["a"]), helper.make_node("Mul", ["a", "scale"], ["as"]),
        helper.make_node("Softmax", ["as"], ["p"], axis=-1), helper.make_node("MatMul", ["p", "v"], ["o"]),
        helper.make_node("Add", ["o", "e"], ["r"]), helper.make_node("ReduceMean", ["r"], ["y"], axes=[1], keepdims=0),
    ]
    weights = {"table": noise(99, 50, d), "g": noise(100, d), "b": noise(101, d), "scale": np.array(0.25, F)}
    weights |= {f"w{c}": noise(102 + i, d, d, scale=0.3) for i, c in enumerate("qkv")}
    net("net-attention", nodes, {"ids": np.array([[3, 1, 4, 1, 5, 49, 2]], np.int64)}, ["y"], weights)
    digits = (HERE / "../../examples/digits/digits.onnx").read_bytes()
    held = sorted((HERE / "../../examples/digits/samples").glob("*.npy"))
    images = np.concatenate([np.load(path) for path in held])
    VECTORS.append(("net-digits", digits, [images]))


def random_nets():
    """Small graphs nobody designed, seeded: whatever fuses, reorders or folds must do so alike."""
    unary = "Abs Neg Exp Tanh Sigmoid Relu Erf Softplus Sqrt Identity".split()
    binary = "Add Sub Mul Div Max Min Pow".split()
    for seed in range(24):
        rng = np.random.default_rng(1000 + seed)
        nodes, weights, names = [], {}, ["x"]
        for index in range(14):
            made, picked = f"t{index}", names[rng.integers(len(names))]
            other = names[rng.integers(len(names))]
            kind = rng.integers(6)
            if kind == 0:
                nodes.append(helper.make_node(unary[rng.integers(len(unary))], [picked], [made]))
            elif kind <= 2:
                nodes.append(helper.make_node(binary[rng.integers(len(binary))], [picked, other], [made]))
            elif kind == 3:
                weights[f"w{index}"] = noise(2000 + 100 * seed + index, 6, 6, scale=0.5)
                nodes.append(helper.make_node("MatMul", [picked, f"w{index}"], [made]))
            elif kind == 4:
                nodes.append(helper.make_node("Softmax", [picked], [made], axis=int(rng.integers(2))))
            else:
                weights[f"w{index}"] = noise(2000 + 100 * seed + index, 6)
                nodes.append(helper.make_node("Mul", [picked, f"w{index}"], [f"m{index}"]))
                nodes.append(helper.make_node("ReduceMean", [f"m{index}"], [made], axes=[1], keepdims=1))
                nodes.append(helper.make_node("Add", [made, picked], [f"s{index}"]))
                made = f"s{index}"
            names.append(made)
        net(f"net-random-{seed}", nodes, {"x": noise(3000 + seed, 4, 6)}, names[-3:], weights)


def warm_up():
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]), helper.make_node("Sigmoid", ["c"], ["s"]),
        helper.make_node("GlobalAveragePool", ["s"], ["g"]), helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("MatMul", ["f", "m"], ["p"]), helper.make_node("Unsqueeze", ["p", "zero"], ["u"]),
        helper.make_node("LSTM", ["u", "lw", "lr"], ["", "h"], hidden_size=4),
        helper.make_node("Softmax", ["h"], ["y"], axis=-1),
    ]
    weights = {"w": noise(200, 8, 3, 3, 3), "m": noise(201, 8, 6), "lw": noise(202, 1, 16, 6), "lr": noise(203, 1, 16, 4), "zero": i64(0)}
    return model_of(nodes, {"x": noise(204, 1, 3, 8, 8)}, ["y"], weights)


def pack():
    out = struct.pack(">H", len(VECTORS))
    for name, model, inputs in VECTORS:
        out += struct.pack(">B", len(name)) + name.encode() + struct.pack(">I", len(model)) + model
        out += struct.pack(">B", len(inputs))
        for value in inputs:
            if value is SWEEP:
                out += b"\0"
                continue
            out += struct.pack(">BB", CODES[value.dtype.name], value.ndim)
            out += struct.pack(f">{value.ndim}I", *value.shape) + np.ascontiguousarray(value).tobytes()
    return out


def main():
    elements()
    activations_and_reductions()
    linear_and_pools()
    recurrences()
    shapes()
    quantised()
    nets()
    random_nets()
    (HERE / "vectors.pack").write_bytes(pack())
    (HERE / "warmup.onnx").write_bytes(warm_up())


if __name__ == "__main__":
    main()
