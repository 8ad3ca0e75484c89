"""Names that stages would quarrel over: which member of a type is one, and the same name with the stage's in it.

An account (or the world) knows one queue of a name. What a stage has of its own gets the stage's name at the end of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stagekeeper.domain.intrinsics import single
from stagekeeper.domain.split_model import SLUG, STAGE


@dataclass(frozen=True, slots=True)
class Name:
    """``fifo``: the name ends in ``.fifo`` where it is one. ``lower``: no capitals and no underscore are allowed in it."""

    member: str
    fifo: bool = False
    lower: bool = False
    joint: str = "-"


_PLAIN: dict[str, str] = {
    "AWS::ApiGateway::ApiKey": "Name",
    "AWS::ApiGateway::RestApi": "Name",
    "AWS::ApiGateway::UsagePlan": "UsagePlanName",
    "AWS::ApiGateway::VpcLink": "Name",
    "AWS::ApiGatewayV2::Api": "Name",
    "AWS::ApiGatewayV2::VpcLink": "Name",
    "AWS::AppConfig::Application": "Name",
    "AWS::AppSync::GraphQLApi": "Name",
    "AWS::Athena::WorkGroup": "Name",
    "AWS::Batch::ComputeEnvironment": "ComputeEnvironmentName",
    "AWS::Batch::JobDefinition": "JobDefinitionName",
    "AWS::Batch::JobQueue": "JobQueueName",
    "AWS::Bedrock::Agent": "AgentName",
    "AWS::CloudFormation::Macro": "Name",
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::CompositeAlarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::CodeBuild::Project": "Name",
    "AWS::CodePipeline::Pipeline": "Name",
    "AWS::Cognito::IdentityPool": "IdentityPoolName",
    "AWS::Cognito::UserPool": "UserPoolName",
    "AWS::Config::ConfigRule": "ConfigRuleName",
    "AWS::DynamoDB::GlobalTable": "TableName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::EC2::SecurityGroup": "GroupName",
    "AWS::ECS::Cluster": "ClusterName",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "Name",
    "AWS::ElasticLoadBalancingV2::TargetGroup": "Name",
    "AWS::Events::ApiDestination": "Name",
    "AWS::Events::Archive": "ArchiveName",
    "AWS::Events::Connection": "Name",
    "AWS::Events::EventBus": "Name",
    "AWS::Events::Rule": "Name",
    "AWS::Glue::Job": "Name",
    "AWS::IAM::Group": "GroupName",
    "AWS::IAM::GroupPolicy": "PolicyName",
    "AWS::IAM::InstanceProfile": "InstanceProfileName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Policy": "PolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::RolePolicy": "PolicyName",
    "AWS::IAM::User": "UserName",
    "AWS::IAM::UserPolicy": "PolicyName",
    "AWS::KMS::Alias": "AliasName",
    "AWS::Kinesis::Stream": "Name",
    "AWS::KinesisFirehose::DeliveryStream": "DeliveryStreamName",
    "AWS::Logs::Destination": "DestinationName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::Logs::MetricFilter": "FilterName",
    "AWS::Logs::QueryDefinition": "Name",
    "AWS::Logs::SubscriptionFilter": "FilterName",
    "AWS::Pipes::Pipe": "Name",
    "AWS::ResourceGroups::Group": "Name",
    "AWS::SES::ReceiptRule": "Rule.Name",
    "AWS::SES::Template": "Template.TemplateName",
    "AWS::SSM::Document": "Name",
    "AWS::SSM::Parameter": "Name",
    "AWS::Scheduler::Schedule": "Name",
    "AWS::Scheduler::ScheduleGroup": "Name",
    "AWS::SecretsManager::Secret": "Name",
    "AWS::StepFunctions::Activity": "Name",
    "AWS::StepFunctions::StateMachine": "StateMachineName",
    "AWS::WAFv2::IPSet": "Name",
    "AWS::WAFv2::WebACL": "Name",
    "AWS::XRay::Group": "GroupName",
}

NAMES: dict[str, Name] = {kind: Name(member) for kind, member in _PLAIN.items()} | {
    "AWS::SQS::Queue": Name("QueueName", fifo=True),
    "AWS::SNS::Topic": Name("TopicName", fifo=True),
    "AWS::S3::Bucket": Name("BucketName", lower=True),
    "AWS::S3::AccessPoint": Name("Name", lower=True),
    "AWS::S3ObjectLambda::AccessPoint": Name("Name", lower=True),
    "AWS::ECR::Repository": Name("RepositoryName", lower=True),
    "AWS::ElastiCache::ReplicationGroup": Name("ReplicationGroupId", lower=True),
    "AWS::OpenSearchService::Domain": Name("DomainName", lower=True),
    "AWS::RDS::DBCluster": Name("DBClusterIdentifier", lower=True),
    "AWS::RDS::DBInstance": Name("DBInstanceIdentifier", lower=True),
    "AWS::Cognito::UserPoolDomain": Name("Domain", lower=True),
    "AWS::Athena::NamedQuery": Name("Name"),
    "AWS::Glue::Database": Name("DatabaseInput.Name", lower=True, joint="_"),
    "AWS::IoT::TopicRule": Name("RuleName", lower=True, joint="_"),
}

# Names that only their user can choose: a stage cannot make up a domain. One of the members has to differ per stage.
FIXED: dict[str, tuple[str, ...]] = {
    "AWS::ApiGateway::BasePathMapping": ("DomainName", "BasePath"),
    "AWS::ApiGateway::DomainName": ("DomainName",),
    "AWS::ApiGatewayV2::ApiMapping": ("DomainName", "ApiMappingKey"),
    "AWS::ApiGatewayV2::DomainName": ("DomainName",),
    "AWS::Route53::HostedZone": ("Name",),
    "AWS::Route53::RecordSet": ("Name",),
    "AWS::Route53::RecordSetGroup": ("RecordSets",),
    "AWS::SES::EmailIdentity": ("EmailIdentity",),
}

# They are named inside of something that is the stage's own, or name something else.
_NO_NAMES = frozenset(
    {
        "AWS::ApiGateway::Authorizer",
        "AWS::ApiGateway::GatewayResponse",
        "AWS::ApiGateway::Model",
        "AWS::ApiGateway::RequestValidator",
        "AWS::ApiGateway::Stage",
        "AWS::ApiGatewayV2::Authorizer",
        "AWS::ApiGatewayV2::Model",
        "AWS::ApiGatewayV2::Stage",
        "AWS::AppSync::DataSource",
        "AWS::AppSync::FunctionConfiguration",
        "AWS::CloudFormation::CustomResource",
        "AWS::CloudFormation::Stack",
        "AWS::Cognito::IdentityPoolRoleAttachment",
        "AWS::Cognito::UserPoolClient",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::EventSourceMapping",
        "AWS::Lambda::Permission",
        "AWS::Lambda::Url",
        "AWS::SES::ReceiptRule",
    }
)


def likely_names(kind: str, resource: Mapping[str, Any]) -> tuple[str, ...]:
    """Members of a type not known here that look like the name of the thing and are written out."""
    if kind in NAMES or kind in FIXED or kind in _NO_NAMES or kind.startswith("Custom::"):
        return ()
    last = kind.rpartition("::")[2]
    wanted = {"Name", f"{last}Name"}
    properties = resource.get("Properties")
    return tuple(sorted(wanted & properties.keys())) if isinstance(properties, Mapping) else ()


def renamed(name: Name, value: Any, is_apart: Callable[[Any], bool]) -> Any | None:
    """The name with the stage's at its end; None where it differs per stage already, or is none.

    ``is_apart``: whether a value differs between stages as it stands.
    """
    branches = single(value, "Fn::If")
    if isinstance(branches, list) and len(branches) == 3:
        both = [renamed(name, branch, is_apart) for branch in branches[1:]]
        if both == [None, None]:
            return None
        kept = [old if new is None else new for old, new in zip(branches[1:], both, strict=True)]
        return {"Fn::If": [branches[0], *kept]}
    if single(value, "Ref") == "AWS::NoValue" or is_apart(value):
        return None
    if name.joint == "_":
        # No hyphen is allowed either, and the stage's name may have one.
        stage = {"Fn::Join": ["_", {"Fn::Split": ["-", {"Ref": SLUG}]}]}
        return {"Fn::Join": ["_", [value, stage]]}
    suffix = f"{name.joint}${{{SLUG if name.lower else STAGE}}}"
    if isinstance(value, str):
        return {"Fn::Sub": _ended(value.replace("${", "${!"), suffix, name.fifo)}
    sub = single(value, "Fn::Sub")
    if isinstance(sub, str):
        return {"Fn::Sub": _ended(sub, suffix, name.fifo)}
    if isinstance(sub, list) and len(sub) == 2 and isinstance(sub[0], str):
        return {"Fn::Sub": [_ended(sub[0], suffix, name.fifo), sub[1]]}
    return {"Fn::Join": ["", [value, name.joint, {"Ref": SLUG if name.lower else STAGE}]]}


def renamed_fifo(name: Name, value: Any, is_apart: Callable[[Any], bool]) -> Any | None:
    """As ``renamed``, for a name whose text is not known here but ends in ``.fifo``, since the thing is one."""
    if renamed(name, value, is_apart) is None or isinstance(value, str) or single(value, "Fn::Sub") or single(value, "Fn::If"):
        return renamed(name, value, is_apart)
    bare = {"Fn::Select": [0, {"Fn::Split": [".fifo", value]}]}
    return {"Fn::Join": ["", [bare, name.joint, {"Ref": STAGE}, ".fifo"]]}


def _ended(text: str, suffix: str, fifo: bool) -> str:
    if fifo and text.endswith(".fifo"):
        return text.removesuffix(".fifo") + suffix + ".fifo"
    return text + suffix


def member(properties: Mapping[str, Any], dotted: str) -> Any | None:
    value: Any = properties
    for step in dotted.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def with_member(properties: Mapping[str, Any], dotted: str, value: Any) -> dict[str, Any]:
    first, _, rest = dotted.partition(".")
    return {**properties, first: with_member(properties[first], rest, value) if rest else value}
