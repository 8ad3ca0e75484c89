"""Templates that cannot be used: each is refused with the resource's logical id, its line, and what to do."""

from __future__ import annotations

import pytest

from stagekeeper.domain.refusal import Code
from tests.unit.template.splitting import problems

SAM = "Transform: AWS::Serverless-2016-10-31\n"
# In lines 2 to 8; more of its properties may follow, with six spaces before them.
ORDERS = f"""{SAM}Resources:
  Orders:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: s3://b/k
      Handler: a.b
      Runtime: python3.13
"""
FUNCTION = "    Type: AWS::Serverless::Function\n    Properties: {CodeUri: s3://b/k, Handler: a.b, Runtime: python3.13}\n"

# What it is called, the template, the code, the logical id, the line, and words of the sentence.
CASES: list[tuple[str, str, Code, str | None, int | None, str]] = [
    ("nothing", "", Code.INVALID_REQUEST, None, None, "empty"),
    ("only a comment", "# nothing\n", Code.INVALID_REQUEST, None, None, "empty"),
    ("no YAML", "Resources:\n  A: [\n", Code.INVALID_REQUEST, None, 3, "does not parse"),
    ("a tab", "Resources:\n\tA: 1\n", Code.INVALID_REQUEST, None, 2, "does not parse"),
    ("no JSON", '{"Resources": {\n  "A": ]\n}', Code.INVALID_REQUEST, None, 2, "does not parse"),
    ("a character that is none", "A: 1\nB: \x07\n", Code.INVALID_REQUEST, None, 2, "character"),
    ("a list", "- a\n- b\n", Code.INVALID_REQUEST, None, 1, "mapping"),
    ("a key that is none", "? [a]\n: b\n", Code.INVALID_REQUEST, None, 1, "key"),
    ("Python objects", "A: !!python/object/apply:os.getcwd []\n", Code.INVALID_REQUEST, None, 1, "does not parse"),
    ("two documents", "A: 1\n---\nB: 2\n", Code.INVALID_REQUEST, None, 2, "does not parse"),
    ("a circle of aliases", "A: &a\n  B: *a\n", Code.INVALID_REQUEST, None, 1, "too deeply"),
    ("an alias that is not there", "A: *b\n", Code.INVALID_REQUEST, None, 1, "does not parse"),
    (
        "a resource twice",
        f"{SAM}Resources:\n  Orders:\n{FUNCTION}  Orders:\n{FUNCTION}",
        Code.INVALID_REQUEST,
        "Orders",
        6,
        "Resources.Orders stands twice, in lines 3 and 6",
    ),
    (
        "a member twice",
        f"{SAM}Resources:\n  Orders:\n    Type: A\n    Type: B\n",
        Code.INVALID_REQUEST,
        "Orders",
        5,
        "Resources.Orders.Type stands twice, in lines 4 and 5",
    ),
    ("a member twice in JSON", '{\n"A": 1,\n"A": 2}', Code.INVALID_REQUEST, None, 3, "stands twice, in lines 2 and 3"),
    ("no resources", "Description: none\n", Code.INVALID_REQUEST, None, None, "no Resources"),
    ("empty resources", "Description: none\nResources: {}\n", Code.INVALID_REQUEST, None, 2, "no Resources"),
    ("a resource without a type", "Resources:\n  A:\n    Properties: {}\n", Code.INVALID_REQUEST, "A", 2, "needs a Type"),
    ("a resource that is none", "Resources:\n  A: 1\n", Code.INVALID_REQUEST, "A", 2, "needs a Type"),
    ("no transform", f"Resources:\n  Orders:\n{FUNCTION}", Code.INVALID_REQUEST, "Orders", 2, "Transform: AWS::Serverless"),
    (
        "a macro for all",
        f"Transform: [AWS::Serverless-2016-10-31, Ours]\nResources:\n  Orders:\n{FUNCTION}",
        Code.INVALID_REQUEST,
        None,
        1,
        "names Ours",
    ),
    (
        "language extensions",
        "Transform: AWS::LanguageExtensions\nResources:\n  A:\n    Type: AWS::SQS::Queue\n",
        Code.INVALID_REQUEST,
        None,
        1,
        "AWS::LanguageExtensions",
    ),
    (
        "a macro in a resource",
        f"{SAM}Resources:\n  Orders:\n{FUNCTION}  Api:\n    Type: AWS::Serverless::Api\n    Properties:\n      StageName: a\n"
        "      DefinitionBody:\n        Fn::Transform:\n          Name: AWS::Include\n",
        Code.INVALID_REQUEST,
        "Api",
        11,
        "Fn::Transform",
    ),
    (
        "the same as a short form",
        "Resources:\n  A:\n    Type: AWS::SQS::Queue\n    Properties:\n      QueueName: !Transform {Name: Ours}\n",
        Code.INVALID_REQUEST,
        "A",
        5,
        "Fn::Transform",
    ),
    (
        "a loop",
        "Resources:\n  Fn::ForEach::Queues:\n    - Name\n    - [a, b]\n    - Queue${Name}: {Type: AWS::SQS::Queue}\n",
        Code.INVALID_REQUEST,
        "Fn::ForEach::Queues",
        2,
        "The template uses Fn::ForEach::Queues",
    ),
    (
        "a function that CloudFormation does not have",
        "Resources:\n  A:\n    Type: AWS::SQS::Queue\n    Properties:\n      QueueName: !Shout a\n",
        Code.INVALID_REQUEST,
        "A",
        5,
        "Fn::Shout",
    ),
    (
        "an application of the repository",
        f"{SAM}Resources:\n  App:\n    Type: AWS::Serverless::Application\n    Properties:\n"
        "      Location: {ApplicationId: arn:aws:serverlessrepo:us-east-1:1:applications/a, SemanticVersion: 1.0.0}\n",
        Code.INVALID_REQUEST,
        "App",
        3,
        "Serverless Application Repository",
    ),
    (
        "code that is not packaged",
        f"{SAM}Resources:\n  Orders:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: src/\n"
        "      Handler: a.b\n      Runtime: python3.13\n",
        Code.INVALID_REQUEST,
        "Orders",
        6,
        "sam package",
    ),
    (
        "a member that SAM does not know",
        f"{ORDERS}      Colour: red\n",
        Code.INVALID_REQUEST,
        "Orders",
        9,
        "Colour",
    ),
    (
        "an event without what it needs",
        f"{ORDERS}      Events:\n        Jobs:\n          Type: SQS\n          Properties: {{}}\n",
        Code.INVALID_REQUEST,
        "Orders",
        10,
        "Orders, event Jobs",
    ),
    (
        "an event of a type that is none",
        f"{ORDERS}      Events:\n        Jobs:\n          Type: Telegram\n",
        Code.INVALID_REQUEST,
        "Orders",
        10,
        "Orders, event Jobs",
    ),
    (
        "an event that is a text",
        f"{ORDERS}      Events: often\n",
        Code.INVALID_REQUEST,
        "Orders",
        9,
        "Events",
    ),
    (
        "a policy that is none",
        f"{ORDERS}      Policies: [NoSuchPolicy]\n",
        Code.INVALID_REQUEST,
        "Orders",
        9,
        "NoSuchPolicy",
    ),
    (
        "AutoPublishAlias",
        f"{ORDERS}      AutoPublishAlias: live\n",
        Code.ALIAS_OWNED_ELSEWHERE,
        "Orders",
        9,
        "Delete AutoPublishAlias",
    ),
    (
        "AutoPublishAlias for all",
        f"{SAM}Globals:\n  Function:\n    AutoPublishAlias: live\nResources:\n  Orders:\n{FUNCTION}",
        Code.ALIAS_OWNED_ELSEWHERE,
        None,
        4,
        "Globals.Function says AutoPublishAlias",
    ),
    (
        "a deployment preference",
        f"{SAM}Resources:\n  Orders:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: s3://b/k\n"
        "      Handler: a.b\n      DeploymentPreference:\n        Type: Linear10PercentEvery1Minute\n",
        Code.ALIAS_OWNED_ELSEWHERE,
        "Orders",
        8,
        "Delete DeploymentPreference",
    ),
    (
        "an alias",
        "Resources:\n  Live:\n    Type: AWS::Lambda::Alias\n    Properties: {Name: live, FunctionName: f, FunctionVersion: 1}\n",
        Code.ALIAS_OWNED_ELSEWHERE,
        "Live",
        2,
        "Delete Live",
    ),
    (
        "a version",
        "Resources:\n  One:\n    Type: AWS::Lambda::Version\n    Properties: {FunctionName: f}\n",
        Code.ALIAS_OWNED_ELSEWHERE,
        "One",
        2,
        "Delete One",
    ),
    (
        "a reference to nothing",
        f"{ORDERS}  Queue:\n    Type: AWS::SQS::Queue\n    Properties:\n      QueueName: !Ref Nobody\n",
        Code.INVALID_REQUEST,
        "Queue",
        12,
        "Nobody",
    ),
    (
        "an output of nothing",
        "Resources:\n  A:\n    Type: AWS::SQS::Queue\nOutputs:\n  B:\n    Value: !GetAtt Nobody.Arn\n",
        Code.INVALID_REQUEST,
        None,
        5,
        "The output B refers to Nobody.Arn",
    ),
    (
        "a circle",
        "Resources:\n  A:\n    Type: AWS::X::Y\n    DependsOn: B\n  B:\n    Type: AWS::X::Y\n    DependsOn: A\n",
        Code.INVALID_REQUEST,
        "A",
        2,
        "A (line 2) → B (line 5) → A (line 2)",
    ),
    (
        "a function that needs what is the stage's",
        f"{SAM}Resources:\n  Queue:\n    Type: AWS::SQS::Queue\n    Metadata: {{Stagekeeper: {{Scope: stage}}}}\n"
        "  Orders:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: s3://b/k\n      Handler: a.b\n"
        "      Runtime: python3.13\n"
        "      Policies:\n        - SQSSendMessagePolicy:\n            QueueName: !GetAtt Queue.QueueName\n",
        Code.INVALID_REQUEST,
        "Orders",
        6,
        "Orders (line 6) → OrdersRole (made for Orders, line 6) → Queue (line 3)",
    ),
    (
        "a scope that is none",
        "Resources:\n  A:\n    Type: AWS::SQS::Queue\n    Metadata:\n      Stagekeeper:\n        Scope: world\n",
        Code.INVALID_REQUEST,
        "A",
        5,
        "Scope: world",
    ),
    (
        "a scope in another spelling",
        "Resources:\n  A:\n    Type: AWS::SQS::Queue\n    Metadata:\n      Stagekeeper:\n        scope: stage\n",
        Code.INVALID_REQUEST,
        "A",
        5,
        "Metadata.Stagekeeper.scope, which is not known here. Write Scope.",
    ),
    (
        "Stagekeeper in another spelling",
        "Resources:\n  A:\n    Type: AWS::SQS::Queue\n    Metadata:\n      Other: 1\n      StageKeeper:\n        Scope: stage\n",
        Code.INVALID_REQUEST,
        "A",
        6,
        "has a Metadata.StageKeeper, which nobody reads. Write Metadata.Stagekeeper.",
    ),
    (
        "a function of a stage, with the role that is made for it",
        f"{ORDERS}      Policies: [AWSLambdaBasicExecutionRole]\n    Metadata:\n      Stagekeeper: {{Scope: stage}}\n",
        Code.INVALID_REQUEST,
        "Orders",
        11,
        "Orders is a function and says Scope: stage",
    ),
]


