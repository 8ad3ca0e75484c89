"""What a deploy from a checkout builds, packages, uploads and sends; and what it says before it does any of that."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import pytest

from .books import stage
from .desk import FUNCTIONS, TEMPLATE, Desk
from .looking import OUTPUT


def test_functions_are_packaged_uploaded_and_named(desk: Desk) -> None:
    desk.project(FUNCTIONS)
    desk.books.stage(stage("dev", 3))

    sent = desk.sends("deploy", "--stage", "dev", "--accept-unqualified-callers", "--on-drift", "refuse", "--partial")

    assert sent["if_release"] == 3
    assert (sent["accept_unqualified_callers"], sent["on_drift"], sent["partial"]) == (True, "refuse", True)
    document = json.loads(desk.read(sent["functions"]))
    code = document["Api"].pop("code")
    assert document == {
        "Api": {"function_name": "orders-api", "configuration": {"Timeout": 10}},
        "Worker": {"function_name": "orders-worker"},
    }
    assert code == {"s3_bucket": desk.bucket, "s3_key": code["s3_key"]}
    assert desk.objects() == {sent["functions"]["s3_key"], code["s3_key"]}


def test_the_same_checkout_is_uploaded_once(desk: Desk) -> None:
    desk.project(FUNCTIONS)

    first = desk.does("deploy", "--stage", "dev", "--no-wait")
    second = desk.does("deploy", "--stage", "prod", "--no-wait")

    assert "Uploaded 2 files" in first.stderr
    assert "Nothing to upload: 2 files there already." in second.stderr


def test_of_the_projects_functions_some_are_enough(desk: Desk) -> None:
    desk.project(FUNCTIONS)

    sent = desk.sends("deploy", "--stage", "dev", "--function", "Worker")

    assert sent["partial"] is True
    assert json.loads(desk.read(sent["functions"])) == {"Worker": {"function_name": "orders-worker"}}


def test_a_release_may_be_made_without_a_stage(desk: Desk) -> None:
    desk.project(FUNCTIONS)

    assert desk.sends("deploy", "--release-only").keys() == {"operation", "service", "functions", "actor"}


def test_a_template_goes_with_what_the_project_says_of_the_stage(desk: Desk) -> None:
    desk.project(TEMPLATE)

    sent = desk.sends("deploy", "--stage", "dev", "--allow-shared", "Table")

    assert b"s3://" in desk.read(sent["template"])
    assert sent["parameters"] == {"Size": "2", "Color": "red"}
    assert sent["variables"] == {"LOG": "debug", "KEEP": "7"}
    assert sent["allow_shared"] == ["Table"]


def test_options_come_before_what_the_project_says(desk: Desk) -> None:
    desk.project(TEMPLATE)
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:key-AbCdEf"

    sent = desk.sends(
        *("deploy", "--stage", "dev", "--parameter", "Color=blue"),
        *("--variable", "LOG=info", "--variable", f"KEY=secret:{arn}"),
    )

    assert sent["parameters"] == {"Size": "2", "Color": "blue"}
    assert sent["variables"] == {"LOG": "info", "KEEP": "7", "KEY": {"secret": arn}}


@pytest.mark.parametrize(
    ("line", "variables"),
    [
        ("deploy --stage jane", {"LOG": "trace"}),
        ("deploy --branch feature/x", {"LOG": "trace"}),
        ("clone --from dev --stage jane", {"LOG": "trace"}),
        ("clone --from dev --stage jane --variable LOG=info", {"LOG": "info"}),
        ("deploy --stage jim", None),
        ("deploy --stage prod", None),
        ("clone --from dev --stage prod", None),
    ],
)
def test_a_persons_own_stage_has_the_variables_of_those(desk: Desk, line: str, variables: dict[str, str] | None) -> None:
    desk.project(TEMPLATE)

    assert desk.sends(*line.split()).get("variables") == variables


def test_without_a_stage_the_template_has_the_projects_own_parameters(desk: Desk) -> None:
    desk.project(TEMPLATE)

    sent = desk.sends("deploy", "--release-only")

    assert sent["parameters"] == {"Size": "1", "Color": "red"}
    assert "variables" not in sent


def test_a_template_needs_no_project(desk: Desk) -> None:
    desk.project(TEMPLATE)
    (desk.folder / "stagekeeper.yaml").unlink()

    sent = desk.sends("deploy", "--service", "shop", "--stage", "dev", "--template", "template.yaml")

    assert sent["service"] == "shop"
    assert sent["template"]["s3_key"].startswith("code/shop/")


def test_what_the_project_says_is_not_said_of_another_service(desk: Desk) -> None:
    desk.project(TEMPLATE)

    sent = desk.sends("deploy", "--service", "shop", "--stage", "dev", "--template", "template.yaml")

    assert not {"parameters", "variables"} & sent.keys()


def test_adopt_names_the_projects_functions(desk: Desk) -> None:
    desk.project(FUNCTIONS)

    sent = desk.sends("adopt")

    assert sent["functions"] == {"Api": {"function_name": "orders-api"}, "Worker": {"function_name": "orders-worker"}}
    assert "functions" not in desk.sends("adopt", "--service", "shop")


BUILT = "build: touch built\n"


@pytest.mark.parametrize(
    ("options", "built"),
    [((), True), (("--dry-run",), True), (("--no-build",), False), (("--template", "template.yaml"), False)],
)
def test_what_the_project_builds_is_built_first(desk: Desk, options: Sequence[str], built: bool) -> None:
    desk.project(TEMPLATE + BUILT)

    desk.sends("deploy", "--stage", "dev", *options)

    assert (desk.folder / "built").exists() is built


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--stage", "12345"), "stage: "),
        (("--stage", "dev", "--service", "Orders", "--template", "template.yaml"), "service: "),
        (("--stage", "dev", "--variable", "1=x"), "variables.1"),
        (("--stage", "dev", "--parameter", "a-b=x"), "parameters.a-b"),
    ],
)
def test_what_the_form_forbids_is_told_before_anything_is_built_or_uploaded(
    desk: Desk, options: Sequence[str], told: str
) -> None:
    desk.project(TEMPLATE + BUILT)

    answer = desk.refuses("deploy", *options)

    assert answer.code == 2
    assert told in answer.stderr
    assert not (desk.folder / "built").exists()
    assert desk.objects() == set()


def test_a_function_of_the_project_file_that_no_request_may_have_is_no_wrong_usage(desk: Desk) -> None:
    desk.project(FUNCTIONS.replace("Timeout: 10", "Timeout: soon"))

    answer = desk.does("deploy", "--stage", "dev", "--json")

    assert (answer.code, answer.json["error"]) == (1, "CommandFailed")
    assert "Timeout" in answer.json["message"]


def test_functions_take_no_variables(desk: Desk) -> None:
    desk.project(FUNCTIONS)

    assert "variables: goes with template" in desk.refuses("deploy", "--stage", "dev", "--variable", "A=b").stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [((), "Write one with `stagekeeper init`"), (("--service", "shop"), "no stagekeeper.yaml of service shop")],
)
def test_nothing_to_deploy_is_told(desk: Desk, options: Sequence[str], told: str) -> None:
    answer = desk.does("deploy", "--stage", "dev", "--no-wait", *options)

    assert answer.code == 1
    assert told in answer.stderr


# Afterwards.


@pytest.mark.parametrize(
    ("project", "options", "told"),
    [
        (TEMPLATE, (), "Outputs: stagekeeper outputs --stage dev\n"),
        (TEMPLATE, ("--service", "orders", "--stack", "tools"), "outputs --stage dev --service orders --stack tools\n"),
        (TEMPLATE, ("--json",), None),
        (FUNCTIONS, (), None),
    ],
)
def test_where_the_addresses_are_is_told_after_a_deploy_from_a_template(
    desk: Desk, project: str, options: Sequence[str], told: str | None
) -> None:
    desk.project(project)
    desk.books.operation("orders-1", ended=True, output=OUTPUT)

    answer = desk.does("deploy", "--stage", "dev", "--operation-id", "orders-1", *options)

    assert answer.code == 0
    assert told in answer.stderr if told else "Outputs" not in answer.stderr


def test_a_refusal_of_the_template_names_the_file_it_was_made_from(desk: Desk) -> None:
    desk.project(TEMPLATE)
    desk.sends("deploy", "--stage", "dev")
    (sent,) = desk.started().values()
    place = f"s3://{sent['template']['s3_bucket']}/{sent['template']['s3_key']}"
    desk.books.operation("orders-2", ended=True, failed=f"{place}, line 3: no.")

    answer = desk.does("deploy", "--stage", "dev", "--operation-id", "orders-2")

    assert answer.code == 3
    assert f"{place} (that is template.yaml), line 3: no." in answer.stderr


def test_what_was_done_before_under_an_id_is_said_to_be(desk: Desk) -> None:
    line = ("rollback", "--service", "orders", "--stage", "prod", "--operation-id", "orders-3")
    desk.sends(*line)
    desk.books.operation("orders-3", ended=True, output={**OUTPUT, "operation": "rollback"})
    assert "Done before" not in desk.does(*line).stderr

    desk.ends("orders-3")
    answer = desk.does(*line)

    assert answer.code == 0
    assert re.search(r"Done before, at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d:\n", answer.stderr)


def test_what_nobody_knows_cannot_be_stopped(desk: Desk) -> None:
    answer = desk.does("stop", "mine-99")

    assert (answer.code, answer.stdout, answer.stderr) == (3, "", "There is no operation mine-99.\n")
