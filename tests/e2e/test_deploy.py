"""Deploys that succeed: what becomes of releases, versions, aliases and the record, and that all of them agree."""

from __future__ import annotations

import json

from .conftest import NewService
from .plane import ControlPlane
from .service import make_function, settled, zip_of


def change(function: str, action: str, before: str | None, after: str | None) -> tuple[str, str, str | None, str | None]:
    return function, action, before, after


def changes(output: dict[str, object]) -> list[tuple[str, str, str | None, str | None]]:
    """An output's changes without their reasons, of which each has one."""
    lines = output["changes"]
    assert isinstance(lines, list)
    assert all(line["reason"] for line in lines)
    assert output["changes_count"] == len(lines)
    return [(line["function"], line["action"], line["before"], line["after"]) for line in lines]


def test_the_first_deploy_publishes_what_latest_holds_and_makes_the_stage(new_service: NewService) -> None:
    service = new_service("a", "b", "c")

    output = service.deploy("dev")

    assert changes(output) == [
        *(change(name, "publish", None, "1") for name in "abc"),
        *(change(name, "create_alias", None, "1") for name in "abc"),
    ]
    assert (output["outcome"], output["operation"], output["service"]) == ("succeeded", "deploy", service.name)
    assert (output["release"], output["previous_release"]) == (1, None)
    assert service.says("dev") == {"a": "one", "b": "one", "c": "one"}
    assert service.way_back("dev") == []
    service.assert_agreement("dev", output)


def test_a_service_may_be_one_function(new_service: NewService) -> None:
    service = new_service("only")
    service.deploy("dev")

    output = service.deploy_text("dev", "two")

    assert changes(output) == [change("only", "publish", "1", "2"), change("only", "move_alias", "1", "2")]
    assert output["warnings"] == []
    assert service.says("dev") == {"only": "two"}
    service.assert_agreement("dev", output)


def test_only_the_function_whose_code_differs_is_published_and_moved(new_service: NewService) -> None:
    service = new_service("a", "b", "c")
    service.deploy("dev")
    others = [service.alias(name, "dev") for name in ("a", "c")]

    output = service.deploy("dev", service.wishes(a=service.code("one"), b=service.code("two")))

    assert changes(output) == [change("b", "publish", "1", "2"), change("b", "move_alias", "1", "2")]
    assert (output["release"], output["previous_release"]) == (2, 1)
    assert [service.versions(name) for name in "abc"] == [["1"], ["1", "2"], ["1"]]
    assert [service.alias(name, "dev") for name in ("a", "c")] == others
    assert service.says("dev") == {"a": "one", "b": "two", "c": "one"}
    assert service.way_back("dev") == [1]
    service.assert_agreement("dev", output)


def test_code_that_somebody_put_into_latest_is_published_when_the_request_gives_none(new_service: NewService) -> None:
    service = new_service("a", "b")
    service.deploy("dev")
    service.plane.client("lambda").update_function_code(FunctionName=service.functions["b"], ZipFile=zip_of("by template"))
    settled(service.plane, service.functions["b"])

    output = service.deploy("dev")

    assert changes(output) == [change("b", "publish", "1", "2"), change("b", "move_alias", "1", "2")]
    assert service.says("dev") == {"a": "one", "b": "by template"}
    service.assert_agreement("dev", output)


def test_a_deploy_that_changes_nothing_is_unchanged_and_leaves_no_line(new_service: NewService) -> None:
    service = new_service("a", "b")
    service.deploy("dev")
    before = service.record("dev")

    output = service.deploy("dev", service.wishes(a=service.code("one")))

    assert (output["outcome"], output["changes"]) == ("unchanged", [])
    assert (output["release"], output["previous_release"]) == (1, 1)
    assert service.record("dev") == before
    assert (len(service.ledger("dev")), service.releases()) == (1, [1])
    assert service.versions("a") == ["1"]
    service.assert_agreement("dev", output)


def test_a_new_stage_of_content_that_exists_reuses_its_versions(new_service: NewService) -> None:
    service = new_service("a", "b")
    service.deploy("dev")

    output = service.deploy("prod")

    assert changes(output) == [
        *(change(name, "reuse", None, "1") for name in "ab"),
        *(change(name, "create_alias", None, "1") for name in "ab"),
    ]
    assert (output["release"], output["previous_release"]) == (1, None)
    assert service.way_back("prod") == []
    for stage in ("dev", "prod"):
        service.assert_agreement(stage)


def test_content_of_an_earlier_release_is_that_release_and_its_versions(new_service: NewService) -> None:
    service = new_service("a")
    service.deploy_text("dev", "one")
    service.deploy_text("dev", "two")

    output = service.deploy_text("dev", "one")

    assert changes(output) == [change("a", "reuse", "2", "1"), change("a", "move_alias", "2", "1")]
    assert (output["release"], output["previous_release"]) == (1, 2)
    assert service.releases() == [1, 2]
    assert service.way_back("dev") == [2, 1]
    service.assert_agreement("dev", output)


def test_without_a_stage_the_release_is_published_and_no_alias_moves(new_service: NewService) -> None:
    service = new_service("a", "b")
    service.deploy("dev")

    output = service.deploy_text(None, "two")

    assert changes(output) == [change(name, "publish", None, "2") for name in "ab"]
    assert (output["stage"], output["release"], output["previous_release"]) == (None, 2, None)
    assert service.says("dev") == {"a": "one", "b": "one"}
    assert len(service.plane.client("lambda").list_aliases(FunctionName=service.functions["a"])["Aliases"]) == 1
    service.assert_agreement("dev")


