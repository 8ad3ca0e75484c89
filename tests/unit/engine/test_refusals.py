"""What is refused is refused before any effect: every alias, every version and every item stays as it was.

Only the operation's own record and the lock's counters may change (and the cache of what S3 objects hashed to). A dry run
gives the same answer and writes nothing at all.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from .execution import Execution
from .faults import of
from .world import World, deploy_of, lambda_name

DENIED = "AccessDeniedException"
BACK = {"operation": "rollback", "stage": "prod"}


@dataclass(frozen=True)
class Case:
    """A request on a service of ``a`` and ``b`` whose stage prod has seen r1 and r2, and what it gets.

    ``behind`` happens before it is asked, ``reading`` when its facts are about to be read.
    """

    name: str
    request: Callable[[World], dict[str, Any]]
    code: str
    names: str
    behind: Callable[[World], object] = lambda _: None
    reading: Callable[[World], object] = lambda _: None


def deploying(text: str | None = "three", stage: str | None = "prod", **more: Any) -> Callable[[World], dict[str, Any]]:
    return lambda world: deploy_of(stage, world.wishes(text), **more)


def only(stage: str | None, functions: Callable[[World], dict[str, Any]], **more: Any) -> Callable[[World], dict[str, Any]]:
    return lambda world: deploy_of(stage, functions(world), **more)


def back(**more: Any) -> Callable[[World], dict[str, Any]]:
    return lambda _: {**BACK, **more}


def with_code(**code: str) -> Callable[[World], dict[str, Any]]:
    """A deploy of ``a`` whose code is uploaded and then named differently."""

    def request(world: World) -> dict[str, Any]:
        wish = world.wish("a", "three")
        wish["code"] |= code
        return deploy_of("prod", {"a": wish, "b": world.wish("b", "three")})

    return request


def with_c(text: str | None = None, stage: str = "prod") -> Callable[[World], dict[str, Any]]:
    return lambda world: deploy_of(stage, world.wishes("three") | {"c": world.wish("c", text)})


def delete_version_one(world: World) -> None:
    """Only prod's alias is there, on version 2: AWS lets anyone delete version 1."""
    world.fake.quietly("DeleteFunction", FunctionName=lambda_name("a"), Qualifier="1")


def delete_alias(world: World) -> None:
    world.fake.quietly("DeleteAlias", FunctionName=lambda_name("b"), Name="prod")


def allow_everyone(world: World) -> None:
    world.create("c")
    world.permit("c", sid="anybody", principal="s3.amazonaws.com")


def map_queue(world: World) -> None:
    world.create("c")
    world.fake.quietly(
        "CreateEventSourceMapping", FunctionName=lambda_name("c"), EventSourceArn="arn:aws:sqs:eu-central-1:123456789012:jobs"
    )


def claim_c_elsewhere(world: World) -> None:
    world.create("c")
    done = world.begin({"service": "billing", **deploy_of("live", {"c": world.wish("c", "theirs")})}, "theirs").run()
    assert done.outcome == "succeeded"


def give_memory(world: World) -> None:
    assert world.deploy("qa", world.wishes("two", MemorySize=512)).outcome == "succeeded"


def fail_update(world: World) -> None:
    world.fake.update(lambda_name("a"), b"x")
    world.fake.set_update(lambda_name("a"), "Failed", "no role")


def spoil_stage(world: World) -> None:
    """An item as another version of Stagekeeper would write it."""
    item = world.items()["SERVICE#orders", "STAGE#prod"]
    world.put_item({**item, "schema": 2})


def unreadable(service: str, operation: str, code: str, status: int = 400, text: str = "") -> Callable[[World], object]:
    def reading(world: World) -> None:
        world.wire.fail(lambda sent: sent.name == f"{service}.{operation}" and text in sent.path + sent.body, code, status)

    return reading


