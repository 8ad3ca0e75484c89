"""The things Stagekeeper talks about, as immutable values. Must not know how any of them is stored or read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NewType

ServiceName = NewType("ServiceName", str)
StageName = NewType("StageName", str)
LogicalName = NewType("LogicalName", str)
FunctionArn = NewType("FunctionArn", str)  # unqualified
OperationId = NewType("OperationId", str)  # the execution's name
ReleaseNumber = NewType("ReleaseNumber", int)

#: More functions than this are refused before any effect: at 500 an operation's item stays well under DynamoDB's 400 KB.
MAX_FUNCTIONS = 500

#: What a stage may be called: it becomes a Lambda alias, which may be longer (128).
STAGE_NAME = r"(?![0-9]+$)[A-Za-z0-9_-]{1,63}"


@dataclass(frozen=True, slots=True, order=True)
class VersionNumber:
    """A published version: a positive number. ``$LATEST`` cannot be spelled as one, on purpose."""

    value: int

    def __post_init__(self) -> None:
        if self.value < 1:
            raise ValueError(f"{self.value} is not a published version number")

    @classmethod
    def parse(cls, text: str) -> VersionNumber:
        """The number in AWS's text form. Raises ValueError on ``$LATEST`` and on everything else that is no number."""
        if not (text.isascii() and text.isdigit()):
            raise ValueError(f"{text!r} is not a published version number")
        return cls(int(text))

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True, slots=True)
class Content:
    """What a version freezes: the base64 SHA-256 of its code and the hex SHA-256 of its configuration."""

    code: str
    configuration: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(f"{self.code}\n{self.configuration}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ReleaseFunction:
    """One function's part of a release."""

    arn: FunctionArn
    content: Content


@dataclass(frozen=True, slots=True)
class TemplateRef:
    """The template that a release was deployed from: where its split form lies, and its identity (hex SHA-256), which leaves out
    where the functions' code lies."""

    key: str
    digest: str


@dataclass(frozen=True, slots=True)
class Release:
    """Immutable content of a whole service, numbered r1, r2, … per service. Equal content is the same release.

    ``template`` is None for a service without one.
    """

    number: ReleaseNumber
    functions: Mapping[LogicalName, ReleaseFunction]
    template: TemplateRef | None = None

    @property
    def digest(self) -> str:
        return content_digest(self.functions, self.template)


def content_digest(functions: Mapping[LogicalName, ReleaseFunction], template: TemplateRef | None = None) -> str:
    """The identity of a release's content (hex SHA-256): names, homes, code and configuration, and what its template declares
    beside; nothing of where it runs."""
    lines = {name: [part.arn, part.content.code, part.content.configuration] for name, part in functions.items()}
    told: object = lines if template is None else [lines, template.digest]
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ServedAlias:
    """A stage's alias on one function as the record has it. ``revision_id`` is None where nobody has read it yet.

    ``kept``: the stage's release says nothing of this function; the alias only stayed where it was.
    """

    function: LogicalName
    version: VersionNumber
    revision_id: str | None
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """What ``configure`` sets of a stage. A protected one is torn down only with its name as ``confirm``."""

    protected: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage's record. ``aliases`` is what is really served, also for a mixed stage and for kept functions.

    ``way_back`` is newest first. ``release`` is None only for a stage that became mixed while it was being made.
    ``movements`` is the number of its last movement, which goes on where an earlier stage of this name ended.
    ``tearing_down``: a teardown began and has not ended. ``observed`` is the name of the stack that owns the alias, on at least
    one function: such a stage is only looked at, since CloudFormation would put back or delete what others move.
    ``variables`` is where the stage's variables lie; None if it has none.
    """

    name: StageName
    release: ReleaseNumber | None
    way_back: tuple[ReleaseNumber, ...]
    aliases: Mapping[FunctionArn, ServedAlias]
    mixed: bool = False
    movements: int = 0
    revision: int = 0
    settings: Settings = Settings()
    tearing_down: bool = False
    observed: str | None = None
    variables: str | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """A service's record: how far its release numbers went."""

    name: ServiceName
    last_release: ReleaseNumber


@dataclass(frozen=True, slots=True)
class LatestWrite:
    """Who last wrote a function's $LATEST through us: what was there before, and what it was to become."""

    operation_id: OperationId
    before: Content
    wanted: Content


@dataclass(frozen=True, slots=True)
class Claim:
    """The one service that owns a function, the configuration members its deploys have given, and its last $LATEST write."""

    service: ServiceName
    function: LogicalName
    given: frozenset[str] = frozenset()
    latest_write: LatestWrite | None = None


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who wants an operation and why, as claimed by the request: kept in the ledger, proven by nobody."""

    actor: str | None = None
    reason: str | None = None
    commit: str | None = None
    branch: str | None = None
    run_url: str | None = None


@dataclass(frozen=True, slots=True)
class Movement:
    """One line of a stage's ledger.

    ``popped`` are the releases that a rollback took off the way back, ``displaced`` the versions that aliases left although
    ``from_release`` does not tell: of kept functions, of a mixed stage, and where drift was overwritten.
    """

    stage: StageName
    number: int
    operation_id: OperationId
    operation: str
    from_release: ReleaseNumber | None
    to_release: ReleaseNumber | None
    at: str
    provenance: Provenance = field(default_factory=Provenance)
    popped: tuple[ReleaseNumber, ...] = ()
    displaced: Mapping[FunctionArn, VersionNumber] = field(default_factory=dict)
