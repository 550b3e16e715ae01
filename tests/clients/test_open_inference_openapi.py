"""`open-inference-openapi`, the official client generated from the protocol's OpenAPI document."""

import pytest
from open_inference.openapi import BadRequestError, InferenceRequest, RequestInput, TensorData
from open_inference.openapi.client import AsyncOpenInferenceClient, OpenInferenceClient
from open_inference.openapi.core.api_error import ApiError

from golden import Case
from harness.gateway import Gateway


def request(case: Case) -> InferenceRequest:
    """A case in the client's terms."""
    inputs = [
        RequestInput(name=t.name, datatype=t.datatype, shape=t.shape, data=TensorData.parse_obj(t.data))
        for t in case.inputs
    ]
    return InferenceRequest(id=str(case), inputs=inputs)


def sayable(case: Case) -> bool:
    """The client writes strict JSON, which has no NaN."""
    return all(value == value for tensor in case.inputs for value in tensor.data)


def check(case: Case, answer) -> None:
    """Asserts that an answer holds every expected output."""
    assert (answer.id, answer.model_name) == (str(case), case.model)
    assert answer.model_version == str(case.version)
    for output in answer.outputs:
        assert output.shape == case.expected(output.name).shape
        case.check(output.name, output.data.dict()["__root__"])


def test_golden_cases(gateway: Gateway, case: Case):
    client = OpenInferenceClient(base_url=gateway.url)
    if not sayable(case):
        with pytest.raises(ValueError, match="JSON compliant"):
            client.model_version_infer(case.model, str(case.version), request=request(case))
        return
    check(case, client.model_version_infer(case.model, str(case.version), request=request(case)))


def test_calls_about_models(gateway: Gateway):
    client = OpenInferenceClient(base_url=gateway.url)
    client.check_server_liveness()
    client.check_server_readiness()
    client.check_model_readiness("iris")
    client.check_model_version_readiness("flights", "champion")
    assert client.read_server_metadata().name == "pointsman"
    model = client.read_model_metadata("iris")
    assert (model.name, model.versions) == ("iris", ["1", "2", "3"])
    assert [tensor.name for tensor in model.outputs] == ["label", "probabilities"]
    assert client.read_model_version_metadata("iris", "2").platform == "onnxruntime_onnx"


def test_errors(gateway: Gateway):
    client = OpenInferenceClient(base_url=gateway.url)
    with pytest.raises(ApiError) as caught:
        client.read_model_metadata("nothing")
    assert caught.value.status_code == 404
    assert caught.value.body["error"] == "Request for unknown model: 'nothing' is not found"
    with pytest.raises(BadRequestError) as caught:
        client.model_infer("iris", request=InferenceRequest(inputs=[]))
    assert "'X'" in caught.value.body["error"]


async def test_asynchronous(gateway: Gateway, case: Case):
    if sayable(case):
        client = AsyncOpenInferenceClient(base_url=gateway.url)
        check(case, await client.model_version_infer(case.model, str(case.version), request=request(case)))
