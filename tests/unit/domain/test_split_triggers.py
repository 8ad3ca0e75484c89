"""What invokes a function goes to the stage and points at the alias: one row for each type and place."""

from __future__ import annotations

from typing import Any

import pytest

from stagekeeper.domain.model import LogicalName
from stagekeeper.domain.split_model import AliasArn, FunctionArn, FunctionName, Kind
from stagekeeper.domain.split_triggers import UNSEEN
from tests.unit.domain.split_builders import (
    ALIAS,
    ARN,
    NAME,
    STAGE,
    function,
    halves,
    is_stages,
    problems,
    resource,
    said,
    scoped,
    stage_resource,
    template,
)

# Type, and its properties with the function at the place that is called.
INVOCATIONS: list[tuple[str, Any]] = [
    (
        "AWS::Lambda::Permission",
        lambda it: {"FunctionName": it, "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"},
    ),
    (
        "AWS::Lambda::EventSourceMapping",
        lambda it: {"FunctionName": it, "EventSourceArn": "arn:aws:kinesis:eu-west-1:1:stream/s"},
    ),
    ("AWS::Events::Rule", lambda it: {"Targets": [{"Id": "a", "Arn": it}]}),
    ("AWS::Scheduler::Schedule", lambda it: {"Target": {"Arn": it, "RoleArn": "arn:aws:iam::1:role/r"}}),
    ("AWS::SNS::Subscription", lambda it: {"Endpoint": it, "Protocol": "lambda", "TopicArn": "arn:aws:sns:eu-west-1:1:t"}),
    ("AWS::SNS::Topic", lambda it: {"Subscription": [{"Endpoint": it, "Protocol": "lambda"}]}),
    ("AWS::S3::Bucket", lambda it: {"NotificationConfiguration": {"LambdaConfigurations": [{"Event": "s3:*", "Function": it}]}}),
    ("AWS::Logs::SubscriptionFilter", lambda it: {"DestinationArn": it, "LogGroupName": "g", "FilterPattern": ""}),
    ("AWS::IoT::TopicRule", lambda it: {"TopicRulePayload": {"Sql": "", "Actions": [{"Lambda": {"FunctionArn": it}}]}}),
    ("AWS::Pipes::Pipe", lambda it: {"Source": "arn:aws:sqs:eu-west-1:1:q", "Target": it}),
    ("AWS::Pipes::Pipe", lambda it: {"Source": "arn:aws:sqs:eu-west-1:1:q", "Enrichment": it}),
    ("AWS::SES::ReceiptRule", lambda it: {"RuleSetName": "r", "Rule": {"Actions": [{"LambdaAction": {"FunctionArn": it}}]}}),
    (
        "AWS::ApiGateway::RestApi",
        lambda it: {"Body": {"paths": {"/": {"get": {"x-amazon-apigateway-integration": {"uri": it}}}}}},
    ),
    ("AWS::ApiGateway::Method", lambda it: {"RestApiId": "a", "ResourceId": "r", "Integration": {"Uri": it}}),
    ("AWS::ApiGateway::Authorizer", lambda it: {"RestApiId": "a", "AuthorizerUri": it}),
    ("AWS::ApiGatewayV2::Api", lambda it: {"Target": it}),
    ("AWS::ApiGatewayV2::Integration", lambda it: {"ApiId": "a", "IntegrationUri": it}),
    ("AWS::ApiGatewayV2::Authorizer", lambda it: {"ApiId": "a", "AuthorizerUri": it}),
    ("AWS::ElasticLoadBalancingV2::TargetGroup", lambda it: {"Targets": [{"Id": it}]}),
    ("AWS::VpcLattice::TargetGroup", lambda it: {"Targets": [{"Id": it}]}),
    ("AWS::AppSync::GraphQLApi", lambda it: {"LambdaAuthorizerConfig": {"AuthorizerUri": it}}),
    ("AWS::AppSync::DataSource", lambda it: {"ApiId": "a", "Name": "n", "LambdaConfig": {"LambdaFunctionArn": it}}),
    ("AWS::StepFunctions::StateMachine", lambda it: {"Definition": {"States": {"A": {"Resource": it}}}}),
    ("AWS::StepFunctions::StateMachine", lambda it: {"DefinitionSubstitutions": {"Orders": it}}),
    (
        "AWS::KinesisFirehose::DeliveryStream",
        lambda it: {
            "ExtendedS3DestinationConfiguration": {
                "ProcessingConfiguration": {"Processors": [{"Parameters": [{"ParameterValue": it}]}]}
            }
        },
    ),
    (
        "AWS::S3ObjectLambda::AccessPoint",
        lambda it: {
            "ObjectLambdaConfiguration": {
                "TransformationConfigurations": [{"ContentTransformation": {"AwsLambda": {"FunctionArn": it}}}]
            }
        },
    ),
    ("AWS::SSM::MaintenanceWindowTask", lambda it: {"WindowId": "w", "TaskArn": it}),
    ("AWS::Transfer::Server", lambda it: {"IdentityProviderDetails": {"Function": it}}),
    ("AWS::Transfer::Workflow", lambda it: {"Steps": [{"CustomStepDetails": {"Target": it}}]}),
    ("AWS::Config::ConfigRule", lambda it: {"Source": {"Owner": "CUSTOM_LAMBDA", "SourceIdentifier": it}}),
    ("AWS::Bedrock::Agent", lambda it: {"ActionGroups": [{"ActionGroupExecutor": {"Lambda": it}}]}),
    ("AWS::Cognito::UserPool", lambda it: {"LambdaConfig": {"PreSignUp": it}}),
    (
        "AWS::Cognito::UserPool",
        lambda it: {"LambdaConfig": {"PreTokenGenerationConfig": {"LambdaArn": it, "LambdaVersion": "V2_0"}}},
    ),
    ("AWS::SecretsManager::RotationSchedule", lambda it: {"SecretId": "s", "RotationLambdaARN": it}),
    ("AWS::CloudWatch::Alarm", lambda it: {"AlarmActions": [it]}),
    ("AWS::CloudWatch::CompositeAlarm", lambda it: {"AlarmRule": "TRUE", "OKActions": [it]}),
    ("AWS::CloudFormation::CustomResource", lambda it: {"ServiceToken": it}),
    ("Custom::Anything", lambda it: {"ServiceToken": it}),
    ("AWS::CloudFormation::Macro", lambda it: {"Name": "m", "FunctionName": it}),
]


