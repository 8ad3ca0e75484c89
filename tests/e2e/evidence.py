"""What an operation could have changed, before and after: items of the table, objects of the bucket, functions on AWS."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .plane import ControlPlane, Ended
from .service import Service


@dataclass(frozen=True)
class Evidence:
    """Named things and their state."""

    things: dict[str, Any]

    def differs_from(self, before: Evidence) -> set[str]:
        """The names of what was made, changed or removed since."""
        names = self.things.keys() | before.things.keys()
        return {name for name in names if self.things.get(name) != before.things.get(name)}


def everything(plane: ControlPlane, functions: Iterable[str] = ()) -> Evidence:
    """The whole table, the whole bucket, and all aliases, versions and $LATEST of ``functions``."""
    things: dict[str, Any] = {f"item {pk} / {sk}": item for (pk, sk), item in plane.whole_table().items()}
    things |= {f"object {key}": etag for key, etag in plane.objects().items()}
    return Evidence(things | _functions(plane, functions))


def look(plane: ControlPlane, service: str, functions: Iterable[str] = ()) -> Evidence:
    """Every item of the service and of its functions, which items there are beside those, and the functions on AWS."""
    names = list(functions)
    things: dict[str, Any] = dict.fromkeys((f"item {pk} / {sk}" for pk, sk in plane.item_keys()), "there")
    for pk in (f"SERVICE#{service}", *(f"FUNCTION#{plane.function_arn(name)}" for name in names)):
        things |= {f"item {pk} / {item['sk']}": item for item in plane.items(pk)}
    return Evidence(things | _functions(plane, names))


def _functions(plane: ControlPlane, functions: Iterable[str]) -> dict[str, Any]:
    return {f"function {function}": _function(plane, function) for function in functions}


def _function(plane: ControlPlane, function: str) -> Any:
    lambda_ = plane.client("lambda")
    try:
        latest = lambda_.get_function(FunctionName=function)["Configuration"]
    except lambda_.exceptions.ResourceNotFoundException:
        return None
    return {
        "latest": (latest["RevisionId"], latest["CodeSha256"]),
        "versions": [version["Version"] for version in lambda_.list_versions_by_function(FunctionName=function)["Versions"]],
        "aliases": lambda_.list_aliases(FunctionName=function)["Aliases"],
    }


def changed_by_refusal(before: Evidence, after: Evidence, refused: Ended, service: str) -> set[str]:
    """What changed beside what a refusal may leave: its own record, the lock's counters, and what objects hashed to, which
    is a cache."""
    own = {f"item OPERATION#{refused.operation_id} / OPERATION", f"item SERVICE#{service} / LOCK"}
    return {name for name in after.differs_from(before) if name not in own and not name.startswith("item OBJECT#")}


def refused(service: Service, request: dict[str, Any], code: str, *named: str) -> Ended:
    """Run a request that is refused with ``code``, naming these things, and see that it changed nothing."""
    before = look(service.plane, request["service"], service.functions.values())

    ended = service.plane.run(request)

    assert (ended.status, ended.error) == ("FAILED", code), ended.cause or ended.output
    assert [name for name in named if name not in ended.told] == []
    after = look(service.plane, request["service"], service.functions.values())
    assert changed_by_refusal(before, after, ended, request["service"]) == set()
    lock = service.plane.item(f"SERVICE#{request['service']}", "LOCK") or {"holders": {}, "queue": []}
    assert (lock["holders"], lock["queue"]) == ({}, [])
    return ended
