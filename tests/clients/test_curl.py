"""curl, the client that everybody has."""

import gzip
import json
import struct
import subprocess

import pytest

import golden
from harness.gateway import Gateway

IRIS = golden.cases("iris", 3)[0]


def curl(*arguments: str, body: bytes | None = None) -> bytes:
    """Runs curl and gives what it printed; it fails on a status of 400 and above."""
    command = ["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "10", *arguments]
    if body is not None:
        command += ["--data-binary", "@-"]
    done = subprocess.run(command, input=body, capture_output=True, check=False)
    assert done.returncode == 0, (done.stderr + done.stdout).decode()
    return done.stdout


def checked(answer: dict) -> None:
    """Asserts that an answer in JSON is the golden one."""
    for output in answer["outputs"]:
        IRIS.check(output["name"], output["data"])


def test_the_first_prediction(gateway: Gateway):
    """The request of the README: nested data, no headers."""
    body = '{"inputs": [{"name": "X", "shape": [1, 4], "datatype": "FP32", "data": [[5.1, 3.5, 1.4, 0.2]]}]}'
    answer = json.loads(curl(f"{gateway.url}/v2/models/iris/infer", "-d", body))
    assert answer["model_name"] == "iris"
    assert answer["model_version"] == "3"
    assert answer["outputs"][0]["name"] == "label"
    assert answer["outputs"][0]["data"] == [0]


def test_flat_and_nested(gateway: Gateway):
    for data in (IRIS.inputs[0].data, IRIS.inputs[0].rows()):
        tensor = {**IRIS.inputs[0].as_input(), "data": data}
        body = json.dumps({"inputs": [tensor]}).encode()
        checked(json.loads(curl(f"{gateway.url}/v2/models/iris/infer", body=body)))


@pytest.mark.parametrize("http", ["--http1.0", "--http1.1", "--http2-prior-knowledge"])
def test_gzip_both_ways(gateway: Gateway, http):
    body = gzip.compress(json.dumps(IRIS.request()).encode())
    headers = ("-H", "Content-Encoding: gzip", "--compressed")
    checked(json.loads(curl(f"{gateway.url}/v2/models/iris/infer", http, *headers, body=body)))


def test_chunked_body(gateway: Gateway):
    body = json.dumps(IRIS.request()).encode()
    chunked = ("-H", "Transfer-Encoding: chunked")
    checked(json.loads(curl(f"{gateway.url}/v2/models/iris/infer", *chunked, body=body)))


def test_raw_binary_request(gateway: Gateway, tmp_path):
    """A body that is the one input's bytes, announced by a JSON part of length 0."""
    headers = tmp_path / "headers"
    raw = struct.pack("<4f", *IRIS.inputs[0].data[:4])
    answer = curl(
        f"{gateway.url}/v2/models/iris/infer",
        *("-H", "Inference-Header-Content-Length: 0"),
        *("-D", str(headers)),
        body=raw,
    )
    named = dict(line.lower().split(": ", 1) for line in headers.read_text().splitlines() if ": " in line)
    length = int(named["inference-header-content-length"])
    assert named["content-type"] == "application/octet-stream"
    assert json.loads(answer[:length])["model_version"] == "3"
    label, *scores = struct.unpack("<q3f", answer[length:])
    IRIS.check("label", [label])
    IRIS.check("probabilities", scores)


def with_status(url: str, what: str = "%{http_code}") -> tuple[dict, str]:
    """The JSON of any answer, and what curl says of it."""
    asked = ["curl", "--silent", "--max-time", "10", "--write-out", "\n" + what, url]
    body, _, said = subprocess.run(asked, capture_output=True, check=True, text=True).stdout.rpartition("\n")
    return json.loads(body), said


def test_errors_are_json(gateway: Gateway):
    answer, said = with_status(f"{gateway.url}/v2/models/nothing", "%{http_code} %{content_type}")
    assert said == "404 application/json"
    message = "Request for unknown model: 'nothing' is not found"
    assert answer == {"code": "UNKNOWN_MODEL", "error": message}


def test_wrong_method(gateway: Gateway):
    answer, said = with_status(f"{gateway.url}/v2/models/iris/infer")
    assert said == "405"
    assert answer["error"] == "Method Not Allowed"
