"""Makes the models of this registry, which `loadtest/figures` measures, with golden cases by ONNX's reference evaluator.

    pip install onnx==1.23.2 && python make.py

Their weights are random numbers: what is measured is time, and answers are held against the golden cases all the same.
"""

import json
import pathlib

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save
from onnx.reference import ReferenceEvaluator

OPSET = [helper.make_opsetid("", 17)]
NUMBERS = np.random.default_rng(20261127)
CASES = 3


def write(name, nodes, shapes, initializers):
    """A model of one input `x` and one output `y` of FP32, whose shapes are without their rows, and its golden cases."""
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", *shape]) for n, shape in zip("xy", shapes))
    graph = helper.make_graph(nodes, name, [x], [y], initializers)
    model = helper.make_model(graph, opset_imports=OPSET, ir_version=8)
    checker.check_model(model, full_check=True)
    folder = pathlib.Path(__file__).parent / name / "1"
    folder.mkdir(parents=True, exist_ok=True)
    save(model, folder / "model.onnx")

    # Several rows, so that the gateway can see whether they have the same answers together.
    cases = []
    for _ in range(CASES):
        asked = NUMBERS.uniform(-1, 1, (1, *shapes[0])).round(2).astype(np.float32)
        (answered,) = ReferenceEvaluator(model).run(None, {"x": asked})
        request, expected = {"inputs": [tensor("x", asked)]}, {"outputs": [tensor("y", answered)]}
        cases.append({"note": "uniform numbers", "request": request, "expected": expected})
    golden = {"model": name, "rtol": 1e-3, "atol": 1e-4, "cases": cases}
    (folder / "golden.json").write_text(json.dumps(golden) + "\n")


def tensor(name, numbers):
    data = [float(str(number)) for number in numbers.flatten()]
    return {"name": name, "datatype": "FP32", "shape": list(numbers.shape), "data": data}


def weights(name, *shape):
    """Of a size at which numbers stay as large as they were, through a layer with ReLU (He)."""
    inputs = np.prod(shape[1:]) if len(shape) == 4 else shape[0]
    return numpy_helper.from_array((NUMBERS.standard_normal(shape) * np.sqrt(2 / inputs)).astype(np.float32), name)


def residual(blocks=9, channels=64):
    """A residual network over small images: some milliseconds of convolutions for a body of 12 KB. Blocks share their weights."""
    same = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["x", "stem"], ["stemmed"], strides=[2, 2], **same),
        helper.make_node("Relu", ["stemmed"], ["block_0"]),
    ]
    for block in range(blocks):
        past, first, active, second, added, to = (
            f"{part}_{block}" for part in ["block", "first", "active", "second", "added", "sum"]
        )
        nodes += [
            helper.make_node("Conv", [past, "a"], [first], **same),
            helper.make_node("Relu", [first], [active]),
            helper.make_node("Conv", [active, "b"], [second], **same),
            helper.make_node("Add", [past, second], [to]),
            helper.make_node("Mul", [to, "half"], [added]),
            helper.make_node("Relu", [added], [f"block_{block + 1}"]),
        ]
    nodes += [
        helper.make_node("GlobalAveragePool", [f"block_{blocks}"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "head"], ["y"]),
    ]
    initializers = [
        weights("stem", channels, 3, 3, 3),
        weights("a", channels, channels, 3, 3),
        weights("b", channels, channels, 3, 3),
        weights("head", channels, 10),
        numpy_helper.from_array(np.float32(0.5), "half"),
    ]
    write("residual", nodes, [(3, 32, 32), (10,)], initializers)


def wide(layers=6, width=512):
    """A wide network: a run reads all weights, so that rows which are run together are several times cheaper. Layers share them."""
    nodes, past = [], "x"
    for layer in range(layers):
        matrix = "first" if layer == 0 else "hidden"
        nodes += [
            helper.make_node("MatMul", [past, matrix], [f"sum_{layer}"]),
            helper.make_node("Relu", [f"sum_{layer}"], [f"layer_{layer}"]),
        ]
        past = f"layer_{layer}"
    nodes.append(helper.make_node("MatMul", [past, "head"], ["y"]))
    initializers = [weights("first", 64, width), weights("hidden", width, width), weights("head", width, 10)]
    write("wide", nodes, [(64,), (10,)], initializers)


residual()
wide()
