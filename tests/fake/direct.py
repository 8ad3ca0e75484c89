"""boto3 clients without HTTP: what they are asked goes to a fake as parameters, and what it answers comes back.

For tests that play thousands of whole operations and are not about how a request travels. It is botocore's client otherwise:
its methods, paginators and exceptions, its checks of the parameters, and its answers to the member. All is driven by
botocore's service model, so no operation has code of its own here; a member that the model does not have, asked or answered,
is refused. What is asked and answered is copied on the way, as by HTTP.

Not here: retries, timeouts, signatures, endpoints; and no events, for which a client of this kind has a `Line` to tap instead.
tests/unit/test_direct_clients.py compares with the long way.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, cast
from urllib.parse import urlencode

import boto3
from botocore.client import BaseClient, ClientMeta
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError
from botocore.hooks import BaseEventHooks
from botocore.model import OperationModel, StructureShape
from botocore.validate import ParamValidator

from .copies import NOTHING, Reading, Translations, Unfit, Writing
from .errors import AwsError
from .wire import NO_RETRIES, Answer, Params

#: What a fake does with a request: it gives what it answers to the last argument, at once, and returns what that makes of it.
#: Raises AwsError.
Serve = Callable[[OperationModel, Params, Callable[[Answer], Answer]], Answer]


class Request:
    """One request, as it would travel."""

    def __init__(self, line: Line, operation: OperationModel, params: Params) -> None:
        self._line, self._operation = line, operation
        self.name = f"{line.service}.{operation.name}"
        self.params = params

    @functools.cached_property
    def _serialized(self) -> Mapping[str, Any]:
        serialized: Mapping[str, Any] = self._line.serializer.serialize_to_request(self.params, self._operation)
        return serialized

    @property
    def path(self) -> str:
        query = self._serialized["query_string"]
        return f"{self._serialized['url_path']}?{urlencode(query)}" if query else str(self._serialized["url_path"])

    @property
    def body(self) -> Any:
        body = self._serialized["body"]
        # A form.
        return urlencode(body) if isinstance(body, dict) else body


class Line:
    """What lies between one client and its fake. ``asked`` hear of each call with its parameters as they were given, ``before``
    of each request ahead of the fake, ``after`` of its end unless the caller died. All of them may raise."""

    def __init__(self, client: Any, answer: Serve, translations: Translations, *, checks: bool) -> None:
        self._model = client.meta.service_model
        self._exceptions = client.exceptions
        self.serializer = client._serializer
        self.service: str = self._model.service_id.hyphenize()
        self.asked: list[Callable[[OperationModel, Mapping[str, Any]], object]] = []
        self.before: list[Callable[[Request], object]] = []
        self.after: list[Callable[[], object]] = []
        self._answer = answer
        self._read, self._write = _copies(self._model.service_name, translations, checks)
        self._requests = 0

    def call(self, name: str, given: Mapping[str, Any]) -> Answer:
        operation = self._model.operation_model(name)
        for hear in self.asked:
            hear(operation, given)
        params = self._taken(operation, given)
        request = Request(self, operation, params)
        self._requests += 1
        metadata: dict[str, Any] = {
            "RequestId": f"00000000-0000-4000-8000-{self._requests:012x}",
            "HTTPStatusCode": int(operation.http.get("responseCode", 200)),
            "HTTPHeaders": {},
            "RetryAttempts": 0,
            # Which botocore says of every answer where it would try nothing again.
            "MaxAttemptsReached": True,
        }
        try:
            for tell in self.before:
                tell(request)
            answer = self._answer(operation, params, functools.partial(self._given, operation, metadata))
        except AwsError as error:
            self._end()
            self._refuse(operation, error, metadata)
        except Exception:
            self._end()
            raise
        self._end()
        return answer

    def _end(self) -> None:
        for tell in self.after:
            tell()

    def _taken(self, operation: OperationModel, given: Mapping[str, Any]) -> Params:
        shape = operation.input_shape
        if shape is None:
            return {}
        params = dict(given)
        for name in operation.idempotent_members:
            params.setdefault(name, str(uuid.uuid4()))
        try:
            taken: Params = self._read.of(shape)(params)
        except Unfit:
            # botocore says what is wrong, with its own words.
            report = ParamValidator().validate(params, shape)
            if report.has_errors():
                raise ParamValidationError(report=report.generate_report()) from None
            raise AssertionError(f"botocore takes what is refused here: {operation.name} {params}") from None
        return taken

    def _given(self, operation: OperationModel, metadata: dict[str, Any], answer: Answer) -> Answer:
        shape = operation.output_shape
        if shape is None:
            assert not answer, f"{operation.name} answers nothing on AWS"
            return {"ResponseMetadata": metadata}
        written: Answer = self._write.of(shape)(answer)
        for name in written:
            if shape.members[name].serialization.get("location") == "statusCode":
                metadata["HTTPStatusCode"] = int(written[name])
        return {"ResponseMetadata": metadata, **written}

    def _refuse(self, operation: OperationModel, error: AwsError, metadata: dict[str, Any]) -> NoReturn:
        metadata["HTTPStatusCode"] = error.status
        members: Answer = {}
        for shape in operation.service_model.error_shapes:
            if isinstance(shape, StructureShape) and shape.error_code == error.code:
                offered = {**error.members, "message": error.message, "Message": error.message, "Reason": error.reason}
                offered["Type"] = "User" if error.status < 500 else "Service"
                # What an error shows travels as it is, also to a client of plain values.
                written = _copies(self._model.service_name, NOTHING, False)[1].of(shape)
                members = written({name: offered[name] for name in shape.members if offered.get(name) is not None})
        told: Any = {"Error": {"Message": error.message, "Code": error.code}, "ResponseMetadata": metadata, **members}
        raising: type[ClientError] = self._exceptions.from_code(error.code)
        raise raising(told, operation.name)


def direct_client(
    service: str,
    region: str,
    config: Config | None,
    answer: Serve,
    translations: Translations = NOTHING,
) -> Any:
    """A client of a fake. ``translations``: of the values of some shapes, on their ways there and back."""
    config = config or NO_RETRIES
    known = _client(service, region, config)
    # Making a client takes longer than anything that a test does with it; a copy shares all but what it is asked. Not by
    # copy.copy: a client that has no member yet looks for each among its events.
    client: Any = object.__new__(type(known))
    vars(client).update(vars(known))
    meta, deaf = known.meta, _NoEvents()
    client.meta = ClientMeta(
        cast("BaseEventHooks", deaf),
        meta.config,
        meta.endpoint_url,
        meta.service_model,
        meta.method_to_api_mapping,
        meta.partition,
    )
    # What a client says its configuration is has no word of this one.
    line = Line(client, answer, translations, checks=getattr(config, "parameter_validation", True))
    client._make_api_call = line.call
    client.line = line
    return client


def line_of(client: BaseClient) -> Line | None:
    """What a direct client is tapped by; None for any other client."""
    line: Line | None = vars(client).get("line")
    return line


@functools.cache
def _copies(_service: str, translations: Translations, checks: bool) -> tuple[Reading, Writing]:
    """Shapes of two services may have the same name."""
    return Reading(translations.reading, checks=checks), Writing(translations.writing)


@functools.lru_cache(maxsize=64)
def _client(service: str, region: str, config: Config) -> Any:
    retries: Mapping[str, Any] = getattr(config, "retries", None) or {}
    if retries.get("total_max_attempts") != 1:
        raise NotImplementedError("a client without HTTP retries nothing")
    # mypy wants one of boto3's own names of services, each with a type of its own.
    make: Any = boto3.client
    return make(
        service,
        region_name=region,
        aws_access_key_id="fake",
        aws_secret_access_key="fake",
        endpoint_url=f"https://{service}.fake",
        config=config,
    )


class _NoEvents:
    """Whoever registered with a direct client's events would never hear of anything."""

    def __getattr__(self, name: str) -> NoReturn:
        raise NotImplementedError(f"a client without HTTP has no events ({name}): tap its line")
