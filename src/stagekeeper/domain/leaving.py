"""What becomes of a resource, and of the data in it, when it leaves a stack. Must not know why it leaves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

#: What is in these goes with them, and no template makes it again. A key holds nothing, but what was written with it is lost
#: without it; what is in a nested stack nobody reads here.
_HOLD_DATA = frozenset(
    {
        "AWS::Cassandra::Keyspace",
        "AWS::Cassandra::Table",
        "AWS::CloudFormation::Stack",
        "AWS::Cognito::IdentityPool",
        "AWS::Cognito::UserPool",
        "AWS::DocDB::DBCluster",
        "AWS::DynamoDB::GlobalTable",
        "AWS::DynamoDB::Table",
        "AWS::EC2::Volume",
        "AWS::EFS::FileSystem",
        "AWS::ElastiCache::CacheCluster",
        "AWS::ElastiCache::ReplicationGroup",
        "AWS::ElastiCache::ServerlessCache",
        "AWS::Elasticsearch::Domain",
        "AWS::Events::Archive",
        "AWS::FSx::FileSystem",
        "AWS::KMS::Key",
        "AWS::Kinesis::Stream",
        "AWS::Logs::LogGroup",
        "AWS::MSK::Cluster",
        "AWS::MSK::ServerlessCluster",
        "AWS::MemoryDB::Cluster",
        "AWS::Neptune::DBCluster",
        "AWS::OpenSearchServerless::Collection",
        "AWS::OpenSearchService::Domain",
        "AWS::RDS::DBCluster",
        "AWS::RDS::DBInstance",
        "AWS::Redshift::Cluster",
        "AWS::RedshiftServerless::Namespace",
        "AWS::SQS::Queue",
        "AWS::SecretsManager::Secret",
        "AWS::Timestream::Database",
        "AWS::Timestream::Table",
    }
)
#: CloudFormation does not delete these while something is in them.
_MUST_BE_EMPTY = frozenset(
    {"AWS::ECR::Repository", "AWS::S3::Bucket", "AWS::S3Express::DirectoryBucket", "AWS::S3Tables::TableBucket"}
)
_STAYS = ("Retain", "RetainExceptOnCreate")


@dataclass(frozen=True, slots=True)
class Leaving:
    """``what`` becomes of a resource, as the end of a sentence. ``lost``: data goes, or may, and somebody should look."""

    what: str
    lost: bool


def leaving(resource: Mapping[str, Any]) -> Leaving:
    """By the template that its stack was made of last: that one's DeletionPolicy holds."""
    kind = str(resource.get("Type", ""))
    policy = resource.get("DeletionPolicy", _by_default(kind, resource))
    if policy in _STAYS:
        return Leaving(f"it stays, as its DeletionPolicy ({policy}) says, and belongs to no stack then", lost=False)
    if policy == "Snapshot":
        return Leaving("it is deleted; a snapshot of it stays (DeletionPolicy: Snapshot)", lost=False)
    if kind in _MUST_BE_EMPTY:
        return Leaving("it is deleted if it is empty; CloudFormation fails to delete one that is not", lost=True)
    if kind in _HOLD_DATA:
        return Leaving("it is deleted with what is in it", lost=True)
    return Leaving("it is deleted", lost=False)


def lost_with(stack: str, template: Mapping[str, Any], names: Iterable[str]) -> tuple[str, ...]:
    """A warning for each of the resources that leaves a stack, made of this template last, and takes data along."""
    resources = template.get("Resources", {})
    going = {name: leaving(resources[name]) for name in sorted(names)}
    advice = "To keep it, first deploy a template that still declares it, with DeletionPolicy: Retain"
    return tuple(f"{name} leaves stack {stack}: {each.what}. {advice}" for name, each in going.items() if each.lost)


def _by_default(kind: str, resource: Mapping[str, Any]) -> str:
    """Databases have another default (CloudFormation user guide, DeletionPolicy attribute)."""
    alone = kind == "AWS::RDS::DBInstance" and "DBClusterIdentifier" not in resource.get("Properties", {})
    return "Snapshot" if kind == "AWS::RDS::DBCluster" or alone else "Delete"
