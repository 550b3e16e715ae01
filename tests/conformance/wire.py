"""The three ways of asking: V2 REST with JSON, V2 REST with binary tensors, V2 gRPC.

The requests are put together here, byte by byte, rather than by a client library: none of them says
FP16 or BF16 in JSON, and each bends some tensors on the way.
"""

import http.client
import json
import struct
from collections.abc import Callable

import grpc
import ml_dtypes
import numpy as np
from tritonclient.grpc import service_pb2, service_pb2_grpc

from suite import Tensor

NUMPY = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "FP32": np.float32,
    "FP64": np.float64,
}

HEADER = "Inference-Header-Content-Length"


class Refused(Exception):
    """The gateway answered with an error."""


# Asks a model and gives its outputs.
Ask = Callable[[str, list[Tensor]], list[Tensor]]


def to_bytes(tensor: Tensor) -> bytes:
    """The elements, little-endian and packed; BYTES with their length in front."""
    if tensor.datatype == "BYTES":
        return b"".join(struct.pack("<I", len(e)) + e for e in tensor.values.reshape(-1))
    return np.ascontiguousarray(tensor.values, dtype=NUMPY[tensor.datatype]).tobytes()


def from_bytes(datatype: str, shape: list[int], raw: bytes) -> np.ndarray:
    """The inverse of `to_bytes`."""
    if datatype != "BYTES":
        return np.frombuffer(raw, dtype=NUMPY[datatype]).reshape(shape)
    elements, at = [], 0
    while at < len(raw):
        (length,) = struct.unpack_from("<I", raw, at)
        elements.append(raw[at + 4 : at + 4 + length])
        at += 4 + length
    return _objects(elements, shape)


def _objects(elements: list[bytes], shape: list[int]) -> np.ndarray:
    values = np.empty(len(elements), dtype=object)
    values[:] = elements
    return values.reshape(shape)


class Rest:
    """V2 REST over one connection, with JSON or binary tensors."""

    def __init__(self, address: str):
        self._connection = http.client.HTTPConnection(address, timeout=60)

    def json(self, model: str, inputs: list[Tensor]) -> list[Tensor]:
        """Everything as JSON, NaN and infinities as the tokens that Python writes and reads."""
        described = [{**_describe(t), "data": _to_json(t)} for t in inputs]
        answer, _ = self._post(model, json.dumps({"inputs": described}).encode(), {})
        return [
            Tensor(o["name"], o["datatype"], _from_json(o["datatype"], o["shape"], o["data"]))
            for o in answer["outputs"]
        ]

    def binary(self, model: str, inputs: list[Tensor]) -> list[Tensor]:
        """Tensors behind the JSON, both ways."""
        blobs = [to_bytes(t) for t in inputs]
        described = [
            {**_describe(t), "parameters": {"binary_data_size": len(b)}}
            for t, b in zip(inputs, blobs, strict=True)
        ]
        head = {"inputs": described, "parameters": {"binary_data_output": True}}
        text = json.dumps(head).encode()
        answer, tail = self._post(model, b"".join([text, *blobs]), {HEADER: str(len(text))})
        outputs, at = [], 0
        for o in answer["outputs"]:
            size = o["parameters"]["binary_data_size"]
            values = from_bytes(o["datatype"], o["shape"], tail[at : at + size])
            outputs.append(Tensor(o["name"], o["datatype"], values))
            at += size
        if at != len(tail):
            raise Refused(f"{len(tail) - at} bytes are left over behind the tensors")
        return outputs

    def _post(self, model: str, body: bytes, headers: dict[str, str]) -> tuple[dict, bytes]:
        """The JSON of the answer and what follows it."""
        self._connection.request("POST", f"/v2/models/{model}/infer", body, headers)
        response = self._connection.getresponse()
        raw = response.read()
        if response.status != 200:
            raise Refused(f"{response.status} {raw.decode(errors='replace')[:400]}")
        length = int(response.getheader(HEADER, len(raw)))
        return json.loads(raw[:length]), raw[length:]


def _describe(tensor: Tensor) -> dict:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.values.shape)}


def _to_json(tensor: Tensor) -> list:
    flat = tensor.values.reshape(-1)
    if tensor.datatype == "BYTES":
        return [element.decode() for element in flat]
    if tensor.datatype == "BF16":
        flat = flat.astype(np.float32)
    return flat.tolist()


def _from_json(datatype: str, shape: list[int], data: list) -> np.ndarray:
    if datatype == "BYTES":
        return _objects([element.encode() for element in data], shape)
    return np.array(data, dtype=NUMPY[datatype]).reshape(shape)


class Grpc:
    """V2 gRPC with raw tensors, as the client libraries send them."""

    def __init__(self, address: str):
        unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._channel = grpc.insecure_channel(address, options=unlimited)
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)

    def raw(self, model: str, inputs: list[Tensor]) -> list[Tensor]:
        """One unary call."""
        request = service_pb2.ModelInferRequest(
            model_name=model, raw_input_contents=[to_bytes(t) for t in inputs]
        )
        for tensor in inputs:
            request.inputs.add(**_describe(tensor))
        try:
            answer = self._stub.ModelInfer(request, timeout=60)
        except grpc.RpcError as error:
            raise Refused(f"{error.code().name} {error.details()}") from error
        contents = zip(answer.outputs, answer.raw_output_contents, strict=True)
        return [Tensor(o.name, o.datatype, from_bytes(o.datatype, list(o.shape), raw)) for o, raw in contents]

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()
