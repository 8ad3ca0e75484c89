"""The configuration's canonical form: what a request asks for and what AWS answers compare equal, member by member."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagekeeper.domain.configuration import (
    OVERLAY_MEMBERS,
    canonical,
    differing_members,
    digest,
    overlay,
    update_for,
    with_architectures,
)

NAME = "orders-api"

#: The least that GetFunction answers; everything else is left out and stands for its default.
BARE = {"FunctionName": NAME}

#: What AWS answers for a function that nobody configured, with what no version freezes around it.
DEFAULTS = {
    "FunctionName": NAME,
    "FunctionArn": f"arn:aws:lambda:eu-central-1:111122223333:function:{NAME}",
    "Architectures": ["x86_64"],
    "CodeSha256": "A",
    "CodeSize": 271,
    "Description": "",
    "EphemeralStorage": {"Size": 512},
    "LastModified": "2025-11-25T02:38:45.123+0000",
    "LastUpdateStatus": "Successful",
    "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{NAME}"},
    "MemorySize": 128,
    "PackageType": "Zip",
    "RevisionId": "rev-1",
    "RuntimeVersionConfig": {"RuntimeVersionArn": "arn:aws:lambda:eu-central-1::runtime:0123"},
    "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
    "State": "Active",
    "Timeout": 3,
    "TracingConfig": {"Mode": "PassThrough"},
    "Version": "$LATEST",
}

#: Member -> as a request gives it, as AWS answers it then.
GIVEN_AND_ANSWERED: dict[str, tuple[Any, Any]] = {
    "DeadLetterConfig": (
        {"TargetArn": "arn:aws:sqs:eu-central-1:111122223333:dead"},
        {"TargetArn": "arn:aws:sqs:eu-central-1:111122223333:dead"},
    ),
    "ImageConfig": (
        {"Command": ["serve"], "EntryPoint": []},
        {"ImageConfig": {"Command": ["serve"]}},
    ),
    "Layers": (["layer:1", "layer:2"], [{"Arn": "layer:1", "CodeSize": 10}, {"Arn": "layer:2", "CodeSize": 11}]),
    "Role": ("arn:role/one", "arn:role/one"),
    "VpcConfig": (
        {"SubnetIds": ["b", "a"], "SecurityGroupIds": ["s"]},
        {"SubnetIds": ["a", "b"], "SecurityGroupIds": ["s"], "VpcId": "vpc-1", "Ipv6AllowedForDualStack": False},
    ),
    "Description": ("takes orders", "takes orders"),
    "EphemeralStorage": ({"Size": 1024}, {"Size": 1024}),
    "Environment": ({"Variables": {"B": "2", "A": "1"}}, {"Variables": {"A": "1", "B": "2"}}),
    "Handler": ("app.handler", "app.handler"),
    "LoggingConfig": (
        {"LogFormat": "JSON"},
        {
            "LogFormat": "JSON",
            "ApplicationLogLevel": "INFO",
            "SystemLogLevel": "INFO",
            "LogGroup": f"/aws/lambda/{NAME}",
        },
    ),
    "MemorySize": (256, 256),
    "Runtime": ("python3.13", "python3.13"),
    "SnapStart": ({"ApplyOn": "PublishedVersions"}, {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}),
    "Timeout": (30, 30),
    "TracingConfig": ({"Mode": "Active"}, {"Mode": "Active"}),
}

#: Member of an answer -> two answers that mean different content.
DIFFERENT: dict[str, tuple[Any, Any]] = {
    "Architectures": (["x86_64"], ["arm64"]),
    "CapacityProviderConfig": (None, {"LambdaManagedInstancesCapacityProviderConfig": {"CapacityProviderArn": "arn"}}),
    "DeadLetterConfig": (None, {"TargetArn": "arn:aws:sqs:eu-central-1:111122223333:dead"}),
    "Description": ("", "takes orders"),
    "DurableConfig": (None, {"ExecutionTimeout": 60}),
    "Environment": ({"Variables": {"A": "1"}}, {"Variables": {"A": "2"}}),
    "EphemeralStorage": ({"Size": 512}, {"Size": 513}),
    "FileSystemConfigs": ([], [{"Arn": "arn:access-point", "LocalMountPath": "/mnt/a"}]),
    "Handler": ("app.handler", "app.other"),
    "ImageConfig": (None, {"ImageConfig": {"Command": ["serve"]}}),
    "KMSKeyArn": (None, "arn:aws:kms:eu-central-1:111122223333:key/1"),
    "Layers": ([{"Arn": "layer:1"}, {"Arn": "layer:2"}], [{"Arn": "layer:2"}, {"Arn": "layer:1"}]),
    "LoggingConfig": ({"LogFormat": "JSON"}, {"LogFormat": "JSON", "ApplicationLogLevel": "DEBUG"}),
    "MemorySize": (128, 129),
    "PackageType": ("Zip", "Image"),
    "Role": ("arn:role/one", "arn:role/other"),
    "Runtime": ("python3.12", "python3.13"),
    "SnapStart": ({"ApplyOn": "None"}, {"ApplyOn": "PublishedVersions"}),
    "TenancyConfig": (None, {"TenantIsolationMode": "PER_TENANT"}),
    "Timeout": (3, 4),
    "TracingConfig": ({"Mode": "PassThrough"}, {"Mode": "Active"}),
    "VpcConfig": ({"SubnetIds": ["a"], "SecurityGroupIds": ["s"]}, {"SubnetIds": ["a"], "SecurityGroupIds": ["t"]}),
}

#: Member of an answer -> two answers that mean the same content.
SAME: dict[str, tuple[Any, Any]] = {
    "DeadLetterConfig": (None, {}),
    "Environment": (None, {"Variables": {}}),
    "FileSystemConfigs": (None, []),
    "ImageConfig": ({"ImageConfig": {"EntryPoint": [], "WorkingDirectory": ""}}, {}),
    "Layers": ([{"Arn": "layer:1", "CodeSize": 10}], [{"Arn": "layer:1", "CodeSize": 11}]),
    "LoggingConfig": (None, {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{NAME}"}),
    "SnapStart": ({"OptimizationStatus": "Off"}, None),
    "VpcConfig": (
        {"SubnetIds": ["a", "b"], "SecurityGroupIds": [], "VpcId": "vpc-1", "Ipv6AllowedForDualStack": False},
        {"SubnetIds": ["b", "a"]},
    ),
}


#: Some members have more than one part that counts.
MORE_PARTS = [
    ("LoggingConfig", {"LogFormat": "JSON"}, {"LogFormat": "JSON", "SystemLogLevel": "WARN"}),
    ("LoggingConfig", {"LogFormat": "JSON"}, {"LogFormat": "JSON", "LogGroup": "/orders"}),
    ("VpcConfig", {"SubnetIds": ["a"]}, {"SubnetIds": ["b"]}),
    ("VpcConfig", {"SubnetIds": ["a"]}, {"SubnetIds": ["a"], "Ipv6AllowedForDualStack": True}),
    ("FileSystemConfigs", [{"Arn": "a", "LocalMountPath": "/mnt/a"}], [{"Arn": "a", "LocalMountPath": "/mnt/b"}]),
    (
        "FileSystemConfigs",
        [{"Arn": "a", "LocalMountPath": "/mnt/a"}],
        [{"Arn": "a", "LocalMountPath": "/mnt/a", "S3FilesConfig": {"DirectS3Read": "DISABLED"}}],
    ),
    ("ImageConfig", {"ImageConfig": {"Command": ["a", "b"]}}, {"ImageConfig": {"Command": ["b", "a"]}}),
    ("ImageConfig", {"ImageConfig": {"Command": ["a"]}}, {"ImageConfig": {"EntryPoint": ["a"]}}),
    ("ImageConfig", {"ImageConfig": {"WorkingDirectory": "/a"}}, {"ImageConfig": {"WorkingDirectory": "/b"}}),
]


#: Requests have another name for it than answers.
ANSWERED_AS = {"ImageConfig": "ImageConfigResponse"}


def with_member(member: str, value: Any) -> dict[str, Any]:
    """An answer; the member by the name that requests have for it, or answers."""
    return BARE if value is None else {**BARE, ANSWERED_AS.get(member, member): value}


def test_what_is_left_out_stands_for_its_default() -> None:
    assert canonical(BARE) == canonical(DEFAULTS)


def test_an_answer_without_a_function_name_is_malformed() -> None:
    with pytest.raises(KeyError):
        canonical({})


@pytest.mark.parametrize("member", sorted(GIVEN_AND_ANSWERED))
def test_what_was_given_is_what_is_answered(member: str) -> None:
    given_as, answered_as = GIVEN_AND_ANSWERED[member]
    wanted = overlay(canonical(BARE), {member: given_as}, NAME)
    assert wanted == canonical(with_member(member, answered_as))
    assert differing_members(canonical(BARE), wanted) == {member}


def test_every_member_that_may_be_given_is_compared() -> None:
    assert set(GIVEN_AND_ANSWERED) == OVERLAY_MEMBERS
    assert set(canonical(BARE)) >= {ANSWERED_AS.get(member, member) for member in OVERLAY_MEMBERS}


@pytest.mark.parametrize("member", sorted(DIFFERENT))
def test_every_member_that_a_version_freezes_is_content(member: str) -> None:
    one, other = (canonical(with_member(member, value)) for value in DIFFERENT[member])
    assert differing_members(one, other) == {member}
    assert digest(one) != digest(other)


@pytest.mark.parametrize(("member", "one", "other"), MORE_PARTS)
def test_every_part_of_a_member_is_content(member: str, one: Any, other: Any) -> None:
    assert differing_members(canonical(with_member(member, one)), canonical(with_member(member, other))) == {member}


def test_no_frozen_member_is_without_a_case_here() -> None:
    assert {ANSWERED_AS.get(member, member) for member in DIFFERENT} == set(canonical(BARE))


#: What GetFunction answers beside content: names, states and times, and what follows from code and runtime.
NO_CONTENT = {
    *(
        "CodeSha256",
        "CodeSize",
        "ConfigSha256",
        "FunctionArn",
        "FunctionName",
        "LastModified",
        "MasterArn",
        "RevisionId",
        "Version",
    ),
    *("LastUpdateStatus", "LastUpdateStatusReason", "LastUpdateStatusReasonCode", "State", "StateReason", "StateReasonCode"),
    # A signature is the zip's; which build of a runtime runs is AWS's business.
    *("SigningJobArn", "SigningProfileVersionArn", "RuntimeVersionConfig"),
}


def test_whatever_lambda_answers_is_content_or_known_not_to_be() -> None:
    shape: Any = botocore.session.get_session().get_service_model("lambda").shape_for("FunctionConfiguration")

    assert set(shape.members) == set(canonical(BARE)) | NO_CONTENT


@pytest.mark.parametrize("member", sorted(SAME))
def test_two_spellings_of_the_same_thing_are_the_same_content(member: str) -> None:
    one, other = (canonical(with_member(member, value)) for value in SAME[member])
    assert one == other


@pytest.mark.parametrize("member", ["CodeSha256", "CodeSize", "LastModified", "RevisionId", "State", "Version", "FunctionArn"])
def test_what_no_version_freezes_is_no_content(member: str) -> None:
    assert digest(canonical({**DEFAULTS, member: "another"})) == digest(canonical(DEFAULTS))


def test_two_functions_with_the_default_log_group_differ_only_in_that() -> None:
    """The default carries the function's name; a log group of its own does not."""
    own = {"LoggingConfig": {"LogGroup": "/orders"}}
    assert differing_members(canonical(BARE), canonical({"FunctionName": "other"})) == {"LoggingConfig"}
    assert canonical({**BARE, **own}) == canonical({"FunctionName": "other", **own})


