#!/usr/bin/env python3
"""Train the digits example and export it as ONNX.

Needs numpy, scikit-learn (for the data) and onnx (for the file format):

    pip install numpy scikit-learn onnx
    python3 train.py

Writes, beside this script, `digits.onnx`, twenty held-out images under `samples/` and their labels.
Everything is seeded; on one machine with one numpy the files come out the same each time. The
committed `digits.onnx` is what the network's digests refer to, so retraining makes another model.
"""

import os
import pathlib

# One thread: the order of sums, and so the weights, must not depend on the machine.
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

HERE = pathlib.Path(__file__).resolve().parent
SEED = 20260
EPOCHS = 60
BATCH = 32
SAMPLES = 20
CHANNELS = (16, 32)


def load():
    """Images scaled to 0..1 as f32[N,1,8,8]; a fifth is held out, chosen by the seed."""
    data = load_digits()
    images = (data.images / 16.0).astype(np.float32)[:, None, :, :]
    order = np.random.default_rng(SEED).permutation(len(images))
    images, labels = images[order], data.target[order].astype(np.int64)
    held = len(images) // 5
    return (images[held:], labels[held:]), (images[:held], labels[:held])


def patches(x):
    """The 3x3 neighbourhoods of a zero-padded image: [N,C,H,W] -> [N,H,W,C*9]."""
    n, c, h, w = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n, h, w, c * 9)


def unpatch(grad, shape):
    """The adjoint of `patches`: sums each neighbourhood's gradient back onto its pixels."""
    n, c, h, w = shape
    grad = grad.reshape(n, h, w, c, 3, 3)
    out = np.zeros((n, c, h + 2, w + 2), dtype=np.float32)
    for i in range(3):
        for j in range(3):
            out[:, :, i : i + h, j : j + w] += grad[..., i, j].transpose(0, 3, 1, 2)
    return out[:, :, 1:-1, 1:-1]


def pool(x):
    """2x2 maximum with stride 2, and the mask that routes the gradient back."""
    n, c, h, w = x.shape
    blocks = x.reshape(n, c, h // 2, 2, w // 2, 2)
    best = blocks.max(axis=(3, 5), keepdims=True)
    mask = blocks == best
    mask = mask / mask.sum(axis=(3, 5), keepdims=True)
    return best[:, :, :, 0, :, 0], mask.astype(np.float32)


def unpool(grad, mask):
    n, c, h, _, w, _ = mask.shape
    return (mask * grad[:, :, :, None, :, None]).reshape(n, c, h * 2, w * 2)


def initial(rng):
    """He initialisation of two convolutions and the final linear layer."""
    a, b = CHANNELS
    normal = lambda fan, *shape: (rng.standard_normal(shape) * np.sqrt(2.0 / fan)).astype(np.float32)
    return {
        "conv1.weight": normal(9, a, 9),
        "conv1.bias": np.zeros(a, np.float32),
        "conv2.weight": normal(9 * a, b, 9 * a),
        "conv2.bias": np.zeros(b, np.float32),
        "linear.weight": normal(4 * b, 4 * b, 10),
        "linear.bias": np.zeros(10, np.float32),
    }


def forward(p, x):
    """Class probabilities and what the backward pass needs."""
    p1 = patches(x)
    z1 = (p1 @ p["conv1.weight"].T + p["conv1.bias"]).transpose(0, 3, 1, 2)
    m1, mask1 = pool(np.maximum(z1, 0))
    p2 = patches(m1)
    z2 = (p2 @ p["conv2.weight"].T + p["conv2.bias"]).transpose(0, 3, 1, 2)
    m2, mask2 = pool(np.maximum(z2, 0))
    flat = m2.reshape(len(x), -1)
    logits = flat @ p["linear.weight"] + p["linear.bias"]
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True), (p1, z1, m1, mask1, p2, z2, m2, mask2, flat)


