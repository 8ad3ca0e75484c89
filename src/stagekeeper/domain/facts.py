"""What was found out before deciding. Absent and unreadable are different facts and never mixed up.

``Unreadable`` carries the sentence that says what could not be read and why; a decision that needs the fact refuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stagekeeper.domain.model import (
    Claim,
    Content,
    FunctionArn,
    LogicalName,
    OperationId,
    Release,
    ReleaseNumber,
    Service,
    Stage,
    StageName,
    VersionNumber,
)


@dataclass(frozen=True, slots=True)
class Absent:
    """AWS says that it does not exist."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """It could not be read: ``what`` names the thing, ``why`` is the cause in AWS's words."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class LatestSeen:
    """A function's $LATEST, settled (no update under way), as GetFunction showed it.

    ``configuration`` is canonical and holds environment values: never show it. ``last_modified`` is AWS's own time stamp
    in epoch seconds; ``failed`` is AWS's sentence when the last update failed.
    """

    arn: FunctionArn
    code: str
    configuration: Mapping[str, Any] = field(repr=False)
    content: Content
    revision_id: str
    last_modified: float
    failed: str | None = None


@dataclass(frozen=True, slots=True)
class VersionSeen:
    """A published version, or what an alias serves. ``state`` is AWS's: Active, Inactive, Pending or Failed.

    ``weighted``: the alias gives a part of its traffic to another version. Only a look at the alias itself shows it.
    """

    version: VersionNumber | None  # None: an alias on $LATEST, which only a stranger makes
    state: str
    weighted: bool = False


@dataclass(frozen=True, slots=True)
class Artifact:
    """Code that was found in S3: where exactly, and its identity (base64 SHA-256)."""

    bucket: str
    key: str
    object_version: str | None
    sha256: str


@dataclass(frozen=True, slots=True)
class Image:
    """A container image that was found in ECR: its address by digest, and its identity (that digest, in hex)."""

    uri: str
    sha256: str


@dataclass(frozen=True, slots=True)
class WantedFunction:
    """One function of a deploy request, with the content it shall have: $LATEST as read, overlaid by the request.

    ``given`` are the names of the configuration members in the request, ``differing`` those that are not in $LATEST.
    ``role`` and ``layers`` are the ARNs that were given.
    """

    function: LogicalName
    function_name: str
    latest: LatestSeen
    content: Content
    artifact: Artifact | Image | None
    given: frozenset[str]
    differing: frozenset[str]
    role: str | None = None
    layers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Busy:
    """Somebody else's update of the function is under way, and did not end in time."""

    why: str


@dataclass(frozen=True, slots=True)
class OutOfReach:
    """The function is in another Region than Stagekeeper, as its ARN says."""

    region: str
    here: str


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A function of the request that cannot be taken as it is: missing, unreadable, or its code is."""

    function: LogicalName
    function_name: str
    problem: Absent | Unreadable | Busy | OutOfReach | CodeProblem


@dataclass(frozen=True, slots=True)
class CodeProblem:
    """The code of a function: not there (``missing``), or not what it may be or what its ``sha256`` says."""

    missing: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class StackSeen:
    """A CloudFormation stack, the one that it is nested in, and the outermost of those (None and itself if in none)."""

    stack_id: str
    name: str
    status: str
    root_id: str
    parent_id: str | None = None


@dataclass(frozen=True, slots=True)
class CodeStored:
    """All functions and versions of the account in this Region, and how much it may be, in bytes."""

    used: int
    limit: int


#: Releases count from 1.
NO_RELEASE = ReleaseNumber(0)


@dataclass(frozen=True, slots=True)
class StageFacts:
    """What the record says of the stage, and what its alias serves on AWS, on every function that matters.

    ``gone`` are the functions of the stage that AWS does not know any more. ``last_release`` is the service's highest number,
    also of one that was torn down: its ledger still names releases, so numbers go on.
    """

    service: Service | None
    name: StageName | None
    stage: Stage | None
    served: Mapping[FunctionArn, VersionSeen | Absent | Unreadable] = field(default_factory=dict)
    gone: frozenset[FunctionArn] = frozenset()
    last_release: ReleaseNumber = NO_RELEASE


@dataclass(frozen=True, slots=True)
class DeployFacts:
    """Everything a deploy is decided on. ``callers`` has an entry for each function that no service claims yet, ``leaving`` one
    for each that the stage has and will not have: who uses its alias.

    ``pass_roles`` is the pattern of the ARNs of the roles that the stack may give to functions; empty: none.
    """

    at: StageFacts
    current: Release | None
    functions: tuple[WantedFunction | Unsettled, ...]
    claims: Mapping[FunctionArn, Claim]
    realised: Mapping[tuple[FunctionArn, Content], VersionSeen | Unreadable]
    callers: Mapping[FunctionArn, tuple[str, ...] | Unreadable]
    failed_writers: frozenset[OperationId]
    equal_release: Release | None
    pass_roles: str = ""
    leaving: Mapping[FunctionArn, tuple[str, ...] | Unreadable] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RestoreFacts:
    """Everything a rollback, reset or clone is decided on. ``targets`` has an entry for each function of the target release.

    None: no version with that content is on record (it was collected). ``like``: the observed stage that it is to be like, if it
    is one, with what its aliases serve by now.
    """

    at: StageFacts
    release: Release
    claims: Mapping[FunctionArn, Claim]
    targets: Mapping[FunctionArn, tuple[VersionNumber, VersionSeen | Absent | Unreadable] | None]
    like: StageFacts | None = None