def test_layers_are_arns_in_a_request_and_objects_in_an_answer() -> None:
    assert overlay(canonical(BARE), {"Layers": ["layer:1"]}, NAME) == canonical({**BARE, "Layers": [{"Arn": "layer:1"}]})


def test_a_given_member_replaces_whole() -> None:
    """Variables that are there and not given again go away; they are not merged."""
    seen = canonical({**BARE, "Environment": {"Variables": {"OLD": "1"}}, "Timeout": 9})
    wanted = overlay(seen, {"Environment": {"Variables": {"NEW": "2"}}}, NAME)
    assert wanted == {**seen, "Environment": {"NEW": "2"}}


def test_an_overlay_leaves_what_was_seen_as_it_is() -> None:
    seen = canonical(BARE)
    overlay(seen, {"Timeout": 9}, NAME)
    assert seen == canonical(BARE)


def test_a_member_given_with_its_present_value_does_not_differ() -> None:
    seen = canonical({**BARE, "Timeout": 9})
    assert differing_members(seen, overlay(seen, {"Timeout": 9}, NAME)) == frozenset()


# What an update sends.


def test_an_update_sends_what_differs_as_it_was_given() -> None:
    given = {"Timeout": 9, "MemorySize": 128, "Layers": ["layer:1"], "ImageConfig": {"Command": ["serve"]}}
    seen = canonical(BARE)
    assert update_for(seen, overlay(seen, given, NAME), given) == {
        "ImageConfig": {"Command": ["serve"]},
        "Layers": ["layer:1"],
        "Timeout": 9,
    }


