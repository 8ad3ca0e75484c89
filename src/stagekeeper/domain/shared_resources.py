"""Whether what a change set would do to shared resources may be done: nobody takes away what another stage needs.

Must not know how changes are found out, nor what becomes of an operation that may not make them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from stagekeeper.domain.model import LogicalName, StageName
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.domain.stack_work import ResourceChange

#: A stack of its own (AWS::Serverless::Application as well): a change set does not say what becomes of what is in it.
NESTED = "AWS::CloudFormation::Stack"


def forbidden(
    changes: Iterable[ResourceChange],
    needed: Mapping[str, tuple[StageName, ...]],
    allowed: frozenset[str],
    served_functions: Mapping[LogicalName, tuple[StageName, ...]],
) -> Refusal | None:
    """Why the changes may not be made: they take away, or replace, what others need.

    ``needed``: the stages, other than the operation's own, whose release declares a resource. ``allowed``: what the request lets
    go by name; a function that a stage serves is never among it, since its versions and aliases would go with it.
    """
    found: list[tuple[ResourceChange, tuple[StageName, ...]]] = []
    for change in changes:
        served = served_functions.get(LogicalName(change.logical_id), ())
        stages = served or (needed.get(change.logical_id, ()) if change.logical_id not in allowed else ())
        if stages and _takes_away(change):
            found.append((change, stages))
    if not found:
        return None
    functions = [change.logical_id for change, _ in found if LogicalName(change.logical_id) in served_functions]
    others = [change.logical_id for change, _ in found if change.logical_id not in functions]
    told = "; ".join(f"{_would(change)}, which {_listed(stages)} {_need(stages)}" for change, stages in found)
    advice = f" Keep it as those stages have it, or allow it by name: allow_shared: [{', '.join(others)}]." if others else ""
    if functions:
        named = ", ".join(functions)
        advice += f" A function that a stage serves ({named}) stays as long as it does: give a new one another logical id."
    blockers = tuple(f"{change.logical_id} ({change.type}): {', '.join(stages)}" for change, stages in found)
    return Refusal(Code.SHARED_RESOURCE_IN_USE, f"The change {told}.{advice}", blockers)


def _takes_away(change: ResourceChange) -> bool:
    """What is not known to leave the resource as it is counts as taking it away."""
    match change.action:
        case "Add":
            return False
        case "Modify" | "SyncWithActual" if change.type == NESTED:
            return True
        case "Modify" | "SyncWithActual":
            return change.replacement != "False"
    return True


def _would(change: ResourceChange) -> str:
    match change.action, change.replacement:
        case "Remove", _:
            return f"would remove {change.logical_id} ({change.type})"
        case "Modify" | "SyncWithActual", _ if change.type == NESTED:
            return f"might take away what is in {change.logical_id} ({change.type})"
        case "Modify" | "SyncWithActual", "True":
            return f"would replace {change.logical_id} ({change.type}){_because(change)}"
        case "Modify" | "SyncWithActual", _:
            return f"might replace {change.logical_id} ({change.type}){_because(change)}"
    return f"would do {change.action} to {change.logical_id} ({change.type})"


def _because(change: ResourceChange) -> str:
    return f" for its new {', '.join(change.properties)}" if change.properties else ""


def _listed(stages: Sequence[StageName]) -> str:
    return f"stage {stages[0]}" if len(stages) == 1 else f"stages {', '.join(stages)}"


def _need(stages: Sequence[StageName]) -> str:
    return "needs" if len(stages) == 1 else "need"
