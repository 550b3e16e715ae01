"""`tritonclient.http.aio`, which inflates answers by itself."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import tritonclient.http.aio as client
from tritonclient.utils import InferenceServerException

import golden
import triton
from harness.gateway import Gateway


@pytest_asyncio.fixture
async def server(gateway: Gateway) -> AsyncIterator[client.InferenceServerClient]:
    """A client of the gateway."""
    async with client.InferenceServerClient(gateway.http) as connected:
        yield connected


@pytest.mark.parametrize("encoding", [None, "gzip", "deflate"])
@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
async def test_golden_cases(server, case, binary, encoding):
    asked = [client.InferRequestedOutput(t.name, binary_data=binary) for t in case.outputs]
    result = await server.infer(
        case.model,
        triton.inputs(client, case, binary_data=binary),
        model_version=str(case.version),
        outputs=asked,
        request_compression_algorithm=encoding,
        response_compression_algorithm=encoding,
    )
    triton.check(case, result)


async def test_many_at_once(server):
    cases = golden.all_cases() * 4
    asked = (
        server.infer(case.model, triton.inputs(client, case), model_version=str(case.version))
        for case in cases
    )
    for case, result in zip(cases, await asyncio.gather(*asked), strict=True):
        triton.check(case, result)


async def test_calls_about_models(server):
    assert await server.is_server_live()
    assert await server.is_server_ready()
    assert await server.is_model_ready("flights", "champion")
    assert not await server.is_model_ready("nothing")
    assert (await server.get_server_metadata())["name"] == "pointsman"
    assert (await server.get_model_metadata("iris"))["versions"] == ["1", "2", "3"]
    assert (await server.get_model_config("iris"))["name"] == "iris"
    assert len(await server.get_model_repository_index()) == 7
    statistics = await server.get_inference_statistics("iris", "2")
    assert statistics["model_stats"][0]["version"] == "2"


async def test_error(server):
    case = golden.cases("iris", 1)[0]
    with pytest.raises(InferenceServerException) as caught:
        await server.infer("nothing", triton.inputs(client, case))
    assert caught.value.status() == "404"
    assert caught.value.message() == "Request for unknown model: 'nothing' is not found"
