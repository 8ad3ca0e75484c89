"""What the fake holds: functions with their versions, aliases, policies and triggers.

Only data and look-ups; the rules of each operation are in the module named after its subject.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .errors import alias_not_found, function_not_found, invalid_parameter, not_found

LATEST = "$LATEST"

#: Configuration as AWS answers with it (normalised), member by member.
Settings = dict[str, Any]


@dataclass
class Version:
    """$LATEST, or a published version. `settings` holds all that publishing freezes, the code's digest included."""

    number: str
    settings: Settings
    location: dict[str, Any]
    revision: str
    last_modified: float
    state: str = "Active"
    state_reason: str | None = None
    update: str | None = "Successful"
    update_reason: str | None = None
    #: When a Pending state or an InProgress update ends; None when nothing is under way.
    settles_at: float | None = None
    #: Why it will end in Failed instead, when a test wants that.
    settles_failed: str | None = None


@dataclass
class Alias:
    name: str
    version: str
    description: str
    weights: dict[str, float]
    revision: str
    #: Until when, and from which version, AWS shifts an alias that has provisioned concurrency.
    shifting_until: float = 0.0
    shifting_from: str | None = None


@dataclass
class Policy:
    """One resource policy. Each qualifier has its own, with its own revision."""

    statements: list[dict[str, Any]]
    revision: str


@dataclass
class Provisioned:
    requested: int
    ready_at: float
    last_modified: float


@dataclass
class Function:
    """A function. Qualifier "" stands for the unqualified function in `policies` and `urls`."""

    name: str
    arn: str
    latest: Version
    versions: dict[int, Version] = field(default_factory=dict)
    #: Never goes back: AWS does not use a version number twice, even after the version or the function is deleted.
    last_number: int = 0
    #: Whether an update came since the last publish. AWS does not compare: an update that changes nothing counts.
    updated_since_publish: bool = True
    aliases: dict[str, Alias] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    urls: dict[str, dict[str, Any]] = field(default_factory=dict)
    provisioned: dict[str, Provisioned] = field(default_factory=dict)
    invoke_configs: dict[str, dict[str, Any]] = field(default_factory=dict)
    reserved: int | None = None
    #: Versions that a CloudFront distribution runs (Lambda@Edge).
    replicated: set[int] = field(default_factory=set)
    tags: dict[str, str] = field(default_factory=dict)
    tags_error: dict[str, str] | None = None
    #: Reasons the next update / the next publish end in Failed, set by a test.
    update_fails: str | None = None
    publish_fails: str | None = None

    def version(self, qualifier: str) -> Version | None:
        """The version a qualifier names, through an alias if it names one."""
        if qualifier == LATEST:
            return self.latest
        if qualifier.isdigit():
            return self.versions.get(int(qualifier))
        alias = self.aliases.get(qualifier)
        return self.version(alias.version) if alias else None

    def all_versions(self) -> list[Version]:
        return [self.latest, *(self.versions[n] for n in sorted(self.versions))]

    def aliases_of(self, version: str) -> list[str]:
        """Names of the aliases that hold a version, as target or by weight."""
        return sorted(a.name for a in self.aliases.values() if a.version == version or version in a.weights)


@dataclass
class Names:
    """What a `FunctionName` parameter says: the function's name and, when it was part of it, a qualifier."""

    name: str
    qualifier: str | None


_NAME = re.compile(
    r"(?:(?:arn:aws[a-zA-Z-]*:lambda:(?P<region>[a-z0-9-]+):)?(?P<account>\d{12}):function:)?"
    r"(?P<name>[a-zA-Z0-9-_]+)(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9-_]+))?"
)