CASES = [
    # What is asked for is not there.
    Case("no such service", lambda _: {**BACK, "service": "nobody"}, "ServiceNotFound", "nobody"),
    Case("no such stage", back(stage="qa"), "StageNotFound", "qa"),
    Case("partial without a stage", deploying(stage="qa", partial=True), "StageNotFound", "qa"),
    Case("no such function", with_c(), "FunctionNotFound", "orders-c"),
    Case("nothing before it", back(to={"steps": 2}), "NothingToRollBack", "prod"),
    Case(
        "nothing before it on a new stage", back(stage="qa"), "NothingToRollBack", "qa", lambda w: w.deploy("qa", w.wishes("two"))
    ),
    Case("no such release", back(to={"release": 9}), "ReleaseNotFound", "r9"),
    Case(
        "a release that is not in the way back",
        back(stage="qa", to={"release": 1}),
        "ReleaseNotFound",
        "r1",
        lambda w: w.deploy("qa", w.wishes("two")),
    ),
    Case("code not in S3", with_code(s3_key="code/a/never.zip"), "ArtifactMissing", "code/a/never.zip"),
    Case("code in no bucket", with_code(s3_bucket="nowhere"), "ArtifactMissing", "s3://nowhere/"),
    Case("not what sha256 says", with_code(sha256="ab" * 32), "InvalidRequest", "SHA-256"),
    # Somebody else was there.
    Case("the stage moved on", deploying(if_release=1), "StageMoved", "r2"),
    Case("the stage moved on, for a rollback", back(if_release=1), "StageMoved", "r2"),
    Case("an alias that was moved", deploying(), "Drifted", "orders-b", lambda w: w.fake.alias("orders-b", "prod", "1")),
    Case(
        "an alias that was moved, for a rollback", back(), "Drifted", "orders-b", lambda w: w.fake.alias("orders-b", "prod", "1")
    ),
    Case("an alias that was deleted", back(), "Drifted", "no alias", delete_alias),
    Case("an alias on $LATEST", back(), "Drifted", "$LATEST", lambda w: w.fake.alias("orders-b", "prod", "$LATEST")),
    Case(
        "an alias that was there before us",
        deploying("two", "qa"),
        "AliasOwnedElsewhere",
        "qa",
        lambda w: w.fake.alias("orders-b", "qa", "1"),
    ),
    Case("a version that was deleted", back(), "VersionMissing", "orders-a", delete_version_one),
    Case("a version in state Failed", back(), "VersionMissing", "Failed", lambda w: w.fake.set_state("orders-a", "1", "Failed")),
    Case("a function of another service", with_c(), "FunctionOwnedElsewhere", "billing", claim_c_elsewhere),
    Case(
        "a function that was deleted",
        back(),
        "FunctionNotFound",
        "orders-b",
        lambda w: w.fake.quietly("DeleteFunction", FunctionName="orders-b"),
    ),
    Case("a permission without an alias", with_c(), "UnqualifiedCallers", "anybody", allow_everyone),
    Case("an event source without an alias", with_c(), "UnqualifiedCallers", "jobs", map_queue),
    Case(
        "an update under way", deploying(), "FunctionNotReady", "orders-a", lambda w: w.fake.set_update("orders-a", "InProgress")
    ),
    Case(
        "an update that failed",
        deploying(None),
        "FunctionNotReady",
        "no role",
        fail_update,
    ),
    # What the request says does not fit.
    Case("a member that an earlier deploy gave", deploying("three"), "InvalidRequest", "MemorySize", give_memory),
    Case(
        "the same function twice",
        only("prod", lambda w: {"a": w.wish("a", "x"), "again": w.wish("a", "x")}),
        "InvalidRequest",
        "again",
    ),
    # What cannot be read is not taken for absent.
    Case("S3 says 403", deploying(), "Unreadable", "/code/a", reading=unreadable("s3", "HeadObject", "403", 403, "/a/")),
    Case(
        "GetFunction fails",
        deploying(),
        "Unreadable",
        "orders-a",
        reading=lambda w: w.fake.fail("GetFunction", error=DENIED, times=None, where=of("a")),
    ),
    Case(
        "GetFunction fails, for a rollback",
        back(),
        "Unreadable",
        "orders-a",
        reading=lambda w: w.fake.fail("GetFunction", error=DENIED, times=None, where=of("a")),
    ),
    Case(
        "GetFunction of the target version fails",
        back(),
        "Unreadable",
        "orders-a:1",
        reading=lambda w: w.fake.fail(
            "GetFunction", error=DENIED, where=lambda p: p.get("Qualifier") == "1" and "orders-a" in p["FunctionName"]
        ),
    ),
    Case(
        "GetPolicy fails",
        with_c(),
        "Unreadable",
        "the policy of",
        lambda w: w.create("c"),
        lambda w: w.fake.fail("GetPolicy", error=DENIED),
    ),
    Case(
        "the mappings cannot be listed",
        with_c(),
        "Unreadable",
        "event source mappings",
        lambda w: w.create("c"),
        lambda w: w.fake.fail("ListEventSourceMappings", error=DENIED),
    ),
    Case(
        "the stage's record cannot be read",
        back(),
        "Unreadable",
        "STAGE#prod",
        reading=unreadable("dynamodb", "GetItem", DENIED, 400, "STAGE#prod"),
    ),
    Case(
        "the record of versions cannot be read",
        back(),
        "Unreadable",
        "state-",
        reading=unreadable("dynamodb", "BatchGetItem", DENIED, 400, "CONTENT#"),
    ),
    Case(
        "the claims cannot be read",
        deploying(),
        "Unreadable",
        "state-",
        reading=unreadable("dynamodb", "BatchGetItem", DENIED, 400, "CLAIM"),
    ),
    Case("an item of another schema", back(), "Unreadable", "schema", spoil_stage),
]
EACH_CASE = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


@EACH_CASE
def test_a_refusal_names_the_thing_and_changes_nothing(two: World, case: Case) -> None:
    case.behind(two)
    asked = two.begin(case.request(two)).run_to("Plan")
    case.reading(two)
    lasting, aws = two.lasting(asked.name), two.fake.state(revisions=True)

    refused = asked.run()

    assert refused.outcome == case.code, refused.cause or refused.output
    assert case.names in str(refused.cause)
    assert two.lasting(asked.name) == lasting
    assert two.fake.state(revisions=True) == aws
    assert_ended(two, refused)


