"""Requests to begin from, and what the parser makes of them. For test_request.py and test_request_functions.py."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

from stagekeeper.domain.facts import Absent, Unreadable
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.domain.request import DocumentRef
from stagekeeper.handlers.request import parse

SECRET = "hunter2-is-the-value"
DIGEST = hashlib.sha256(b"code").digest()
BASE64 = base64.b64encode(DIGEST).decode()

API: dict[str, Any] = {"function_name": "orders-api"}
DEPLOY: dict[str, Any] = {"operation": "deploy", "service": "orders", "stage": "dev", "functions": {"api": API}}
ROLLBACK: dict[str, Any] = {"operation": "rollback", "service": "orders", "stage": "dev"}


def no_document(reference: DocumentRef) -> bytes | Absent | Unreadable:
    raise AssertionError(f"{reference} was read although the request holds its functions")


def taken(raw: object, read: Callable[[DocumentRef], bytes | Absent | Unreadable] = no_document) -> Any:
    request = parse(raw, read)
    assert not isinstance(request, Refusal), request.message
    return request


def invalid(raw: object, read: Callable[[DocumentRef], bytes | Absent | Unreadable] = no_document) -> str:
    """The sentence of the InvalidRequest that ``raw`` gets."""
    refusal = parse(raw, read)
    assert isinstance(refusal, Refusal), refusal
    assert refusal.code is Code.INVALID_REQUEST
    assert refusal.blockers
    return refusal.message


def function(**fields: Any) -> dict[str, Any]:
    return {**DEPLOY, "functions": {"api": {**API, **fields}}}


def code(**fields: Any) -> dict[str, Any]:
    return function(code={"s3_bucket": "artifacts", "s3_key": "api.zip", **fields})


def configuration(**members: Any) -> dict[str, Any]:
    return function(configuration=members)


DOCUMENT = {**DEPLOY, "functions": {"s3_bucket": "artifacts", "s3_key": "functions.json"}}
PLACE = "s3://artifacts/functions.json"


def holding(body: bytes | Absent | Unreadable) -> Callable[[DocumentRef], bytes | Absent | Unreadable]:
    def read(reference: DocumentRef) -> bytes | Absent | Unreadable:
        assert reference == DocumentRef("artifacts", "functions.json")
        return body

    return read
