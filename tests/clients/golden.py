"""The golden cases of the shipped models: what the library that trained a model says.

Only the standard library is used here, because every environment of the tests reads them.
"""

import json
import math
from dataclasses import dataclass

from harness.gateway import REPOSITORY

MODELS = REPOSITORY / "models"

# Every version that the shipped cards serve.
SERVED = (("iris", 1), ("iris", 2), ("iris", 3), ("digits", 1), ("flights", 1), ("flights", 2))


@dataclass(frozen=True)
class Tensor:
    """A tensor as V2 JSON writes it: flat data, NaN and infinities as floats."""

    name: str
    datatype: str
    shape: list[int]
    data: list

    def as_input(self) -> dict:
        """The entry of a request's `inputs`."""
        return vars(self)

    def rows(self) -> list:
        """The data nested to the shape."""
        data = self.data
        for size in reversed(self.shape[1:]):
            data = [data[at : at + size] for at in range(0, len(data), size)]
        return data


@dataclass(frozen=True)
class Case:
    """A request with its expected answer."""

    model: str
    version: int
    note: str
    inputs: list[Tensor]
    outputs: list[Tensor]
    rtol: float
    atol: float

    def __str__(self) -> str:
        return f"{self.model}-{self.version}-{self.note.replace(' ', '_')}"

    def request(self) -> dict:
        """The case as a V2 JSON request."""
        return {"inputs": [tensor.as_input() for tensor in self.inputs]}

    def expected(self, name: str) -> Tensor:
        """The output of that name."""
        return next(tensor for tensor in self.outputs if tensor.name == name)

    def check(self, name: str, data: list) -> None:
        """Asserts that a flat output agrees with the expected one."""
        tensor = self.expected(name)
        assert len(data) == len(tensor.data), f"{self} {name}: {len(data)} elements"
        for index, (got, wanted) in enumerate(zip(data, tensor.data, strict=True)):
            if tensor.datatype == "FP32":
                close = math.isclose(got, wanted, rel_tol=self.rtol, abs_tol=self.atol)
            else:
                close = got == wanted
            assert close, f"{self} {name}[{index}]: {got}, not {wanted}"


def cases(model: str, version: int) -> list[Case]:
    """The cases of one version."""
    document = json.loads((MODELS / model / str(version) / "golden.json").read_text())
    return [
        Case(
            model=model,
            version=version,
            note=case["note"],
            inputs=[_tensor(t) for t in case["request"]["inputs"]],
            outputs=[_tensor(t) for t in case["expected"]["outputs"]],
            rtol=document["rtol"],
            atol=document["atol"],
        )
        for case in document["cases"]
    ]


def all_cases() -> list[Case]:
    """The cases of every version that is served."""
    return [case for model, version in SERVED for case in cases(model, version)]


def _tensor(raw: dict) -> Tensor:
    data = list(raw["data"])
    for index, value in raw.get("nonfinite", []):
        data[index] = float(value)
    return Tensor(raw["name"], raw["datatype"], raw["shape"], data)
