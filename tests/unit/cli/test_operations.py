"""What the commands start: a whole command line, from its words to the input of the execution."""

from __future__ import annotations

from typing import Any

import pytest

from stagekeeper.cli import operating
from stagekeeper.cli.checkout import Checkout
from stagekeeper.domain.model import Provenance
from stagekeeper.domain.operation import OperationKind

from .books import movement, stage
from .desk import FUNCTIONS, STAGEKEEPER, Desk

# What each command starts.


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("rollback --stage prod", {"operation": "rollback", "stage": "prod", "if_release": 7}),
        ("rollback --stage prod --steps 2", {"operation": "rollback", "stage": "prod", "if_release": 7, "to": {"steps": 2}}),
        (
            "rollback --stage prod --to-release 4 --on-drift overwrite --allow-missing --if-release r6",
            {
                "operation": "rollback",
                "stage": "prod",
                "if_release": 6,
                "to": {"release": 4},
                "on_drift": "overwrite",
                "allow_missing": True,
            },
        ),
        ("rollback --stage prod --if-release any", {"operation": "rollback", "stage": "prod"}),
        ("rollback --stage nope", {"operation": "rollback", "stage": "nope"}),
        ("reset --stage prod --to-stage qa", {"operation": "reset", "stage": "prod", "if_release": 7, "to": {"stage": "qa"}}),
        ("reset --stage prod --to-release 4", {"operation": "reset", "stage": "prod", "if_release": 7, "to": {"release": 4}}),
        ("clone --from prod --stage qa", {"operation": "clone", "stage": "qa", "from": {"stage": "prod"}}),
        ("teardown --stage prod", {"operation": "teardown", "stage": "prod", "if_release": 7}),
        (
            "teardown --stage prod --confirm prod",
            {"operation": "teardown", "stage": "prod", "if_release": 7, "confirm": "prod"},
        ),
        ("teardown --whole-service --confirm orders", {"operation": "teardown", "confirm": "orders"}),
        ("sweep", {"operation": "sweep"}),
        (
            "sweep --delete --keep 0 --rollback-depth 0 --grace-hours 0",
            {"operation": "sweep", "mode": "delete", "keep": 0, "rollback_depth": 0, "grace_hours": 0},
        ),
        ("adopt", {"operation": "adopt"}),
        (
            "adopt --stages dev --stages prod --function Api=orders-api --accept-unqualified-callers",
            {
                "operation": "adopt",
                "stages": ["dev", "prod"],
                "functions": {"Api": {"function_name": "orders-api"}},
                "accept_unqualified_callers": True,
            },
        ),
        (
            "configure --stage prod --no-protect --description live",
            {
                "operation": "configure",
                "stage": "prod",
                "if_release": 7,
                "settings": {"protected": False, "description": "live"},
            },
        ),
        ("verify --stage prod", {"operation": "verify", "stage": "prod"}),
        ("verify --all-stages", {"operation": "verify"}),
        ("recover", {"operation": "recover"}),
    ],
)
def test_a_command_starts_what_it_says(desk: Desk, line: str, fields: dict[str, Any]) -> None:
    desk.project("service: orders\ntemplate: template.yaml\n")
    desk.books.known().stage(stage("prod", 7))

    assert desk.sends(*line.split()) == {"service": "orders", "actor": "jane", **fields}


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("sweep --all-services", {"operation": "sweep"}),
        ("recover --all-services", {"operation": "recover"}),
        ("recover orders-dev-42", {"operation": "recover", "operation_id": "orders-dev-42"}),
    ],
)
def test_some_are_of_no_service(desk: Desk, line: str, fields: dict[str, Any]) -> None:
    desk.project(FUNCTIONS)

    assert desk.sends(*line.split()) == {"actor": "jane", **fields}


def test_what_every_operation_takes_is_sent(desk: Desk) -> None:
    sent = desk.sends(
        *("rollback", "--service", "orders", "--stage", "prod", "--user", "jim"),
        *("--reason", "too slow", "--lock-wait", "0", "--operation-id", "orders-prod-42"),
    )

    assert sent == desk.started()["orders-prod-42"]
    assert sent == {
        "operation": "rollback",
        "service": "orders",
        "stage": "prod",
        "reason": "too slow",
        "lock_wait_seconds": 0,
        "actor": "jim",
    }


def test_what_nobody_named_has_a_name_that_tells_what_it_is(desk: Desk) -> None:
    desk.sends("rollback", "--service", "orders", "--stage", "prod")

    (name,) = desk.started()
    assert name.startswith("orders-prod-rollback-20")


#: A line of each operation.
LINES = {
    OperationKind.DEPLOY: "deploy --stage dev",
    OperationKind.ROLLBACK: "rollback --stage dev",
    OperationKind.RESET: "reset --stage dev --to-release 1",
    OperationKind.CLONE: "clone --from dev --stage qa",
    OperationKind.TEARDOWN: "teardown --stage dev",
    OperationKind.SWEEP: "sweep",
    OperationKind.ADOPT: "adopt",
    OperationKind.CONFIGURE: "configure --stage dev --protect",
    OperationKind.VERIFY: "verify --stage dev",
    OperationKind.RECOVER: "recover",
}