@pytest.mark.parametrize(("kind", "properties"), INVOCATIONS, ids=[kind for kind, _ in INVOCATIONS])
@pytest.mark.parametrize(
    ("written", "made"),
    [
        (ARN, ALIAS),
        ({"Fn::GetAtt": "Orders.Arn"}, ALIAS),
        ({"Fn::Sub": "${Orders.Arn}"}, {"Fn::Sub": "${StagekeeperOrdersAlias}"}),
    ],
    ids=["list", "dotted", "sub"],
)
def test_what_invokes_by_arn_is_the_stages_and_points_at_the_alias(kind: str, properties: Any, written: Any, made: Any) -> None:
    result = halves({"It": resource(kind, **properties(written))})
    assert is_stages(result, "It")
    assert result.stage is not None
    assert _but_for_its_name(result.stage["Resources"]["It"]["Properties"]) == _but_for_its_name(properties(made))
    assert result.crossings == (AliasArn("StagekeeperOrdersAlias", LogicalName("Orders")),)
    assert Kind.FOLLOWS in said(result, "It")


@pytest.mark.parametrize(("kind", "properties"), INVOCATIONS, ids=[kind for kind, _ in INVOCATIONS])
def test_what_invokes_by_name_is_given_the_aliass_arn(kind: str, properties: Any) -> None:
    made = stage_resource({"It": resource(kind, **properties(NAME))}, "It")
    assert _but_for_its_name(made["Properties"]) == _but_for_its_name(properties(ALIAS))


def _but_for_its_name(properties: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in properties.items() if key != "Name"}


