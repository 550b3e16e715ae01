"""Makes the models of this registry, which the load tester proves things with (`mix`, `disconnect`).

    pip install onnx==1.23.2 && python make.py
"""

import pathlib

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

OPSET = [helper.make_opsetid("", 17)]


def write(name, nodes, inputs, outputs, initializers=()):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(initializers))
    model = helper.make_model(graph, opset_imports=OPSET, ir_version=8)
    checker.check_model(model, full_check=True)
    folder = pathlib.Path(__file__).parent / name / "1"
    folder.mkdir(parents=True, exist_ok=True)
    save(model, folder / "model.onnx")


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def negative(name, columns):
    """Answers with the negative of each number: what was asked can be read from the answer."""
    write(
        name,
        [helper.make_node("Neg", ["x"], ["y"])],
        [value("x", TensorProto.INT64, ["n", columns])],
        [value("y", TensorProto.INT64, ["n", columns])],
    )


def turns():
    """Counts to `trips`, one iteration each: the run takes as long as the request says."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["go_on"]),
            helper.make_node("Add", ["count", "one"], ["next"]),
        ],
        "body",
        [
            value("iteration", TensorProto.INT64, []),
            value("going", TensorProto.BOOL, []),
            value("count", TensorProto.INT64, [1]),
        ],
        [value("go_on", TensorProto.BOOL, []), value("next", TensorProto.INT64, [1])],
        [numpy_helper.from_array(np.array([1], np.int64), "one")],
    )
    constants = [
        numpy_helper.from_array(np.array(True), "yes"),
        numpy_helper.from_array(np.array([0], np.int64), "zero"),
    ]
    write(
        "turns",
        [helper.make_node("Loop", ["trips", "yes", "zero"], ["counted"], body=body)],
        [value("trips", TensorProto.INT64, [1])],
        [value("counted", TensorProto.INT64, [1])],
        constants,
    )


def blank():
    """Answers with `size` zeros: an answer as long as the request says."""
    write(
        "blank",
        [helper.make_node("ConstantOfShape", ["size"], ["zeros"])],
        [value("size", TensorProto.INT64, [1])],
        [value("zeros", TensorProto.FLOAT, ["n"])],
    )


negative("rows", 4)
negative("table", "m")
turns()
blank()