def test_a_release_that_was_published_without_a_stage_is_promoted_without_publishing(new_service: NewService) -> None:
    service = new_service("a")
    service.deploy(None)

    output = service.deploy("dev")

    assert changes(output) == [change("a", "reuse", None, "1"), change("a", "create_alias", None, "1")]
    assert output["release"] == 1
    service.assert_agreement("dev", output)


def test_a_partial_deploy_keeps_the_other_functions_as_they_are(new_service: NewService) -> None:
    service = new_service("a", "b", "c")
    service.deploy("dev")
    wishes = service.wishes(b=service.code("two"))

    output = service.deploy("dev", {"b": wishes["b"]}, partial=True)

    assert changes(output) == [change("b", "publish", "1", "2"), change("b", "move_alias", "1", "2")]
    assert service.says("dev") == {"a": "one", "b": "two", "c": "one"}
    service.assert_agreement("dev", output)


def test_the_alias_of_a_function_that_the_request_leaves_out_is_deleted(new_service: NewService) -> None:
    service = new_service("a", "b")
    service.deploy("dev")
    service.deploy("prod")

    output = service.deploy("dev", {"a": service.wishes()["a"]})

    assert changes(output) == [change("b", "delete_alias", "1", None)]
    assert service.says("dev") == {"a": "one"}
    assert service.says("prod") == {"a": "one", "b": "one"}
    for stage in ("dev", "prod"):
        service.assert_agreement(stage)


def test_functions_may_lie_in_a_document_in_s3(new_service: NewService) -> None:
    service = new_service("a", "b")
    document = service.plane.upload(json.dumps(service.wishes(b=service.code("two"))).encode())

    output = service.deploy("dev", document)

    assert service.says("dev") == {"a": "one", "b": "two"}
    service.assert_agreement("dev", output)


def test_a_function_may_be_named_by_its_arn(new_service: NewService) -> None:
    service = new_service("a")

    output = service.deploy("dev", {"a": {"function_name": service.arn("a")}})

    assert service.says("dev") == {"a": "one"}
    service.assert_agreement("dev", output)


def test_configuration_of_the_request_is_laid_over_what_latest_holds(plane: ControlPlane, new_service: NewService) -> None:
    service = new_service("a")
    plane.client("lambda").update_function_configuration(FunctionName=service.functions["a"], MemorySize=256)
    settled(plane, service.functions["a"])

    output = service.deploy("dev", service.wishes(a={"configuration": {"Timeout": 7, "Description": "laid over"}}))

    served = plane.client("lambda").get_function(FunctionName=service.functions["a"], Qualifier="dev")["Configuration"]
    assert (served["Timeout"], served["Description"], served["MemorySize"]) == (7, "laid over", 256)
    service.assert_agreement("dev", output)


def test_another_stage_keeps_the_configuration_it_was_deployed_with(new_service: NewService) -> None:
    service = new_service("a")
    service.deploy("prod", service.wishes(a=colored("blue")))

    output = service.deploy("dev", service.wishes(a=colored("green")))

    assert [service.answer("a", stage)["color"] for stage in ("prod", "dev")] == ["blue", "green"]
    service.assert_agreement("dev", output)
    service.assert_agreement("prod")


def colored(color: str) -> dict[str, object]:
    return {"configuration": {"Environment": {"Variables": {"COLOR": color}}}}


def test_unqualified_callers_may_be_accepted(plane: ControlPlane, new_service: NewService) -> None:
    service = new_service("a")
    plane.client("lambda").add_permission(
        FunctionName=service.functions["a"], StatementId="bus", Action="lambda:InvokeFunction", Principal="events.amazonaws.com"
    )

    output = service.deploy("dev", accept_unqualified_callers=True)

    service.assert_agreement("dev", output)


def test_a_function_that_joins_later_gets_its_alias(new_service: NewService) -> None:
    service = new_service("a")
    service.deploy("dev")
    service.functions["b"] = make_function(service.plane)
    settled(service.plane, service.functions["b"])

    output = service.deploy("dev")

    assert changes(output) == [change("b", "publish", None, "1"), change("b", "create_alias", None, "1")]
    service.assert_agreement("dev", output)


def test_drift_is_overwritten_when_the_request_says_so(new_service: NewService) -> None:
    service = new_service("a", "b")
    service.deploy_text("dev", "one")
    service.deploy_text("dev", "two")
    service.plane.client("lambda").update_alias(FunctionName=service.functions["a"], Name="dev", FunctionVersion="1")

    output = service.deploy_text("dev", "two", on_drift="overwrite")

    assert changes(output) == [change("a", "move_alias", "1", "2")]
    assert service.says("dev") == {"a": "two", "b": "two"}
    assert (len(service.ledger("dev")), service.way_back("dev")) == (3, [1])
    service.assert_agreement("dev", output)


def test_the_ledger_keeps_who_wanted_a_movement_and_why(new_service: NewService) -> None:
    service = new_service("a")
    source = {"commit": "4f2a9c", "branch": "main", "run_url": "https://ci.example/17"}

    output = service.deploy("dev", actor="ada", reason="the first one", source=source)

    (line,) = service.ledger("dev")
    kept = {member: line[member] for member in ("actor", "reason", "commit", "branch", "run_url")}
    assert kept == {"actor": "ada", "reason": "the first one", **source}
    assert (line["operation"], line["operation_id"]) == ("deploy", output["operation_id"])
    assert (line["from_release"], line["to_release"]) == (None, 1)


def test_the_whole_report_is_where_the_output_says(new_service: NewService) -> None:
    service = new_service("a", "b")

    output = service.deploy("dev")

    report = json.loads(service.plane.read(output["report"]))
    assert report == {member: value for member, value in output.items() if member != "report"}