@pytest.mark.parametrize(
    ("kind", "member"), [("AWS::Lambda::Url", "TargetFunctionArn"), ("AWS::Lambda::EventInvokeConfig", "FunctionName")]
)
@pytest.mark.parametrize("before", [{}, {"Qualifier": "$LATEST"}])
@pytest.mark.parametrize(
    ("written", "filled", "crossing"),
    [
        (NAME, "StagekeeperOrdersName", FunctionName("StagekeeperOrdersName", LogicalName("Orders"))),
        (ARN, "StagekeeperOrdersArn", FunctionArn("StagekeeperOrdersArn", LogicalName("Orders"))),
    ],
)
def test_where_the_alias_is_a_member_of_its_own_it_is_set_beside(
    kind: str, member: str, before: dict[str, str], written: Any, filled: str, crossing: object
) -> None:
    result = halves({"It": resource(kind, **{member: written}, **before)})
    assert result.stage is not None
    assert result.stage["Resources"]["It"]["Properties"] == {member: {"Ref": filled}, "Qualifier": STAGE}
    assert result.crossings == (crossing,)


def test_a_qualifier_of_its_users_own_is_refused() -> None:
    (problem,) = problems({"It": resource("AWS::Lambda::Url", TargetFunctionArn=NAME, Qualifier="live")})
    assert (problem.logical_id, problem.line) == ("It", 30)
    assert "live" in problem.sentence


def test_a_rule_keeps_its_targets_that_are_no_functions() -> None:
    queue = {"Id": "q", "Arn": "arn:aws:sqs:eu-west-1:123456789012:q"}
    made = stage_resource({"It": resource("AWS::Events::Rule", Targets=[queue, {"Id": "f", "Arn": ARN}])}, "It")
    assert made["Properties"]["Targets"] == [queue, {"Id": "f", "Arn": ALIAS}]


def test_a_rule_without_a_function_is_shared() -> None:
    assert not is_stages(
        halves({"It": resource("AWS::Events::Rule", Targets=[{"Id": "q", "Arn": "arn:aws:sqs:eu-west-1:1:q"}])}), "It"
    )


@pytest.mark.parametrize(
    ("written", "made"),
    [
        pytest.param(
            {"Fn::Sub": "arn:aws:apigateway:${AWS::Region}:lambda:path/2015/functions/${Orders.Arn}/invocations"},
            {"Fn::Sub": "arn:aws:apigateway:${AWS::Region}:lambda:path/2015/functions/${StagekeeperOrdersAlias}/invocations"},
            id="inside of a text",
        ),
        pytest.param(
            {"Fn::Sub": "arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:function:${Orders}"},
            {"Fn::Sub": "arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:function:${StagekeeperOrdersName}:${StagekeeperStage}"},
            id="an ARN put together from the name",
        ),
        pytest.param(
            {"Fn::Join": ["", ["arn:aws:lambda:eu-west-1:123456789012:function:", NAME]]},
            {
                "Fn::Join": [
                    "",
                    [
                        "arn:aws:lambda:eu-west-1:123456789012:function:",
                        {"Fn::Sub": "${StagekeeperOrdersName}:${StagekeeperStage}"},
                    ],
                ]
            },
            id="the same by Fn::Join",
        ),
        pytest.param(
            {"Fn::Join": [":", ["arn:aws:lambda:eu-west-1:123456789012:function", NAME]]},
            {
                "Fn::Join": [
                    ":",
                    [
                        "arn:aws:lambda:eu-west-1:123456789012:function",
                        {"Fn::Sub": "${StagekeeperOrdersName}:${StagekeeperStage}"},
                    ],
                ]
            },
            id="the same with colons between",
        ),
        pytest.param(
            {"Fn::Sub": ["${Which}", {"Which": ARN}]}, {"Fn::Sub": ["${Which}", {"Which": ALIAS}]}, id="a variable of Fn::Sub"
        ),
        pytest.param(
            {"Fn::If": ["Yes", ARN, "arn:aws:lambda:eu-west-1:1:function:other"]},
            {"Fn::If": ["Yes", ALIAS, "arn:aws:lambda:eu-west-1:1:function:other"]},
            id="one of two branches",
        ),
        pytest.param(
            {"Fn::Sub": "${Orders.Arn}:${StagekeeperStage}"},
            {"Fn::Sub": "${StagekeeperOrdersArn}:${StagekeeperStage}"},
            id="the alias put there by its user",
        ),
    ],
)
def test_however_the_function_is_written_the_alias_is_called(written: Any, made: Any) -> None:
    resources = {"It": resource("AWS::ApiGatewayV2::Integration", ApiId="a", IntegrationUri=written)}
    found = stage_resource(resources, "It", Conditions={"Yes": {"Fn::Equals": ["a", "a"]}})
    assert found["Properties"]["IntegrationUri"] == made


