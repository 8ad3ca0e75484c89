"""Whose each resource is, why, and what is refused because it cannot be anybody's."""

from __future__ import annotations

import pytest

from stagekeeper.domain.refusal import Code
from stagekeeper.domain.split_model import Kind
from tests.unit.domain.split_builders import (
    ARN,
    NAME,
    Resource,
    function,
    halves,
    is_stages,
    problems,
    resource,
    said,
    scoped,
    stage_resource,
)

QUEUE = resource("AWS::SQS::Queue")
QUEUE_ARN = {"Fn::GetAtt": ["Queue", "Arn"]}
READER = resource("AWS::Lambda::EventSourceMapping", FunctionName=NAME, EventSourceArn=QUEUE_ARN)
STAGE_PARAMETER = {"StagekeeperStage": {"Type": "String", "Default": "dev"}}
OF_THE_STAGE = {"Fn::Sub": "orders-${StagekeeperStage}"}


def test_what_nothing_says_anything_about_is_shared() -> None:
    result = halves({"Queue": QUEUE})
    assert not is_stages(result, "Queue")
    assert result.stage is None
    assert result.crossings == ()


def test_functions_and_layers_are_shared_and_named() -> None:
    result = halves({"Second": function(Layers=[{"Ref": "Layer"}]), "Layer": resource("AWS::Lambda::LayerVersion", Content={})})
    assert result.functions == ("Orders", "Second")
    assert not is_stages(result, "Layer")


def test_what_says_stage_is_the_stages_with_all_that_needs_it() -> None:
    alarm = resource("AWS::CloudWatch::Alarm", Dimensions=[{"Name": "q", "Value": {"Fn::GetAtt": ["Queue", "QueueName"]}}])
    result = halves({"Queue": scoped("stage", QUEUE), "Alarm": alarm, "OnAlarm": resource("AWS::X::Y", Of={"Ref": "Alarm"})})
    assert is_stages(result, "Queue")
    assert is_stages(result, "Alarm")
    assert is_stages(result, "OnAlarm")


@pytest.mark.parametrize(
    "made",
    [
        resource("AWS::SQS::Queue", QueueName=OF_THE_STAGE),
        resource("AWS::SQS::Queue", QueueName={"Ref": "StagekeeperStageSlug"}),
        {**QUEUE, "Condition": "IsProduction"},
        {**QUEUE, "Condition": "IsNotProduction"},
        resource("AWS::SQS::Queue", DelaySeconds={"Fn::If": ["IsProduction", 0, 10]}),
    ],
)
def test_what_depends_on_the_stages_name_is_the_stages(made: Resource) -> None:
    conditions = {
        "IsProduction": {"Fn::Equals": [{"Ref": "StagekeeperStage"}, "prod"]},
        "IsNotProduction": {"Fn::Not": [{"Condition": "IsProduction"}]},
    }
    assert is_stages(halves({"It": made}, Parameters=STAGE_PARAMETER, Conditions=conditions), "It")


# --- refused: shared by what needs it, the stage's by what it needs


def test_a_function_that_needs_what_is_the_stages_is_refused_with_the_whole_way() -> None:
    role = resource("AWS::IAM::Role", Policies=[{"PolicyDocument": {"Statement": [{"Resource": QUEUE_ARN}]}}])
    (problem,) = problems({"Role": role, "Queue": scoped("stage", QUEUE)})
    assert (problem.code, problem.logical_id, problem.line) == (Code.INVALID_REQUEST, "Role", 20)
    assert "Orders (line 10) → Role (line 20) → Queue (line 30)" in problem.sentence
    assert "it says Scope: stage" in problem.sentence
    assert "/stagekeeper/<service>/<stage>/Queue" in problem.sentence