@pytest.mark.parametrize(
    ("member", "given", "sent"),
    [
        (
            "LoggingConfig",
            {"LogFormat": "JSON"},
            {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO", "LogGroup": f"/aws/lambda/{NAME}"},
        ),
        (
            "VpcConfig",
            {"SubnetIds": ["b", "a"], "SecurityGroupIds": ["s"]},
            {"SubnetIds": ["a", "b"], "SecurityGroupIds": ["s"], "Ipv6AllowedForDualStack": False},
        ),
    ],
)
def test_parts_that_are_left_out_are_sent_with_their_default(member: str, given: dict[str, Any], sent: dict[str, Any]) -> None:
    """AWS does not say whether it would keep them."""
    seen = canonical(BARE)
    assert update_for(seen, overlay(seen, {member: given}, NAME), {member: given}) == {member: sent}


def test_architectures_go_with_the_code_and_not_with_an_update() -> None:
    seen = canonical(BARE)
    assert update_for(seen, with_architectures(seen, ["arm64"]), {}) == {}


def test_other_architectures_are_other_content() -> None:
    assert with_architectures(canonical(BARE), ["arm64"]) == canonical({**BARE, "Architectures": ["arm64"]})


def test_the_digest_is_the_same_in_every_version_of_this_program() -> None:
    """It is a key of the table: what an older version recorded must be found again."""
    assert digest(canonical(DEFAULTS)) == "656e7b113025e2e96e15bafaf9845156900d2599422020341c06e13058ce6a87"


variables = st.dictionaries(st.text(min_size=1), st.text())


@given(variables)
def test_the_order_of_an_environment_is_no_content(environment: dict[str, str]) -> None:
    backwards = dict(reversed(environment.items()))
    one, other = (canonical({**BARE, "Environment": {"Variables": each}}) for each in (environment, backwards))
    assert digest(one) == digest(other)


@given(variables, variables)
def test_environments_have_the_same_digest_only_if_they_are_equal(one: dict[str, str], other: dict[str, str]) -> None:
    digests = [digest(canonical({**BARE, "Environment": {"Variables": each}})) for each in (one, other)]
    assert (digests[0] == digests[1]) is (one == other)


@given(st.lists(st.sampled_from(sorted(GIVEN_AND_ANSWERED)), unique=True))
def test_any_set_of_members_given_is_what_is_answered(members: list[str]) -> None:
    given_as = {member: GIVEN_AND_ANSWERED[member][0] for member in members}
    answered_as = {ANSWERED_AS.get(member, member): GIVEN_AND_ANSWERED[member][1] for member in members}
    wanted = overlay(canonical(DEFAULTS), given_as, NAME)
    assert digest(wanted) == digest(canonical({**DEFAULTS, **answered_as}))
    assert overlay(wanted, given_as, NAME) == wanted
