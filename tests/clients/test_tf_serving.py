"""`requests`, as users of TensorFlow Serving's REST interface call it."""

import json

import pytest
import requests

import golden
from golden import Case
from harness.gateway import Gateway

TIMEOUT = 10


def post(gateway: Gateway, path: str, body: dict) -> requests.Response:
    """A prediction; the body is written by Python, which says NaN as a bare token."""
    return requests.post(f"{gateway.url}/v1/models/{path}:predict", data=json.dumps(body), timeout=TIMEOUT)


def by_row(case: Case) -> list:
    """The case as rows: bare values where there is one input, else objects."""
    columns = {t.name: t.rows() for t in case.inputs}
    if len(columns) == 1:
        return next(iter(columns.values()))
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def flat(rows: list) -> list:
    """Nested lists as one."""
    return [leaf for row in rows for leaf in flat(row)] if isinstance(rows, list) else [rows]


def test_rows(gateway, case):
    if case.inputs[0].shape[0] == 0:
        pytest.skip("instances cannot say zero rows")
    answer = post(gateway, f"{case.model}/versions/{case.version}", {"instances": by_row(case)})
    assert answer.status_code == 200, answer.text
    predictions = answer.json()["predictions"]
    for tensor in case.outputs:
        case.check(tensor.name, flat([row[tensor.name] for row in predictions]))


def test_columns(gateway, case):
    columns = {t.name: t.rows() for t in case.inputs}
    body = {"signature_name": "serving_default", "inputs": columns}
    answer = post(gateway, f"{case.model}/versions/{case.version}", body)
    assert answer.status_code == 200, answer.text
    outputs = answer.json()["outputs"]
    for tensor in case.outputs:
        case.check(tensor.name, flat(outputs[tensor.name]))


@pytest.mark.parametrize("label, version", [("champion", 1), ("challenger", 2)])
def test_labels(gateway, label, version):
    case = golden.cases("flights", version)[0]
    answer = post(gateway, f"flights/labels/{label}", {"instances": by_row(case)})
    row = answer.json()["predictions"][0]
    case.check("probabilities", row["probabilities"])


def test_base64_strings(gateway):
    case = golden.cases("flights", 1)[0]
    rows = by_row(case)
    assert rows[0]["origin"] == ["JFK"]
    rows[0]["origin"] = [{"b64": "SkZL"}]
    row = post(gateway, "flights", {"instances": rows}).json()["predictions"][0]
    case.check("probabilities", row["probabilities"])


def test_status_and_metadata(gateway):
    status = requests.get(f"{gateway.url}/v1/models/flights", timeout=TIMEOUT).json()
    states = {row["version"]: row["state"] for row in status["model_version_status"]}
    assert states["1"] == "AVAILABLE"
    one = requests.get(f"{gateway.url}/v1/models/flights/labels/challenger", timeout=TIMEOUT).json()
    assert [row["version"] for row in one["model_version_status"]] == ["2"]
    about = requests.get(f"{gateway.url}/v1/models/iris/versions/2/metadata", timeout=TIMEOUT).json()
    assert about["model_spec"] == {"name": "iris", "signature_name": "", "version": "2"}
    signature = about["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["X"]["dtype"] == "DT_FLOAT"


@pytest.mark.parametrize(
    "path, body, status",
    [
        ("nothing", {"instances": [[1, 2, 3, 4]]}, 404),
        ("iris/versions/9", {"instances": [[1, 2, 3, 4]]}, 404),
        ("iris/labels/nobody", {"instances": [[1, 2, 3, 4]]}, 404),
        ("iris", {"instances": [[1, 2, 3, 4]], "inputs": [[1, 2, 3, 4]]}, 400),
        ("iris", {"instances": []}, 400),
        ("iris", {}, 400),
        ("iris", {"instances": [[1, 2, 3]]}, 400),
        ("iris", {"instances": [["a", 2, 3, 4]]}, 400),
        ("iris", {"instances": [[1, 2, 3, 4], [1, 2, 3]]}, 400),
    ],
)
def test_errors(gateway, path, body, status):
    answer = post(gateway, path, body)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]