@pytest.mark.parametrize("kind", OperationKind)
def test_every_operation_has_a_dry_run(desk: Desk, kind: OperationKind) -> None:
    desk.project(FUNCTIONS)
    line = LINES[kind].split()

    assert desk.sends(*line, "--dry-run") == {**desk.sends(*line), "dry_run": True}


@pytest.mark.parametrize("kind", OperationKind)
def test_a_plan_is_that_dry_run(kind: OperationKind) -> None:
    itself, plan = (of.commands[kind] for of in (STAGEKEEPER, STAGEKEEPER.commands["plan"]))
    options, of_plan = ({each.name for each in command.params} for command in (itself, plan))

    assert options - of_plan == {"dry_run", "no_wait"}
    assert not of_plan - options


# Where CI runs, and whose stage.


def test_ci_deploys_the_stage_of_the_branch_and_says_where_it_comes_from(ci: Desk) -> None:
    ci.project(FUNCTIONS)

    sent = ci.sends("deploy")

    assert sent["stage"] == "dev"
    assert sent["actor"] == "jane"
    assert sent["source"] == {
        "commit": "0123abc",
        "branch": "develop",
        "run_url": "https://github.example/acme/orders/actions/runs/7",
    }


@pytest.mark.parametrize("line", ["rollback --stage dev", "clone --from dev --stage qa", "verify --all-stages", "sweep"])
def test_only_a_deploy_has_a_commit(ci: Desk, line: str) -> None:
    """The ledger tells by it what a release was made of, and what is checked out for a rollback says nothing of that."""
    ci.project(FUNCTIONS)

    source = ci.sends(*line.split())["source"]

    assert source == {"branch": "develop", "run_url": "https://github.example/acme/orders/actions/runs/7"}


