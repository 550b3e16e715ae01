"""Trains the models of this registry and writes them, or checks those that are there.

    python make_models.py --out DIR        train and write everything under DIR
    python make_models.py --check [DIR]    verify DIR (default: the registry beside this recipe),
                                           then train again elsewhere and compare the predictions
"""

import os

# One thread and no reporting, set before any numeric library is loaded.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import argparse
import json
import sys
import tempfile
import tomllib
import warnings
from pathlib import Path

import numpy as np
import onnxruntime

import registry_files
import training

# LightGBM remarks that the pipeline hands it a matrix without column names; that is intended.
warnings.filterwarnings("ignore", message="X does not have valid feature names")
# The networks are trained for a fixed number of epochs, so "not converged" says nothing.
warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")

# What another processor may move in a rebuilt model: its arithmetic differs in the last bits, and
# the training of a network or of trees can carry that up to here.
REBUILD_TOLERANCE = 5e-3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, metavar="DIR")
    what.add_argument("--check", type=Path, metavar="DIR", nargs="?", const=Path(__file__).resolve().parent.parent)
    arguments = parser.parse_args()

    versions = training.all_versions()
    for version in versions:
        compare_with_training(version)
    if arguments.out:
        registry_files.write(arguments.out, versions)
        problems = [p for v in versions for p in check_files(arguments.out, v)]
        print_aucs(versions)
    else:
        problems = check(arguments.check, versions)
    for problem in problems:
        print("FAILED", problem, file=sys.stderr)
    return 1 if problems else 0


def check(shipped, versions):
    problems = [p for v in versions for p in check_files(shipped, v)]
    with tempfile.TemporaryDirectory() as scratch:
        registry_files.write(Path(scratch), versions)
        for version in versions:
            place = Path(version.model) / str(version.number)
            old, new = shipped / place / "model.onnx", Path(scratch) / place / "model.onnx"
            if not old.is_file():
                continue
            before, after = (run(path.read_bytes(), version.probe)["probabilities"] for path in (old, new))
            worst = float(np.abs(before - after).max())
            same = "identical bytes" if old.read_bytes() == new.read_bytes() else "other bytes"
            print(f"{place}: rebuilt with {same}, probabilities differ by at most {worst:.1e}")
            if not worst <= REBUILD_TOLERANCE:
                problems.append(f"{place}: rebuilt model differs by {worst} > {REBUILD_TOLERANCE}")
    return problems


def compare_with_training(version):
    """Training and the exported graph must score alike on thousands of rows before anything is written."""
    served = run(version.onnx, version.probe)
    trained = version.predict(version.probe)
    close = np.isclose(served["probabilities"], trained, rtol=registry_files.RTOL, atol=registry_files.ATOL)
    if not close.all():
        raise SystemExit(
            f"{version.model} {version.number}: export and training disagree in "
            f"{(~close).any(axis=1).sum()} of {len(trained)} rows"
        )
    ranked = np.sort(trained, axis=1)
    clear = ranked[:, -1] - ranked[:, -2] > 1e-3
    if not (served["label"] == trained.argmax(axis=1))[clear].all():
        raise SystemExit(f"{version.model} {version.number}: export and training disagree in a label")
    worst = np.abs(served["probabilities"] - trained).max()
    print(f"{version.model}/{version.number}: export agrees with training on {len(trained)} rows (at most {worst:.1e} apart)")


def check_files(directory, version):
    """Digests and golden cases of one version as it lies in `directory`."""
    folder = directory / version.model / str(version.number)
    try:
        manifest = tomllib.loads((folder / "manifest.toml").read_text())
        for name, wanted in manifest["files"].items():
            if registry_files.digest((folder / name).read_bytes()) != wanted:
                return [f"{folder / name}: digest differs from the manifest"]
        golden = json.loads((folder / "golden.json").read_text())
    except OSError as error:
        return [str(error)]
    problems = []
    for case in golden["cases"]:
        inputs = {t["name"]: array(t) for t in case["request"]["inputs"]}
        outputs = run((folder / "model.onnx").read_bytes(), inputs)
        for tensor in case["expected"]["outputs"]:
            got, wanted = outputs[tensor["name"]], array(tensor)
            if got.shape != wanted.shape or got.dtype != wanted.dtype or not np.allclose(
                got, wanted, rtol=golden["rtol"], atol=golden["atol"]
            ):
                problems.append(f"{folder}: '{case['note']}', output {tensor['name']}")
    return problems


def array(tensor):
    dtype = {"FP32": np.float32, "INT64": np.int64, "BYTES": object}[tensor["datatype"]]
    special = {i: float(text) for i, text in tensor.get("nonfinite", [])}
    flat = [special.get(i, v) for i, v in enumerate(tensor["data"])]
    return np.array(flat, dtype=dtype).reshape(tensor["shape"])


def run(model, inputs):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs)))


def print_aucs(versions):
    flights = [v for v in versions if v.model == "flights"]
    print("\nAUC of flights     " + "".join(f"{v.number:>8}" for v in flights))
    for key in flights[0].metrics:
        if key.startswith("auc_"):
            print(f"{key[4:]:<19}" + "".join(f"{v.metrics[key]:8.3f}" for v in flights))


if __name__ == "__main__":
    sys.exit(main())