@EACH_CASE
def test_a_dry_run_gives_the_same_answer_and_writes_nothing_at_all(two: World, case: Case) -> None:
    case.behind(two)
    asked = two.begin({**case.request(two), "dry_run": True}).run_to("DryRun")
    case.reading(two)
    items, bodies, aws = two.items(), two.bodies(), two.fake.state(revisions=True)

    refused = asked.run()

    assert refused.outcome == case.code, refused.cause or refused.output
    assert (two.items(), two.bodies()) == (items, bodies)
    assert two.fake.state(revisions=True) == aws


def assert_ended(world: World, refused: Execution) -> None:
    record = world.operation(refused.name)
    assert (record["status"], record["end"]["error"]) == ("refused", refused.error)
    assert refused.name not in world.held()
    assert world.waiting() == []


@pytest.mark.parametrize("bare", [{"a": None}, {"b": None}], ids=["a", "b"])
def test_a_function_whose_versions_cannot_be_listed_is_refused(world: World, bare: dict[str, None]) -> None:
    name = next(iter(bare))
    world.fake.fail("ListVersionsByFunction", error=DENIED, where=of(name))
    before = world.fake.state(revisions=True)

    refused = world.deploy("prod", world.wishes(None))

    assert refused.outcome == "Unreadable"
    assert lambda_name(name) in refused.message
    assert world.fake.state(revisions=True) == before
    assert world.claimed() == []


MALFORMED: list[tuple[str, dict[str, Any]]] = [
    ("an all-digit stage", {"operation": "rollback", "stage": "42"}),
    ("an over-long stage", {"operation": "rollback", "stage": "s" * 64}),
    ("an unknown field", {**BACK, "colour": "red"}),
    ("a null", {**BACK, "if_release": None}),
    ("an operation that is not of the interface", {"operation": "promote", "stage": "prod"}),
    ("no functions", {"operation": "deploy", "stage": "prod", "functions": {}}),
    (
        "501 functions",
        {"operation": "deploy", "stage": "prod", "functions": {f"f{n}": {"function_name": f"f{n}"} for n in range(501)}},
    ),
]


@pytest.mark.parametrize(("name", "request_"), MALFORMED, ids=[name for name, _ in MALFORMED])
def test_a_malformed_request_is_refused_before_anything_is_written(world: World, name: str, request_: dict[str, Any]) -> None:
    refused = world.begin(request_, name.replace(" ", "-")).run()

    assert refused.outcome == "InvalidRequest"
    assert refused.visited == ["Accept"]
    assert world.items() == {}
    assert world.bodies() == {}
    assert world.wire.sent == []


def test_a_functions_document_that_is_missing_is_refused_before_anything_is_written(world: World) -> None:
    refused = world.begin(deploy_of("prod", {"s3_bucket": world.bucket, "s3_key": "nothing.json"})).run()  # type: ignore[dict-item]

    assert (refused.outcome, world.items()) == ("ArtifactMissing", {})


def test_a_functions_document_of_501_is_refused_before_anything_is_written(world: World) -> None:
    place = world.put_document({f"f{n}": {"function_name": f"f{n}"} for n in range(501)})

    refused = world.begin(deploy_of("prod", place)).run()

    assert (refused.outcome, world.items()) == ("InvalidRequest", {})
    assert "500" in refused.message


def test_several_reasons_of_the_same_kind_are_all_named(two: World) -> None:
    for name in two.names:
        two.fake.alias(lambda_name(name), "prod", "1")

    refused = two.rollback()

    assert refused.outcome == "Drifted"
    assert len(refused.cause["blockers"]) == 2


def test_a_deleted_function_is_left_out_where_that_is_allowed(two: World) -> None:
    two.fake.quietly("DeleteFunction", FunctionName=lambda_name("b"))

    done = two.rollback(allow_missing=True)

    assert done.output is not None
    assert done.outcome == "succeeded"
    assert two.aliases() == two.recorded() == {"a": "1"}
    assert "orders-b" in done.output["warnings"][0]


def test_callers_without_an_alias_may_be_accepted(two: World) -> None:
    allow_everyone(two)

    done = two.begin({**with_c()(two), "accept_unqualified_callers": True}).run()

    assert done.outcome == "succeeded"


def test_another_sha256_is_told_in_the_spelling_that_the_request_has(two: World) -> None:
    found, said = hashlib.sha256(b"a: three").digest(), hashlib.sha256(b"other").digest()
    for spelled in (bytes.hex, lambda digest: base64.b64encode(digest).decode()):
        refused = two.begin({**with_code(sha256=spelled(said))(two), "dry_run": True}).run()
        assert refused.outcome == "InvalidRequest"
        assert f"has SHA-256 {spelled(found)}, not {spelled(said)} as the request says" in refused.message


def test_sha256_of_the_code_may_be_given_in_hex_and_in_base64(two: World) -> None:
    digest = hashlib.sha256(b"a: three").digest()
    for given in (digest.hex(), base64.b64encode(digest).decode()):
        assert two.begin({**with_code(sha256=given)(two), "dry_run": True}).run().outcome == "planned"
