"""`tritonclient.http`, the synchronous client."""

import json
from collections.abc import Iterator

import numpy as np
import pytest
import requests
import tritonclient.http as client
from tritonclient.utils import InferenceServerException

import golden
import triton
from golden import Case
from harness.gateway import Gateway

IRIS = golden.cases("iris", 3)[0]
FLIGHT = golden.cases("flights", 1)[0]
ENCODINGS = [None, "gzip", "deflate"]


@pytest.fixture
def server(gateway: Gateway) -> Iterator[client.InferenceServerClient]:
    """A client of the gateway."""
    with client.InferenceServerClient(gateway.http, concurrency=4) as connected:
        yield connected


def outputs(case: Case, *, binary: bool) -> list[client.InferRequestedOutput]:
    """All outputs of a case, asked for by name."""
    return [client.InferRequestedOutput(t.name, binary_data=binary) for t in case.outputs]


@pytest.mark.parametrize("binary_out", [True, False], ids=["binary-out", "json-out"])
@pytest.mark.parametrize("binary_in", [True, False], ids=["binary-in", "json-in"])
def test_golden_cases(server, case, binary_in, binary_out):
    result = server.infer(
        case.model,
        triton.inputs(client, case, binary_data=binary_in),
        model_version=str(case.version),
        outputs=outputs(case, binary=binary_out),
        request_id=str(case),
    )
    triton.check(case, result)
    answer = result.get_response()
    assert answer["id"] == str(case)
    assert answer["model_name"] == case.model
    assert answer["model_version"] == str(case.version)


@pytest.mark.parametrize("answered", ENCODINGS)
@pytest.mark.parametrize("sent", ENCODINGS)
@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_compression(server, binary, sent, answered):
    for case in golden.cases("flights", 1):
        result = server.infer(
            case.model,
            triton.inputs(client, case, binary_data=binary),
            outputs=outputs(case, binary=binary),
            request_compression_algorithm=sent,
            response_compression_algorithm=answered,
        )
        triton.check(case, result)


def test_mixed_outputs(server):
    asked = [
        client.InferRequestedOutput("probabilities", binary_data=True),
        client.InferRequestedOutput("label", binary_data=False),
    ]
    result = server.infer("iris", triton.inputs(client, IRIS), outputs=asked)
    triton.check(IRIS, result)
    assert [o["name"] for o in result.get_response()["outputs"]] == ["probabilities", "label"]
    assert "data" in result.get_output("label")
    assert "data" not in result.get_output("probabilities")


def test_no_outputs_named_means_all(server):
    result = server.infer("iris", triton.inputs(client, IRIS))
    triton.check(IRIS, result)


@pytest.mark.parametrize("alias, version", [("champion", 1), ("challenger", 2)])
def test_alias_as_version(server, alias, version):
    for case in golden.cases("flights", version):
        result = server.infer("flights", triton.inputs(client, case), model_version=alias)
        triton.check(case, result)
        assert result.get_response()["model_version"] == str(version)
    assert server.is_model_ready("flights", alias)


def test_classification(server):
    asked = [client.InferRequestedOutput("probabilities", class_count=2)]
    result = server.infer("iris", triton.inputs(client, IRIS), outputs=asked)
    values = result.as_numpy("probabilities")
    assert values.shape == (1, 2)
    scores = IRIS.expected("probabilities").data
    best = sorted(range(3), key=lambda index: -scores[index])
    names = ["setosa", "versicolor", "virginica"]
    for element, index in zip(values[0], best, strict=False):
        score, at, label = element.decode().split(":")
        assert float(score) == pytest.approx(scores[index], abs=2e-6)
        assert (int(at), label) == (index, names[index])


def test_parameters_are_taken(server):
    result = server.infer(
        "iris",
        triton.inputs(client, IRIS),
        priority=1,
        timeout=10_000_000,
        parameters={"note": "mine", "count": 3, "share": 0.5, "flag": True},
    )
    triton.check(IRIS, result)


def test_sequences_are_refused(server):
    """Taken for a plain request, a step of a sequence would be answered without its state."""
    status, message = refused(server, "iris", triton.inputs(client, IRIS), sequence_id=7)
    assert status == "501"
    assert "'sequence_id'" in message


def test_async_infer(server):
    pending = [
        (case, server.async_infer(case.model, triton.inputs(client, case), str(case.version)))
        for case in golden.all_cases()
    ]
    for case, request in pending:
        triton.check(case, request.get_result())


def test_own_request_body(gateway):
    body, length = client.InferenceServerClient.generate_request_body(triton.inputs(client, IRIS))
    answer = requests.post(
        f"{gateway.url}/v2/models/iris/infer",
        data=body,
        headers={"Inference-Header-Content-Length": str(length)},
        timeout=10,
    )
    length = int(answer.headers["Inference-Header-Content-Length"])
    result = client.InferenceServerClient.parse_response_body(answer.content, header_length=length)
    triton.check(IRIS, result)


def test_health(server):
    assert server.is_server_live()
    assert server.is_server_ready()
    assert server.is_model_ready("iris")
    assert server.is_model_ready("iris", "2")
    assert not server.is_model_ready("iris", "9")
    assert not server.is_model_ready("flights", "3")
    assert not server.is_model_ready("nothing")


