"""Makes the models of this registry, whose versions the load tester lets take over and shadow (`shadow`, `canary`).

    pip install onnx==1.23.2 && python make.py
"""

import pathlib

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

OPSET = [helper.make_opsetid("", 17)]

# The width of the matrices that are multiplied, and how often: some milliseconds.
WIDTH = 64
TURNS = 250


def write(name, version, nodes, inputs, outputs, initializers):
    graph = helper.make_graph(nodes, name, inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=OPSET, ir_version=8)
    checker.check_model(model, full_check=True)
    folder = pathlib.Path(__file__).parent / name / str(version)
    folder.mkdir(parents=True, exist_ok=True)
    save(model, folder / "model.onnx")


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name, content, kind):
    return numpy_helper.from_array(np.array(content, kind), name)


def steady(version, turns, each):
    """Multiplies matrices `turns` times, and `each` times more for each of `more` that the request says."""
    float32, int64 = TensorProto.FLOAT, TensorProto.INT64
    square = [WIDTH, WIDTH]
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["go_on"]),
            helper.make_node("MatMul", ["state", "weights"], ["product"]),
            helper.make_node("Tanh", ["product"], ["next"]),
        ],
        "body",
        [value("turn", int64, []), value("going", TensorProto.BOOL, []), value("state", float32, square)],
        [value("go_on", TensorProto.BOOL, []), value("next", float32, square)],
    )
    # Turned and not shrunk, so that no number becomes so small that the processor takes another path.
    weights, _ = np.linalg.qr(np.random.default_rng(1).normal(size=square))
    write(
        "steady",
        version,
        [
            helper.make_node("Mul", ["more", "each"], ["additional"]),
            helper.make_node("Add", ["additional", "turns"], ["all"]),
            helper.make_node("Expand", ["x", "square"], ["first"]),
            helper.make_node("Loop", ["all", "yes", "first"], ["last"], body=body),
            helper.make_node("Slice", ["last", "from", "to"], ["y"]),
        ],
        [value("x", float32, [1, WIDTH]), value("more", int64, [1])],
        [value("y", float32, [1, WIDTH])],
        [
            constant("weights", weights * 1.5, np.float32),
            constant("square", square, np.int64),
            constant("turns", [turns], np.int64),
            constant("each", [each], np.int64),
            constant("yes", True, bool),
            constant("from", [0], np.int64),
            constant("to", [1], np.int64),
        ],
    )


def fickle(version, nodes, initializers=()):
    """Takes a number: version 1 any, the others what is not negative."""
    inputs, outputs = ([value(name, TensorProto.FLOAT, [1])] for name in ("x", "y"))
    write("fickle", version, nodes, inputs, outputs, list(initializers))


steady(1, TURNS, 0)
# Twice the work.
steady(2, 2 * TURNS, 0)
# As long as the request says.
steady(3, TURNS, 1_000_000)
fickle(1, [helper.make_node("Abs", ["x"], ["size"]), helper.make_node("Sqrt", ["size"], ["y"])])
# Not a number.
fickle(2, [helper.make_node("Sqrt", ["x"], ["y"])])
# An error, where the place is not in the table.
fickle(
    3,
    [
        helper.make_node("Cast", ["x"], ["place"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "place"], ["y"]),
    ],
    [constant("table", np.sqrt(np.arange(16)), np.float32)],
)
