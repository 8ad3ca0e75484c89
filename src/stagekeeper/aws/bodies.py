"""Requests and plans as bodies in the artifact bucket, both ways. Each carries the schema version it was written with."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter, ValidationError

from stagekeeper.aws.artifacts import Artifacts
from stagekeeper.aws.table import SCHEMA, MalformedItem
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.plan import Plan
from stagekeeper.domain.record import OperationRecord
from stagekeeper.domain.request import (
    CloneRequest,
    ConfigureRequest,
    DeployRequest,
    Request,
    ResetRequest,
    RollbackRequest,
    VerifyRequest,
)

_PLAN: TypeAdapter[Plan] = TypeAdapter(Plan)
_REQUESTS: dict[OperationKind, TypeAdapter[Any]] = {
    OperationKind.DEPLOY: TypeAdapter(DeployRequest),
    OperationKind.ROLLBACK: TypeAdapter(RollbackRequest),
    OperationKind.RESET: TypeAdapter(ResetRequest),
    OperationKind.CLONE: TypeAdapter(CloneRequest),
    OperationKind.CONFIGURE: TypeAdapter(ConfigureRequest),
    OperationKind.VERIFY: TypeAdapter(VerifyRequest),
}


class Bodies:
    """Raises CallFailed when S3 does not answer and MalformedItem when a body is not what was written."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts

    def put_request(self, kind: OperationKind, request: Request) -> str:
        """The key the request lies under. The same request has the same key."""
        return self._put("requests", _REQUESTS[kind], request)

    def request_of(self, record: OperationRecord) -> Request:
        return self._get(record.request_key, _REQUESTS[record.kind])  # type: ignore[no-any-return]  # the adapter of its kind

    def put_plan(self, plan: Plan) -> str:
        return self._put("plans", _PLAN, plan)

    def plan_of(self, record: OperationRecord) -> Plan:
        if record.plan_key is None:
            raise MalformedItem(f"operation {record.operation_id} is {record.status} but has no plan on record")
        return self._get(record.plan_key, _PLAN)  # type: ignore[no-any-return]  # the plan's adapter

    def _put(self, prefix: str, adapter: TypeAdapter[Any], value: object) -> str:
        body = {"schema": SCHEMA, "body": adapter.dump_python(value, mode="json")}
        return self._artifacts.put_body(prefix, json.dumps(body, sort_keys=True).encode()).key

    def _get(self, key: str, adapter: TypeAdapter[Any]) -> Any:
        body = json.loads(self._artifacts.get_body(key))
        if body.get("schema") != SCHEMA:
            raise MalformedItem(f"{key} has schema {body.get('schema')!r}, this version of Stagekeeper reads {SCHEMA}")
        try:
            # From JSON text, since only there a list may stand for a tuple in strict mode.
            return adapter.validate_json(json.dumps(body["body"]), strict=True)
        except ValidationError as error:
            # Without its cause: pydantic's own message repeats what is wrong, and requests hold environment values.
            raise MalformedItem(f"{key} is damaged: {error.error_count()} fields are not as written") from None
