"""Drives the ONNX conformance suite through a running gateway.

Every case that counts (`suite.py` says which) becomes a model of a registry made for the purpose; its
inputs are sent as JSON, as binary tensors and over gRPC, and the answers are compared with the
suite's. Exit code 0 where all came as expected, 1 otherwise. tract knows fewer operators: there the
count reached is the result, and what fails is a protocol that reaches another count than its sisters.

    .venv/tests/bin/python tests/conformance/run.py OPTIONS      (tests/all makes the environment)

    (none)                        all cases on ONNX Runtime
    --engine tract                how many tract reaches, and why not the others
    --draw 200 --seed 7           a draw, the same for the same seed
    --engine onnxruntime --engine tract --markdown tests/conformance/RESULTS.md
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import requests

import oracle
import suite
from harness.gateway import Gateway
from report import PROTOCOLS, Failure, Result, as_json, as_markdown
from wire import Ask, Grpc, Refused, Rest

# Models of one registry; `models_max` of the gateway is 1000.
BATCH = 500


def main() -> int:
    """The command."""
    arguments = _arguments()
    cases, selection = _select(arguments.draw, arguments.seed)
    results = []
    for engine in arguments.engine or ["onnxruntime"]:
        started = time.monotonic()
        result = Result(engine=engine, gateway="", **selection)
        for at in range(0, len(cases), BATCH):
            _drive(cases[at : at + BATCH], result)
        result.seconds = time.monotonic() - started
        print(result.as_text(), flush=True)
        results.append(result)
    if arguments.json:
        arguments.json.write_text(as_json(results))
    if arguments.markdown:
        arguments.markdown.write_text(as_markdown(results))
    return 0 if all(_acceptable(r) for r in results) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    engines = ("onnxruntime", "tract")
    parser.add_argument("--engine", action="append", choices=engines, help="may be given twice")
    parser.add_argument("--draw", type=int, metavar="N", help="only N cases, drawn by the seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the dated page")
    return parser.parse_args()


def _select(draw: int | None, seed: int) -> tuple[list[suite.Case], dict]:
    """The cases that count, and how they were found."""
    found = suite.cases()
    drawn = "all cases"
    if draw is not None:
        found = random.Random(seed).sample(found, min(draw, len(found)))
        drawn = f"{len(found)} drawn with seed {seed}"
    light = suite.light_count() if draw is None else 0
    carried = [case for case in found if case.carried]
    counted = [case for case in carried if oracle.passes(case)]
    return counted, {
        "oracle": f"ONNX Runtime {oracle.VERSION}",
        "suite": f"onnx {version('onnx')}",
        "drawn": drawn,
        "found": len(found) + light,
        "light": light,
        "not_carried": len(found) - len(carried),
        "oracle_failed": len(carried) - len(counted),
        "counted": len(counted),
    }


def _drive(cases: list[suite.Case], result: Result) -> None:
    """One gateway over these cases."""
    with tempfile.TemporaryDirectory(prefix="pointsman-conformance-") as folder:
        models = Path(folder)
        for case in cases:
            version_folder = models / case.name / "1"
            version_folder.mkdir(parents=True)
            shutil.copy(case.model, version_folder)
        # Some cases divide integers that they are given; none divides the smallest one by -1.
        gates = '[gates]\ninteger_division = "allow"\n'
        config = f'[serving]\nengine = "{result.engine}"\n{gates}[log]\nlevel = "warn"\n'
        with Gateway(models, config, patience=300) as gateway:
            result.gateway = gateway.log().partition("\n")[0]
            _ask_all(cases, gateway, result)


def _ask_all(cases: list[suite.Case], gateway: Gateway, result: Result) -> None:
    index = requests.post(f"{gateway.url}/v2/repository/index", timeout=60).json()
    unavailable = {m["name"]: m.get("reason", "") for m in index if m.get("state") != "READY"}
    rest, grpc = Rest(gateway.http), Grpc(gateway.grpc)
    asks: dict[str, Ask] = dict(zip(PROTOCOLS, (rest.json, rest.binary, grpc.raw), strict=True))
    for case in cases:
        if case.name in unavailable:
            reason = unavailable[case.name]
            result.not_served.append(Failure(case.name, "all", case.operators, reason))
            continue
        for protocol, ask in asks.items():
            problem = next(_problems(case, ask), None)
            if problem is None:
                result.passed[protocol] += 1
            else:
                result.failures.append(Failure(case.name, protocol, case.operators, problem))
    grpc.close()


def _problems(case: suite.Case, ask: Ask) -> Iterator[str]:
    """What is wrong with the answers to one case on one protocol."""
    for data in case.data_sets():
        try:
            answers = ask(case.name, data.inputs)
        except (Refused, ValueError, KeyError, OSError) as error:
            yield f"{type(error).__name__}: {error}"
            continue
        names = [answer.name for answer in answers]
        if names != [expected.name for expected in data.outputs]:
            yield f"the outputs are {names}"
            continue
        for expected, answer in zip(data.outputs, answers, strict=True):
            differs = suite.difference(expected, answer)
            if differs:
                yield differs


def _acceptable(result: Result) -> bool:
    """What may pass: everything, or with tract the same on every protocol."""
    return result.complete() if result.engine == "onnxruntime" else result.even()


if __name__ == "__main__":
    sys.exit(main())
