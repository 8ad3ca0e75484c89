"""The query protocol, in which CloudFormation is spoken: a form in, XML out. Driven by botocore's service model, as `wire` is."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape
from urllib3 import HTTPResponse

from .errors import AwsError
from .wire import Answer, Params


def read_request(operation: OperationModel, request: AWSPreparedRequest) -> Params:
    """The call's parameters as the caller gave them."""
    body = request.body
    assert isinstance(body, str | bytes), "botocore sends a form"
    text = body.decode() if isinstance(body, bytes) else body
    form = {name: values[0] for name, values in parse_qs(text, keep_blank_values=True).items()}
    shape = operation.input_shape
    return {} if shape is None else _structure(shape, form, "")


def _structure(shape: StructureShape, form: Mapping[str, str], prefix: str) -> Params:
    params: Params = {}
    for name, member in shape.members.items():
        found = _value(member, form, f"{prefix}{name}")
        if found is not None:
            params[name] = found
    return params


def _value(shape: Shape, form: Mapping[str, str], name: str) -> Any:
    match shape:
        case StructureShape():
            return _structure(shape, form, f"{name}.") if any(key.startswith(f"{name}.") for key in form) else None
        case ListShape():
            return _list(shape, form, name)
        case MapShape():
            raise NotImplementedError(f"{name} is a map, which no call of CloudFormation's that is made has")
    if name not in form:
        return None
    return form[name] == "true" if shape.type_name == "boolean" else form[name]


def _list(shape: ListShape, form: Mapping[str, str], name: str) -> list[Any] | None:
    if name in form:
        return []
    found: list[Any] = []
    while (item := _value(shape.member, form, f"{name}.member.{len(found) + 1}")) is not None:
        found.append(item)
    return found or None


def write_answer(operation: OperationModel, answer: Answer, request: AWSPreparedRequest, request_id: str) -> AWSResponse:
    """A member that AWS's model does not have is a bug of the fake, so it raises."""
    shape = operation.output_shape
    inner = "" if shape is None else f"<{operation.name}Result>{_written(shape, answer)}</{operation.name}Result>"
    body = f"<{operation.name}Response>{inner}<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
    return _response(request, 200, f"{body}</{operation.name}Response>")


def _written(shape: Shape, value: Any) -> str:
    match shape:
        case StructureShape():
            unknown = value.keys() - shape.members.keys()
            assert not unknown, f"{shape.name} has no {', '.join(sorted(unknown))} on AWS"
            return "".join(f"<{name}>{_written(shape.members[name], item)}</{name}>" for name, item in value.items())
        case ListShape():
            return "".join(f"<member>{_written(shape.member, item)}</member>" for item in value)
    if isinstance(value, datetime):
        return value.isoformat()
    return escape(str(value).lower() if isinstance(value, bool) else str(value))


def write_error(error: AwsError, request: AWSPreparedRequest, request_id: str) -> AWSResponse:
    kind = "Sender" if error.status < 500 else "Receiver"
    told = f"<Type>{kind}</Type><Code>{error.code}</Code><Message>{escape(error.message)}</Message>"
    body = f"<ErrorResponse><Error>{told}</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    return _response(request, error.status, body)


def _response(request: AWSPreparedRequest, status: int, text: str) -> AWSResponse:
    payload = text.encode()
    headers = {"Content-Type": "text/xml", "Content-Length": str(len(payload))}
    raw = HTTPResponse(body=io.BytesIO(payload), headers=headers, status=status, preload_content=False)
    return AWSResponse(str(request.url), status, HTTPHeaders.from_dict(headers), raw)
