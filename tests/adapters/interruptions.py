"""Answers of AWS that no double gives by itself: errors, none at all, or one made up by the test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import ClientError

Act = Callable[[], object]


def client_error(code: str, status: int = 400, **more: Any) -> ClientError:
    answer = {"Error": {"Code": code, "Message": "asked for by the test"}, "ResponseMetadata": {"HTTPStatusCode": status}, **more}
    return ClientError(answer, "Faked")  # type: ignore[arg-type]  # the stub wants every member of the metadata


class Requests:
    """Counts an operation's requests of a client, and raises on as many of the next ones as there are ``errors``."""

    def __init__(self, client: BaseClient, operation: str, *errors: Exception) -> None:
        self.count = 0
        self._errors = list(errors)
        service = client.meta.service_model.service_id.hyphenize()
        before: Callable[..., Any] = self._before
        client.meta.events.register_first(f"before-send.{service}.{operation}", before)

    def _before(self, **_: Any) -> None:
        self.count += 1
        if self._errors:
            raise self._errors.pop(0)
