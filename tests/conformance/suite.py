"""The ONNX conformance suite: its cases, read from the wheel, and which of them count.

A case counts when the V2 protocol can carry its tensors, it is none of the large `light` models, and
ONNX Runtime itself (the oracle) gives the expected answer. All three are found by looking, so that
another release of the suite or of the runtime needs no list edited.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"
KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator")

RTOL, ATOL = 1e-3, 1e-7

DATATYPES = {
    TensorProto.BOOL: "BOOL",
    TensorProto.UINT8: "UINT8",
    TensorProto.UINT16: "UINT16",
    TensorProto.UINT32: "UINT32",
    TensorProto.UINT64: "UINT64",
    TensorProto.INT8: "INT8",
    TensorProto.INT16: "INT16",
    TensorProto.INT32: "INT32",
    TensorProto.INT64: "INT64",
    TensorProto.FLOAT16: "FP16",
    TensorProto.BFLOAT16: "BF16",
    TensorProto.FLOAT: "FP32",
    TensorProto.DOUBLE: "FP64",
    TensorProto.STRING: "BYTES",
}


@dataclass(frozen=True)
class Tensor:
    """A named tensor with its V2 datatype; BYTES elements are Python `bytes`."""

    name: str
    datatype: str
    values: np.ndarray


@dataclass(frozen=True)
class DataSet:
    """Inputs of one request and the outputs that answer it."""

    inputs: list[Tensor]
    outputs: list[Tensor]


class Case:
    """One case: a model and its data sets."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.name = folder.name
        self.model = folder / "model.onnx"

    @cached_property
    def _graph(self) -> onnx.GraphProto:
        return onnx.load(self.model, load_external_data=False).graph

    @property
    def carried(self) -> bool:
        """Whether every input and output is a tensor of a V2 datatype."""
        types = [value.type for value in (*self._graph.input, *self._graph.output)]
        return all(t.HasField("tensor_type") and t.tensor_type.elem_type in DATATYPES for t in types)

    @property
    def operators(self) -> list[str]:
        """The kinds of its nodes, without repetition."""
        return sorted({node.op_type for node in self._graph.node})

    def data_sets(self) -> list[DataSet]:
        """Its data. Files stand in the graph's order, where inputs with initializers have none."""
        initialized = {tensor.name for tensor in self._graph.initializer}
        inputs = [v.name for v in self._graph.input if v.name not in initialized]
        outputs = [v.name for v in self._graph.output]
        folders = sorted(self.folder.glob("test_data_set_*"))
        return [DataSet(list(_read(f, "input", inputs)), list(_read(f, "output", outputs))) for f in folders]


def _read(folder: Path, what: str, names: list[str]) -> Iterator[Tensor]:
    for index, name in enumerate(names):
        file = folder / f"{what}_{index}.pb"
        if not file.exists():  # an optional input that this data set leaves out
            continue
        proto = TensorProto.FromString(file.read_bytes())
        if proto.data_type == TensorProto.STRING:
            # By hand: numpy's fixed-width strings would lose NULs at the end.
            values = np.empty(len(proto.string_data), dtype=object)
            values[:] = list(proto.string_data)
            values = values.reshape(tuple(proto.dims))
        else:
            values = numpy_helper.to_array(proto)
        yield Tensor(name, DATATYPES[proto.data_type], values)


def cases() -> list[Case]:
    """All cases but the `light` ones, which are hundreds of megabytes of weights."""
    return [Case(f.parent) for kind in KINDS for f in sorted((DATA / kind).glob("*/model.onnx"))]


def light_count() -> int:
    """How many `light` models the suite names."""
    return len(list((DATA / "light").glob("*.onnx")))


def difference(expected: Tensor, got: Tensor) -> str | None:
    """What sets an answer apart from the expected tensor; nothing where it is the same."""
    if got.datatype != expected.datatype:
        return f"{expected.name} is {got.datatype}, not {expected.datatype}"
    if got.values.shape != expected.values.shape:
        return f"{expected.name} has shape {got.values.shape}, not {expected.values.shape}"
    if not _same(expected, got):
        return f"{expected.name} is {_short(got.values)}, not {_short(expected.values)}"
    return None


def _same(expected: Tensor, got: Tensor) -> bool:
    if expected.datatype in ("BOOL", "BYTES"):
        return np.array_equal(got.values, expected.values)
    if expected.datatype in ("FP16", "BF16"):
        wide = (tensor.values.astype(np.float64) for tensor in (got, expected))
        return np.allclose(*wide, RTOL, ATOL, equal_nan=True)
    # Integers too, as in the suite's own runner: quantised ones may be a step apart.
    return np.allclose(got.values, expected.values, RTOL, ATOL, equal_nan=True)


def _short(values: np.ndarray) -> str:
    return np.array2string(values.reshape(-1), threshold=8, edgeitems=4, max_line_width=200)
