"""Reading the HTTP request botocore sends, and writing the HTTP answer it parses.

Both are driven by botocore's service model (operation, members by location), so no operation has code of its own here.
The module knows nothing of Lambda's rules.
"""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.model import OperationModel, Shape, StructureShape
from urllib3 import HTTPResponse

from .errors import AwsError

Params = dict[str, Any]
Answer = dict[str, Any]

#: A client of a fake retries nothing unless a test asks for it, so that one call is one request.
NO_RETRIES = Config(retries={"total_max_attempts": 1, "mode": "standard"})


def client_of(
    service: str, region: str, config: Config | None, answer: Callable[[OperationModel, AWSPreparedRequest], AWSResponse]
) -> Any:
    """A real boto3 client whose requests are answered just before they would be sent."""
    # mypy wants one of boto3's own names of services, each with a type of its own.
    make: Any = boto3.client
    client = make(
        service,
        region_name=region,
        aws_access_key_id="fake",
        aws_secret_access_key="fake",
        endpoint_url=f"https://{service}.fake",
        config=config or NO_RETRIES,
    )
    model = client.meta.service_model

    def instead(request: AWSPreparedRequest, event_name: str, **_: Any) -> AWSResponse:
        return answer(model.operation_model(event_name.rsplit(".", 1)[1]), request)

    client.meta.events.register(f"before-send.{model.service_id.hyphenize()}.*", instead)
    return client


def read_request(operation: OperationModel, request: AWSPreparedRequest) -> Params:
    """The call's parameters as the caller gave them; a blob is bytes again."""
    shape = operation.input_shape
    if shape is None:
        return {}
    url = urlsplit(str(request.url))
    template = urlsplit(operation.http["requestUri"]).path
    labels = _labels(template, url.path)
    query = dict(parse_qsl(url.query, keep_blank_values=True))
    headers = {str(name).lower(): value for name, value in request.headers.items()}
    document = _document(request)
    params: Params = {}
    for name, member in shape.members.items():
        location = member.serialization.get("location")
        wire_name = str(member.serialization.get("name", name))
        match location:
            case "uri":
                found: Any = labels.get(wire_name)
            case "querystring":
                found = query.get(wire_name)
            case "header":
                found = headers.get(wire_name.lower())
            case None:
                found = document.get(wire_name)
            case _:
                raise NotImplementedError(f"{operation.name}.{name} travels in {location}")
        if found is not None:
            params[name] = _typed(member, found)
    return params


def _labels(template: str, path: str) -> dict[str, str]:
    pattern = re.sub(r"\\\{(\w+)(\\\+)?\\\}", lambda m: f"(?P<{m[1]}>{'.+' if m[2] else '[^/]+'})", re.escape(template))
    match = re.fullmatch(pattern.rstrip("/") + "/?", path)
    if match is None:
        raise AssertionError(f"botocore sent {path} for {template}")
    return {name: unquote(value) for name, value in match.groupdict().items()}


def _document(request: AWSPreparedRequest) -> Mapping[str, Any]:
    body = request.body
    if body is not None and not isinstance(body, str | bytes | bytearray):
        body = body.read()
    if not body:
        return {}
    document = json.loads(body)
    assert isinstance(document, dict), "a rest-json request is one JSON object"
    return document


def _typed(shape: Shape, value: Any) -> Any:
    match shape.type_name:
        case "integer" | "long":
            return int(value)
        case "float" | "double":
            return float(value)
        case "boolean":
            return value if isinstance(value, bool) else str(value).lower() == "true"
        case "blob":
            return base64.b64decode(value)
        case "structure":
            assert isinstance(shape, StructureShape)
            members = shape.members
            return {name: _typed(members[name], item) for name, item in value.items() if item is not None}
        case _:
            return value


def write_answer(operation: OperationModel, answer: Answer, request: AWSPreparedRequest, request_id: str) -> AWSResponse:
    """The answer over the wire, with the status the operation has in AWS.

    A member AWS's model does not have is a bug of the fake, so it raises.
    """
    status = int(operation.http.get("responseCode", 200))
    body: Answer = {}
    shape = operation.output_shape
    known = shape.members if shape is not None else {}
    for name, value in answer.items():
        if name not in known:
            raise AssertionError(f"{operation.name} answers no {name} on AWS")
        if known[name].serialization.get("location") == "statusCode":
            status = int(value)
        else:
            body[name] = value
    payload = b"" if status == 204 else json.dumps(body).encode()
    return _response(request, status, payload, {"x-amzn-RequestId": request_id})


def write_error(operation: OperationModel, error: AwsError, request: AWSPreparedRequest, request_id: str) -> AWSResponse:
    """An error as AWS sends it: the code in a header (the JSON protocol: in the body), and the sentence under the name the
    error's own shape uses.
    """
    body: Answer = {}
    message_member = "message"
    for shape in operation.service_model.error_shapes:
        if isinstance(shape, StructureShape) and shape.error_code == error.code:
            # The model of CloudWatch Logs leaves it out; it is sent all the same.
            message_member = next((name for name in shape.members if name.lower() == "message"), message_member)
            if "Type" in shape.members:
                body["Type"] = "User" if error.status < 500 else "Service"
            if error.reason is not None and "Reason" in shape.members:
                body["Reason"] = error.reason
    body[message_member] = error.message
    if operation.service_model.protocol == "json":
        body["__type"] = error.code
    headers = {"x-amzn-RequestId": request_id, "x-amzn-ErrorType": error.code}
    return _response(request, error.status, json.dumps(body).encode(), headers)


def _response(request: AWSPreparedRequest, status: int, payload: bytes, headers: dict[str, str]) -> AWSResponse:
    headers |= {"Content-Type": "application/json", "Content-Length": str(len(payload))}
    raw = HTTPResponse(body=io.BytesIO(payload), headers=headers, status=status, preload_content=False)
    return AWSResponse(str(request.url), status, HTTPHeaders.from_dict(headers), raw)
