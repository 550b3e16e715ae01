"""Makes the models of this folder: small graphs whose behaviour at run time the tests choose.

    pip install onnx==1.23.2 && python make.py
"""

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

OPSET = [helper.make_opsetid("", 17)]


def write(name, nodes, inputs, outputs, initializers=()):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(initializers))
    model = helper.make_model(graph, opset_imports=OPSET, ir_version=8)
    checker.check_model(model, full_check=True)
    save(model, f"{name}.onnx")


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def loop():
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
        [constant("one", np.array([1], np.int64))],
    )
    write(
        "loop",
        [helper.make_node("Loop", ["trips", "yes", "zero"], ["counted"], body=body)],
        [value("trips", TensorProto.INT64, [1])],
        [value("counted", TensorProto.INT64, [1])],
        [constant("yes", np.array(True)), constant("zero", np.array([0], np.int64))],
    )


def gather():
    """Looks rows of a table up: an index out of range is the caller's fault."""
    write(
        "gather",
        [helper.make_node("Gather", ["table", "indices"], ["values"])],
        [value("indices", TensorProto.INT64, ["n"])],
        [value("values", TensorProto.FLOAT, ["n"])],
        [constant("table", np.array([10, 20, 30, 40], np.float32))],
    )


def divide():
    """Divides integers: a zero must not end the process."""
    write(
        "divide",
        [helper.make_node("Div", ["a", "b"], ["quotient"])],
        [value("a", TensorProto.INT64, ["n"]), value("b", TensorProto.INT64, ["n"])],
        [value("quotient", TensorProto.INT64, ["n"])],
    )


def identity():
    """Answers with what it was given."""
    write(
        "identity",
        [helper.make_node("Identity", ["X"], ["Y"])],
        [value("X", TensorProto.FLOAT, ["n", 4])],
        [value("Y", TensorProto.FLOAT, ["n", 4])],
    )


def external():
    """Adds weights that lie in another file, `weights.bin`."""
    weights = TensorProto(name="weights", data_type=TensorProto.FLOAT, dims=[4])
    weights.data_location = TensorProto.EXTERNAL
    for key, content in {"location": "weights.bin", "offset": "0", "length": "16"}.items():
        weights.external_data.add(key=key, value=content)
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "weights"], ["y"])],
        "external",
        [value("x", TensorProto.FLOAT, [4])],
        [value("y", TensorProto.FLOAT, [4])],
        [weights],
    )
    save(helper.make_model(graph, opset_imports=OPSET, ir_version=8), "external.onnx")
    # The same, with the weights outside the version's own folder.
    weights.external_data[0].value = "../../weights.bin"
    graph.initializer[0].CopyFrom(weights)
    save(helper.make_model(graph, opset_imports=OPSET, ir_version=8), "traversal.onnx")


def opset():
    """Asks for operators of a version that nothing has."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "opset",
        [value("x", TensorProto.FLOAT, [1])],
        [value("y", TensorProto.FLOAT, [1])],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 999)], ir_version=8), "opset.onnx")


def rows():
    """Models of which each looks as if its rows were independent, and is not."""
    x = value("x", TensorProto.FLOAT, ["n", 4])
    # Rows attend to each other.
    attend = [
        helper.make_node("Transpose", ["x"], ["columns"]),
        helper.make_node("MatMul", ["x", "columns"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["weights"]),
        helper.make_node("MatMul", ["weights", "x"], ["y"]),
    ]
    write("attention", attend, [x], [value("y", TensorProto.FLOAT, ["n", 4])])
    # The largest value is the scale of all rows.
    quantise = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["bytes", "scale", "zero"]),
        helper.make_node("DequantizeLinear", ["bytes", "scale", "zero"], ["y"]),
    ]
    write("quantised", quantise, [x], [value("y", TensorProto.FLOAT, ["n", 4])])
    # The rows are the second dimension of the output.
    write(
        "columns",
        [helper.make_node("Transpose", ["x"], ["y"])],
        [x],
        [value("y", TensorProto.FLOAT, [4, "n"])],
    )
    # One number for all rows.
    write(
        "total",
        [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)],
        [x],
        [value("y", TensorProto.FLOAT, [])],
    )


def hostile():
    """Models that do harm in the first run, whatever they are given."""
    x, y = value("x", TensorProto.INT64, ["n"]), value("y", TensorProto.INT64, ["n"])
    body = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["go_on"]), helper.make_node("Add", ["count", "one"], ["next"])],
        "body",
        [
            value("iteration", TensorProto.INT64, []),
            value("going", TensorProto.BOOL, []),
            value("count", TensorProto.INT64, ["n"]),
        ],
        [value("go_on", TensorProto.BOOL, []), value("next", TensorProto.INT64, ["n"])],
        [constant("one", np.array([1], np.int64))],
    )
    # Its loop has no end.
    write(
        "endless",
        [helper.make_node("Loop", ["trips", "yes", "x"], ["y"], body=body)],
        [x],
        [y],
        [constant("trips", np.array(2**63 - 1, np.int64)), constant("yes", np.array(True))],
    )
    # It writes 4 GiB of ones for every row.
    write(
        "greedy",
        [
            helper.make_node("Shape", ["x"], ["rows"]),
            helper.make_node("Mul", ["rows", "many"], ["length"]),
            helper.make_node("ConstantOfShape", ["length"], ["ones"], value=constant("one", np.array([1], np.int64))),
            helper.make_node("ReduceSum", ["ones"], ["sum"], keepdims=1),
            helper.make_node("Add", ["x", "sum"], ["y"]),
        ],
        [x],
        [y],
        [constant("many", np.array([2**29], np.int64))],
    )
    # It divides the smallest integer by -1.
    write(
        "overflow",
        [
            helper.make_node("Sub", ["x", "x"], ["zero"]),
            helper.make_node("Add", ["zero", "least"], ["dividend"]),
            helper.make_node("Div", ["dividend", "divisor"], ["y"]),
        ],
        [x],
        [y],
        [constant("least", np.array([-(2**63)], np.int64)), constant("divisor", np.array([-1], np.int64))],
    )


if __name__ == "__main__":
    loop()
    gather()
    divide()
    identity()
    external()
    opset()
    rows()
    hostile()
