"""What a run found, as a table, as JSON and as Markdown."""

import json
import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

PROTOCOLS = ("json", "binary", "grpc")
NOT_CARRIED = "types that V2 cannot carry (sequences, optionals, complex, 4 and 8 bit floats)"
TITLES = {"json": "V2 REST, JSON", "binary": "V2 REST, binary", "grpc": "V2 gRPC"}


@dataclass
class Failure:
    """A case that counts and was not answered as expected."""

    case: str
    protocol: str
    operators: list[str]
    reason: str


@dataclass
class Result:
    """One run of the suite."""

    engine: str
    gateway: str
    oracle: str
    suite: str
    drawn: str = "all cases"
    found: int = 0
    light: int = 0
    not_carried: int = 0
    oracle_failed: int = 0
    counted: int = 0
    passed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PROTOCOLS, 0))
    not_served: list[Failure] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0

    def complete(self) -> bool:
        """Whether every case that counts was answered as expected on every protocol."""
        return self.counted > 0 and all(n == self.counted for n in self.passed.values())

    def reasons(self) -> list[tuple[str, int]]:
        """Why models were not served, most frequent first."""
        return Counter(_general(f.reason) for f in self.not_served).most_common()

    def even(self) -> bool:
        """Whether every protocol reached the same count."""
        return self.counted > 0 and len(set(self.passed.values())) == 1

    def selection(self) -> list[tuple[str, int]]:
        """How the cases that count were found, a row each."""
        return [
            (f"cases of {self.suite}, {self.drawn}", self.found),
            ("large `light` models, left out", self.light),
            (NOT_CARRIED, self.not_carried),
            (f"{self.oracle} itself fails", self.oracle_failed),
            ("cases that count", self.counted),
        ]

    def as_text(self) -> str:
        """The table for a terminal."""
        lines = [f"{what:<82}{count:>6}" for what, count in self.selection()]
        lines.append("")
        for protocol in PROTOCOLS:
            reached = f"{self.passed[protocol]:>6} of {self.counted}"
            lines.append(f"{self.engine}, {TITLES[protocol]:<18}{reached}")
        if self.not_served:
            lines += ["", f"{len(self.not_served)} models were not served:"]
            lines += [f"{count:>6}  {reason}" for reason, count in self.reasons()]
        if self.failures:
            lines += ["", f"{len(self.failures)} answers were wrong:"]
            lines += [f"  {f.case} ({f.protocol}): {f.reason}" for f in self.failures]
        return "\n".join([*lines, "", f"{self.seconds:.1f} s"])


def as_json(results: list[Result]) -> str:
    """Everything, for machines."""
    return json.dumps([{**asdict(r), "reasons": r.reasons()} for r in results], indent=1) + "\n"


def as_markdown(results: list[Result]) -> str:
    """The dated page that is committed."""
    first = results[0]
    engines = " ".join(f"--engine {r.engine}" for r in results)
    command = f"tests/conformance/run.py {engines} --markdown tests/conformance/RESULTS.md"
    lines = [
        "# The ONNX conformance suite through the gateway",
        "",
        f"Made on {datetime.now(UTC):%Y-%m-%d} by `{command}`.",
        f"The gateway: {first.gateway}.",
        "",
        "| cases | |",
        "| --- | ---: |",
        *(f"| {what} | {count} |" for what, count in first.selection()),
        "",
        "Every case that counts goes through a running gateway three times; tolerance 1e-3 relative,",
        "1e-7 absolute.",
        "",
        "| engine | " + " | ".join(TITLES.values()) + " | not served | seconds |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for r in results:
        reached = " | ".join(f"{r.passed[p]} of {r.counted}" for p in PROTOCOLS)
        lines.append(f"| {r.engine} | {reached} | {len(r.not_served)} | {r.seconds:.0f} |")
    for r in results:
        if r.not_served:
            lines += ["", f"## What {r.engine} does not serve", "", "| reason | models |", "| --- | ---: |"]
            lines += [f"| {_cell(reason)} | {count} |" for reason, count in r.reasons()]
        if r.failures:
            lines += ["", f"## Wrong answers of {r.engine}", ""]
            lines += ["| case | protocol | what came |", "| --- | --- | --- |"]
            lines += [f"| {f.case} | {f.protocol} | {_cell(f.reason)} |" for f in r.failures]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")[:240]


def _general(reason: str) -> str:
    """The reason without what differs from model to model: quoted names, numbers, the remedy."""
    reason = reason.partition(";")[0]
    reason = re.sub(r'"[^"]*"|\'[^\']*\'', "…", reason)
    reason = re.sub(r"Translating node #\d+ … (\S+) ToTypedTranslator", r"\1", reason)
    return re.sub(r"\b\d+\b", "N", reason)[:120]
