"""`tritonclient.grpc.aio`."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import tritonclient.grpc.aio as client
from tritonclient.utils import InferenceServerException

import golden
import triton
from golden import Case
from harness.gateway import Gateway


@pytest_asyncio.fixture
async def server(gateway: Gateway) -> AsyncIterator[client.InferenceServerClient]:
    """A client of the gateway."""
    async with client.InferenceServerClient(gateway.grpc) as connected:
        yield connected


async def test_golden_cases(server, case):
    given = triton.inputs(client, case)
    result = await server.infer(case.model, given, model_version=str(case.version))
    triton.check(case, result)


async def test_many_at_once(server):
    cases = golden.all_cases() * 4
    asked = (
        server.infer(case.model, triton.inputs(client, case), model_version=str(case.version))
        for case in cases
    )
    for case, result in zip(cases, await asyncio.gather(*asked), strict=True):
        triton.check(case, result)


async def test_stream(server):
    cases = {str(case): case for case in golden.all_cases()}

    async def requests(given: dict[str, Case]) -> AsyncIterator[dict]:
        for name, case in given.items():
            yield {
                "model_name": case.model,
                "model_version": str(case.version),
                "inputs": triton.inputs(client, case),
                "request_id": name,
            }

    async for result, error in server.stream_infer(requests(dict(cases))):
        assert error is None
        triton.check(cases.pop(result.get_response().id), result)
    assert not cases


async def test_error(server):
    case = golden.cases("iris", 1)[0]
    with pytest.raises(InferenceServerException) as caught:
        await server.infer("iris", triton.inputs(client, case), model_version="9")
    assert caught.value.status() == "StatusCode.NOT_FOUND"
    assert await server.is_model_ready("iris")
