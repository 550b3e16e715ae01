"""Datatypes that the shipped models do not have, through tritonclient and the echo engine."""

from collections.abc import Iterator

import ml_dtypes
import numpy as np
import onnx
import pytest
import tritonclient.grpc as grpc
import tritonclient.http as http
from tritonclient.utils import np_to_triton_dtype

from harness.gateway import Gateway

DTYPES = {
    "BOOL": np.array([True, False]),
    "UINT8": np.array([0, 255], np.uint8),
    "UINT16": np.array([0, 65535], np.uint16),
    "UINT32": np.array([0, 2**32 - 1], np.uint32),
    "UINT64": np.array([0, 2**64 - 1], np.uint64),
    "INT8": np.array([-128, 127], np.int8),
    "INT16": np.array([-(2**15), 2**15 - 1], np.int16),
    "INT32": np.array([-(2**31), 2**31 - 1], np.int32),
    "INT64": np.array([-(2**63), 2**53 + 1], np.int64),
    "FP16": np.array([6e-8, 65504, -np.inf, np.nan], np.float16),
    "BF16": np.array([1e-38, 3e38, np.inf, 0.15625], ml_dtypes.bfloat16),
    "FP32": np.array([1e-45, 3.4028235e38, np.nan, -0.0], np.float32),
    "FP64": np.array([5e-324, 1.7976931348623157e308, -np.inf, 0.1], np.float64),
    "BYTES": np.array([b"", b"a\0b", b"\xff\xfe", "Zürich".encode(), b"end\0"], np.object_),
}


@pytest.fixture(scope="module")
def echo(tmp_path_factory) -> Iterator[Gateway]:
    """A gateway with one echoing model per datatype, and one that ONNX Runtime runs."""
    models = tmp_path_factory.mktemp("models")
    for name in DTYPES:
        for engine in ("echo", "onnxruntime"):
            folder = models / f"{engine}_{name.lower()}"
            (folder / "1").mkdir(parents=True)
            (folder / "model.toml").write_text(f'engine = "{engine}"\n')
            onnx.save(identity(name), folder / "1" / "model.onnx")
    with Gateway(models) as running:
        yield running


def identity(datatype: str) -> onnx.ModelProto:
    """A model that gives back its one input."""
    kinds = {"BYTES": "STRING", "FP16": "FLOAT16", "BF16": "BFLOAT16", "FP32": "FLOAT", "FP64": "DOUBLE"}
    kind = onnx.TensorProto.DataType.Value(kinds.get(datatype, datatype))
    x, y = (onnx.helper.make_tensor_value_info(name, kind, ["N"]) for name in "xy")
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "g", [x], [y])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=9)


def same_bits(got: np.ndarray, sent: np.ndarray) -> bool:
    """Whether two arrays are equal to the last bit; BYTES by their elements."""
    if sent.dtype == np.object_:
        return got.tolist() == sent.tolist()
    return got.dtype == sent.dtype and got.tobytes() == sent.tobytes()


@pytest.mark.parametrize("engine", ["echo", "onnxruntime"])
@pytest.mark.parametrize("datatype", DTYPES)
@pytest.mark.parametrize("client", [http, grpc], ids=["http", "grpc"])
def test_bits_survive(echo, client, datatype, engine):
    sent = DTYPES[datatype]
    given = client.InferInput("x", sent.shape, datatype)
    given.set_data_from_numpy(sent)
    address = echo.http if client is http else echo.grpc
    with client.InferenceServerClient(address) as server:
        got = server.infer(f"{engine}_{datatype.lower()}", [given]).as_numpy("y")
    assert same_bits(got, sent)


@pytest.mark.parametrize("datatype", [d for d in DTYPES if d not in ("FP16", "BF16", "BYTES")])
def test_values_survive_json(echo, datatype):
    sent = DTYPES[datatype]
    assert np_to_triton_dtype(sent.dtype) == datatype
    given = http.InferInput("x", sent.shape, datatype)
    given.set_data_from_numpy(sent, binary_data=False)
    asked = [http.InferRequestedOutput("y", binary_data=False)]
    with http.InferenceServerClient(echo.http) as server:
        got = server.infer(f"echo_{datatype.lower()}", [given], outputs=asked).as_numpy("y")
    assert same_bits(got, sent)


@pytest.mark.parametrize("rows", [0, 1])
def test_zero_rows(echo, rows):
    sent = np.zeros(rows, np.float32)
    given = http.InferInput("x", sent.shape, "FP32")
    given.set_data_from_numpy(sent)
    with http.InferenceServerClient(echo.http) as server:
        got = server.infer("onnxruntime_fp32", [given]).as_numpy("y")
    assert same_bits(got, sent)