def backward(p, labels, probs, kept):
    p1, z1, m1, mask1, p2, z2, m2, mask2, flat = kept
    d = probs.copy()
    d[np.arange(len(labels)), labels] -= 1
    d /= len(labels)
    g = {"linear.weight": flat.T @ d, "linear.bias": d.sum(axis=0)}
    d = (d @ p["linear.weight"].T).reshape(m2.shape)
    d = (unpool(d, mask2) * (z2 > 0)).transpose(0, 2, 3, 1)
    g["conv2.weight"] = np.tensordot(d, p2, axes=([0, 1, 2], [0, 1, 2]))
    g["conv2.bias"] = d.sum(axis=(0, 1, 2))
    d = unpatch(d @ p["conv2.weight"], m1.shape)
    d = (unpool(d, mask1) * (z1 > 0)).transpose(0, 2, 3, 1)
    g["conv1.weight"] = np.tensordot(d, p1, axes=([0, 1, 2], [0, 1, 2]))
    g["conv1.bias"] = d.sum(axis=(0, 1, 2))
    return g


def train(images, labels):
    """Adam with a step that falls linearly to zero."""
    rng = np.random.default_rng(SEED + 1)
    p = initial(rng)
    m = {k: np.zeros_like(v) for k, v in p.items()}
    v = {k: np.zeros_like(w) for k, w in p.items()}
    steps = EPOCHS * (len(images) // BATCH)
    step = 0
    for _ in range(EPOCHS):
        order = rng.permutation(len(images))
        for start in range(0, len(images) - BATCH + 1, BATCH):
            pick = order[start : start + BATCH]
            probs, kept = forward(p, images[pick])
            g = backward(p, labels[pick], probs, kept)
            step += 1
            rate = 2e-3 * (1 - step / (steps + 1))
            for k in p:
                grad = g[k] + 1e-4 * p[k]
                m[k] = 0.9 * m[k] + 0.1 * grad
                v[k] = 0.999 * v[k] + 0.001 * grad * grad
                unbiased = np.sqrt(v[k] / (1 - 0.999**step)) + 1e-8
                p[k] = (p[k] - rate * (m[k] / (1 - 0.9**step)) / unbiased).astype(np.float32)
    return p


def export(p):
    """Opset 17 and IR 8 are set explicitly: the library's defaults are newer than Palisade reads."""
    a, b = CHANNELS
    shapes = {"conv1.weight": (a, 1, 3, 3), "conv2.weight": (b, a, 3, 3)}
    weights = [numpy_helper.from_array(w.reshape(shapes.get(k, w.shape)), k) for k, w in p.items()]
    conv = dict(kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    nodes = [
        helper.make_node("Conv", ["image", "conv1.weight", "conv1.bias"], ["z1"], "conv1", **conv),
        helper.make_node("Relu", ["z1"], ["a1"], "relu1"),
        helper.make_node("MaxPool", ["a1"], ["m1"], "pool1", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["m1", "conv2.weight", "conv2.bias"], ["z2"], "conv2", **conv),
        helper.make_node("Relu", ["z2"], ["a2"], "relu2"),
        helper.make_node("MaxPool", ["a2"], ["m2"], "pool2", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["m2"], ["flat"], "flatten", axis=1),
        helper.make_node("Gemm", ["flat", "linear.weight", "linear.bias"], ["logits"], "linear"),
        helper.make_node("Softmax", ["logits"], ["probs"], "softmax", axis=1),
        helper.make_node("ArgMax", ["probs"], ["label"], "argmax", axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 8, 8])],
        [
            helper.make_tensor_value_info("probs", TensorProto.FLOAT, ["N", 10]),
            helper.make_tensor_value_info("label", TensorProto.INT64, ["N"]),
        ],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, HERE / "digits.onnx")


def write_samples(images, labels):
    """The first twenty held-out images, whatever the model makes of them."""
    folder = HERE / "samples"
    folder.mkdir(exist_ok=True)
    lines = []
    for i in range(SAMPLES):
        name = f"digit-{i:02}.npy"
        np.save(folder / name, images[i : i + 1])
        lines.append(f"{name} {labels[i]}\n")
    (folder / "labels.txt").write_text("".join(lines))


def main():
    (images, labels), (held_images, held_labels) = load()
    p = train(images, labels)
    guess = forward(p, held_images)[0].argmax(axis=1)
    right = int((guess == held_labels).sum())
    accuracy = right / len(held_labels)
    print(f"held-out accuracy {accuracy:.4f} ({right} of {len(held_labels)})")
    if accuracy < 0.97:
        raise SystemExit("accuracy is below 0.97; nothing written")
    export(p)
    write_samples(held_images, held_labels)


if __name__ == "__main__":
    main()
