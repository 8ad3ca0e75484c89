"""`stagekeeper operations`: the executions of the state machine, newest first, for whoever lost an operation's id.

Asks Step Functions alone, and for no execution's input: that holds environment values. Must not know the record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console, Group, RenderableType
from rich.text import Text

from stagekeeper.aws.clock import iso
from stagekeeper.aws.errors import CallFailed, error_code, translated
from stagekeeper.cli.paper import for_how_long, lay, lines, local, table

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

Status = Literal["ABORTED", "FAILED", "PENDING_REDRIVE", "RUNNING", "SUCCEEDED", "TIMED_OUT"]

_DENIED = ("AccessDenied", "AccessDeniedException")


@dataclass(frozen=True, slots=True)
class Listed:
    """An execution. ``began`` and ``ended`` in epoch seconds; ``ended`` is None while it runs."""

    operation_id: str
    status: str
    began: float
    ended: float | None

    def seconds(self, now: float) -> float:
        return (now if self.ended is None else self.ended) - self.began


def read(client: SFNClient, machine_arn: str, status: Status | None, limit: int) -> tuple[list[Listed], bool]:
    """The newest, and whether there are older ones. Raises CallFailed."""
    doing = "listing the executions of the state machine"
    asked: Any = {"stateMachineArn": machine_arn} | ({} if status is None else {"statusFilter": status})
    try:
        pages = client.get_paginator("list_executions").paginate(**asked, PaginationConfig={"PageSize": min(limit + 1, 1000)})
        found = list(islice((each for page in pages for each in page["executions"]), limit + 1))
    except (ClientError, BotoCoreError) as error:
        if isinstance(error, ClientError) and error_code(error) in _DENIED:
            # Without its cause: of that the general sentence would say that OperatorPolicyArn has it, which is not so.
            why = (
                f"AWS does not allow it ({error_code(error)}). It needs states:ListExecutions, which OperatorPolicyArn leaves out"
            )
            raise CallFailed(doing, why) from None
        raise translated(doing, error) from error
    return [
        Listed(
            each["name"],
            each["status"].lower(),
            each["startDate"].timestamp(),
            each["stopDate"].timestamp() if each.get("stopDate") else None,
        )
        for each in found[:limit]
    ], len(found) > limit


def as_json(found: Sequence[Listed], more: bool, now: float) -> Mapping[str, Any]:
    return {
        "operations": [
            {
                "operation_id": each.operation_id,
                "status": each.status,
                "began_at": iso(each.began),
                "ended_at": None if each.ended is None else iso(each.ended),
                "seconds": round(each.seconds(now), 1),
            }
            for each in found
        ],
        "more": more,
    }


def show(found: Sequence[Listed], more: bool, now: float, console: Console) -> None:
    """Print it: times are those of the clock here."""
    lay(console, lambda width: render(found, more, now, width))


def render(found: Sequence[Listed], more: bool, now: float, width: int | None) -> RenderableType:
    """In a terminal an id has a line of its own, since it is there to be copied."""
    if not found:
        return Text("There are no such operations.")
    older = [Text(f"There are older ones: --limit {2 * len(found)} shows more.", style="dim")] if more else []
    if width is None:
        laid = table("when", "status", "took", "operation")
        for each in found:
            laid.add_row(local(each.began), each.status, for_how_long(each.seconds(now)), each.operation_id)
        return Group(laid, *older)
    told = [
        lines(
            Text.assemble(
                f"{local(each.began)}  ",
                (f"{each.status:<9}", _STYLES.get(each.status, "")),
                f"  {for_how_long(each.seconds(now))}",
            ),
            f"  {each.operation_id}",
            width=width,
        )
        for each in found
    ]
    return Group(*told, *older)


_STYLES = {"running": "cyan", "succeeded": "green", "failed": "red", "aborted": "yellow", "timed_out": "yellow"}
