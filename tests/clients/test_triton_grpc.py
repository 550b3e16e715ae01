"""`tritonclient.grpc`, the synchronous client and its stream."""

import queue
from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.grpc as client
from tritonclient.utils import InferenceServerException

import golden
import triton
from harness.gateway import Gateway

IRIS = golden.cases("iris", 3)[0]


@pytest.fixture(params=["grpc", "http"], ids=["own-port", "shared-port"])
def server(gateway: Gateway, request) -> Iterator[client.InferenceServerClient]:
    """A client of the gateway's gRPC listener, and one of the port that REST shares with gRPC."""
    with client.InferenceServerClient(getattr(gateway, request.param)) as connected:
        yield connected


@pytest.mark.parametrize("encoding", [None, "gzip", "deflate"])
def test_golden_cases(server, case, encoding):
    result = server.infer(
        case.model,
        triton.inputs(client, case),
        model_version=str(case.version),
        outputs=[client.InferRequestedOutput(t.name) for t in case.outputs],
        request_id=str(case),
        compression_algorithm=encoding,
    )
    triton.check(case, result)
    answer = result.get_response()
    assert (answer.id, answer.model_name) == (str(case), case.model)
    assert answer.model_version == str(case.version)


@pytest.mark.parametrize("alias, version", [("champion", 1), ("challenger", 2)])
def test_alias_as_version(server, alias, version):
    for case in golden.cases("flights", version):
        result = server.infer("flights", triton.inputs(client, case), model_version=alias)
        triton.check(case, result)
        assert result.get_response().model_version == str(version)


def test_parameters_are_taken(server):
    result = server.infer(
        "iris",
        triton.inputs(client, IRIS),
        priority=1,
        timeout=10_000_000,
        client_timeout=10.0,
        parameters={"note": "mine", "count": 3, "flag": True},
    )
    triton.check(IRIS, result)


def test_classification(server):
    asked = [client.InferRequestedOutput("probabilities", class_count=1)]
    result = server.infer("iris", triton.inputs(client, IRIS), outputs=asked)
    scores = IRIS.expected("probabilities").data
    score, index, label = result.as_numpy("probabilities")[0][0].decode().split(":")
    assert int(index) == scores.index(max(scores))
    assert float(score) == pytest.approx(max(scores), abs=2e-6)
    assert label == ["setosa", "versicolor", "virginica"][int(index)]


def test_async_infer(server):
    answers: queue.Queue = queue.Queue()
    cases = {str(case): case for case in golden.all_cases()}
    for name, case in cases.items():
        server.async_infer(
            case.model,
            triton.inputs(client, case),
            lambda result, error: answers.put((result, error)),
            model_version=str(case.version),
            request_id=name,
        )
    for _ in cases:
        result, error = answers.get(timeout=30)
        assert error is None
        triton.check(cases[result.get_response().id], result)


def test_stream_outlives_an_error(server):
    answers: queue.Queue = queue.Queue()
    server.start_stream(lambda result, error: answers.put((result, error)))
    given = triton.inputs(client, IRIS)
    server.async_stream_infer("iris", given, request_id="first")
    result, error = answers.get(timeout=30)
    assert error is None
    triton.check(IRIS, result)
    server.async_stream_infer("nothing", given)
    result, error = answers.get(timeout=30)
    assert "'nothing' is not found" in error.message()
    server.async_stream_infer("iris", given, request_id="last")
    result, error = answers.get(timeout=30)
    assert error is None
    assert result.get_response().id == "last"
    server.stop_stream()


def test_stream_answers_every_request(server):
    answers: queue.Queue = queue.Queue()
    server.start_stream(lambda result, error: answers.put((result, error)))
    cases = {str(case): case for case in golden.all_cases()}
    for name, case in cases.items():
        given = triton.inputs(client, case)
        server.async_stream_infer(case.model, given, str(case.version), request_id=name)
    for _ in range(len(cases)):
        result, error = answers.get(timeout=30)
        assert error is None
        triton.check(cases.pop(result.get_response().id), result)
    server.stop_stream()
    assert not cases


def test_calls_about_models(server):
    assert server.is_server_live()
    assert server.is_server_ready()
    assert server.is_model_ready("iris", "2")
    assert not server.is_model_ready("flights", "3")
    assert server.get_server_metadata().name == "pointsman"
    assert list(server.get_model_metadata("iris").versions) == ["1", "2", "3"]
    config = server.get_model_config("iris", as_json=True)["config"]
    assert config["input"][0]["data_type"] == "TYPE_FP32"
    rows = {(m.name, m.version): m for m in server.get_model_repository_index().models}
    assert rows["iris", "3"].state == "READY"
    assert rows["flights", "3"].state == "UNAVAILABLE"


def test_statistics_count(server):
    def successes() -> int:
        (row,) = server.get_inference_statistics("iris", "3").model_stats
        return row.inference_stats.success.count

    before = successes()
    server.infer("iris", triton.inputs(client, IRIS))
    assert successes() == before + 1


def refused(server: client.InferenceServerClient, model: str, given: list, **options) -> tuple:
    """The status and the message of the error that a request gets."""
    with pytest.raises(InferenceServerException) as caught:
        server.infer(model, given, **options)
    return caught.value.status(), caught.value.message()


def test_errors(server):
    given = triton.inputs(client, IRIS)
    status, message = refused(server, "nothing", given)
    assert status == "StatusCode.NOT_FOUND"
    assert message == "Request for unknown model: 'nothing' is not found"
    status, message = refused(server, "iris", given, model_version="9")
    assert status == "StatusCode.NOT_FOUND"
    assert "version 9 is not found" in message
    status, message = refused(server, "flights", given, model_version="3")
    assert status == "StatusCode.UNAVAILABLE"
    wrong = client.InferInput("X", [1, 5], "FP32")
    wrong.set_data_from_numpy(np.zeros((1, 5), dtype=np.float32))
    status, message = refused(server, "iris", [wrong])
    assert status == "StatusCode.INVALID_ARGUMENT"
    assert "unexpected shape for input 'X' for model 'iris'" in message
