"""`open-inference-grpc`, the official client generated from the protocol's proto file.

It knows the base protocol only, and sends typed contents where tritonclient sends raw ones.
"""

import struct
from collections.abc import Iterator

import grpc
import pytest
from open_inference.grpc import protocol
from open_inference.grpc.service import GRPCInferenceServiceStub

import golden
from golden import Case, Tensor
from harness.gateway import Gateway

FIELDS = {"FP32": "fp32_contents", "INT64": "int64_contents", "BYTES": "bytes_contents"}
FORMATS = {"FP32": "f", "INT64": "q"}


@pytest.fixture
def stub(gateway: Gateway) -> Iterator[GRPCInferenceServiceStub]:
    """A client of the gateway."""
    with grpc.insecure_channel(gateway.grpc) as channel:
        yield GRPCInferenceServiceStub(channel)


def request(case: Case, *, typed_output: bool) -> protocol.ModelInferRequest:
    """A case with typed contents."""
    asked = protocol.ModelInferRequest(model_name=case.model, model_version=str(case.version), id=str(case))
    if typed_output:
        asked.parameters["typed_output"].bool_param = True
    for tensor in case.inputs:
        given = asked.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        getattr(given.contents, FIELDS[tensor.datatype]).extend(contents(tensor))
    return asked


def contents(tensor: Tensor) -> list:
    """The elements; strings as bytes."""
    return [text.encode() for text in tensor.data] if tensor.datatype == "BYTES" else tensor.data


def test_golden_cases_raw_answers(stub, case):
    answer = stub.ModelInfer(request(case, typed_output=False), timeout=10)
    assert (answer.id, answer.model_version) == (str(case), str(case.version))
    for output, raw in zip(answer.outputs, answer.raw_output_contents, strict=True):
        form = FORMATS[output.datatype]
        case.check(output.name, [value for (value,) in struct.iter_unpack(f"<{form}", raw)])


def test_golden_cases_typed_answers(stub, case):
    answer = stub.ModelInfer(request(case, typed_output=True), timeout=10)
    assert not answer.raw_output_contents
    for output in answer.outputs:
        assert list(output.shape) == case.expected(output.name).shape
        case.check(output.name, list(getattr(output.contents, FIELDS[output.datatype])))


def test_calls_about_models(stub):
    assert stub.ServerLive(protocol.ServerLiveRequest()).live
    assert stub.ServerReady(protocol.ServerReadyRequest()).ready
    assert stub.ModelReady(protocol.ModelReadyRequest(name="iris", version="2")).ready
    assert stub.ServerMetadata(protocol.ServerMetadataRequest()).name == "pointsman"
    model = stub.ModelMetadata(protocol.ModelMetadataRequest(name="flights"))
    assert list(model.versions) == ["1", "2"]
    assert [tensor.name for tensor in model.outputs] == ["label", "probabilities"]


def test_errors(stub):
    case = golden.cases("iris", 1)[0]
    asked = request(case, typed_output=False)
    asked.model_name = "nothing"
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(asked)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == "Request for unknown model: 'nothing' is not found"
    asked = request(case, typed_output=False)
    asked.inputs[0].contents.fp32_contents.pop()
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(asked)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "'X'" in caught.value.details()