def test_metadata(server):
    about = server.get_server_metadata()
    assert about["name"] == "pointsman"
    assert {"binary_tensor_data", "classification", "statistics"} <= set(about["extensions"])
    model = server.get_model_metadata("flights", "1")
    assert model["name"] == "flights"
    assert "1" in model["versions"]
    declared = {t["name"]: (t["datatype"], t["shape"]) for t in model["inputs"]}
    assert declared["carrier"] == ("BYTES", [-1, 1])
    assert len(declared) == len(FLIGHT.inputs)


def test_config(server):
    config = server.get_model_config("iris")
    assert config["name"] == "iris"
    assert config["max_batch_size"] == 0
    assert config["input"] == [{"name": "X", "data_type": "TYPE_FP32", "dims": [-1, 4], "optional": False}]
    assert [output["name"] for output in config["output"]] == ["label", "probabilities"]


def test_statistics_count(server):
    def counted() -> tuple[int, int]:
        (row,) = server.get_inference_statistics("digits", "1")["model_stats"]
        assert row["name"] == "digits"
        assert row["version"] == "1"
        assert len(row["inference_stats"]) == 8
        return row["inference_stats"]["success"]["count"], row["inference_count"]

    successes, rows = counted()
    cases = golden.cases("digits", 1)
    for case in cases:
        server.infer("digits", triton.inputs(client, case))
    added = sum(case.inputs[0].shape[0] for case in cases)
    assert counted() == (successes + len(cases), rows + added)
    everything = server.get_inference_statistics()["model_stats"]
    assert {"iris", "digits", "flights"} <= {row["name"] for row in everything}


def test_index(server):
    rows = {(r["name"], r["version"]): r for r in server.get_model_repository_index()}
    served = {(model, str(version)) for model, version in golden.SERVED}
    assert {key for key, row in rows.items() if row["state"] == "READY"} == served
    assert rows["flights", "3"]["state"] == "UNAVAILABLE"
    assert rows["flights", "3"]["reason"]


def refused(server: client.InferenceServerClient, model: str, given: list, **options) -> tuple:
    """The status and the message of the error that a request gets."""
    with pytest.raises(InferenceServerException) as caught:
        server.infer(model, given, **options)
    return caught.value.status(), caught.value.message()


def fp32(name: str, values: list) -> client.InferInput:
    """An FP32 input."""
    data = np.array(values, dtype=np.float32)
    given = client.InferInput(name, data.shape, "FP32")
    given.set_data_from_numpy(data)
    return given


def test_unknown_model_and_version(server):
    given = triton.inputs(client, IRIS)
    status, message = refused(server, "nothing", given)
    assert (status, message) == ("404", "Request for unknown model: 'nothing' is not found")
    status, message = refused(server, "iris", given, model_version="9")
    assert status == "404"
    assert "version 9 is not found" in message
    status, message = refused(server, "iris", given, model_version="nobody")
    assert status == "404"
    assert "nobody" in message


def test_version_that_is_not_served(server):
    given = triton.inputs(client, golden.cases("flights", 3)[0])
    status, message = refused(server, "flights", given, model_version="3")
    assert status == "503"
    assert "is not at ready state" in message


def test_wrong_inputs(server):
    status, message = refused(server, "iris", [fp32("X", [[1, 2, 3, 4, 5]])])
    assert status == "400"
    assert "unexpected shape for input 'X' for model 'iris'" in message
    status, message = refused(server, "iris", [fp32("Z", [[1, 2, 3, 4]])])
    assert status == "400"
    assert "'Z'" in message or "'X'" in message
    status, message = refused(server, "flights", triton.inputs(client, FLIGHT)[:-1])
    assert status == "400"
    assert "'carrier'" in message
    integers = client.InferInput("X", [1, 4], "INT32")
    integers.set_data_from_numpy(np.zeros((1, 4), dtype=np.int32))
    status, message = refused(server, "iris", [integers])
    assert status == "400"
    assert "'INT32'" in message
    assert "'FP32'" in message


def test_unknown_output(server):
    asked = [client.InferRequestedOutput("nothing")]
    status, message = refused(server, "iris", triton.inputs(client, IRIS), outputs=asked)
    assert status == "400"
    assert "unexpected inference output 'nothing' for model 'iris'" in message


def test_connection_survives_errors(gateway):
    with client.InferenceServerClient(gateway.http, concurrency=1) as server:
        for _ in range(3):
            refused(server, "nothing", triton.inputs(client, IRIS))
            triton.check(IRIS, server.infer("iris", triton.inputs(client, IRIS)))


def test_json_on_the_wire_is_what_python_reads(server):
    """A NaN in JSON is a bare token, which Python's parser takes."""
    case = next(c for c in golden.cases("flights", 1) if has_nan(c))
    assert "NaN" in json.dumps(case.request())
    result = server.infer(case.model, triton.inputs(client, case, binary_data=False))
    triton.check(case, result)


def has_nan(case: Case) -> bool:
    """Whether an input of the case has a missing value."""
    return any(value != value for tensor in case.inputs for value in tensor.data)