@dataclass
class Store:
    """One account's functions in one Region, and the clock and counter everything there shares."""

    region: str
    account: str
    clock: Callable[[], float]
    functions: dict[str, Function] = field(default_factory=dict)
    mappings: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: When deleted mappings are gone, by UUID.
    mappings_end: dict[str, float] = field(default_factory=dict)
    #: The last number of deleted functions: a function made again goes on from it.
    last_numbers: dict[str, int] = field(default_factory=dict)
    _revisions: int = 0

    def revision(self) -> str:
        """A RevisionId nobody has seen. They look like AWS's, and are the same in every run of a test."""
        self._revisions += 1
        return f"{self._revisions:08x}-5a6e-4000-8000-{int(self.account):012x}"

    def arn(self, name: str, qualifier: str | None = None) -> str:
        arn = f"arn:aws:lambda:{self.region}:{self.account}:function:{name}"
        return f"{arn}:{qualifier}" if qualifier else arn

    def parse(self, function_name: str, qualifier: str | None = None) -> Names:
        """Read a name, a partial or a whole ARN; a qualifier said twice must be the same both times."""
        match = _NAME.fullmatch(function_name)
        if match is None:
            raise invalid_parameter(f"Invalid function name: {function_name}")
        if match["region"] not in (None, self.region):
            raise not_found(f"Functions from '{match['region']}' are not reachable in this region ('{self.region}')")
        derived = match["qualifier"]
        if derived is not None and qualifier is not None and derived != qualifier:
            raise invalid_parameter("The derived qualifier from the function name does not match the specified qualifier.")
        return Names(match["name"], qualifier if qualifier is not None else derived)

    def function(self, function_name: str, qualifier: str | None = None) -> tuple[Function, str | None]:
        """The function a call names, with the call's qualifier. Raises `ResourceNotFoundException`."""
        names = self.parse(function_name, qualifier)
        function = self.functions.get(names.name)
        if function is None:
            raise function_not_found(self.arn(names.name, names.qualifier))
        return function, names.qualifier

    def qualified(self, function_name: str, qualifier: str | None) -> tuple[Function, str]:
        """The function and an existing alias or version of it, for calls that hang something on a qualifier.

        AWS says "Cannot find alias arn" of a name and "Function not found" of a number, also when the function itself
        is missing (recorded from AWS 2025-11-25, localstack snapshot
        TestLambdaProvisionedConcurrency::test_provisioned_concurrency_exceptions).
        """
        names = self.parse(function_name, qualifier)
        function = self.functions.get(names.name)
        wanted = names.qualifier or ""
        if not wanted:
            if function is None:
                raise function_not_found(self.arn(names.name))
            return function, ""
        if function is None or function.version(wanted) is None:
            arn = self.arn(names.name, wanted)
            # A name with a $ in it can be no alias, so AWS takes it for a function's.
            raise function_not_found(arn) if wanted.isdigit() or "$" in wanted else alias_not_found(arn)
        return function, wanted

    def settle(self) -> None:
        """Let what was due by now happen. Runs before every call, so nothing needs a thread."""
        now = self.clock()
        for uuid in [uuid for uuid, end in self.mappings_end.items() if end <= now]:
            del self.mappings[uuid], self.mappings_end[uuid]
        for function in self.functions.values():
            # Not sorted: of all that a call does, this comes to every version there is.
            for version in (function.latest, *function.versions.values()):
                if version.settles_at is not None and version.settles_at <= now:
                    self._finish(version)

    def _finish(self, version: Version) -> None:
        # A settled update has another RevisionId than the update's own answer (recorded from AWS 2025-11-25, localstack
        # snapshot TestLambdaRevisions::test_function_revisions_basic).
        version.revision = self.revision()
        version.settles_at = None
        failure, version.settles_failed = version.settles_failed, None
        if version.state == "Pending":
            version.state = "Failed" if failure else "Active"
            version.state_reason = failure
        version.update = "Failed" if failure else "Successful"
        version.update_reason = failure


def page(items: list[Any], marker: str | None, limit: int | None, largest: int) -> tuple[list[Any], str | None]:
    """One page of a list and the marker of the next. AWS gives at most `largest` items whatever MaxItems asks for."""
    start = int(marker) if marker else 0
    end = start + min(limit or largest, largest)
    return items[start:end], str(end) if end < len(items) else None