@pytest.mark.parametrize(
    ("it", "why"),
    [
        (scoped("stage", QUEUE), "it says Scope: stage"),
        (resource("AWS::SQS::Queue", QueueName=OF_THE_STAGE), "it depends on the stage's name"),
        (
            resource("AWS::StepFunctions::StateMachine", Definition={"Resource": {"Fn::GetAtt": ["Other", "Arn"]}}),
            "it invokes Other",
        ),
    ],
)
def test_what_a_function_needs_cannot_be_the_stages(it: Resource, why: str) -> None:
    resources = {"Orders": function(Environment={"Variables": {"IT": {"Ref": "It"}}}), "Other": function(), "It": it}
    (problem,) = problems(resources, Parameters=STAGE_PARAMETER)
    assert (problem.logical_id, problem.line) == ("Orders", 10)
    assert why in problem.sentence


def test_a_function_that_waits_for_what_is_the_stages_is_refused() -> None:
    (problem,) = problems({"Orders": {**function(), "DependsOn": "Queue"}, "Queue": scoped("stage", QUEUE)})
    assert (problem.logical_id, problem.line) == ("Orders", 10)


def test_a_shared_resource_that_depends_on_the_stages_name_is_refused() -> None:
    made = scoped("service", resource("AWS::SQS::Queue", QueueName=OF_THE_STAGE))
    (problem,) = problems({"Queue": made}, Parameters=STAGE_PARAMETER)
    assert (problem.logical_id, problem.line) == ("Queue", 30)
    assert "says Scope: service" in problem.sentence


def test_a_function_that_depends_on_the_stages_name_is_refused() -> None:
    (problem,) = problems({"Orders": function(Description=OF_THE_STAGE)}, Parameters=STAGE_PARAMETER)
    assert (problem.logical_id, problem.line) == ("Orders", 10)
    assert "is a function" in problem.sentence


def test_an_invocation_that_says_service_is_refused() -> None:
    (problem,) = problems({"It": scoped("service", resource("AWS::Lambda::Permission", FunctionName=NAME))})
    assert (problem.logical_id, problem.line) == ("It", 30)


def test_a_bucket_that_calls_a_function_and_is_needed_by_it_is_refused() -> None:
    bucket = resource("AWS::S3::Bucket", NotificationConfiguration={"LambdaConfigurations": [{"Event": "s3:*", "Function": ARN}]})
    resources = {"Uploads": bucket, "Other": function(Environment={"Variables": {"UPLOADS": {"Ref": "Uploads"}}})}
    (problem,) = problems(resources)
    assert (problem.logical_id, problem.line) == ("Other", 40)
    assert "Other (line 40) → Uploads (line 30)" in problem.sentence


def test_each_mistake_is_said_and_only_once() -> None:
    found = problems(
        {"First": scoped("stage", function()), "Second": scoped("nobody", QUEUE), "Third": scoped("stage", function())}
    )
    assert [(problem.logical_id, problem.line) for problem in found] == [("First", 30), ("Second", 40), ("Third", 50)]


@pytest.mark.parametrize(
    ("metadata", "word"),
    [
        ({"Scope": "stages"}, "Scope: stages"),
        ({"Scope": None}, "Scope: None"),
        ({"Isolation": "instance"}, "Isolation"),
        ({"Scope": "stage", "Colour": "red"}, "Colour"),
        ("stage", "no mapping"),
    ],
)
def test_words_not_known_here_are_refused(metadata: object, word: str) -> None:
    (problem,) = problems({"Queue": {**QUEUE, "Metadata": {"Stagekeeper": metadata}}})
    assert (problem.logical_id, problem.line) == ("Queue", 30)
    assert word in problem.sentence


@pytest.mark.parametrize("made", [function(), resource("AWS::Lambda::LayerVersion", Content={})])
def test_functions_and_layers_cannot_be_a_stages_own(made: Resource) -> None:
    (problem,) = problems({"It": scoped("stage", made)})
    assert (problem.logical_id, problem.line) == ("It", 30)


def test_a_function_may_say_that_it_is_shared() -> None:
    assert not is_stages(halves({"It": scoped("service", function())}), "It")


# --- queues


