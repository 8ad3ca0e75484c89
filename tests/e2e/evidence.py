"""Everything an operation could have changed, before and after: the whole table, the bucket, and functions on AWS."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from .plane import ControlPlane, Ended


@dataclass(frozen=True)
class Evidence:
    """Named things and their state."""

    things: dict[str, Any]

    def differs_from(self, before: Evidence) -> set[str]:
        """The names of what was made, changed or removed since."""
        names = self.things.keys() | before.things.keys()
        return {name for name in names if self.things.get(name) != before.things.get(name)}


def look(plane: ControlPlane, functions: Iterable[str] = ()) -> Evidence:
    """The whole table, the whole bucket, and all aliases, versions and $LATEST of ``functions``."""
    things: dict[str, Any] = {f"item {pk} / {sk}": item for (pk, sk), item in plane.whole_table().items()}
    things |= {f"object {key}": etag for key, etag in plane.objects().items()}
    for function in functions:
        things[f"function {function}"] = _function(plane, function)
    return Evidence(things)


def _function(plane: ControlPlane, function: str) -> Any:
    lambda_ = plane.client("lambda")
    try:
        latest = lambda_.get_function(FunctionName=function)["Configuration"]
    except ClientError as error:
        assert error.response["Error"]["Code"] == "ResourceNotFoundException"
        return None
    return {
        "latest": (latest["RevisionId"], latest["CodeSha256"]),
        "versions": [version["Version"] for version in lambda_.list_versions_by_function(FunctionName=function)["Versions"]],
        "aliases": lambda_.list_aliases(FunctionName=function)["Aliases"],
    }


def changed_by_refusal(before: Evidence, after: Evidence, refused: Ended, service: str) -> set[str]:
    """What changed beside what a refusal may leave: its own record (with the request it was about), the lock's counters, and
    what objects hashed to, which is a cache."""
    own = {f"item OPERATION#{refused.operation_id} / OPERATION", f"item SERVICE#{service} / LOCK"}
    return {
        name for name in after.differs_from(before) if name not in own and not name.startswith(("item OBJECT#", "object requests/"))
    }
