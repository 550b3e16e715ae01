"""The KServe SDK's inference clients against a gateway over the shipped models.

Not part of tests/all, because the SDK takes 451 MB:

    python3 -m venv .venv/kserve
    .venv/kserve/bin/pip install -r tests/clients/kserve_sdk_requirements.txt
    .venv/kserve/bin/python tests/clients/kserve_sdk.py
"""

import asyncio
import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import grpc
import httpx
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig
from kserve.protocol.infer_type import RequestedOutput

import golden
from golden import Case
from harness.gateway import Gateway

DTYPES = {"FP32": np.float32, "BYTES": np.object_}


def request(case: Case, *, binary: bool) -> InferRequest:
    """A case in the SDK's terms; `binary` says how tensors travel, both ways."""
    inputs = []
    for tensor in case.inputs:
        given = InferInput(tensor.name, tensor.shape, tensor.datatype)
        encoded = [t.encode() for t in tensor.data] if tensor.datatype == "BYTES" else tensor.data
        values = np.array(encoded, DTYPES[tensor.datatype]).reshape(tensor.shape)
        given.set_data_from_numpy(values, binary_data=binary)
        inputs.append(given)
    outputs = [RequestedOutput(t.name, parameters={"binary_data": binary}) for t in case.outputs]
    return InferRequest(case.model, inputs, request_id=str(case), request_outputs=outputs)


def served_by_default() -> list[Case]:
    """The SDK addresses models, not versions."""
    return golden.cases("iris", 3) + golden.cases("digits", 1) + golden.cases("flights", 1)


def sayable(case: Case) -> bool:
    """The SDK writes NaN as null in JSON."""
    return all(value == value for tensor in case.inputs for value in tensor.data)


def check(case: Case, answer) -> None:
    """Asserts that an answer holds every expected output."""
    assert (answer.id, answer.model_name) == (str(case), case.model)
    assert answer.model_version in (None, str(case.version)), answer.model_version
    for output in answer.outputs:
        case.check(output.name, output.as_numpy().reshape(-1).tolist())


async def rest_v2(gateway: Gateway) -> int:
    """V2 REST: health, JSON and binary predictions, an error."""
    checked = 0
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        assert await client.is_server_live(gateway.url)
        assert await client.is_server_ready(gateway.url)
        assert await client.is_model_ready(gateway.url, "iris")
        for case in served_by_default():
            for binary in (True, False):
                if not binary and not sayable(case):
                    continue
                asked = request(case, binary=binary)
                check(case, await client.infer(gateway.url, asked, model_name=case.model))
                checked += 1
        try:
            await client.infer(gateway.url, request(case, binary=True), model_name="nothing")
        except httpx.HTTPStatusError as error:
            assert error.response.status_code == 404
            assert "'nothing' is not found" in str(error)
        else:
            raise AssertionError("an unknown model was answered")
    return checked


async def rest_v1(gateway: Gateway) -> int:
    """V1 REST: health and rows."""
    checked = 0
    async with InferenceRESTClient(RESTConfig(protocol="v1")) as client:
        assert await client.is_server_live(gateway.url)
        assert await client.is_model_ready(gateway.url, "iris")
        for case in golden.cases("iris", 3):
            body = {"instances": case.inputs[0].rows()}
            answer = await client.infer(gateway.url, body, model_name="iris")
            for tensor in case.outputs:
                got = [np.ravel(row[tensor.name]).tolist() for row in answer["predictions"]]
                case.check(tensor.name, [leaf for row in got for leaf in row])
            checked += 1
    return checked


async def grpc_v2(gateway: Gateway) -> int:
    """V2 gRPC: health, predictions, an error."""
    checked = 0
    async with InferenceGRPCClient(gateway.grpc) as client:
        assert await client.is_server_live()
        assert await client.is_server_ready()
        assert await client.is_model_ready("iris")
        for case in served_by_default():
            check(case, await client.infer(request(case, binary=True)))
            checked += 1
        unknown = request(case, binary=True)
        unknown.model_name = "nothing"
        try:
            await client.infer(unknown)
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.NOT_FOUND
        else:
            raise AssertionError("an unknown model was answered")
    return checked


async def main() -> None:
    """Runs every part and says how much each compared."""
    logging.disable(logging.ERROR)  # the SDK logs the errors that are asked for, with their traces
    with Gateway(golden.MODELS) as gateway:
        for part in (rest_v2, rest_v1, grpc_v2):
            print(f"{part.__name__}: {await part(gateway)} answers as expected", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
