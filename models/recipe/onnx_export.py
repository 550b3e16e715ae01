"""From fitted estimators to ONNX bytes with a stable interface.

Every model gets `label` (INT64, [N]) and `probabilities` (FP32, [N, classes]), and its batch
dimension is called "N" on every input and output. No ZipMap, and where the inputs are numbers no
Scaler either: scaling is folded into the coefficients, so that a runtime with few ai.onnx.ml
operators can run the model too.
"""

import numpy as np
import onnx
from lightgbm import LGBMClassifier
from onnx import TensorProto, helper, numpy_helper
from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
from skl2onnx import convert_sklearn, update_registered_converter
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes

import sources

BATCH = "N"
OPSET = {"": 17, "ai.onnx.ml": 3}
IR_VERSION = 8
PRODUCER = "pointsman-models-recipe"

update_registered_converter(
    LGBMClassifier,
    "LightGbmLGBMClassifier",
    calculate_linear_classifier_output_shapes,
    convert_lightgbm,
    options={"nocl": [True, False], "zipmap": [True, False, "columns"]},
)


def classifier(estimator, width, name):
    """A scikit-learn classifier over one FP32 matrix `X`."""
    model = convert_sklearn(
        estimator,
        name=name,
        initial_types=[("X", FloatTensorType([None, width]))],
        options={id(estimator): {"zipmap": False}},
        target_opset=OPSET,
    )
    return _finish(model, len(estimator.classes_))


def flights_pipeline(pipeline, name):
    """A scikit-learn pipeline over one input per column, numbers first, then strings."""
    types = [(column, FloatTensorType([None, 1])) for column in sources.FLIGHT_NUMBERS]
    types += [(column, StringTensorType([None, 1])) for column in sources.FLIGHT_STRINGS]
    model = convert_sklearn(
        pipeline,
        name=name,
        initial_types=types,
        options={id(pipeline[-1]): {"zipmap": False}},
        target_opset=OPSET,
    )
    return _finish(model, len(pipeline.classes_))


def perceptron(weights, biases, name):
    """A network of dense layers: relu between them, softmax at the end, the class of the largest as label."""
    nodes, initializers, value = [], [], "X"
    last = len(weights) - 1
    for i, (weight, bias) in enumerate(zip(weights, biases)):
        initializers.append(numpy_helper.from_array(weight.astype(np.float32), f"weight_{i}"))
        initializers.append(numpy_helper.from_array(bias.astype(np.float32), f"bias_{i}"))
        nodes.append(helper.make_node("MatMul", [value, f"weight_{i}"], [f"product_{i}"], f"matmul_{i}"))
        nodes.append(helper.make_node("Add", [f"product_{i}", f"bias_{i}"], [f"sum_{i}"], f"add_{i}"))
        value = f"sum_{i}"
        if i != last:
            nodes.append(helper.make_node("Relu", [value], [f"hidden_{i}"], f"relu_{i}"))
            value = f"hidden_{i}"
    nodes.append(helper.make_node("Softmax", [value], ["probabilities"], "softmax", axis=1))
    nodes.append(helper.make_node("ArgMax", ["probabilities"], ["label"], "argmax", axis=1, keepdims=0))
    width, classes = weights[0].shape[0], weights[-1].shape[1]
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [BATCH, width])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [BATCH]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [BATCH, classes]),
        ],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET[""])])
    return _finish(model, classes)


def _finish(model, classes):
    """Names the batch dimension, fixes what would differ between library versions, checks, serializes."""
    for value in list(model.graph.input) + list(model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    label, probabilities = model.graph.output
    assert (label.name, probabilities.name) == ("label", "probabilities")
    assert label.type.tensor_type.elem_type == TensorProto.INT64
    del label.type.tensor_type.shape.dim[1:]
    del probabilities.type.tensor_type.shape.dim[1:]
    probabilities.type.tensor_type.shape.dim.add().dim_value = classes
    del model.graph.value_info[:]
    # A converter may import one domain several times: keep one line for each, in a fixed order.
    imports = {}
    for entry in model.opset_import:
        imports[entry.domain] = max(entry.version, imports.get(entry.domain, 0))
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(d, v) for d, v in sorted(imports.items()))
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = PRODUCER, "1"
    model.domain, model.doc_string, model.model_version = "", "", 0
    del model.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)
