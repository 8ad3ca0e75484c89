"""Values of environments are in the request that lies under requests/ in the artifact bucket, and nowhere else."""

from __future__ import annotations

import json
import logging
import traceback
from typing import Any

import pytest

from stagekeeper.aws.bodies import Bodies
from stagekeeper.aws.table import MalformedItem

from .execution import Execution
from .faults import of
from .world import World, deploy_of, lambda_name

#: Each in a form that AWS may repeat in another spelling: plain, JSON-escaped, on several lines, not ASCII.
SECRETS = {
    "PLAIN": "s3cr3t-plain-value",
    "QUOTED": 's3cr3t-"quoted"\\value',
    "LINES": "-----BEGIN KEY-----\ns3cr3t-line\n-----END KEY-----",
    "FOREIGN": "s3cr3t-žluťoučký",
}
#: What of them is nobody else's word, however it is escaped.
NEEDLE = "s3cr3t"
CONFIGURATION = {"Environment": {"Variables": SECRETS}}


def assert_told_nowhere(world: World, done: Execution, log: str) -> None:
    places = {
        "steps": json.dumps(done.answers),
        "end": json.dumps([done.output, done.error, done.cause]),
        "items": json.dumps(list(world.items().values()), default=str),
        "plans": json.dumps(world.bodies("plans/")),
        "reports": json.dumps(world.bodies("reports/")),
        "log": log,
    }
    assert [name for name, text in places.items() if NEEDLE in text] == []


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything down to INFO, which is what the handlers log."""
    caplog.set_level(logging.INFO)
    return caplog


def test_a_deploy_that_sets_them(two: World, log: pytest.LogCaptureFixture) -> None:
    done = two.deploy("prod", two.wishes("three", **CONFIGURATION))

    assert done.outcome == "succeeded"
    assert_told_nowhere(two, done, log.text)
    assert NEEDLE in json.dumps(two.bodies("requests/"))
    assert two.fake.state()[lambda_name("a")]["latest"]["Environment"] == {"Variables": SECRETS}


def test_a_dry_run(two: World, log: pytest.LogCaptureFixture) -> None:
    done = two.deploy("prod", two.wishes("three", **CONFIGURATION), dry_run=True)

    assert done.outcome == "planned"
    assert_told_nowhere(two, done, log.text)


def test_a_deploy_of_what_latest_holds(world: World, log: pytest.LogCaptureFixture) -> None:
    for name in world.names:
        world.fake.update(lambda_name(name), Environment={"Variables": SECRETS})

    done = world.deploy("prod", world.wishes(None))

    assert done.outcome == "succeeded"
    assert_told_nowhere(world, done, log.text)


def test_a_deploy_that_changes_them(two: World, log: pytest.LogCaptureFixture) -> None:
    two.deploy("prod", two.wishes("three", **CONFIGURATION))
    changed = {"Environment": {"Variables": SECRETS | {"PLAIN": "s3cr3t-other"}}}

    done = two.deploy("prod", two.wishes("three", **changed))

    assert done.output is not None
    assert done.output["changes"][0]["reason"] == "configuration.Environment"
    assert_told_nowhere(two, done, log.text)


@pytest.mark.parametrize("name", SECRETS)
def test_an_environment_that_aws_refuses_and_repeats_in_its_message(two: World, name: str, log: pytest.LogCaptureFixture) -> None:
    """Over 4 KB, AWS's message holds the whole environment, as JSON. Here the name of another variable is what is too long."""
    too_much = {"Environment": {"Variables": {name: SECRETS[name], "X" * 4096: ""}}}

    failed = two.deploy("prod", two.wishes(None, **too_much))

    assert failed.outcome == "Compensated"
    assert "InvalidParameterValueException" in failed.message
    assert_told_nowhere(two, failed, log.text)


def test_an_error_of_aws_that_holds_none_of_them_is_passed_on(two: World, log: pytest.LogCaptureFixture) -> None:
    words = "asked for by the test"
    two.wire.fail("lambda.UpdateFunctionConfiguration", "InvalidParameterValueException", on_call=0)

    failed = two.deploy("prod", two.wishes(None, **CONFIGURATION))

    assert failed.outcome == "Compensated"
    assert words in failed.message
    assert_told_nowhere(two, failed, log.text)


def test_a_deploy_that_fails_midway(two: World, log: pytest.LogCaptureFixture) -> None:
    two.fake.fail("UpdateAlias", error="InvalidParameterValueException", times=None, where=of("b", "3"))

    failed = two.deploy("prod", two.wishes("three", **CONFIGURATION))

    assert failed.outcome == "Compensated"
    assert_told_nowhere(two, failed, log.text)


def test_leaving_out_what_an_earlier_deploy_gave(two: World, log: pytest.LogCaptureFixture) -> None:
    two.deploy("prod", two.wishes("three", **CONFIGURATION))

    refused = two.deploy("prod", two.wishes("four"))

    assert (refused.outcome, "configuration.Environment" in refused.message) == ("InvalidRequest", True)
    assert_told_nowhere(two, refused, log.text)


MALFORMED: list[dict[str, Any]] = [
    {"Environment": {"Variables": {"A": [SECRETS["PLAIN"]]}}},
    {"Environment": {"Variables": {"A": {"B": SECRETS["PLAIN"]}}}},
    {"Environment": {"Variables": SECRETS["PLAIN"]}},
    {"Environment": SECRETS["PLAIN"]},
    {"Environment": {"Variable": {"A": SECRETS["PLAIN"]}}},
    {"Enviroment": {"Variables": {"A": SECRETS["PLAIN"]}}},
]


@pytest.mark.parametrize("configuration", MALFORMED, ids=str)
def test_a_request_that_is_malformed_where_they_are(
    world: World, configuration: dict[str, Any], log: pytest.LogCaptureFixture
) -> None:
    refused = world.deploy("prod", world.wishes(None, **configuration))

    assert refused.outcome == "InvalidRequest"
    assert_told_nowhere(world, refused, log.text)


def test_a_stored_request_that_was_damaged(two: World, log: pytest.LogCaptureFixture) -> None:
    running = two.begin(deploy_of("prod", two.wishes("three", **CONFIGURATION))).run_to("Plan")
    two.damage_request(running.name, lambda body: body["functions"]["a"].update(configuration=list(SECRETS.values())))

    refused = running.run()

    assert refused.outcome == "Unreadable"
    assert_told_nowhere(two, refused, log.text)


def test_a_stored_request_that_was_damaged_as_a_log_shows_it(two: World) -> None:
    running = two.begin(deploy_of("prod", two.wishes("three", **CONFIGURATION))).run_to("Plan")
    two.damage_request(running.name, lambda body: body["functions"]["a"].update(configuration=list(SECRETS.values())))

    with pytest.raises(MalformedItem) as caught:
        Bodies(two.deps.artifacts).request_of(two.deps.journal.reread(running.carrier))

    # With every exception that led to it.
    assert NEEDLE not in "".join(traceback.format_exception(caught.value))
