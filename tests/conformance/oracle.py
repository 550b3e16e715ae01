"""Raw ONNX Runtime, which says what can be reached: a case that it fails is no fault of the gateway."""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np
import onnxruntime
from onnx import TensorProto

from suite import Case, DataSet, Tensor, difference
from wire import NUMPY

VERSION = onnxruntime.__version__
onnxruntime.set_default_logger_severity(4)


def passes(case: Case) -> bool:
    """Whether ONNX Runtime by itself gives the expected answers."""
    try:
        session = onnxruntime.InferenceSession(case.model, providers=["CPUExecutionProvider"])
        return all(_answers(session, data) for data in case.data_sets())
    except Exception:  # noqa: BLE001 (the runtime raises a dozen kinds, RuntimeError among them)
        return False


def _answers(session: onnxruntime.InferenceSession, data: DataSet) -> bool:
    """Whether one run gives what is expected."""
    if any(tensor.datatype == "BF16" for tensor in (*data.inputs, *data.outputs)):
        answers = _run_bound(session, data)
    else:
        answers = session.run(None, {tensor.name: _to_python(tensor) for tensor in data.inputs})
    return all(
        difference(expected, _from_python(expected.name, values)) is None
        for expected, values in zip(data.outputs, answers, strict=True)
    )


def _run_bound(session: onnxruntime.InferenceSession, data: DataSet) -> list[np.ndarray]:
    """A run over arrays that are bound as they lie in memory: the plain call knows no BF16."""
    binding = session.io_binding()
    for tensor in data.inputs:
        binding.bind_ortvalue_input(tensor.name, _over(tensor.values.copy()))
    answers = [np.zeros_like(tensor.values) for tensor in data.outputs]
    for tensor, values in zip(data.outputs, answers, strict=True):
        binding.bind_ortvalue_output(tensor.name, _over(values))
    session.run_with_iobinding(binding)
    return answers


def _over(values: np.ndarray) -> onnxruntime.OrtValue:
    """A value over the array's own memory."""
    if values.dtype == NUMPY["BF16"]:
        bits = values.view(np.uint16)
        return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(bits, TensorProto.BFLOAT16)
    return onnxruntime.OrtValue.ortvalue_from_numpy(values)


def _to_python(tensor: Tensor) -> np.ndarray:
    """The array that the runtime's Python interface takes: its strings are text."""
    if tensor.datatype == "BYTES":
        return np.vectorize(bytes.decode, otypes=[object])(tensor.values)
    return tensor.values


def _from_python(name: str, values: np.ndarray) -> Tensor:
    """The inverse."""
    if values.dtype.kind in "OU":
        return Tensor(name, "BYTES", np.vectorize(str.encode, otypes=[object])(values))
    return Tensor(name, next(d for d, dtype in NUMPY.items() if values.dtype == dtype), values)
