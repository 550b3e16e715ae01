"""Golden cases in the terms of tritonclient, whose HTTP and gRPC halves look alike."""

from types import ModuleType
from typing import Any

import numpy as np

from golden import Case, Tensor

DTYPES = {"FP32": np.float32, "INT64": np.int64, "BYTES": np.object_}


def array(tensor: Tensor) -> np.ndarray:
    """A golden tensor as the array that tritonclient takes."""
    data = [text.encode() for text in tensor.data] if tensor.datatype == "BYTES" else tensor.data
    return np.array(data, dtype=DTYPES[tensor.datatype]).reshape(tensor.shape)


def inputs(client: ModuleType, case: Case, **options: bool) -> list[Any]:
    """The inputs of a case for `tritonclient.http` or `.grpc`; options go to the array's setter."""
    return [_input(client, tensor, options) for tensor in case.inputs]


def _input(client: ModuleType, tensor: Tensor, options: dict[str, bool]) -> Any:
    given = client.InferInput(tensor.name, tensor.shape, tensor.datatype)
    given.set_data_from_numpy(array(tensor), **options)
    return given


def check(case: Case, result: Any) -> None:
    """Asserts that a result holds every expected output."""
    for tensor in case.outputs:
        values = result.as_numpy(tensor.name)
        assert values.dtype == DTYPES[tensor.datatype]
        assert list(values.shape) == tensor.shape
        case.check(tensor.name, values.reshape(-1).tolist())
