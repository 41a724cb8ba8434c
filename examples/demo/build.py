#!/usr/bin/env python3
"""Build the two models that exercise the network rather than classify anything.

    pip install numpy onnx
    python3 build.py

`echo.onnx` returns its input unchanged. `spin.onnx` burns about 10^9 units of fuel, one second of
an average host, in a file of a few hundred bytes. Both are deterministic.
"""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent
SIDE = 520
PRODUCTS = 7


def save(name, nodes, inputs, outputs, weights=()):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(weights))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, HERE / f"{name}.onnx")


def echo():
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"])
    save("echo", [helper.make_node("Identity", ["x"], ["y"], "echo")], [value("x")], [value("y")])


def spin():
    """Seven products of 520x520 matrices are 0.98e9 multiply-adds.

    The matrix is spread from the one input value, so that nothing can be computed before the input
    is known. Each product is clipped to 0.5..1: whatever the input, no value becomes infinite or so
    small that processors slow down.
    """
    weights = [
        numpy_helper.from_array(np.array([SIDE, SIDE], np.int64), "side"),
        numpy_helper.from_array(np.array(0.5, np.float32), "low"),
        numpy_helper.from_array(np.array(1.0, np.float32), "high"),
        numpy_helper.from_array(np.array([1], np.int64), "one"),
    ]
    nodes = [helper.make_node("Expand", ["x", "side"], ["m0"], "spread")]
    for i in range(PRODUCTS):
        nodes.append(helper.make_node("MatMul", [f"m{i}", f"m{i}"], [f"p{i}"], f"product{i}"))
        nodes.append(helper.make_node("Clip", [f"p{i}", "low", "high"], [f"m{i + 1}"], f"clip{i}"))
    nodes.append(helper.make_node("ReduceMax", [f"m{PRODUCTS}"], ["top"], "top", keepdims=0))
    nodes.append(helper.make_node("Reshape", ["top", "one"], ["y"], "out"))
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1])
    save("spin", nodes, [value("x")], [value("y")], weights)


def main():
    echo()
    spin()
    np.save(HERE / "echo-x.npy", np.array([1.0, -2.5, 0.0, 3.25], np.float32))
    np.save(HERE / "spin-x.npy", np.array([0.5], np.float32))


if __name__ == "__main__":
    main()
