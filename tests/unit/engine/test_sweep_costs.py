"""What looking at a large service costs: 100 functions with 30 versions each."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Iterator

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


@pytest.fixture(scope="module")
def surveyed(large: World) -> tuple[Execution, Counter[str], int]:
    """One report: how it ended, the calls on Lambda by name, and how many bytes it held at once."""
    world = large
    world.wire.clear()
    tracemalloc.start()
    done = world.begin({"operation": "sweep", "mode": "report"}).run()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return done, Counter(sent.name for sent in world.wire.sent if sent.name.startswith("lambda.")), peak


@pytest.fixture(scope="module")
def large() -> Iterator[World]:
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
    yield world
    world.close()


def test_it_makes_three_shared_calls_for_each_function_and_one_for_all(surveyed: tuple[Execution, Counter[str], int]) -> None:
    _, calls, _ = surveyed

    shared = sum(calls.values()) - calls["lambda.GetPolicy"] - calls["lambda.GetFunction"]
    assert shared == 3 * FUNCTIONS + 1 < 450


def test_it_asks_for_the_policies_only_of_what_nothing_else_holds(surveyed: tuple[Execution, Counter[str], int]) -> None:
    _, calls, _ = surveyed

    assert calls["lambda.GetPolicy"] == FUNCTIONS * (VERSIONS - 1)


def test_it_fits_into_512_mb_beside_the_interpreter_and_the_sdk(surveyed: tuple[Execution, Counter[str], int]) -> None:
    _, _, peak = surveyed

    assert peak < 150 * MEGABYTE


def test_the_output_is_cut_and_counts_everything(surveyed: tuple[Execution, Counter[str], int]) -> None:
    done, _, _ = surveyed

    assert done.output is not None, done.cause
    unneeded = VERSIONS - 1 - 3
    assert (done.output["deleted_count"], done.output["kept_count"]) == (FUNCTIONS * unneeded, FUNCTIONS * (1 + 3))
    assert (len(done.output["sweep"]["deleted"]), len(done.output["sweep"]["kept"])) == (100, 100)
    assert len(str(done.output)) < 256 * 1024 / 4