@pytest.mark.parametrize(
    "written",
    [
        {"Fn::Sub": "${Orders.Arn}:live"},
        {"Fn::Sub": "${Orders.Arn}:$LATEST"},
        {"Fn::Sub": "arn:aws:lambda:eu-west-1:1:function:${Orders}:7"},
        {"Fn::Sub": "arn:aws:lambda:eu-west-1:1:function:${Orders}:${!stageVariables.alias}"},
        {"Fn::Join": [":", [ARN, "live"]]},
    ],
)
def test_another_qualifier_put_there_by_its_user_is_refused(written: Any) -> None:
    (problem,) = problems({"It": resource("AWS::Lambda::Permission", FunctionName=written)})
    assert (problem.logical_id, problem.line) == ("It", 30)
    assert "delete it" in problem.sentence


@pytest.mark.parametrize(
    ("name", "written", "made"),
    [
        ("orders", "orders", ALIAS),
        (
            "orders",
            "arn:aws:lambda:eu-west-1:123456789012:function:orders",
            {"Fn::Sub": "${StagekeeperOrdersAlias}"},
        ),
        ({"Fn::Sub": "${AWS::StackName}-orders"}, {"Fn::Sub": "${AWS::StackName}-orders"}, ALIAS),
        (
            {"Fn::Sub": "${AWS::StackName}-orders"},
            {"Fn::Sub": "arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:function:${AWS::StackName}-orders"},
            {"Fn::Sub": "${StagekeeperOrdersAlias}"},
        ),
    ],
)
def test_a_function_named_by_its_written_name_is_found(name: Any, written: Any, made: Any) -> None:
    resources = {"Orders": function(FunctionName=name), "It": resource("AWS::Lambda::Permission", FunctionName=written)}
    assert stage_resource(resources, "It")["Properties"]["FunctionName"] == made


def test_a_function_of_another_service_is_left_alone() -> None:
    result = halves(
        {"Orders": function(FunctionName="orders"), "It": resource("AWS::Lambda::Permission", FunctionName="orders-two")}
    )
    assert not is_stages(result, "It")
    assert result.service["Resources"]["It"]["Properties"] == {"FunctionName": "orders-two"}


def test_a_state_machine_calls_the_alias_from_its_text() -> None:
    text = '{"States": {"A": {"Parameters": {"FunctionName": "${Orders}"}}, "B": {"Resource": "${Orders.Arn}"}}}'
    made = stage_resource({"It": resource("AWS::StepFunctions::StateMachine", DefinitionString={"Fn::Sub": text})}, "It")
    assert made["Properties"]["DefinitionString"] == {
        "Fn::Sub": text.replace("Orders.Arn", "StagekeeperOrdersAlias").replace("${Orders}", "${StagekeeperOrdersAlias}")
    }


def test_provisioned_concurrency_is_the_aliass() -> None:
    made = stage_resource(
        {
            "It": resource(
                "AWS::ApplicationAutoScaling::ScalableTarget", ResourceId={"Fn::Sub": "function:${Orders}:${StagekeeperStage}"}
            )
        },
        "It",
        Parameters={"StagekeeperStage": {"Type": "String"}},
    )
    assert made["Properties"]["ResourceId"] == {"Fn::Sub": "function:${StagekeeperOrdersName}:${StagekeeperStage}"}


# --- what is not known here


def test_the_arn_in_a_type_not_known_here_is_taken_as_a_call_and_said() -> None:
    result = halves({"It": resource("AWS::Brandnew::Thing", Handler=ARN)})
    assert result.stage is not None
    assert result.stage["Resources"]["It"]["Properties"] == {"Handler": ALIAS}
    assert Kind.ASSUMED in said(result, "It")


def test_the_bare_name_in_a_type_not_known_here_is_refused() -> None:
    (problem,) = problems({"It": resource("AWS::Brandnew::Thing", Handler=NAME)})
    assert (problem.logical_id, problem.line) == ("It", 30)
    assert "Orders.Arn" in problem.sentence


