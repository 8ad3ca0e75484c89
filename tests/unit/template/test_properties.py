"""Over generated templates: whatever is split is whole, and what is refused is refused by name."""

from __future__ import annotations

from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from stagekeeper.domain.split import split
from stagekeeper.domain.split_model import Expanded, Split, Unsplittable
from tests.unit.template.joined import dangling, lost, unqualified

FUNCTIONS = ("F0", "F1", "F2")
CONDITIONS = {
    "Large": {"Fn::Equals": [{"Ref": "Size"}, "large"]},
    "NotLarge": {"Fn::Not": [{"Condition": "Large"}]},
    "Prod": {"Fn::Equals": [{"Ref": "StagekeeperStage"}, "prod"]},
}
MAPPINGS = {"Sizes": {"small": {"n": 1}, "large": {"n": 2}}, "Other": {"a": {"b": "c"}}}
PARAMETERS = {
    "Size": {"Type": "String", "Default": "small"},
    "Prefix": {"Type": "String", "Default": "p"},
    "Unused": {"Type": "String", "Default": ""},
    "StagekeeperStage": {"Type": "String", "Default": "dev"},
}

_arn = st.sampled_from(FUNCTIONS).flatmap(
    lambda f: st.sampled_from(
        [
            {"Fn::GetAtt": [f, "Arn"]},
            {"Fn::GetAtt": f"{f}.Arn"},
            {"Fn::Sub": f"${{{f}.Arn}}"},
            {"Fn::Sub": ["${It}", {"It": {"Fn::GetAtt": [f, "Arn"]}}]},
            {"Fn::Sub": f"arn:aws:lambda:${{AWS::Region}}:${{AWS::AccountId}}:function:${{{f}}}"},
            {"Fn::Join": ["", ["arn:aws:lambda:eu-west-1:123456789012:function:", {"Ref": f}]]},
            {"Fn::If": ["Large", {"Fn::GetAtt": [f, "Arn"]}, {"Fn::GetAtt": ["F0", "Arn"]}]},
        ]
    )
)
_called = st.one_of(_arn, st.sampled_from(FUNCTIONS).map(lambda f: {"Ref": f}))


@st.composite
def _value(draw: st.DrawFn, earlier: list[str]) -> Any:
    """Something that may speak of resources declared before."""
    plain = [
        "text",
        {"Ref": "Prefix"},
        {"Ref": "AWS::StackName"},
        {"Fn::FindInMap": ["Sizes", {"Ref": "Size"}, "n"]},
        {"Fn::If": ["Large", "a", {"Ref": "AWS::NoValue"}]},
        {"Fn::Sub": "${Prefix}-${!literal}"},
    ]
    if not earlier:
        return draw(st.sampled_from(plain))
    name = draw(st.sampled_from(earlier))
    speaking = [
        {"Ref": name},
        {"Fn::GetAtt": [name, "Arn"]},
        {"Fn::Sub": f"x-${{{name}}}"},
        {"Fn::Sub": [f"${{{name}.Arn}}/${{V}}", {"V": {"Ref": "Prefix"}}]},
        {"Fn::Join": ["/", ["a", {"Ref": name}]]},
        {"Fn::Select": [0, {"Fn::Split": [":", {"Fn::GetAtt": f"{name}.Arn"}]}]},
    ]
    return draw(st.sampled_from(plain + speaking))


