"""A call of a stage's function: what it is called with, how patient the client is, and what is said of the answer."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.model import OperationModel
from rich.console import Console
from rich.text import Text
from urllib3 import HTTPResponse

from stagekeeper.aws.errors import Throttled
from stagekeeper.cli.endings import CommandFailed
from stagekeeper.cli.invoking import Answer, Call, as_json, invoke, invoking_client, payload_of, show, tail_of, verdict
from stagekeeper.domain.model import LogicalName, StageName
from tests.adapters.clock import Clock
from tests.fake import FakeClock
from tests.fake.wire import client_of

from .books import arn

CALL = Call(LogicalName("Api"), arn("Api"), StageName("prod"), b"{}")
EVENT = Call(LogicalName("Api"), arn("Api"), StageName("prod"), b"{}", waits=False)


def answer(payload: bytes = b'{"ok": true}', error: str | None = None, version: str | None = "13", **more: Any) -> Answer:
    return Answer(
        **{"status": 200, "log_tail": None, "seconds": 0.123, **more}, version=version, payload=payload, function_error=error
    )


# What it is called with.


def test_without_a_payload_it_is_called_with_an_empty_object() -> None:
    assert payload_of(None, None, io.BytesIO()) == b"{}"


@pytest.mark.parametrize("text", ['{"a": 1}', "[1]", "7", '"text"', "null"])
def test_any_json_may_be_given(text: str) -> None:
    assert payload_of(text, None, io.BytesIO()) == text.encode()


def test_a_file_is_sent_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_bytes('{ "name":\n "é" }'.encode())

    assert payload_of(None, str(file), io.BytesIO()) == file.read_bytes()


def test_a_hyphen_is_standard_input() -> None:
    assert payload_of(None, "-", io.BytesIO(b'{"a": 1}')) == b'{"a": 1}'


@pytest.mark.parametrize("text", ["{a: 1}", "hello", "", "{"])
def test_what_is_no_json_is_refused_before_anything_is_called(text: str) -> None:
    with pytest.raises(CommandFailed, match="The payload is no JSON: "):
        payload_of(text, None, io.BytesIO())


def test_bytes_that_are_no_text_are_no_json() -> None:
    with pytest.raises(CommandFailed, match="The payload is no JSON: "):
        payload_of(None, "-", io.BytesIO(b'"\xff\xfe"'))


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "none.json", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(CommandFailed, match=f"{path}: {why}"):
            payload_of(None, str(path), io.BytesIO())


# The call.


def test_the_client_waits_for_the_longest_function_and_never_calls_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"AWS_DEFAULT_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}.items():
        monkeypatch.setenv(name, value)

    config: Any = invoking_client().meta.config

    assert config.read_timeout > 15 * 60
    assert config.retries["total_max_attempts"] == 1
    assert config.tcp_keepalive


class FakeInvoke:
    """Lambda's Invoke, that answers once; what it was asked is in ``asked``."""

    def __init__(self, status: int = 200, body: bytes = b"{}", **headers: str) -> None:
        self.status, self.body = status, body
        self.headers = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
        self.asked: AWSPreparedRequest

    def client(self) -> Any:
        return client_of("lambda", "eu-central-1", None, self._answer)

    def _answer(self, _operation: OperationModel, request: AWSPreparedRequest) -> AWSResponse:
        self.asked = request
        raw = HTTPResponse(body=io.BytesIO(self.body), headers=self.headers, status=self.status, preload_content=False)
        return AWSResponse(str(request.url), self.status, HTTPHeaders.from_dict(self.headers), raw)


def called(fake: FakeInvoke, call: Call = CALL) -> Answer:
    return invoke(fake.client(), call, Clock(FakeClock()))


def test_it_is_called_through_the_stages_alias() -> None:
    fake = FakeInvoke(body=b"7", X_Amz_Executed_Version="13", X_Amz_Log_Result="aGVsbG8=")

    found = called(fake)

    assert str(fake.asked.url).endswith(
        "/functions/arn%3Aaws%3Alambda%3Aeu-central-1%3A123456789012%3Afunction%3Aorders-api/invocations?Qualifier=prod"
    )
    assert (found.status, found.version, found.payload, found.log_tail) == (200, "13", b"7", "hello")
    assert found.function_error is None


def test_a_call_that_nobody_waits_for_asks_for_no_log() -> None:
    fake = FakeInvoke(status=202, body=b"")

    found = called(fake, EVENT)

    headers: dict[str, Any] = {name.lower(): value for name, value in fake.asked.headers.items()}
    assert (headers["x-amz-invocation-type"], headers["x-amz-log-type"]) == (b"Event", b"None")
    assert (found.status, found.version, found.payload) == (202, None, b"")


