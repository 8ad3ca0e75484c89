"""What the README and the pages in docs/ say is true: names, fields, codes, parameters, paths, commands and examples."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
import typer
from botocore import xform_name
from rich.console import Console

from stagekeeper.cli.board import Board, show
from stagekeeper.cli.main import app
from stagekeeper.domain.configuration import MEMBERS, OVERLAY_MEMBERS, WITHHELD_MEMBERS
from stagekeeper.domain.model import (
    FunctionArn,
    LogicalName,
    OperationId,
    ReleaseNumber,
    ServedAlias,
    ServiceName,
    Stage,
    StageName,
    VersionNumber,
)
from stagekeeper.domain.operation import OperationKind, Phase, seconds_until_calls_ended
from stagekeeper.domain.plan import Unchanged
from stagekeeper.domain.recovery import LOOK_INTERVAL, MAX_RECOVERIES
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.engine import recover
from stagekeeper.engine.report import Recovered, RecoveredOperation, Subject, planned
from stagekeeper.engine.step import failed
from stagekeeper.handlers import request_forms as forms

from .pages import PAGES, README, ROOT, anchors, blocks, codes, commands, links, section, tables, text
from .permissions.template import load

TEMPLATE: dict[str, Any] = load()
EVENTS = {path.name: json.loads(text(path)) for path in (ROOT / "events").glob("*.json")}

STATE_MACHINE: dict[str, Any] = json.loads(text(ROOT / "src/statemachine/operation.asl.json"))
NUMBERS = ("none", "one", "two", "three", "four", "five", "six")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def first_column(markdown: str) -> list[str]:
    """The codes in the first cells of all tables."""
    return [code for table in tables(markdown) for row in table for code in codes(row[0])]


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(text(page)):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_path_of_the_folder_map_exists_and_every_package_is_on_it() -> None:
    mapped = {link for table in tables(section(README, "Folder map")) for row in table for link in links(row[0])}
    packages = {path.parent for folder in ("src/stagekeeper", "tests") for path in (ROOT / folder).glob("*/__init__.py")}

    assert [path for path in mapped if not (ROOT / path).exists()] == []
    assert {f"{path.relative_to(ROOT)}/" for path in packages} <= mapped


def test_the_warning_about_unqualified_callers_is_on_the_first_page() -> None:
    assert "UnqualifiedCallers" in "\n".join(text(README).splitlines()[:20])


def test_the_picture_has_every_state_and_no_other() -> None:
    (picture,) = blocks(section(README, "How an operation goes"), "mermaid")
    drawn = set(re.findall(r"\b[A-Z]\w+\b", re.sub(r"\|[^|]*\|", " ", picture.removeprefix("flowchart LR"))))

    # Every arrow from a task goes by way of Route, which the sentence below the picture says.
    assert drawn | {"Route"} == set(STATE_MACHINE["States"])


def test_every_refusal_code_is_explained_in_the_order_of_decision() -> None:
    assert first_column(section(README, "When it fails")) == [code.value for code in Code]


FIELDS_OF_ALL = set(forms.OfStage.model_fields) | {"operation", "stage"}


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("deploy", forms.Deploy),
        ("rollback", forms.Rollback),
        ("reset", forms.Reset),
        ("clone", forms.Clone),
        ("teardown", forms.Teardown),
        ("sweep", forms.Sweep),
        ("adopt", forms.Adopt),
        ("configure", forms.Configure),
        ("recover", forms.Recover),
    ],
)
def test_every_field_of_an_operation_is_explained(heading: str, model: type[forms.Input]) -> None:
    own = {code for code in first_column(section(README, heading)) if "." not in code} - {"s3_key", "s3_object_version"}

    fields = {field.alias or name for name, field in model.model_fields.items()}
    assert own | FIELDS_OF_ALL == fields | FIELDS_OF_ALL
    assert set(tables_first(section(README, "Operations"))) == FIELDS_OF_ALL


def tables_first(markdown: str) -> list[str]:
    """The codes in the first cells of the first table."""
    return [code for row in tables(markdown)[0] for code in codes(row[0])]


def test_every_field_of_a_function_is_explained() -> None:
    explained = {code.rpartition(".")[2] for code in first_column(section(README, "deploy"))}

    of_code = set(forms.S3Code.model_fields) | set(forms.ImageCode.model_fields)
    assert set(forms.Function.model_fields) | of_code <= explained


def test_every_member_that_configuration_may_have_is_named() -> None:
    (row,) = [row for row in tables(section(README, "deploy"))[0] if row[0] == "`functions.*.configuration`"]

    assert {code for code in codes(row[1]) if code[0].isupper()} == OVERLAY_MEMBERS


CONFIGURATION = ROOT / "docs/configuration.md"


def test_the_page_about_configuration_says_of_every_member_what_it_is_of_and_what_it_needs() -> None:
    given, withheld = tables(text(CONFIGURATION))
    of = {"both": None, "zip": "Zip", "image": "Image"}

    assert {codes(row[0])[0]: (of[row[1]], tuple(codes(row[2]))) for row in given} == {
        name: (member.package, member.needs) for name, member in MEMBERS.items()
    }
    assert {code for row in withheld for code in codes(row[0])} == WITHHELD_MEMBERS.keys()


def test_the_publisher_has_what_members_need_and_no_other_handler_has() -> None:
    """AWS checks them against the caller of UpdateFunctionConfiguration; passing roles is a policy of its own."""
    needed = {action for member in MEMBERS.values() for action in member.needs}
    page = ROOT / "docs/permissions.md"
    names = re.findall(r"^## (.+)$", text(page), re.MULTILINE)
    granted = {name: needed & set(codes(section(page, name))) for name in names}

    assert {name: actions for name, actions in granted.items() if actions} == {
        "PublishRole": needed - {"iam:PassRole"},
        "PublishPassRolePolicy": {"iam:PassRole"},
        # Another role, and to CloudFormation alone: no function's.
        "StacksRole": {"iam:PassRole"},
    }


def test_no_role_can_be_passed_unless_the_parameter_names_some() -> None:
    policy = TEMPLATE["Resources"]["PublishPassRolePolicy"]
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]

    assert TEMPLATE["Parameters"]["PassRolePattern"]["Default"] == ""
    assert TEMPLATE["Conditions"][policy["Condition"]] == {"Not": [{"Equals": [{"Ref": "PassRolePattern"}, ""]}]}
    assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    assert statement["Resource"]["Sub"].endswith(":role/${PassRolePattern}")


def test_every_operation_has_a_section() -> None:
    headings = re.findall(r"^### (.+)$", section(README, "Operations"), re.MULTILINE)

    assert {kind.value for kind in OperationKind} <= set(headings)


def test_parameters_and_outputs_are_those_of_the_template() -> None:
    parameters, outputs = tables(section(README, "Deploy it"))
    defaults = {codes(row[0])[0]: row[1].strip("`").replace("(none)", "") for row in parameters}

    assert defaults == {name: str(parameter["Default"]) for name, parameter in TEMPLATE["Parameters"].items()}
    assert [codes(row[0])[0] for row in outputs] == list(TEMPLATE["Outputs"])


def test_every_request_of_the_readme_is_one_of_the_events() -> None:
    shown = [json.loads(block) for block in blocks(text(README), "json")]
    inputs = [each for each in shown if "operation" in each and "outcome" not in each]

    assert len(inputs) == 11
    for each in inputs:
        assert each in EVENTS.values()


def test_every_start_event_is_linked() -> None:
    linked = {Path(link).name for link in links(text(README)) if link.startswith("events/")}

    assert {name for name in EVENTS if name.startswith("start-")} - linked <= {"start-deploy-overwrite.json"}


def test_the_output_and_the_cause_that_are_shown_have_the_members_of_the_real_ones() -> None:
    shown = [json.loads(block) for block in blocks(text(README), "json")]
    subject = Subject(OperationId("x"), OperationKind.DEPLOY, ServiceName("orders"), StageName("dev"))

    (output,) = [each for each in shown if "outcome" in each]
    assert set(output) == set(planned(subject, Unchanged(ReleaseNumber(1))).output)
    (cause,) = [each for each in shown if "message" in each]
    assert set(cause) == set(failed(Refusal(Code.LOCKED, ""), OperationId("x")).cause)


def test_the_members_of_what_was_recovered_are_the_real_ones() -> None:
    (told,) = re.findall(r"`recovered`, a list of `\{([^}]*)\}`", section(README, "recover"))
    line = RecoveredOperation(OperationId("x"), OperationKind.DEPLOY, ServiceName("orders"), None, "")
    subject = Subject(OperationId("y"), OperationKind.RECOVER, None, None)

    (shown,) = planned(subject, Recovered((line,))).output["recovered"]
    assert told.split(", ") == list(shown)


def test_how_long_a_recovery_waits_is_what_the_rules_say() -> None:
    death = section(README, "When an execution dies")

    waits = re.findall(r"(\d+) seconds after it moved aliases, (\d+) seconds while it published", death)
    assert waits == [(str(seconds_until_calls_ended(Phase.MOVE)), str(seconds_until_calls_ended(Phase.PUBLISH)))]
    assert f"every {LOOK_INTERVAL} seconds" in death
    assert f"after {NUMBERS[MAX_RECOVERIES]} of one operation" in death
    assert f"time-out after {NUMBERS[STATE_MACHINE['TimeoutSeconds'] // 3600]} hours" in death
    assert f"4 more for each {recover._LOOK_AGAIN} seconds" in section(README, "What it costs")


def test_the_board_that_is_shown_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    arns = {name: FunctionArn(f"arn:{name}") for name in ("Api", "Invoice", "Nightly", "Worker")}

    def stage(name: str, release: int, **versions: int) -> Stage:
        aliases = {arns[f]: ServedAlias(LogicalName(f), VersionNumber(number), None) for f, number in versions.items()}
        return Stage(StageName(name), ReleaseNumber(release), (ReleaseNumber(1),), aliases)

    stages = [stage("dev", 2, Api=2, Invoice=2, Nightly=2, Worker=1), stage("prod", 3, Api=2, Invoice=2, Nightly=2, Worker=2)]
    show(Board(ServiceName("orders"), stages), Console(force_terminal=False))

    (shown,) = blocks(section(README, "The stage board"), "text")
    assert shown in capsys.readouterr().out


def test_the_page_of_permissions_is_what_the_template_says() -> None:
    printed = subprocess.run([sys.executable, str(ROOT / "docs/permissions.py")], capture_output=True, text=True, check=True)  # noqa: S603 - our own script

    assert text(ROOT / "docs/permissions.md") == printed.stdout, "run .venv/bin/python docs/permissions.py > docs/permissions.md"


def test_no_handler_can_delete_a_function_or_touch_iam() -> None:
    """The qualified ARN is that of a version; without a qualifier the action would delete the function itself."""
    granted = set(codes("\n".join(text(ROOT / "docs/permissions.md").splitlines()[18:])))
    deleting = [
        resource
        for resource in TEMPLATE["Resources"].values()
        if "lambda:DeleteFunction" in json.dumps(resource) and resource["Type"] == "AWS::IAM::Role"
    ]

    assert {action for action in granted if action.startswith("iam:")} == {"iam:PassRole"}
    assert len(deleting) == 3
    for role in deleting:
        (statement,) = [
            statement
            for policy in role["Properties"]["Policies"]
            for statement in policy["PolicyDocument"]["Statement"]
            if "lambda:DeleteFunction" in statement["Action"]
        ]
        assert statement["Action"] == ["lambda:DeleteFunction"]
        assert statement["Resource"]["Sub"].endswith(":function:${FunctionNamePattern}:*")


# Commands.


@each_page
def test_every_shell_block_is_well_formed(page: Path) -> None:
    for block in blocks(text(page), "bash"):
        checked = subprocess.run(["/bin/bash", "-n"], input=block, text=True, capture_output=True, check=False)
        assert checked.returncode == 0, f"{checked.stderr}\n{block}"


def test_every_make_target_that_is_named_exists() -> None:
    named = {target for line in commands(PAGES) for target in re.findall(r"(?:^|`)make ([a-z]+)", line)}
    targets = set(re.findall(r"^([a-z]+):", text(ROOT / "Makefile"), re.MULTILINE))

    assert {"demo", "test", "setup"} <= named <= targets


def test_every_stagekeeper_command_and_option_that_is_named_exists() -> None:
    named = [line for line in commands(PAGES) if re.match(r"(\.venv/bin/)?stagekeeper ", line)]

    assert len(named) > 5
    for line in named:
        words = line.split()[1:]
        command: Any = typer.main.get_command(app)
        while words and hasattr(command, "commands") and not words[0].startswith("-"):
            command = command.commands[words.pop(0)]
        options = {name for parameter in command.params for name in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", line)) <= options, line


GLOBAL_OPTIONS = {"query", "output", "cli-read-timeout"}
#: What the AWS CLI adds to the service's own members.
ADDED_OPTIONS = {"create-function": {"zip-file"}}
S3_COMMANDS = {"rb": {"force"}}


def test_every_aws_command_and_option_that_is_named_exists() -> None:
    session: Any = boto3.Session("not", "used", region_name="us-east-1")
    named = [part for line in commands(PAGES) for part in re.split(r"(?<![\w/])(?=aws [a-z0-9]+ [a-z])", line)[1:]]

    assert len(named) > 15
    for command in named:
        _, service, operation, *rest = command.split()
        options = set(re.findall(r"(?<=--)[a-z][a-z0-9-]+", command)) - GLOBAL_OPTIONS
        if service == "s3":
            assert options <= S3_COMMANDS[operation], command
            continue
        client = session.client({"s3api": "s3"}.get(service, service))
        model = client.meta.service_model
        if operation == "wait":
            assert rest[0].replace("-", "_") in client.waiter_names, command
            operation = xform_name(client.get_waiter(rest[0].replace("-", "_")).config.operation, "-")
        operations = {xform_name(name, "-"): name for name in model.operation_names}
        members = {xform_name(m, "-") for m in model.operation_model(operations[operation]).input_shape.members}
        known = members | {f"no-{member}" for member in members} | ADDED_OPTIONS.get(operation, set())
        assert options <= known, command
