"""What looking at a large service costs: 100 functions with 30 versions each."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from dataclasses import dataclass

import pytest

from stagekeeper.aws import items
from stagekeeper.aws.clock import iso
from stagekeeper.aws.table import SCHEMA, Key
from stagekeeper.domain.model import (
    Claim,
    Content,
    LogicalName,
    OperationId,
    Release,
    ReleaseFunction,
    ReleaseNumber,
    ServedAlias,
    Service,
    ServiceName,
    Stage,
    StageName,
    VersionNumber,
)
from stagekeeper.domain.orphans import SweepSettings

from .execution import Execution
from .world import SERVICE, World, lambda_name

FUNCTIONS, VERSIONS = 100, 30
MEGABYTE = 1024 * 1024
NAMES = tuple(f"f{number:03}" for number in range(FUNCTIONS))
ORDERS = ServiceName(SERVICE)


@dataclass(frozen=True)
class Surveyed:
    """One report: how it ended, the calls on Lambda by name, how many bytes it held at once, and how long (seconds of the
    account's clock) each of its workers was busy."""

    done: Execution
    calls: Counter[str]
    peak: int
    workers: list[float]
    told: list[str]


@pytest.fixture(scope="module")
def surveyed(large: World) -> Surveyed:
    world = large
    world.wire.clear()
    tracemalloc.start()
    done = world.begin({"operation": "sweep", "mode": "report"})
    workers, told = [], []
    while done.state is not None:
        working, began = done.state == "Inspect", world.moments.now
        done.step()
        if working:
            workers.append(world.moments.now - began)
            told.append(str(done.answers[-1].get("progress", "")))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    calls = Counter(sent.name for sent in world.wire.sent if sent.name.startswith("lambda."))
    return Surveyed(done, calls, peak, workers, told)


@pytest.fixture(scope="module")
def large() -> World:
    """prod serves version 30 of everything, as release 30; what was before is recorded as published long ago."""
    world = World(NAMES)
    world.sweeping = SweepSettings(keep=3, rollback_depth=5, grace_seconds=24 * 3600)
    long_ago = iso(world.moments.now - 30 * 24 * 3600)
    written: list[tuple[Key, items.Item]] = []
    parts: dict[LogicalName, ReleaseFunction] = {}
    aliases = {}
    for name in NAMES:
        arn, logical = world.arn(name), LogicalName(name)
        written.append((items.member_key(ORDERS, arn), items.member_item(arn, logical)))
        written.append((items.claim_key(arn), items.claim_item(Claim(ORDERS, logical))))
        for number in range(1, VERSIONS + 1):
            world.fake.publish(lambda_name(name), f"{name} {number}".encode())
            item = {
                "function_arn": arn,
                "version": number,
                "code": f"{name}-{number}",
                "configuration": "same",
                "published_by": f"op-{number}",
                "recorded_at": long_ago,
            }
            written.append((items.version_key(arn, VersionNumber(number)), item))
        world.fake.alias(lambda_name(name), "prod", str(VERSIONS))
        parts[logical] = ReleaseFunction(arn, Content(f"{name}-{VERSIONS}", "same"))
        aliases[arn] = ServedAlias(logical, VersionNumber(VERSIONS), None)
    number = ReleaseNumber(VERSIONS)
    written.append((items.service_key(ORDERS), items.service_item(Service(ORDERS, number))))
    written.append((items.known_service_key(ORDERS), {"service": ORDERS}))
    release = items.release_item(Release(number, parts), OperationId("op-30"), long_ago)
    written.append((items.release_key(ORDERS, number), release))
    stage = Stage(StageName("prod"), number, (), aliases, revision=1)
    written.append((items.stage_key(ORDERS, stage.name), items.stage_item(stage)))
    world.put_items([{"pk": key.pk, "sk": key.sk, "schema": SCHEMA, **item} for key, item in written])
    return world


def test_it_makes_three_shared_calls_for_each_function_and_two_for_each_worker(surveyed: Surveyed) -> None:
    """The Region's mappings are listed by every worker, the account's settings are read by the first."""
    shared = sum(surveyed.calls.values()) - surveyed.calls["lambda.GetPolicy"] - surveyed.calls["lambda.GetFunction"]

    assert shared == 3 * FUNCTIONS + len(surveyed.workers) + 1 < 450


def test_it_asks_for_the_policies_only_of_what_nothing_else_holds(surveyed: Surveyed) -> None:
    assert surveyed.calls["lambda.GetPolicy"] == FUNCTIONS * (VERSIONS - 1)


def test_no_worker_takes_a_minute_and_each_says_how_it_goes_on(surveyed: Surveyed) -> None:
    assert max(surveyed.workers) < 60
    assert len(surveyed.workers) > 1
    assert surveyed.told[0].endswith(
        "functions of service orders are looked at; no other service is ahead: the next invocation goes on"
    )
    looked_at = [int(line.split(" of ", 1)[0]) for line in surveyed.told[:-1]]
    assert looked_at == sorted(set(looked_at))
    assert looked_at[-1] < FUNCTIONS


def test_it_keeps_its_pace_on_the_shared_budget(surveyed: Surveyed) -> None:
    shared = 3 * FUNCTIONS

    assert shared / sum(surveyed.workers) <= 2.0


def test_it_fits_into_512_mb_beside_the_interpreter_and_the_sdk(surveyed: Surveyed) -> None:
    assert surveyed.peak < 150 * MEGABYTE


def test_the_output_is_cut_and_counts_everything(surveyed: Surveyed) -> None:
    done = surveyed.done

    assert done.output is not None, done.cause
    unneeded = VERSIONS - 1 - 3
    assert (done.output["deleted_count"], done.output["kept_count"]) == (FUNCTIONS * unneeded, FUNCTIONS * (1 + 3))
    assert (len(done.output["sweep"]["deleted"]), len(done.output["sweep"]["kept"])) == (100, 100)
    assert len(str(done.output)) < 256 * 1024 / 4