def test_a_functions_error_is_an_answer() -> None:
    assert called(FakeInvoke(X_Amz_Function_Error="Unhandled")).function_error == "Unhandled"


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        (404, "ResourceNotFoundException", "AWS has no alias prod on arn:aws:lambda"),
        (403, "AccessDeniedException", "the permission lambda:InvokeFunction on it is missing"),
    ],
)
def test_what_aws_refuses_says_what_to_do(status: int, code: str, sentence: str) -> None:
    with pytest.raises(CommandFailed, match=sentence):
        called(FakeInvoke(status, b'{"Message": "no"}', X_Amzn_ErrorType=code))


def test_a_throttle_is_one() -> None:
    with pytest.raises(Throttled, match="calling Api of stage prod"):
        called(FakeInvoke(429, b'{"message": "slow"}', X_Amzn_ErrorType="TooManyRequestsException"))


# What is shown.


def shown(found: Answer, terminal: bool = False) -> str:
    file = io.StringIO()
    show(found, Console(file=file, force_terminal=terminal, width=80, _environ={"TERM": "xterm-256color"}))
    return file.getvalue()


@pytest.mark.parametrize(
    ("payload", "text"),
    [(b'{"a":1}', '{"a":1}\n'), (b"plain", "plain\n"), (b'"x"\n', '"x"\n'), (b"", ""), ("é".encode(), "é\n")],
)
def test_in_a_pipe_the_payload_comes_as_it_is(payload: bytes, text: str) -> None:
    assert shown(answer(payload)) == text


def test_in_a_terminal_json_is_laid_out_and_coloured() -> None:
    found = shown(answer(b'{"a":{"b":1}}'), terminal=True)

    assert Text.from_ansi(found).plain == '{\n  "a": {\n    "b": 1\n  }\n}\n'
    assert "\x1b[" in found


def test_in_a_terminal_other_payloads_are_not_obeyed() -> None:
    assert shown(answer(b"\x1b[2Jgone"), terminal=True) == "\\x1b[2Jgone\n"


LOGS = "stagekeeper logs --stage prod --function Api"


@pytest.mark.parametrize(
    ("call", "found", "said"),
    [
        (CALL, answer(), "Api of stage prod, version 13, answered in 0.12 s."),
        (CALL, answer(version=None), "Api of stage prod answered in 0.12 s."),
        (
            CALL,
            answer(b'{"errorType": "ValueError", "errorMessage": "no such order.\\nreally"}', "Unhandled"),
            "Api of stage prod, version 13, failed after 0.12 s (Unhandled): ValueError: no such order. "
            "Its log: `stagekeeper logs --stage prod --function Api`",
        ),
        (
            CALL,
            answer(b'"oops"', "Handled"),
            "Api of stage prod, version 13, failed after 0.12 s (Handled). "
            "Its log: `stagekeeper logs --stage prod --function Api`",
        ),
        (
            EVENT,
            answer(b"", version=None, status=202),
            "Api of stage prod was called; nobody waits for its answer. Its log: `stagekeeper logs --stage prod --function Api`",
        ),
    ],
    ids=["an answer", "no version", "an error", "an error of another form", "not waited for"],
)
def test_what_is_told_beside_the_payload(call: Call, found: Answer, said: str) -> None:
    assert verdict(call, found, LOGS) == said


@pytest.mark.parametrize(("log", "text"), [("one\n\x1b[2Jtwo\n", "one\n\\x1b[2Jtwo"), (None, None), ("", None)])
def test_the_end_of_the_log_is_not_obeyed_either(log: str | None, text: str | None) -> None:
    assert tail_of(answer(log_tail=log)) == text


def test_nor_is_the_error() -> None:
    assert "\x1b" not in verdict(CALL, answer(b'{"errorMessage": "\\u001b[2J"}', "Unhandled"), LOGS)


@pytest.mark.parametrize(("payload", "value"), [(b'{"a": 1}', {"a": 1}), (b"plain", "plain"), (b"null", None), (b"", None)])
def test_as_json_the_payload_is_what_it_is(payload: bytes, value: Any) -> None:
    assert as_json(CALL, answer(payload), tail=False)["payload"] == value


def test_as_json_everything_is_there() -> None:
    found = as_json(CALL, answer(b"1", "Unhandled", log_tail="log"), tail=True)

    assert json.loads(json.dumps(found)) == {
        "function": "Api",
        "stage": "prod",
        "status": 200,
        "executed_version": "13",
        "duration_ms": 123,
        "payload": 1,
        "function_error": "Unhandled",
        "log_tail": "log",
    }
    assert as_json(CALL, answer(log_tail="log"), tail=False)["log_tail"] is None