@pytest.mark.parametrize("line", ["rollback", "reset --to-release 1", "configure --protect"])
def test_what_ci_does_not_deploy_it_has_to_name(ci: Desk, line: str) -> None:
    ci.project(FUNCTIONS)

    assert "--stage" in ci.refuses(*line.split()).stderr
    assert ci.sends(*line.split(), "--from-branch")["stage"] == "dev"


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    "line",
    [
        "deploy",
        "rollback",
        "verify --stage local",
        "clone --from local --stage jane",
        "clone --from dev --stage local",
        "teardown --stage local",
        "adopt --stages local",
        "sweep --local",
    ],
)
def test_local_is_refused_where_no_embedded_aws_is(desk: Desk, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    desk.project(FUNCTIONS)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    answer = desk.does(*line.split(), "--no-wait")

    assert answer.code == 3
    assert "no embedded AWS answers at http://127.0.0.1:9" in answer.stderr
    assert (desk.started(), desk.objects()) == ({}, set())


def test_a_stage_of_an_account_cannot_be_like_one_of_the_embedded_aws(desk: Desk) -> None:
    answer = desk.does("reset", "--service", "orders", "--stage", "prod", "--to-stage", "local", "--no-wait")

    assert answer.code == 1
    assert "embedded AWS" in answer.stderr
    assert desk.started() == {}


@pytest.mark.parametrize(
    ("checkout", "commit"),
    [
        (Checkout(commit="0123abc"), "0123abc"),
        (Checkout(commit="0123abc", dirty=True), "0123abc-dirty"),
        # A build leaves things behind, and nobody edits what CI has checked out.
        (Checkout(commit="0123abc", dirty=True, ci=True), "0123abc"),
        (Checkout(dirty=True), None),
    ],
)
def test_what_is_not_as_committed_is_marked(checkout: Checkout, commit: str | None) -> None:
    assert operating.origin_of(checkout, deployed=True).commit == commit


PERSONAL = ("rollback", "--branch", "feature/x")


def by(actor: str | None) -> dict[str, Any]:
    return {"provenance": Provenance(actor=actor)}


@pytest.mark.parametrize("other", ["CORP\\jane", "jane@example.com"])
def test_two_persons_of_one_name_are_told(desk: Desk, other: str) -> None:
    desk.project(FUNCTIONS)
    desk.books.stage(stage("jane", 2))
    desk.books.moved(movement("jane", 1, None, 1, **by(other)), movement("jane", 2, 1, 2, **by("jane")))

    answer = desk.refuses(*PERSONAL)

    assert answer.code == 3
    assert other in answer.stderr
    assert desk.sends("rollback", "--stage", "jane")["stage"] == "jane"


@pytest.mark.parametrize("other", ["JANE", "jim", None])
def test_a_colleague_who_named_the_stage_is_no_second_owner(desk: Desk, other: str | None) -> None:
    desk.project(FUNCTIONS)
    desk.books.stage(stage("jane", 2))
    desk.books.moved(movement("jane", 1, None, 1, **by("jane")), movement("jane", 2, 1, 2, **by(other)))

    assert desk.sends(*PERSONAL)["stage"] == "jane"


def test_a_stage_that_somebody_else_made_is_nobodys_own(desk: Desk) -> None:
    """A team's stage may be called as somebody is who comes later."""
    desk.project(FUNCTIONS)
    desk.books.stage(stage("jane", 2))
    desk.books.moved(movement("jane", 1, None, 1, **by("ops")), movement("jane", 2, 1, 2, **by("jane")))

    answer = desk.refuses(*PERSONAL)

    assert answer.code == 3
    assert "was made by ops" in answer.stderr


def test_whoever_had_the_stage_before_it_was_torn_down_has_it_no_more(desk: Desk) -> None:
    desk.project(FUNCTIONS)
    desk.books.moved(movement("jane", 1, None, 1, **by("CORP\\jane")), movement("jane", 2, 1, None, **by("CORP\\jane")))

    assert desk.sends(*PERSONAL)["stage"] == "jane"


# The same id.


def test_the_same_id_is_the_same_operation_also_when_it_has_moved_the_stage(desk: Desk) -> None:
    line = ("rollback", "--service", "orders", "--stage", "prod", "--operation-id", "orders-prod-42", "--no-wait")
    desk.books.stage(stage("prod", 7))
    desk.does(*line)
    desk.books.stage(stage("prod", 6))

    again = desk.does(*line)

    assert again.code == 0
    assert desk.started()["orders-prod-42"]["if_release"] == 7


def test_another_request_under_the_same_id_is_refused(desk: Desk) -> None:
    line = ("rollback", "--service", "orders", "--operation-id", "orders-42")
    desk.does(*line, "--stage", "prod", "--no-wait")

    answer = desk.refuses(*line, "--stage", "dev")

    assert answer.code == 3
    assert "orders-42" in answer.stderr


# Wrong usage.


@pytest.mark.parametrize(
    "line",
    [
        "rollback --stage dev --to-release 1 --steps 1",
        "rollback --stage dev --if-release latest",
        "rollback --stage dev --operation-id a/b",
        "rollback --stage dev --to-release latest",
        "rollback --stage dev --branch main",
        "rollback --stage dev --from-branch",
        "rollback --stage dev --lock-wait 4000",
        "rollback --stage 12345",
        "rollback --stage dev --service Foo_Bar",
        "rollback --nope",
        "reset --stage dev --to-stage a.b",
        "clone --from a.b --stage dev",
        "clone --from dev",
        "adopt --stages dev --stages a.b",
        "logs --stage a.b",
        "logs --stage dev --from-branch",
        "logs --stage dev --since yesterday",
        "invoke Api --stage dev --payload {",
        "invoke Api --stage dev --payload-file nope.json",
        "follow a/b",
        "stop a/b",
        "plan nope",
        "nope",
        "local start --port 0",
        "reset --stage dev",
        "reset --stage dev --to-stage qa --to-release 1",
        "teardown",
        "teardown --stage dev --whole-service",
        "teardown --deleted-branch refs/tags/v1",
        "teardown --deleted-branch feature/x --confirm jane",
        "teardown --deleted-branch feature/x --if-release 1",
        "teardown --whole-service --confirm orders --if-release 1",
        "sweep --all-services --service orders",
        "configure --stage dev",
        "verify --stage dev --all-stages",
        "recover orders-dev-42 --all-services",
        "deploy --release-only --stage dev",
        "deploy --release-only --partial",
        "deploy --release-only --if-release 1",
        "deploy --stage dev --function Nope",
        "deploy --stage dev --function Api --template template.yaml",
    ],
)
def test_what_is_wrong_with_the_command_line_is_wrong_usage(desk: Desk, line: str) -> None:
    desk.project(FUNCTIONS)

    words = line.split()
    # Were it started, nobody would wait for it.
    answer = desk.does(*words, *(["--no-wait"] if words[0] in list(OperationKind) else []), "--json")

    assert answer.code == 2
    assert set(answer.json) == {"error", "message", "blockers"}
    assert answer.json["error"] == "Usage"
    assert desk.started() == {}


def test_for_people_wrong_usage_is_told_on_stderr(desk: Desk) -> None:
    for line in (["rollback", "--nope"], ["rollback", "--stage", "12345"]):
        answer = desk.does(*line)

        assert (answer.code, answer.stdout) == (2, "")
        assert line[-1] in answer.stderr


def test_what_is_json_after_two_hyphens_is_no_option(desk: Desk) -> None:
    answer = desk.does("follow", "--nope", "--", "--json")

    assert (answer.code, answer.stdout) == (2, "")


def test_a_branch_that_the_environment_names_goes_with_a_stage(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGEKEEPER_BRANCH", "release/2")

    sent = desk.sends("rollback", "--service", "orders", "--stage", "prod")

    assert (sent["stage"], sent["source"]) == ("prod", {"branch": "release/2"})


@pytest.mark.parametrize("release", ["4", "r4"])
def test_a_release_is_a_number_with_or_without_its_r(desk: Desk, release: str) -> None:
    line = ("--service", "orders", "--stage", "prod", "--to-release", release)

    assert desk.sends("rollback", *line)["to"] == {"release": 4}
    assert desk.sends("reset", *line)["to"] == {"release": 4}