@pytest.mark.parametrize("scope", ["stage", "service"])
def test_with_a_scope_it_stays_as_it_is_and_that_is_said(scope: str) -> None:
    result = halves({"It": scoped(scope, resource("AWS::Brandnew::Thing", Handler=NAME))})
    assert is_stages(result, "It") == (scope == "stage")
    assert Kind.CANNOT_FOLLOW in said(result, "It")


def test_the_arn_in_a_type_not_known_here_may_stay_shared_by_scope() -> None:
    result = halves({"It": scoped("service", resource("AWS::Brandnew::Thing", Handler=ARN))})
    assert result.service["Resources"]["It"]["Properties"] == {"Handler": ARN}
    assert Kind.CANNOT_FOLLOW in said(result, "It")


def test_a_description_calls_nothing() -> None:
    made = resource("AWS::Brandnew::Thing", Description={"Fn::Sub": "of ${Orders}"}, Tags=[{"Key": "f", "Value": ARN}])
    assert not is_stages(halves({"It": made}), "It")


# --- what cannot follow


@pytest.mark.parametrize(
    "made",
    [
        resource(
            "AWS::CloudFront::Distribution",
            DistributionConfig={"DefaultCacheBehavior": {"LambdaFunctionAssociations": [{"LambdaFunctionARN": ARN}]}},
        ),
        resource(
            "AWS::CloudFront::Distribution",
            DistributionConfig={"CacheBehaviors": [{"LambdaFunctionAssociations": [{"LambdaFunctionARN": ARN}]}]},
        ),
        resource("AWS::CodePipeline::Pipeline", Stages=[{"Actions": [{"Configuration": {"FunctionName": NAME}}]}]),
    ],
)
def test_what_takes_no_alias_is_refused_by_name(made: Any) -> None:
    (problem,) = problems({"It": made})
    assert (problem.logical_id, problem.line) == ("It", 30)
    assert "It calls Orders and cannot follow an alias." in problem.sentence


# --- what speaks of a function and does not call it


@pytest.mark.parametrize(
    "made",
    [
        resource("AWS::Logs::LogGroup", LogGroupName={"Fn::Sub": "/aws/lambda/${Orders}"}),
        resource("AWS::Logs::MetricFilter", LogGroupName={"Fn::Sub": "/aws/lambda/${Orders}"}),
        resource("AWS::CloudWatch::Alarm", Dimensions=[{"Name": "FunctionName", "Value": NAME}]),
        resource("AWS::CloudWatch::Dashboard", DashboardBody={"Fn::Sub": '{"f": "${Orders}"}'}),
        resource("AWS::SSM::Parameter", Type="String", Value=ARN),
        resource("AWS::IAM::Policy", PolicyName="p", PolicyDocument={"Statement": []}, Roles=[{"Fn::Sub": "${Orders}-role"}]),
        resource("Custom::OrphanedVersions", ServiceToken="arn:aws:lambda:eu-west-1:1:function:s", FunctionNames=[NAME]),
    ],
)
def test_what_only_speaks_of_it_is_shared(made: Any) -> None:
    result = halves({"It": made})
    assert not is_stages(result, "It")
    assert result.service["Resources"]["It"] == made


def test_a_function_that_has_another_one_in_its_environment_is_told_where_its_calls_go() -> None:
    result = halves({"Front": function(Environment={"Variables": {"ORDERS": NAME}})})
    assert result.stage is None
    assert Kind.CANNOT_FOLLOW in said(result, "Front")


@pytest.mark.parametrize(("kind", "member"), sorted(UNSEEN.items()))
def test_what_lies_elsewhere_is_reported(kind: str, member: str) -> None:
    result = halves({"It": resource(kind, **{member: "https://b.s3.amazonaws.com/k"})})
    assert Kind.CANNOT_FOLLOW in said(result, "It")


def test_an_output_that_gives_a_function_away_is_reported() -> None:
    result = halves({}, Outputs={"Function": {"Value": ARN}})
    assert Kind.CANNOT_FOLLOW in said(result, "Function")


def test_lines_of_a_small_template() -> None:
    assert template({"It": resource("AWS::SQS::Queue")}).line("It") == 30