def test_a_queue_that_nothing_shared_needs_goes_with_its_reader_and_takes_its_dead_letters_along() -> None:
    queue = resource("AWS::SQS::Queue", RedrivePolicy={"deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]}})
    result = halves({"Queue": queue, "Dead": QUEUE, "Reader": READER})
    assert is_stages(result, "Queue")
    assert is_stages(result, "Dead")
    assert said(result, "Queue") == {Kind.MOVED}
    assert said(result, "Dead") == {Kind.MOVED}
    assert result.report.contested == ()


def test_a_queue_that_a_function_needs_is_contested() -> None:
    resources = {"Queue": QUEUE, "Reader": READER, "Writer": function(Environment={"Variables": {"Q": {"Ref": "Queue"}}})}
    result = halves(resources)
    assert not is_stages(result, "Queue")
    assert result.report.contested == ("Queue",)
    assert Kind.CONTESTED in said(result, "Queue")


def test_a_queue_that_says_it_is_shared_is_only_reported() -> None:
    result = halves({"Queue": scoped("service", QUEUE), "Reader": READER})
    assert not is_stages(result, "Queue")
    assert result.report.contested == ()
    assert said(result, "Queue") == {Kind.SHARED_SOURCE}


def test_dead_letters_that_a_function_needs_stay_shared() -> None:
    queue = resource("AWS::SQS::Queue", RedrivePolicy={"deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]}})
    mender = function(Environment={"Variables": {"DEAD": {"Ref": "Dead"}}})
    result = halves({"Queue": queue, "Dead": QUEUE, "Reader": READER, "Mender": mender})
    assert is_stages(result, "Queue")
    assert not is_stages(result, "Dead")
    assert result.report.contested == ()


@pytest.mark.parametrize(("kind", "attribute"), [("AWS::DynamoDB::Table", "StreamArn"), ("AWS::Kinesis::Stream", "Arn")])
def test_a_stream_may_be_shared(kind: str, attribute: str) -> None:
    source = {"Fn::GetAtt": ["Source", attribute]}
    reader = resource("AWS::Lambda::EventSourceMapping", FunctionName=NAME, EventSourceArn=source)
    result = halves({"Source": resource(kind), "Reader": reader})
    assert not is_stages(result, "Source")
    assert result.report.contested == ()
    assert said(result, "Source") == {Kind.SHARED_SOURCE}


def test_a_queue_goes_where_its_policy_is() -> None:
    rule = resource("AWS::Events::Rule", Targets=[{"Id": "f", "Arn": ARN, "DeadLetterConfig": {"Arn": QUEUE_ARN}}])
    statement = {"Effect": "Allow", "Condition": {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["Rule", "Arn"]}}}}
    policy = resource("AWS::SQS::QueuePolicy", Queues=[{"Ref": "Queue"}], PolicyDocument={"Statement": [statement]})
    result = halves({"Queue": QUEUE, "Rule": rule, "Policy": policy})
    assert is_stages(result, "Queue")


def test_a_shared_queue_whose_policy_is_the_stages_is_contested() -> None:
    policy = resource("AWS::SQS::QueuePolicy", Queues=[{"Ref": "Queue"}], PolicyDocument={"Statement": []})
    writer = function(Environment={"Variables": {"Q": {"Ref": "Queue"}}})
    result = halves({"Queue": QUEUE, "Writer": writer, "Policy": scoped("stage", policy)})
    assert result.report.contested == ("Queue",)


# --- APIs are whole


def test_an_api_goes_with_its_methods() -> None:
    resources = {
        "Api": resource("AWS::ApiGateway::RestApi"),
        "Path": resource(
            "AWS::ApiGateway::Resource", RestApiId={"Ref": "Api"}, ParentId={"Fn::GetAtt": ["Api", "RootResourceId"]}
        ),
        "Method": resource(
            "AWS::ApiGateway::Method", RestApiId={"Ref": "Api"}, ResourceId={"Ref": "Path"}, Integration={"Uri": ARN}
        ),
        "Deployment": {**resource("AWS::ApiGateway::Deployment", RestApiId={"Ref": "Api"}), "DependsOn": "Method"},
    }
    result = halves(resources)
    assert result.stage is not None
    assert set(result.stage["Resources"]) == set(resources)
    assert result.stage["Resources"]["Deployment"]["DependsOn"] == "Method"


def test_a_load_balancer_goes_with_its_target() -> None:
    resources = {
        "Target": resource("AWS::ElasticLoadBalancingV2::TargetGroup", Targets=[{"Id": ARN}]),
        "Rule": resource(
            "AWS::ElasticLoadBalancingV2::ListenerRule",
            ListenerArn={"Ref": "Listener"},
            Actions=[{"TargetGroupArn": {"Ref": "Target"}}],
        ),
        "Listener": resource("AWS::ElasticLoadBalancingV2::Listener", LoadBalancerArn={"Ref": "Balancer"}),
        "Balancer": resource("AWS::ElasticLoadBalancingV2::LoadBalancer", SecurityGroups=[{"Ref": "Group"}]),
        "Group": resource("AWS::EC2::SecurityGroup"),
    }
    result = halves(resources)
    assert result.stage is not None
    assert set(result.stage["Resources"]) == set(resources) - {"Group"}


def test_an_api_that_a_function_needs_cannot_go_with_its_methods() -> None:
    resources = {
        "Api": resource("AWS::ApiGatewayV2::Api", Name="a"),
        "Integration": resource("AWS::ApiGatewayV2::Integration", ApiId={"Ref": "Api"}, IntegrationUri=ARN),
        "Other": function(Environment={"Variables": {"API": {"Ref": "Api"}}}),
    }
    (problem,) = problems(resources)
    assert (problem.logical_id, problem.line) == ("Other", 50)


# --- what a template may not have at all


@pytest.mark.parametrize("kind", ["AWS::Lambda::Alias", "AWS::Lambda::Version"])
def test_an_alias_or_a_version_of_its_own_is_refused(kind: str) -> None:
    (problem,) = problems({"It": resource(kind, FunctionName=NAME)})
    assert (problem.code, problem.logical_id, problem.line) == (Code.ALIAS_OWNED_ELSEWHERE, "It", 30)
    assert "Delete It" in problem.sentence


def test_a_circle_is_refused_and_named() -> None:
    first = resource("AWS::X::Y", Of={"Ref": "Second"})
    second = {**resource("AWS::X::Y"), "DependsOn": ["First"]}
    (problem,) = problems({"First": first, "Second": second})
    assert (problem.logical_id, problem.line) == ("First", 30)
    assert "First (line 30) → Second (line 40) → First (line 30)" in problem.sentence


@pytest.mark.parametrize(
    "made",
    [
        resource("AWS::X::Y", Of={"Ref": "Nobody"}),
        resource("AWS::X::Y", Of={"Fn::GetAtt": ["Nobody", "Arn"]}),
        resource("AWS::X::Y", Of={"Fn::Sub": "a-${Nobody}"}),
        resource("AWS::X::Y", Of={"Fn::Sub": "a-${Nobody.Arn}"}),
        {**resource("AWS::X::Y"), "DependsOn": "Nobody"},
        {**resource("AWS::X::Y"), "Condition": "Nobody"},
        resource("AWS::X::Y", Of={"Fn::If": ["Nobody", 1, 2]}),
        resource("AWS::X::Y", Of={"Fn::FindInMap": ["Nobody", "a", "b"]}),
    ],
)
def test_what_the_template_does_not_have_is_refused(made: Resource) -> None:
    (problem,) = problems({"It": made})
    assert (problem.logical_id, problem.line) == ("It", 30)
    assert "Nobody" in problem.sentence


def test_a_parameter_has_no_attributes() -> None:
    made = resource("AWS::X::Y", Of={"Fn::GetAtt": ["Size", "Arn"]})
    (problem,) = problems({"It": made}, Parameters={"Size": {"Type": "String"}})
    assert (problem.logical_id, problem.line) == ("It", 30)


# --- DependsOn


def test_a_stages_resource_does_not_wait_for_shared_ones() -> None:
    made = {**scoped("stage", QUEUE), "DependsOn": ["Orders", "Other"]}
    assert stage_resource({"It": made, "Other": scoped("stage", QUEUE)}, "It")["DependsOn"] == ["Other"]


def test_a_dependency_that_is_only_across_is_gone() -> None:
    assert "DependsOn" not in stage_resource({"It": {**scoped("stage", QUEUE), "DependsOn": "Orders"}}, "It")
