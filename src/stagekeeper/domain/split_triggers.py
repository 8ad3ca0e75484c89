"""Which resource types invoke a function, where they name it, and what must stand beside them. A table; it decides nothing.

A place is a path under Properties: ``*`` stands for one step, ``**`` for all that lies below. What a place holds becomes the
alias's ARN, which AWS takes wherever it takes a function's ARN; where the alias is a member of its own, that is set beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

from stagekeeper.domain.split_model import Path


@dataclass(frozen=True, slots=True)
class Trigger:
    """``places`` name the function that is invoked.

    ``qualifier``: the member beside the place that names the alias, for those that take it there.
    ``needs``: members naming what belongs to the trigger and cannot be shared: several stages' triggers would collide in it.
    ``sources``: members naming what it reads from, which may be shared.
    ``plain``: members that may speak of a function without invoking it.
    """

    places: tuple[Path, ...]
    qualifier: str | None = None
    needs: tuple[Path, ...] = ()
    sources: tuple[Path, ...] = ()
    plain: tuple[Path, ...] = ()


def _paths(*written: str) -> tuple[Path, ...]:
    return tuple(tuple(path.split(".")) for path in written)


FUNCTION = "AWS::Lambda::Function"
QUEUE = "AWS::SQS::Queue"

# A custom resource invokes what its ServiceToken names.
CUSTOM = Trigger(_paths("ServiceToken"))

_ALARMED = _paths("AlarmActions.*", "OKActions.*", "InsufficientDataActions.*")

TRIGGERS: dict[str, Trigger] = {
    # Lambda's own
    "AWS::Lambda::Permission": Trigger(_paths("FunctionName"), plain=_paths("SourceArn", "Principal")),
    "AWS::Lambda::EventSourceMapping": Trigger(
        _paths("FunctionName"), sources=_paths("EventSourceArn"), plain=_paths("DestinationConfig.**")
    ),
    "AWS::Lambda::Url": Trigger(_paths("TargetFunctionArn"), qualifier="Qualifier"),
    "AWS::Lambda::EventInvokeConfig": Trigger(
        _paths("FunctionName", "DestinationConfig.OnSuccess.Destination", "DestinationConfig.OnFailure.Destination"),
        qualifier="Qualifier",
    ),
    # Events
    "AWS::Events::Rule": Trigger(_paths("Targets.*.Arn"), sources=_paths("EventBusName"), plain=_paths("EventPattern.**")),
    "AWS::Scheduler::Schedule": Trigger(_paths("Target.Arn")),
    "AWS::SNS::Subscription": Trigger(_paths("Endpoint"), sources=_paths("TopicArn")),
    "AWS::SNS::Topic": Trigger(_paths("Subscription.*.Endpoint")),
    "AWS::S3::Bucket": Trigger(_paths("NotificationConfiguration.LambdaConfigurations.*.Function")),
    "AWS::Logs::SubscriptionFilter": Trigger(_paths("DestinationArn"), sources=_paths("LogGroupName")),
    "AWS::IoT::TopicRule": Trigger(
        _paths("TopicRulePayload.Actions.*.Lambda.FunctionArn", "TopicRulePayload.ErrorAction.Lambda.FunctionArn")
    ),
    "AWS::Pipes::Pipe": Trigger(_paths("Target", "Enrichment"), sources=_paths("Source")),
    "AWS::SES::ReceiptRule": Trigger(_paths("Rule.Actions.*.LambdaAction.FunctionArn"), needs=_paths("RuleSetName")),
    # HTTP
    "AWS::ApiGateway::RestApi": Trigger(_paths("Body.**")),
    "AWS::ApiGateway::Method": Trigger(_paths("Integration.Uri"), needs=_paths("RestApiId", "ResourceId")),
    "AWS::ApiGateway::Authorizer": Trigger(_paths("AuthorizerUri"), needs=_paths("RestApiId")),
    "AWS::ApiGatewayV2::Api": Trigger(_paths("Body.**", "Target")),
    "AWS::ApiGatewayV2::Integration": Trigger(_paths("IntegrationUri"), needs=_paths("ApiId")),
    "AWS::ApiGatewayV2::Authorizer": Trigger(_paths("AuthorizerUri"), needs=_paths("ApiId")),
    "AWS::ElasticLoadBalancingV2::TargetGroup": Trigger(_paths("Targets.*.Id")),
    "AWS::VpcLattice::TargetGroup": Trigger(_paths("Targets.*.Id")),
    "AWS::AppSync::GraphQLApi": Trigger(
        _paths("LambdaAuthorizerConfig.AuthorizerUri", "AdditionalAuthenticationProviders.*.LambdaAuthorizerConfig.AuthorizerUri")
    ),
    "AWS::AppSync::DataSource": Trigger(_paths("LambdaConfig.LambdaFunctionArn"), needs=_paths("ApiId")),
    # Workflows and data
    "AWS::StepFunctions::StateMachine": Trigger(
        _paths("Definition.**", "DefinitionString", "DefinitionSubstitutions.*"), plain=_paths("LoggingConfiguration.**")
    ),
    "AWS::KinesisFirehose::DeliveryStream": Trigger(
        _paths("*.ProcessingConfiguration.Processors.*.Parameters.*.ParameterValue"),
        sources=_paths("KinesisStreamSourceConfiguration.KinesisStreamARN"),
    ),
    "AWS::S3ObjectLambda::AccessPoint": Trigger(
        _paths("ObjectLambdaConfiguration.TransformationConfigurations.*.ContentTransformation.AwsLambda.FunctionArn")
    ),
    "AWS::SSM::MaintenanceWindowTask": Trigger(_paths("TaskArn"), needs=_paths("WindowId")),
    "AWS::Transfer::Server": Trigger(_paths("IdentityProviderDetails.Function")),
    "AWS::Transfer::Workflow": Trigger(
        _paths("Steps.*.CustomStepDetails.Target", "OnExceptionSteps.*.CustomStepDetails.Target"),
    ),
    "AWS::Config::ConfigRule": Trigger(_paths("Source.SourceIdentifier")),
    "AWS::Bedrock::Agent": Trigger(
        _paths("ActionGroups.*.ActionGroupExecutor.Lambda", "PromptOverrideConfiguration.OverrideLambda")
    ),
    # Identity and secrets
    "AWS::Cognito::UserPool": Trigger(_paths("LambdaConfig.**")),
    "AWS::SecretsManager::RotationSchedule": Trigger(_paths("RotationLambdaARN"), needs=_paths("SecretId")),
    # Running them
    "AWS::ApplicationAutoScaling::ScalableTarget": Trigger(_paths("ResourceId")),
    "AWS::CloudWatch::Alarm": Trigger(_ALARMED, plain=_paths("Dimensions.**", "Metrics.**", "AlarmName")),
    "AWS::CloudWatch::CompositeAlarm": Trigger(_ALARMED, plain=_paths("AlarmRule", "AlarmName")),
    "AWS::CloudFormation::CustomResource": CUSTOM,
    "AWS::CloudFormation::Macro": Trigger(_paths("FunctionName")),
}

# They name a function in a way that takes no alias; why, and what can be done instead.
CANNOT: dict[str, tuple[tuple[Path, ...], str]] = {
    "AWS::CloudFront::Distribution": (
        _paths(
            "DistributionConfig.DefaultCacheBehavior.LambdaFunctionAssociations.*.LambdaFunctionARN",
            "DistributionConfig.CacheBehaviors.*.LambdaFunctionAssociations.*.LambdaFunctionARN",
        ),
        "Lambda@Edge takes a version's number, never an alias. Give the distribution and its function a template of their own.",
    ),
    "AWS::CodePipeline::Pipeline": (
        _paths("Stages.*.Actions.*.Configuration.FunctionName"),
        "CodePipeline takes a function's bare name and so calls $LATEST. Call the alias from a state machine or a build instead.",
    ),
}

# They speak of a function and never call it. (A policy about who may call is no call.)
PASSIVE = frozenset(
    {
        "AWS::ApplicationInsights::Application",
        "AWS::CloudWatch::AnomalyDetector",
        "AWS::CloudWatch::Dashboard",
        "AWS::IAM::Group",
        "AWS::IAM::GroupPolicy",
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::Policy",
        "AWS::IAM::Role",
        "AWS::IAM::RolePolicy",
        "AWS::IAM::User",
        "AWS::IAM::UserPolicy",
        "AWS::KMS::Key",
        "AWS::Lambda::LayerVersion",
        "AWS::Lambda::LayerVersionPermission",
        "AWS::Logs::LogGroup",
        "AWS::Logs::MetricFilter",
        "AWS::Logs::QueryDefinition",
        "AWS::ResourceGroups::Group",
        "AWS::S3::BucketPolicy",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::QueuePolicy",
        "AWS::SSM::Parameter",
        "AWS::SecretsManager::ResourcePolicy",
        "AWS::SecretsManager::Secret",
        "AWS::XRay::Group",
        # Stagekeeper's own: it sweeps versions and calls nothing.
        "Custom::OrphanedVersions",
    }
)

# A queue hands a message to whoever asks first, and a policy is one document: what hangs on it goes where its owner is, and if
# that is shared, the stages take from, or overwrite, one another.
OWNED: dict[str, tuple[tuple[Path, ...], str]] = {
    "AWS::SQS::QueuePolicy": (_paths("Queues.*"), "policy"),
    "AWS::SNS::TopicPolicy": (_paths("Topics.*"), "policy"),
    "AWS::S3::BucketPolicy": (_paths("Bucket"), "policy"),
    "AWS::SecretsManager::ResourcePolicy": (_paths("SecretId"), "policy"),
}

# Members that name a text which lies elsewhere and may call functions unseen.
UNSEEN: dict[str, str] = {
    "AWS::ApiGateway::RestApi": "BodyS3Location",
    "AWS::ApiGatewayV2::Api": "BodyS3Location",
    "AWS::CloudFormation::Stack": "TemplateURL",
    "AWS::StepFunctions::StateMachine": "DefinitionS3Location",
}

# They invoke nothing themselves, but have one place, path or number in what they belong to: a stage's belongs to the stage's own.
BELONGS: dict[str, tuple[Path, ...]] = {
    "AWS::ApiGateway::Deployment": _paths("RestApiId"),
    "AWS::ApiGateway::Resource": _paths("RestApiId"),
    "AWS::ApiGateway::Stage": _paths("RestApiId"),
    "AWS::ApiGatewayV2::Deployment": _paths("ApiId"),
    "AWS::ApiGatewayV2::Route": _paths("ApiId"),
    "AWS::ApiGatewayV2::Stage": _paths("ApiId"),
    "AWS::AppSync::FunctionConfiguration": _paths("ApiId"),
    "AWS::AppSync::Resolver": _paths("ApiId"),
    "AWS::ElasticLoadBalancingV2::Listener": _paths("LoadBalancerArn"),
    "AWS::ElasticLoadBalancingV2::ListenerRule": _paths("ListenerArn"),
}

DEAD_LETTERS = ("RedrivePolicy", "deadLetterTargetArn")

# Members that only tell people something.
TEXT = frozenset({"Description", "Tags", "Comment", "DisplayName", "AlarmDescription"})


def trigger_of(kind: str) -> Trigger | None:
    return TRIGGERS.get(kind, CUSTOM if kind.startswith("Custom::") and kind not in PASSIVE else None)


def needs_of(kind: str) -> tuple[Path, ...]:
    """Members naming what a resource of this type is a part of."""
    trigger = trigger_of(kind)
    return (*(trigger.needs if trigger else ()), *BELONGS.get(kind, ()))


def place(path: Path) -> Path:
    """A reference's path as the tables say it: under Properties, through Fn::If, and no deeper than the value it is a part of."""
    found: list[str] = []
    steps = iter(path[1:] if path[:1] == ("Properties",) else path)
    for step in steps:
        if step == "Fn::If":
            next(steps, None)
        elif step.startswith("Fn::"):
            break
        else:
            found.append(step)
    return tuple(found)


def matches(patterns: tuple[Path, ...], path: Path) -> bool:
    return any(_matches(pattern, path) for pattern in patterns)


def _matches(pattern: Path, path: Path) -> bool:
    if pattern and pattern[-1] == "**":
        return len(path) >= len(pattern) - 1 and _matches(pattern[:-1], path[: len(pattern) - 1])
    return len(pattern) == len(path) and all(want in ("*", have) for want, have in zip(pattern, path, strict=True))
