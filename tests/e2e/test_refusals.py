"""Bad input and a bad world: each is refused before any effect, with its code, naming the thing, and nothing else changes."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from .conftest import NewService
from .evidence import refused
from .plane import unique
from .service import Service, make_function, settled, zip_of


@pytest.fixture(scope="module")
def orders(new_service: NewService) -> Service:
    """dev serves r2 and can go back to r1; prod serves r2 and has nothing before it. Refusals leave it so."""
    service = new_service("a", "b")
    service.deploy_text("dev", "one")
    service.deploy_text("dev", "two")
    service.deploy_text("prod", "two")
    return service


@dataclass(frozen=True)
class Case:
    """A request that is refused whatever the rest of the world is like, and what the refusal names."""

    code: str
    request: Callable[[Service], dict[str, Any]]
    named: tuple[str, ...]


def _deploy(service: Service, stage: str = "dev", **wishes: dict[str, Any]) -> dict[str, Any]:
    return service.request("deploy", stage, functions=service.wishes(**wishes))


def _clone(service: Service, stage: str, model: str) -> dict[str, Any]:
    return service.request("clone", stage, **{"from": {"stage": model}})


def _moving(service: Service, operation: str, stage: str) -> dict[str, Any]:
    """A request that moves a stage which serves r2, or is made from one."""
    match operation:
        case "deploy":
            return _deploy(service, stage)
        case "rollback":
            return service.request("rollback", stage)
        case "reset":
            return service.request("reset", stage, to={"release": 1})
    return _clone(service, unique("clone"), stage)


def _with_sha256(service: Service, of: bytes) -> dict[str, Any]:
    code = service.code("three")["code"]
    return {"code": {**code, "sha256": base64.b64encode(hashlib.sha256(of).digest()).decode()}}


CASES = {
    "a rollback of a stage that is not there": Case("StageNotFound", lambda s: s.request("rollback", "qa"), ("qa",)),
    "a partial deploy of a stage that is not there": Case(
        "StageNotFound", lambda s: s.request("deploy", "qa", functions=s.wishes(), partial=True), ("qa",)
    ),
    "a rollback of a stage that serves another release": Case(
        "StageMoved", lambda s: s.request("rollback", "dev", if_release=1), ("dev", "r1", "r2")
    ),
    "a deploy onto a stage that serves another release": Case(
        "StageMoved", lambda s: s.request("deploy", "dev", functions=s.wishes(), if_release=9), ("dev", "r9", "r2")
    ),
    "a rollback to a release that never was": Case(
        "ReleaseNotFound", lambda s: s.request("rollback", "dev", to={"release": 99}), ("r99",)
    ),
    "a rollback to a release that is not on the way back": Case(
        "ReleaseNotFound", lambda s: s.request("rollback", "prod", to={"release": 1}), ("r1", "prod")
    ),
    "a rollback with nothing before it": Case("NothingToRollBack", lambda s: s.request("rollback", "prod"), ("prod",)),
    "a rollback further than the way back": Case(
        "NothingToRollBack", lambda s: s.request("rollback", "dev", to={"steps": 2}), ("dev", "2 steps")
    ),
    "a function that does not exist": Case(
        "FunctionNotFound", lambda s: _deploy(s, b={"function_name": "no-such-function"}), ("b", "no-such-function")
    ),
    "code that is not in S3": Case(
        "ArtifactMissing",
        lambda s: _deploy(s, b={"code": {"s3_bucket": s.plane.bucket, "s3_key": "code/not-there.zip"}}),
        ("b", "code/not-there.zip"),
    ),
    "code that is not what its sha256 says": Case("InvalidRequest", lambda s: _deploy(s, b=_with_sha256(s, b"other")), ("b",)),
    "a reset of a stage that is not there": Case("StageNotFound", lambda s: s.request("reset", "qa", to={"release": 1}), ("qa",)),
    "a reset to a stage that is not there": Case(
        "StageNotFound", lambda s: s.request("reset", "dev", to={"stage": "qa"}), ("qa",)
    ),
    "a reset of a stage that serves another release": Case(
        "StageMoved", lambda s: s.request("reset", "dev", to={"release": 99}, if_release=1), ("dev", "r1", "r2")
    ),
    "a reset to a release that never was": Case(
        "ReleaseNotFound", lambda s: s.request("reset", "dev", to={"release": 99}), ("r99",)
    ),
    "a clone of a stage that is not there": Case("StageNotFound", lambda s: _clone(s, "jane", "qa"), ("qa",)),
    "a clone onto a stage that is there": Case("StageExists", lambda s: _clone(s, "prod", "dev"), ("prod",)),
    "a clone onto itself": Case("StageExists", lambda s: _clone(s, "dev", "dev"), ("dev",)),
    "a teardown of a stage that is not there": Case("StageNotFound", lambda s: s.request("teardown", "qa"), ("qa",)),
    "a teardown of a stage that serves another release": Case(
        "StageMoved", lambda s: s.request("teardown", "dev", if_release=1, confirm="dev"), ("dev", "r1", "r2")
    ),
    "a teardown that is confirmed for something else": Case(
        "InvalidRequest", lambda s: s.request("teardown", "dev", confirm="prod"), ("dev", "confirm")
    ),
    "a service teardown that nobody confirmed": Case(
        "ConfirmationRequired", lambda s: s.request("teardown", None), ("dev", "prod", "confirm")
    ),
    "a service teardown that is confirmed for a stage": Case(
        "ConfirmationRequired", lambda s: s.request("teardown", None, confirm="dev"), ("dev", "prod", "confirm")
    ),
    "settings of a stage that is not there": Case(
        "StageNotFound", lambda s: s.request("configure", "qa", settings={"protected": True}), ("qa",)
    ),
    "settings of a stage that serves another release": Case(
        "StageMoved", lambda s: s.request("configure", "dev", settings={"protected": True}, if_release=1), ("dev", "r1", "r2")
    ),
    "a verification of a stage that is not there": Case("StageNotFound", lambda s: s.request("verify", "qa"), ("qa",)),
    "a verification of a stage that serves another release": Case(
        "StageMoved", lambda s: s.request("verify", "dev", if_release=1), ("dev", "r1", "r2")
    ),
    "one function under two names": Case(
        "InvalidRequest", lambda s: _deploy(s, b={"function_name": s.functions["a"]}), ("a", "b")
    ),
}
#: Requests for a service that was never deployed.
NOBODY: dict[str, dict[str, Any]] = {
    "a rollback": {"operation": "rollback", "stage": "dev"},
    "a reset": {"operation": "reset", "stage": "dev", "to": {"release": 1}},
    "a clone": {"operation": "clone", "stage": "jane", "from": {"stage": "dev"}},
    "a teardown of a stage": {"operation": "teardown", "stage": "dev"},
    "a teardown": {"operation": "teardown", "confirm": "nobody"},
    "a sweep's report": {"operation": "sweep"},
    "a sweep": {"operation": "sweep", "mode": "delete"},
    "settings": {"operation": "configure", "stage": "dev", "settings": {"protected": True}},
    "a verification": {"operation": "verify"},
    "a verification of a stage": {"operation": "verify", "stage": "dev"},
}


def _of_nobody(what: str) -> Case:
    return Case("ServiceNotFound", lambda _: {"service": "nobody", **NOBODY[what]}, ("nobody",))


CASES |= {f"{what} of a service that is not there": _of_nobody(what) for what in NOBODY}


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_and_changes_nothing(orders: Service, name: str) -> None:
    """Neither does a dry run of it, which is refused as well."""
    case = CASES[name]
    request = case.request(orders)
    dry_run = orders.plane.start({**request, "dry_run": True})

    refused(orders, request, case.code, *case.named)

    assert orders.plane.wait(dry_run).error == case.code


def test_a_sha256_that_is_right_is_no_reason_to_refuse(new_service: NewService) -> None:
    """The counterpart of the case above: it is the value that is refused."""
    service = new_service("a")

    service.deploy("dev", service.wishes(a=_with_sha256(service, zip_of("three"))))

    assert service.says("dev") == {"a": "three"}


def test_a_configuration_member_that_an_earlier_deploy_gave_must_be_given_again(new_service: NewService) -> None:
    service = new_service("a")
    service.deploy("prod", service.wishes(a={"configuration": {"Timeout": 7}}))

    refused(service, _deploy(service), "InvalidRequest", "a", "Timeout")


def test_a_function_of_another_service_is_refused(orders: Service, new_service: NewService) -> None:
    other = new_service("mine")
    other.functions["theirs"] = orders.functions["a"]

    refused(other, other.request("deploy", "dev", functions=other.wishes()), "FunctionOwnedElsewhere", orders.name, "theirs")


def test_a_permission_to_call_the_function_without_an_alias_is_named(new_service: NewService) -> None:
    service = new_service("a")
    service.plane.client("lambda").add_permission(
        FunctionName=service.functions["a"],
        StatementId="from-bus",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
    )

    refused(service, _deploy(service), "UnqualifiedCallers", service.functions["a"], "from-bus", "events.amazonaws.com")


def test_an_event_source_mapping_without_an_alias_is_named(new_service: NewService) -> None:
    service = new_service("a")
    sqs = service.plane.client("sqs")
    queue = sqs.create_queue(QueueName=unique("queue"))["QueueUrl"]
    source = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    mapping = service.plane.client("lambda").create_event_source_mapping(
        EventSourceArn=source, FunctionName=service.functions["a"], Enabled=False
    )

    refused(service, _deploy(service), "UnqualifiedCallers", service.functions["a"], mapping["UUID"])


# Behind our back.


@pytest.mark.parametrize("operation", ["deploy", "rollback", "reset"])
def test_an_alias_that_was_moved_is_drift(orders: Service, operation: str) -> None:
    with _moved(orders, "b", "dev", "1"):
        refused(orders, _moving(orders, operation, "dev"), "Drifted", orders.arn("b"), "dev")


@contextlib.contextmanager
def _moved(service: Service, logical: str, stage: str, version: str) -> Iterator[None]:
    """While inside, somebody has moved an alias."""
    lambda_, alias = service.plane.client("lambda"), service.alias(logical, stage)
    assert alias is not None
    lambda_.update_alias(FunctionName=service.functions[logical], Name=stage, FunctionVersion=version)
    try:
        yield
    finally:
        lambda_.update_alias(FunctionName=service.functions[logical], Name=stage, FunctionVersion=alias["FunctionVersion"])


@pytest.mark.parametrize("operation", ["deploy", "rollback", "reset"])
def test_an_alias_that_was_deleted_is_drift(orders: Service, operation: str) -> None:
    stage = unique("stage")
    orders.deploy_text(stage, "one")
    orders.deploy_text(stage, "two")
    orders.plane.client("lambda").delete_alias(FunctionName=orders.functions["a"], Name=stage)

    refused(orders, _moving(orders, operation, stage), "Drifted", orders.arn("a"), stage, "no alias")


def test_an_alias_that_was_there_before_us_is_not_taken(orders: Service) -> None:
    named = {"FunctionName": orders.functions["b"], "Name": "theirs"}
    orders.plane.client("lambda").create_alias(**named, FunctionVersion="1")

    for request in (_deploy(orders, "theirs"), _clone(orders, "theirs", "dev")):
        refused(orders, request, "AliasOwnedElsewhere", orders.arn("b"), "theirs", "adopt")

    orders.plane.client("lambda").delete_alias(**named)


def test_a_version_that_was_deleted_cannot_be_gone_back_to(new_service: NewService) -> None:
    service = new_service("a", "b")
    service.deploy_text("dev", "one")
    service.deploy_text("dev", "two")
    service.plane.client("lambda").delete_function(FunctionName=service.functions["b"], Qualifier="1")

    for operation in ("rollback", "reset"):
        refused(service, _moving(service, operation, "dev"), "VersionMissing", f"{service.arn('b')}:1", "r1")


def test_a_version_that_was_deleted_is_published_anew_by_a_deploy_of_its_content(new_service: NewService) -> None:
    """What the refusal above tells its reader to do."""
    service = new_service("a")
    service.deploy_text("dev", "one")
    service.deploy_text("dev", "two")
    service.plane.client("lambda").delete_function(FunctionName=service.functions["a"], Qualifier="1")

    output = service.deploy_text("dev", "one")

    assert (output["release"], service.versions("a")) == (1, ["2", "3"])
    service.assert_agreement("dev", output)


def test_a_function_that_was_deleted_refuses_what_puts_it_to_use(new_service: NewService) -> None:
    service = new_service("a", "b")
    service.deploy_text("dev", "one")
    service.deploy_text("dev", "two")
    service.plane.client("lambda").delete_function(FunctionName=service.functions["b"])

    for operation in ("rollback", "reset", "clone"):
        refused(service, _moving(service, operation, "dev"), "FunctionNotFound", service.arn("b"), "allow_missing")


# What cannot be read.


@pytest.mark.parametrize("operation", ["deploy", "rollback", "reset", "clone"])
def test_a_function_that_may_not_be_read_is_neither_missing_nor_well(orders: Service, operation: str) -> None:
    with orders.plane.denied("PlanRole", "lambda:GetFunction", orders.arn("b"), f"{orders.arn('b')}:*"):
        refused(orders, _moving(orders, operation, "dev"), "Unreadable", orders.arn("b"), "AccessDenied")


def test_a_policy_that_may_not_be_read_may_hold_callers(new_service: NewService) -> None:
    service = new_service("a")
    with service.plane.denied("PlanRole", "lambda:GetPolicy", service.arn("a")):
        refused(service, _deploy(service), "Unreadable", service.arn("a"))


def test_code_in_a_bucket_that_may_not_be_read_is_not_missing(orders: Service) -> None:
    bucket = unique("elsewhere")
    orders.plane.client("s3").create_bucket(Bucket=bucket)
    orders.plane.client("s3").put_object(Bucket=bucket, Key="a.zip", Body=zip_of("three"))

    refused(orders, _deploy(orders, a={"code": {"s3_bucket": bucket, "s3_key": "a.zip"}}), "Unreadable", f"s3://{bucket}/a.zip")


READS_STAGE_DEV: dict[str, dict[str, Any]] = {
    "rollback": {},
    "reset": {"to": {"stage": "prod"}},
    "teardown": {"confirm": "dev"},
    "configure": {"settings": {"protected": True}},
    "verify": {},
}


def test_a_record_of_another_schema_is_not_understood(orders: Service) -> None:
    record = orders.record("dev")
    assert record is not None
    orders.plane.put_item({**record, "schema": 99})

    for operation, fields in READS_STAGE_DEV.items():
        refused(orders, orders.request(operation, "dev", **fields), "Unreadable", "STAGE#dev", "99")

    orders.plane.put_item(record)


def test_what_was_refused_goes_through_once_its_cause_is_mended(new_service: NewService) -> None:
    service = new_service("a")
    service.functions["b"] = "not-made-yet"
    refused(service, service.request("deploy", "dev", functions=service.wishes()), "FunctionNotFound", "not-made-yet")
    service.functions["b"] = make_function(service.plane)
    settled(service.plane, service.functions["b"])

    output = service.deploy("dev")

    assert output["release"] == 1
    service.assert_agreement("dev", output)
