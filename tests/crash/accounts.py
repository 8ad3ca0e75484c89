"""What an account looks like to those who fear for it, and what must hold of it after anything that happened.

Read from AWS's and the table's side, with none of the product's own decisions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.unit.engine.execution import Execution
from tests.unit.engine.world import SERVICE, World, lambda_name

_Items = dict[tuple[str, str], dict[str, Any]]
_STAGES = ("prod", "qa", "dev")
#: Their aliases are there before any record of them.
_BY_HAND = ("old", "older")
_ENDED_WELL = ("committed", "ended", "unchanged")
_CAME_TO_NOTHING = ("refused", "compensated")


@dataclass(frozen=True)
class Account:
    """``stages``: name -> (release, {function: code that its alias serves}, settings); a stage that is gone is not in it.
    ``versions``: function -> the numbers of its versions on AWS; ``lines``: the ledger's, by stage and number."""

    stages: dict[str, tuple[int | None, dict[str, str], bool]]
    versions: dict[str, frozenset[str]]
    lines: tuple[tuple[str, int, str], ...]


def look(world: World) -> Account:
    return _look(world, world.items())


def _look(world: World, items: _Items) -> Account:
    stages: dict[str, tuple[int | None, dict[str, str], bool]] = {}
    for name in (*_STAGES, *_BY_HAND):
        stage = items.get((f"SERVICE#{SERVICE}", f"STAGE#{name}"))
        aliases = world.aliases(name)
        if stage is None:
            assert aliases == {} or name in _BY_HAND, f"stage {name} is not on record and has aliases"
            continue
        recorded = {alias["function"]: str(alias["version"]) for alias in stage["functions"].values()}
        assert recorded == aliases, f"the record of stage {name} and AWS do not agree"
        assert not stage["mixed"], f"stage {name} is mixed"
        assert not stage["tearing_down"], f"stage {name} is half torn down"
        stages[name] = (stage["release"], world.code(name), stage["protected"])
    return Account(stages, _versions(world), _lines(items))


def _versions(world: World) -> dict[str, frozenset[str]]:
    return {name: frozenset(world.fake.versions(lambda_name(name))) for name in world.names}


def _lines(items: _Items) -> tuple[tuple[str, int, str], ...]:
    found = [
        (str(item["stage"]), int(item["number"]), str(item["operation_id"]))
        for (pk, sk), item in items.items()
        if pk == f"SERVICE#{SERVICE}" and sk.startswith("MOVEMENT#")
    ]
    return tuple(sorted(found))


def check(execution: Execution, before: Account, wanted: Account) -> str:
    """What must hold of an account once an operation is over, however that came about; how the operation ended."""
    world = execution.world
    items = world.items()
    record = items.get((f"OPERATION#{execution.name}", "OPERATION"))
    status = "never begun" if record is None else str(record["status"])
    if record is not None:
        assert "ended_at" in record, f"the operation is {status} and has not ended"
    lock = items.get((f"SERVICE#{SERVICE}", "LOCK"), {"holders": {}, "queue": []})
    assert lock["holders"] == {}, "somebody still holds the lock"
    assert lock["queue"] == [], "somebody still waits for the lock"
    after = _look(world, items)
    _check_end(execution, record, status)
    assert status != "needs-attention", record
    done = status in _ENDED_WELL
    assert after.stages == (wanted.stages if done else before.stages), f"it is {status}, and the stages are not"
    assert after.lines == (wanted.lines if done else before.lines), f"it is {status}, and the ledger is not"
    _check_versions(items, before, after, wanted, world, done=done)
    return status


def _check_end(execution: Execution, record: dict[str, Any] | None, status: str) -> None:
    """An execution that told its end told what is on record."""
    if record is None or execution.error == "ABORTED":
        return
    end = record["end"]
    assert execution.error == end.get("error"), f"it is {status} and its execution says {execution.error}"
    assert execution.output is None or execution.output["outcome"] == end["output"]["outcome"]


def _check_versions(items: _Items, before: Account, after: Account, wanted: Account, world: World, *, done: bool) -> None:
    for name, numbers in after.versions.items():
        gone = before.versions[name] - numbers
        allowed = before.versions[name] - wanted.versions[name]
        assert gone <= allowed if done else not gone, f"of {name} versions {sorted(gone)} were deleted"
        pk = f"FUNCTION#{world.arn(name)}"
        for number in numbers - before.versions[name]:
            version = items.get((pk, f"VERSION#{int(number):08d}"))
            assert version is not None, f"version {number} of {name} was published and is on no record"
