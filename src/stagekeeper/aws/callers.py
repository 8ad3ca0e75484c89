"""Who calls a function without an alias: its unqualified resource policy and its unqualified event source mappings.

Must not judge whether that is acceptable.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from stagekeeper.aws.clock import Clock
from stagekeeper.aws.errors import error_code, spelled
from stagekeeper.aws.pace import SHARED_PER_SECOND, Pace
from stagekeeper.domain.facts import Unreadable
from stagekeeper.domain.model import FunctionArn

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


class UnqualifiedCallers:
    """GetPolicy has a budget of its own (15/s); the Region's mappings are listed once, 100 a call, and matched here."""

    def __init__(self, client: LambdaClient, clock: Clock) -> None:
        self._client = client
        self._pace = Pace(clock, SHARED_PER_SECOND)

    def of(self, arns: Iterable[FunctionArn]) -> dict[FunctionArn, tuple[str, ...] | Unreadable]:
        """For each function what calls it unqualified, in words; Unreadable where that could not be found out."""
        wanted = list(arns)
        if not wanted:
            return {}
        mappings = self._mappings()
        if isinstance(mappings, Unreadable):
            return dict.fromkeys(wanted, mappings)
        callers: dict[FunctionArn, tuple[str, ...] | Unreadable] = {}
        for arn in wanted:
            policy = self._policy(arn)
            callers[arn] = policy if isinstance(policy, Unreadable) else (*policy, *mappings.get(arn, ()))
        return callers

    def _policy(self, arn: FunctionArn) -> tuple[str, ...] | Unreadable:
        self._pace.wait()
        try:
            policy = json.loads(self._client.get_policy(FunctionName=arn)["Policy"])
        except ClientError as error:
            return () if error_code(error) == "ResourceNotFoundException" else Unreadable(f"the policy of {arn}", spelled(error))
        except BotoCoreError as error:
            return Unreadable(f"the policy of {arn}", spelled(error))
        allowed = [statement for statement in policy["Statement"] if statement["Effect"] == "Allow"]
        return tuple(f"permission {statement.get('Sid', '?')} ({_principal(statement['Principal'])})" for statement in allowed)

    def _mappings(self) -> dict[FunctionArn, list[str]] | Unreadable:
        found: dict[FunctionArn, list[str]] = {}
        try:
            for page in self._client.get_paginator("list_event_source_mappings").paginate():
                for mapping in page["EventSourceMappings"]:
                    source = mapping.get("EventSourceArn", "self-managed source")
                    caller = f"event source mapping {mapping['UUID']} ({source})"
                    found.setdefault(FunctionArn(mapping["FunctionArn"]), []).append(caller)
        except (ClientError, BotoCoreError) as error:
            return Unreadable("the event source mappings of the Region", spelled(error))
        return found


def _principal(principal: Any) -> str:
    """A policy spells a principal as a string or as a map of kinds."""
    return str(principal) if isinstance(principal, str) else ", ".join(str(value) for value in principal.values())
