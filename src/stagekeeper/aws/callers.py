"""What calls a function, or a version or alias of it: resource policies and event source mappings, in words.

Must not judge whether that is acceptable.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from stagekeeper.aws.clock import Clock
from stagekeeper.aws.errors import error_code, spelled
from stagekeeper.aws.pace import SHARED_PER_SECOND, Pace
from stagekeeper.domain.facts import Unreadable
from stagekeeper.domain.model import FunctionArn

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

#: By the ARN they call, with its qualifier if it has one: every event source mapping of the Region, in words.
Mappings = Mapping[str, list[str]]


class Callers:
    """GetPolicy has a budget of its own (15/s); the Region's mappings are listed once, 100 a call, and matched by their ARN."""

    def __init__(self, client: LambdaClient, clock: Clock) -> None:
        self._client = client
        self._pace = Pace(clock, SHARED_PER_SECOND)

    def unqualified(self, arns: Iterable[FunctionArn]) -> dict[FunctionArn, tuple[str, ...] | Unreadable]:
        """For each function what calls it without an alias; Unreadable where that could not be found out."""
        wanted = list(arns)
        if not wanted:
            return {}
        mappings = self.mappings()
        if isinstance(mappings, Unreadable):
            return dict.fromkeys(wanted, mappings)
        callers: dict[FunctionArn, tuple[str, ...] | Unreadable] = {}
        for arn in wanted:
            policy = self.permitted(arn)
            callers[arn] = policy if isinstance(policy, Unreadable) else (*policy, *mappings.get(arn, ()))
        return callers

    def permitted(self, arn: FunctionArn, qualifier: str | None = None) -> tuple[str, ...] | Unreadable:
        """Whom the resource policy of a function, or of one version or alias of it, lets in."""
        what = f"the policy of {arn}" + ("" if qualifier is None else f":{qualifier}")
        named: dict[str, str] = {"FunctionName": arn} if qualifier is None else {"FunctionName": arn, "Qualifier": qualifier}
        self._pace.wait()
        try:
            policy = json.loads(self._client.get_policy(**named)["Policy"])
        except ClientError as error:
            return () if error_code(error) == "ResourceNotFoundException" else Unreadable(what, spelled(error))
        except BotoCoreError as error:
            return Unreadable(what, spelled(error))
        allowed = [statement for statement in policy["Statement"] if statement["Effect"] == "Allow"]
        return tuple(f"permission {statement.get('Sid', '?')} ({_principal(statement['Principal'])})" for statement in allowed)

    def mappings(self) -> Mappings | Unreadable:
        """Every event source mapping of the Region, whatever became of its function: they outlive functions and aliases."""
        found: dict[str, list[str]] = {}
        try:
            for page in self._client.get_paginator("list_event_source_mappings").paginate():
                for mapping in page["EventSourceMappings"]:
                    source = mapping.get("EventSourceArn", "self-managed source")
                    found.setdefault(mapping["FunctionArn"], []).append(f"event source mapping {mapping['UUID']} ({source})")
        except (ClientError, BotoCoreError) as error:
            return Unreadable("the event source mappings of the Region", spelled(error))
        return found


def _principal(principal: Any) -> str:
    """A policy spells a principal as a string or as a map of kinds."""
    return str(principal) if isinstance(principal, str) else ", ".join(str(value) for value in principal.values())