@st.composite
def _resource(draw: st.DrawFn, earlier: list[str], queues: list[str]) -> dict[str, Any]:
    things = [name for name in earlier if name not in FUNCTIONS]
    value = _value(things)
    kind = draw(
        st.sampled_from(
            [
                "queue",
                "table",
                "topic",
                "bucket",
                "rule",
                "permission",
                "mapping",
                "schedule",
                "url",
                "invoke",
                "role",
                "machine",
                "alarm",
            ]
        )
    )
    name = draw(
        st.sampled_from(["n", "n.fifo", {"Ref": "Prefix"}, {"Fn::Sub": "${Prefix}-n"}, {"Fn::Sub": "n-${StagekeeperStage}"}])
    )
    made: dict[str, Any]
    match kind:
        case "queue":
            made = {"Type": "AWS::SQS::Queue", "Properties": {"Tags": [{"Key": "k", "Value": draw(value)}]}}
            if draw(st.booleans()) and queues:
                made["Properties"]["RedrivePolicy"] = {
                    "deadLetterTargetArn": {"Fn::GetAtt": [draw(st.sampled_from(queues)), "Arn"]}
                }
        case "table":
            made = {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": draw(st.sampled_from(["t", {"Ref": "Prefix"}]))}}
        case "topic":
            made = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name, "DisplayName": draw(value)}}
        case "bucket":
            called = {"LambdaConfigurations": [{"Event": "s3:*", "Function": draw(_called)}]}
            made = {"Type": "AWS::S3::Bucket", "Properties": {"NotificationConfiguration": called} if draw(st.booleans()) else {}}
        case "rule":
            targets = draw(st.lists(st.one_of(_arn, value), max_size=3))
            made = {"Type": "AWS::Events::Rule", "Properties": {"Targets": [{"Id": "i", "Arn": arn} for arn in targets]}}
        case "permission":
            made = {"Type": "AWS::Lambda::Permission", "Properties": {"FunctionName": draw(_called), "SourceArn": draw(value)}}
        case "mapping":
            source = {"Fn::GetAtt": [draw(st.sampled_from(queues)), "Arn"]} if queues else "arn:aws:sqs:eu-west-1:1:q"
            made = {
                "Type": "AWS::Lambda::EventSourceMapping",
                "Properties": {"FunctionName": draw(_called), "EventSourceArn": source},
            }
        case "schedule":
            made = {
                "Type": "AWS::Scheduler::Schedule",
                "Properties": {"Name": name, "Target": {"Arn": draw(_arn), "RoleArn": draw(value)}},
            }
        case "url":
            made = {"Type": "AWS::Lambda::Url", "Properties": {"TargetFunctionArn": draw(_called), "AuthType": "NONE"}}
        case "invoke":
            function = draw(st.sampled_from(FUNCTIONS))
            made = {
                "Type": "AWS::Lambda::EventInvokeConfig",
                "Properties": {"FunctionName": {"Ref": function}, "Qualifier": "$LATEST"},
            }
        case "role":
            statement = {
                "Effect": "Allow",
                "Action": "lambda:InvokeFunction",
                "Resource": draw(st.one_of(_arn, st.lists(_arn, max_size=2))),
            }
            other = {"Effect": "Allow", "Action": "sqs:*", "Resource": draw(value)}
            policies = [{"PolicyName": "p", "PolicyDocument": {"Statement": [statement, other]}}]
            made = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}, "Policies": policies}}
        case "machine":
            states = {"A": {"Resource": draw(_called)}, "B": {"Comment": draw(value)}}
            made = {
                "Type": "AWS::StepFunctions::StateMachine",
                "Properties": {"RoleArn": draw(value), "Definition": {"States": states}},
            }
        case _:
            dimension = {"Name": "d", "Value": draw(st.one_of(value, st.sampled_from([{"Ref": f} for f in FUNCTIONS])))}
            made = {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Dimensions": [dimension], "AlarmActions": [draw(value)]}}
    if earlier and draw(st.integers(0, 4)) == 0:
        made["DependsOn"] = draw(st.lists(st.sampled_from(earlier), min_size=1, max_size=2, unique=True))
    if draw(st.integers(0, 5)) == 0:
        made["Condition"] = draw(st.sampled_from(sorted(CONDITIONS)))
    if draw(st.integers(0, 7)) == 0:
        made["Metadata"] = {"Stagekeeper": {"Scope": draw(st.sampled_from(["stage", "service"]))}}
    return made


@st.composite
def templates(draw: st.DrawFn) -> Expanded:
    count = draw(st.integers(1, 12))
    resources: dict[str, Any] = {"Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}}}
    # What functions need comes before them, and what calls them after: so there are no circles.
    needed = draw(st.lists(st.sampled_from(["AWS::SQS::Queue", "AWS::DynamoDB::Table"]), max_size=2))
    for number, kind in enumerate(needed):
        resources[f"N{number}"] = {"Type": kind}
    for function in FUNCTIONS:
        environment = {"V": draw(_value([name for name in resources if name.startswith("N")]))}
        properties = {"Role": {"Fn::GetAtt": ["Role", "Arn"]}, "Environment": {"Variables": environment}}
        resources[function] = {"Type": "AWS::Lambda::Function", "Properties": properties}
    for number in range(count):
        queues = [name for name, made in resources.items() if made["Type"] == "AWS::SQS::Queue"]
        resources[f"R{number}"] = draw(_resource([name for name in resources if name != "Role"], queues))
    names = [name for name in resources if name not in FUNCTIONS]
    outputs = {f"O{n}": {"Value": draw(_value(names))} for n in range(draw(st.integers(0, 3)))}
    body = {"Parameters": PARAMETERS, "Mappings": MAPPINGS, "Conditions": CONDITIONS, "Resources": resources, "Outputs": outputs}
    return Expanded(body, {("Resources", name): line for line, name in enumerate(resources, start=10)})


def split_or_refused(expanded: Expanded) -> Split | None:
    result = split(expanded)
    if isinstance(result, Unsplittable):
        event("refused")
        for problem in result.problems:
            assert problem.logical_id is not None
            assert problem.logical_id in expanded.body["Resources"]
            assert problem.line == expanded.line(problem.logical_id)
        return None
    event("split in two" if result.stage else "all of it shared")
    return result


@settings(max_examples=60, deadline=None)
@given(templates())
def test_split_and_joined_again_nothing_is_lost(expanded: Expanded) -> None:
    result = split_or_refused(expanded)
    if result is not None:
        assert lost(expanded, result) == []


@settings(max_examples=60, deadline=None)
@given(templates())
def test_no_reference_dangles_in_either_half(expanded: Expanded) -> None:
    result = split_or_refused(expanded)
    if result is not None:
        assert dangling(result.service) == []
        assert result.stage is None or dangling(result.stage) == []


@settings(max_examples=60, deadline=None)
@given(templates())
def test_nothing_in_a_stage_calls_latest(expanded: Expanded) -> None:
    result = split_or_refused(expanded)
    if result is not None:
        assert unqualified(result) == []


@settings(max_examples=40, deadline=None)
@given(templates(), st.randoms(use_true_random=False))
def test_the_order_of_the_resources_does_not_matter(expanded: Expanded, random: Any) -> None:
    names = list(expanded.body["Resources"])
    random.shuffle(names)
    body = {**expanded.body, "Resources": {name: expanded.body["Resources"][name] for name in names}}
    assert split(Expanded(body, expanded.lines)) == split(expanded)
