"""What an operation costs, counted on the embedded AWS: calls on Lambda's shared budget, history events, table writes."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from stagekeeper.embedded.deploy import ROOT_KEY

from .conftest import NewService
from .plane import ControlPlane
from .service import Service

#: Which of the trail's Lambda events are not on the shared 15 a second: they have budgets of their own, or are no
#: control-plane calls. ministack's trail calls GetPolicy GetFunction, too, and GetAlias and UpdateAlias ListAliases.
OWN_BUDGET = frozenset({"GetFunction", "Invoke"})
TABLE_WRITES = ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems")


class Trail:
    """The calls that handlers made, as CloudTrail has them: the newest 50 of one AWS service, which is all ministack tells."""

    _PAGE = 50

    def __init__(self, plane: ControlPlane) -> None:
        self._client = plane.client("cloudtrail")
        self._seen: set[str] = set()
        for service in ("lambda", "dynamodb"):
            self.new(service, count_all=False)

    def new(self, service: str, *, count_all: bool = True) -> Counter[str]:
        """How many calls of which name since the last look."""
        of_service = [{"AttributeKey": "EventSource", "AttributeValue": f"{service}.amazonaws.com"}]
        events = self._client.lookup_events(LookupAttributes=of_service, MaxResults=self._PAGE)["Events"]
        fresh = [event for event in events if event["EventId"] not in self._seen]
        assert len(fresh) < self._PAGE or not count_all, "more calls than the trail tells of at once"
        self._seen |= {event["EventId"] for event in events}
        return Counter(event["EventName"] for event in fresh if event["AccessKeyId"] != ROOT_KEY)


@pytest.fixture(scope="module")
def trail(plane: ControlPlane) -> Iterator[Trail]:
    """ministack keeps a trail only when asked to; on AWS it is always there."""
    _record(plane, on=True)
    try:
        yield Trail(plane)
    finally:
        _record(plane, on=False)


def _record(plane: ControlPlane, *, on: bool) -> None:
    body = json.dumps({"cloudtrail._recording_enabled": str(on).lower()}).encode()
    # No proxy: one of the caller's environment must not get to see loopback requests.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{plane.instance.endpoint}/_ministack/config", body, timeout=10) as answer:
        assert json.load(answer)["applied"]


@dataclass(frozen=True)
class Cost:
    """What one operation took: calls on Lambda's shared budget and others to Lambda, writes of the table, history events."""

    shared: int
    own_budget: int
    writes: int
    events: int


def cost_of(trail: Trail, service: Service, request: dict[str, Any], outcome: str = "succeeded") -> Cost:
    for each in ("lambda", "dynamodb"):
        trail.new(each, count_all=False)
    ended = service.plane.run(request)
    assert ended.output["outcome"] == outcome, ended.cause
    calls, table = trail.new("lambda"), trail.new("dynamodb")
    return Cost(
        shared=sum(number for name, number in calls.items() if name not in OWN_BUDGET),
        own_budget=sum(number for name, number in calls.items() if name in OWN_BUDGET),
        writes=sum(table[name] for name in TABLE_WRITES),
        events=len(service.plane.history(ended.arn)),
    )


@dataclass(frozen=True)
class Costs:
    """Of the operations on a service whose functions all change from r1 to r2."""

    functions: int
    rollback: Cost
    reuse: Cost
    unchanged: Cost
    reset: Cost
    clone: Cost


def _costs(trail: Trail, service: Service) -> Costs:
    for text in ("one", "two"):
        service.deploy_text("dev", text)
    again = service.request("deploy", "dev", functions=service.wishes(**dict.fromkeys(service.functions, service.code("two"))))
    return Costs(
        functions=len(service.functions),
        rollback=cost_of(trail, service, service.request("rollback", "dev")),
        reuse=cost_of(trail, service, again),
        unchanged=cost_of(trail, service, again, "unchanged"),
        reset=cost_of(trail, service, service.request("reset", "dev", to={"release": 1})),
        clone=cost_of(trail, service, service.request("clone", "jane", **{"from": {"stage": "dev"}})),
    )


@pytest.fixture(scope="module")
def one(trail: Trail, new_service: NewService) -> Costs:
    return _costs(trail, new_service("a"))


@pytest.fixture(scope="module")
def twelve(trail: Trail, new_service: NewService) -> Costs:
    return _costs(trail, new_service(*"abcdefghijkl"))


@pytest.mark.parametrize("operation", ["rollback", "reuse", "reset", "clone"])
def test_versions_that_exist_are_put_to_use_with_one_shared_call_for_each_function(twelve: Costs, operation: str) -> None:
    """``reuse`` is a deploy of content that was published before."""
    assert twelve.functions <= getattr(twelve, operation).shared <= twelve.functions + 2


def test_a_deploy_that_changes_nothing_makes_no_shared_call(twelve: Costs) -> None:
    assert twelve.unchanged.shared == 0
    assert twelve.unchanged.own_budget >= twelve.functions


def test_a_deploy_makes_at_most_three_shared_calls_for_each_changed_function(new_service: NewService, trail: Trail) -> None:
    service = new_service("a", "b", "c")
    service.deploy("dev")
    wish = {**service.code("three"), "configuration": {"Description": "three"}}

    cost = cost_of(trail, service, service.request("deploy", "dev", functions=service.wishes(a=wish, b=wish, c=wish)))

    assert 3 * 2 <= cost.shared <= 3 * 3


def test_writes_of_the_table_do_not_grow_with_the_functions_unless_some_are_published(one: Costs, twelve: Costs) -> None:
    for operation in ("rollback", "reuse", "reset", "clone"):
        assert 0 < getattr(one, operation).writes == getattr(twelve, operation).writes


def test_the_history_is_short_and_does_not_grow_with_the_functions(one: Costs, twelve: Costs) -> None:
    for operation in ("rollback", "reuse", "unchanged", "reset", "clone"):
        assert 0 < getattr(one, operation).events == getattr(twelve, operation).events < 100