@pytest.mark.parametrize(
    ("template", "code", "logical_id", "line", "words"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_bad_template_is_refused_by_name_and_line(
    template: str, code: Code, logical_id: str | None, line: int | None, words: str
) -> None:
    (problem,) = problems(template)
    assert (problem.code, problem.logical_id, problem.line) == (code, logical_id, line)
    assert words in problem.sentence
    assert problem.sentence.endswith(".")


def test_a_template_larger_than_cloudformation_takes_is_refused() -> None:
    (problem,) = problems("# " + "x" * 1_000_000)
    assert "1,000,000" in problem.sentence


def test_aliases_that_blow_the_template_up_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 8)]
    (problem,) = problems("\n".join(lines))
    assert "too large" in problem.sentence


@pytest.mark.parametrize("depth", [90, 5_000])
def test_a_template_nested_too_deeply_is_refused(depth: int) -> None:
    (problem,) = problems("Resources: " + "[" * depth + "]" * depth)
    assert problem.sentence


def test_every_mistake_that_sam_finds_is_said() -> None:
    bad = "    Type: AWS::Serverless::Function\n    Properties: {CodeUri: src/, Handler: a.b, Runtime: python3.13}\n"
    found = problems(f"{SAM}Resources:\n  A:\n{bad}  B:\n{bad}")
    assert [(problem.logical_id, problem.line) for problem in found] == [("A", 5), ("B", 8)]
