"""Writes the registry: cards, versions, manifests and golden cases, with digests."""

import hashlib
import json

import numpy as np

import sources

RTOL, ATOL = 1e-4, 1e-5
RECIPE = "models/recipe"

CARDS = {
    "iris": {
        "description": "Species of an iris flower from four measurements. Version 1 is a logistic regression, "
                       "2 a random forest, 3 a small neural network: same signature, different scores.",
        "owner": "pointsman",
        "serve": "latest",
        "on_new": "serve",
        "engine": "auto",
        "inputs": {"X": {"features": sources.IRIS_FEATURES}},
        "outputs": {
            "label": {"labels": ["setosa", "versicolor", "virginica"]},
            "probabilities": {"labels": ["setosa", "versicolor", "virginica"]},
        },
    },
    "digits": {
        "description": "Handwritten digit of an 8 x 8 image: 64 pixels, row by row, each from 0 to 16.",
        "owner": "pointsman",
        "serve": "latest",
        "on_new": "serve",
        "engine": "auto",
        "inputs": {"X": {"features": [f"pixel_{r}_{c}" for r in range(8) for c in range(8)]}},
        "outputs": {
            "label": {"labels": [str(d) for d in range(10)]},
            "probabilities": {"labels": [str(d) for d in range(10)]},
        },
    },
    "flights": {
        "description": "Will a flight from New York arrive more than 15 minutes late? From what is known at the "
                       "scheduled hour of departure. Version 1 is the champion, 2 a challenger that ranks better "
                       "but falls behind in November, 3 was trained on shuffled labels and must never be promoted.",
        "owner": "pointsman",
        "serve": 1,
        "on_new": "hold",
        "engine": "auto",
        "aliases": {"champion": 1, "challenger": 2},
        "outputs": {
            "label": {"labels": ["on_time", "late"]},
            "probabilities": {"labels": ["on_time", "late"]},
        },
    },
}


def write(directory, versions):
    """Writes cards and versions under `directory`; other files there are left alone."""
    for name, card in CARDS.items():
        _write(directory / name / "model.toml", _toml(card).encode())
    for version in versions:
        folder = directory / version.model / str(version.number)
        golden = _golden(version)
        _write(folder / "model.onnx", version.onnx)
        _write(folder / "golden.json", golden)
        _write(folder / "manifest.toml", _manifest(version, golden).encode())


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _manifest(version, golden):
    return _toml({
        "trained_at": _Literal(version.trained_at),
        "files": {"model.onnx": digest(version.onnx), "golden.json": digest(golden)},
        "lineage": {"recipe": RECIPE, "data": version.data, "parameters": version.parameters},
        "metrics": {k: round(float(v), 4) if isinstance(v, float) else int(v) for k, v in version.metrics.items()},
    })


def _golden(version):
    cases = []
    for note, inputs in version.cases:
        scores = version.predict(inputs)
        margin = np.sort(scores, axis=1)
        if ((margin[:, -1] - margin[:, -2]) < 1e-3).any():
            raise SystemExit(f"{version.model} {version.number}: '{note}' has a row too close to a tie")
        outputs = {"label": scores.argmax(axis=1).astype(np.int64), "probabilities": scores.astype(np.float32)}
        cases.append({
            "note": note,
            "request": {"inputs": [_tensor(n, a) for n, a in inputs.items()]},
            "expected": {"outputs": [_tensor(n, a) for n, a in outputs.items()]},
        })
    return _golden_text({"model": version.model, "rtol": RTOL, "atol": ATOL, "cases": cases})


def _tensor(name, array):
    """One tensor in the V2 style; what JSON cannot say becomes null and is listed in `nonfinite`."""
    datatype = {"float32": "FP32", "int64": "INT64", "object": "BYTES"}[array.dtype.name]
    tensor = {"name": name, "datatype": datatype, "shape": list(array.shape)}
    flat = array.reshape(-1)
    if datatype != "FP32":
        tensor["data"] = flat.tolist()
        return tensor
    tensor["data"] = [_shortest(v) if np.isfinite(v) else None for v in flat]
    special = [[i, {"nan": "nan", "inf": "inf", "-inf": "-inf"}[str(v)]]
               for i, v in enumerate(flat) if not np.isfinite(v)]
    if special:
        tensor["nonfinite"] = special
    return tensor


def _shortest(value):
    """The shortest decimal that reads back as this FP32, also by way of FP64."""
    number = float(str(np.float32(value)))
    assert np.float32(number) == value
    return number


def _golden_text(golden):
    """JSON with one tensor on a line, so that a change can be read."""
    def line(value):
        return json.dumps(value, ensure_ascii=False, allow_nan=False)

    head = ", ".join(f"{line(k)}: {line(golden[k])}" for k in ("model", "rtol", "atol"))
    cases = []
    for case in golden["cases"]:
        inputs = ",\n      ".join(line(t) for t in case["request"]["inputs"])
        outputs = ",\n      ".join(line(t) for t in case["expected"]["outputs"])
        cases.append(
            f'  {{"note": {line(case["note"])},\n'
            f'   "request": {{"inputs": [\n      {inputs}]}},\n'
            f'   "expected": {{"outputs": [\n      {outputs}]}}}}'
        )
    text = f'{{{head}, "cases": [\n' + ",\n".join(cases) + "\n]}\n"
    assert json.loads(text) == golden
    return text.encode()


class _Literal(str):
    """A value that TOML writes without quotes: a date."""


def _toml(table, path=()):
    """Enough of TOML for these files: scalars and lists first, then sub-tables."""
    lines = [f"{_key(k)} = {_value(v)}" for k, v in table.items() if not isinstance(v, dict)]
    blocks = ["\n".join(lines) + "\n"] if lines else []
    if lines and path:
        blocks[0] = f"[{'.'.join(map(_key, path))}]\n" + blocks[0]
    blocks += [_toml(v, path + (k,)) for k, v in table.items() if isinstance(v, dict)]
    return "\n".join(blocks)


def _key(key):
    return key if key.replace("_", "").replace("-", "").isalnum() else json.dumps(key)


def _value(value):
    if isinstance(value, _Literal):
        return str(value)
    if isinstance(value, list):
        items = [_value(v) for v in value]
        one_line = f"[{', '.join(items)}]"
        if len(one_line) <= 100:
            return one_line
        rows = [", ".join(items[i : i + 8]) for i in range(0, len(items), 8)]
        return "[\n    " + ",\n    ".join(rows) + ",\n]"
    return json.dumps(value, ensure_ascii=False)
