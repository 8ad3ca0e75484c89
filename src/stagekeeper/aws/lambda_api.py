"""AWS Lambda's control plane: one method, one call. Must not know stages, releases or plans.

Reads give facts (absent and unreadable are facts too); actions raise ``CallFailed``. The clients of actions never retry by
themselves, so that a call that was given up cannot still be repeated; a throttle is an answer (nothing happened) and is
retried here, at half the pace.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, assert_never

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from stagekeeper.aws.clock import Clock
from stagekeeper.aws.errors import AlreadyThere, CallFailed, NotThere, Unanswered, error_code, is_throttle, spelled, translated
from stagekeeper.aws.pace import GET_FUNCTION_PER_SECOND, SHARED_PER_SECOND, SWEEP_PER_SECOND, Pace
from stagekeeper.domain.configuration import canonical, digest
from stagekeeper.domain.converge import AliasSeen
from stagekeeper.domain.facts import Absent, Artifact, CodeStored, Image, LatestSeen, Unreadable, VersionSeen
from stagekeeper.domain.model import Content, FunctionArn, VersionNumber
from stagekeeper.domain.operation import ALIAS_CALL_TIMEOUT, CONNECT_TIMEOUT, PUBLISH_CALL_TIMEOUT

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

T = TypeVar("T")

#: Raises if the worker may not act any more.
Guard = Callable[[], None]

#: How often a throttled call is tried again; with the pace halving down to 1/s this is about a minute of patience.
THROTTLE_ATTEMPTS = 40
_READ_ATTEMPTS = 4


@dataclass(frozen=True, slots=True)
class LatestBusy:
    """$LATEST cannot be taken as it is yet: being made, or an update is under way. ``why`` is AWS's word for it."""

    why: str


@dataclass(frozen=True, slots=True)
class VersionMade:
    """A publishing call's answer. ``content`` is what the version really froze, ``last_modified`` in epoch seconds."""

    version: VersionNumber
    content: Content
    last_modified: float


@dataclass(frozen=True, slots=True)
class VersionListed:
    """A version of a list. What it froze is worked out only when asked for: AWS may not be allowed to show every environment."""

    answer: Mapping[str, Any] = field(repr=False)

    @property
    def number(self) -> VersionNumber:
        return VersionNumber.parse(str(self.answer["Version"]))

    def made(self) -> VersionMade:
        """Raises CallFailed if the environment cannot be read."""
        return _made(self.answer)


@dataclass(frozen=True, slots=True)
class Aliased:
    """The names of a function's aliases, by the version they point at, and by the version they give some traffic to."""

    targets: Mapping[VersionNumber, Sequence[str]]
    weighted: Mapping[VersionNumber, Sequence[str]]


@dataclass(frozen=True, slots=True)
class LambdaClients:
    """One client for reads, one for alias calls and one for publishing calls: they differ in patience and retries."""

    read: LambdaClient
    alias: LambdaClient
    publish: LambdaClient

    @classmethod
    def default(cls) -> LambdaClients:
        session = boto3.Session()

        def client(read_timeout: int, attempts: int) -> LambdaClient:
            config = Config(
                connect_timeout=CONNECT_TIMEOUT,
                read_timeout=read_timeout,
                retries={"mode": "standard", "total_max_attempts": attempts},
                max_pool_connections=32,
            )
            return session.client("lambda", config=config)

        return cls(client(10, 6), client(ALIAS_CALL_TIMEOUT, 1), client(PUBLISH_CALL_TIMEOUT, 1))


class LambdaApi:
    """See the module. Safe to use from several threads."""

    def __init__(
        self,
        clients: LambdaClients,
        clock: Clock,
        shared_per_second: float = SHARED_PER_SECOND,
        throttle_attempts: int = THROTTLE_ATTEMPTS,
    ) -> None:
        self._throttle_attempts = throttle_attempts
        self._clients = clients
        self._clock = clock
        self._shared = Pace(clock, shared_per_second)
        self._get_function = Pace(clock, GET_FUNCTION_PER_SECOND)

    def unhurried(self) -> LambdaApi:
        """The same for work that nobody waits for: it leaves most of the shared budget to others."""
        return LambdaApi(self._clients, self._clock, SWEEP_PER_SECOND)

    def impatient(self) -> LambdaApi:
        """The same for unhurried work under a lock that others wait for: a throttle means later."""
        return LambdaApi(self._clients, self._clock, SWEEP_PER_SECOND, throttle_attempts=1)

    @property
    def region(self) -> str:
        """The Region whose functions it reaches."""
        return self._clients.read.meta.region_name

    # Facts, from GetFunction: it has a budget of its own.

    def latest(self, function_name: str) -> LatestSeen | LatestBusy | Absent | Unreadable:
        """What $LATEST holds."""
        answer = self._read_function(function_name, None)
        if isinstance(answer, (Absent, Unreadable)):
            return answer
        state, update = str(answer.get("State", "Active")), str(answer.get("LastUpdateStatus", "Successful"))
        if state == "Pending" or update == "InProgress":
            return LatestBusy(f"State {state}, LastUpdateStatus {update}")
        reason = None
        if state == "Failed":
            reason = _reason(f"State Failed: {answer.get('StateReason', 'no reason given')}")
        elif update == "Failed":
            reason = _reason(answer.get("LastUpdateStatusReason", "no reason given"))
        if (hidden := _hidden(answer)) is not None:
            what, why = hidden
            return Unreadable(f"{what} of function {function_name}", why)
        configuration = canonical(answer)
        return LatestSeen(
            arn=FunctionArn(unqualified(str(answer["FunctionArn"]))),
            code=str(answer["CodeSha256"]),
            configuration=configuration,
            content=Content(str(answer["CodeSha256"]), digest(configuration)),
            revision_id=str(answer["RevisionId"]),
            last_modified=epoch_seconds(str(answer["LastModified"])),
            failed=reason,
        )

    def version(self, arn: FunctionArn, version: VersionNumber) -> VersionSeen | Absent | Unreadable:
        """A published version's state. Absent: the version, or the whole function, is not there."""
        return self._served(arn, str(version))

    def frozen(self, arn: FunctionArn, version: VersionNumber) -> Mapping[str, Any] | Absent | Unreadable:
        """The configuration that a version froze, in canonical form: it holds environment values, so never show it whole."""
        answer = self._read_function(arn, str(version))
        if isinstance(answer, (Absent, Unreadable)):
            return answer
        if (hidden := _hidden(answer)) is not None:
            what, why = hidden
            return Unreadable(f"{what} of function {arn}:{version}", why)
        return canonical(answer)

    def served(self, arn: FunctionArn, alias: str) -> VersionSeen | Absent | Unreadable:
        """What an alias serves. Absent: the alias, or the whole function, is not there. Shows no weights."""
        return self._served(arn, alias)

    def stack_of(self, arn: FunctionArn) -> str | Absent | Unreadable | None:
        """The ARN of the stack that made the function, by the tag that CloudFormation puts on it; None if none did.

        AWS shows tags only to who may list them, and says why where it cannot.
        """
        answer = self._function(arn, None)
        if isinstance(answer, (Absent, Unreadable)):
            return answer
        if (error := answer.get("TagsError")) is not None:
            return Unreadable(f"the tags of function {arn}", f"{error.get('ErrorCode')}: {error.get('Message')}".rstrip("."))
        stack: str | None = answer.get("Tags", {}).get("aws:cloudformation:stack-id")
        return stack

    def arn_of(self, function_name: str) -> FunctionArn | Absent | Unreadable:
        """The unqualified ARN of a function that is named by its name or its ARN."""
        answer = self._read_function(function_name, None)
        return answer if isinstance(answer, (Absent, Unreadable)) else FunctionArn(unqualified(str(answer["FunctionArn"])))

    def exists(self, arn: FunctionArn) -> bool | Unreadable:
        answer = self._read_function(arn, None)
        return answer if isinstance(answer, Unreadable) else not isinstance(answer, Absent)

    def _served(self, arn: FunctionArn, qualifier: str) -> VersionSeen | Absent | Unreadable:
        answer = self._read_function(arn, qualifier)
        if isinstance(answer, (Absent, Unreadable)):
            return answer
        found = str(answer["Version"])
        version = None if found == "$LATEST" else VersionNumber.parse(found)
        return VersionSeen(version, str(answer.get("State", "Active")))

    def _read_function(self, name: str, qualifier: str | None) -> Mapping[str, Any] | Absent | Unreadable:
        answer = self._function(name, qualifier)
        return answer if isinstance(answer, (Absent, Unreadable)) else answer["Configuration"]

    def _function(self, name: str, qualifier: str | None) -> Mapping[str, Any] | Absent | Unreadable:
        self._get_function.wait()
        named: dict[str, str] = {"FunctionName": name} if qualifier is None else {"FunctionName": name, "Qualifier": qualifier}
        what = f"function {name}" if qualifier is None else f"function {name}:{qualifier}"
        try:
            return self._clients.read.get_function(**named)
        except ClientError as error:
            if error_code(error) == "ResourceNotFoundException":
                return Absent()
            return Unreadable(what, spelled(error))
        except BotoCoreError as error:
            return Unreadable(what, spelled(error))

    # Facts on the shared budget.

    def alias(self, arn: FunctionArn, name: str) -> AliasSeen | None:
        """The alias with its RevisionId and whether it has weights; None if there is none. Raises CallFailed."""
        what = f"reading alias {name} of {arn}"
        try:
            answer = self._read(what, lambda: self._clients.alias.get_alias(FunctionName=arn, Name=name))
        except NotThere:
            return None
        return _alias_seen(answer)

    def provisioned_concurrency_is_moving(self, arn: FunctionArn, alias: str) -> bool:
        """Whether AWS is shifting the alias's provisioned concurrency at the moment. Raises CallFailed."""
        call = partial(self._clients.alias.get_provisioned_concurrency_config, FunctionName=arn, Qualifier=alias)
        try:
            return self._read(f"reading the provisioned concurrency of {arn}:{alias}", call)["Status"] == "IN_PROGRESS"
        except NotThere:
            return False

    def versions(self, arn: FunctionArn) -> list[VersionListed]:
        """Every published version, all pages of 50. Raises CallFailed."""
        return [VersionListed(each) for each in self._versions(arn)]

    def code_sizes(self, arn: FunctionArn) -> dict[VersionNumber, int]:
        """Every published version with the size of its code in bytes, all pages of 50. Raises CallFailed."""
        return {VersionNumber.parse(str(each["Version"])): int(each["CodeSize"]) for each in self._versions(arn)}

    def _versions(self, arn: FunctionArn) -> Iterator[Mapping[str, Any]]:
        call = partial(self._clients.alias.list_versions_by_function, FunctionName=arn)
        listed = self._pages(f"listing versions of {arn}", call, "Versions")
        return (version for version in listed if version["Version"] != "$LATEST")

    def aliased(self, arn: FunctionArn) -> Aliased:
        """The names of all aliases, by the versions they give traffic to. Raises CallFailed."""
        targets: dict[VersionNumber, list[str]] = {}
        weighted: dict[VersionNumber, list[str]] = {}
        for alias in self._aliases(arn):
            name = str(alias["Name"])
            for found, numbers in ((targets, [alias["FunctionVersion"]]), (weighted, _weights(alias))):
                for number in set(numbers) - {"$LATEST"}:
                    found.setdefault(VersionNumber.parse(number), []).append(name)
        return Aliased(targets, weighted)

    def code_stored(self) -> CodeStored:
        """How much code the account has in this Region. Raises CallFailed."""
        answer = self._read("reading the account's settings", self._clients.alias.get_account_settings)
        return CodeStored(int(answer["AccountUsage"]["TotalCodeSize"]), int(answer["AccountLimit"]["TotalCodeSize"]))

    def aliases(self, arn: FunctionArn) -> dict[str, AliasSeen]:
        """Every alias of a function by its name, all pages of 50. Raises CallFailed."""
        return {str(alias["Name"]): _alias_seen(alias) for alias in self._aliases(arn)}

    def _aliases(self, arn: FunctionArn) -> Iterator[Mapping[str, Any]]:
        call = partial(self._clients.alias.list_aliases, FunctionName=arn)
        return self._pages(f"listing aliases of {arn}", call, "Aliases")

    def provisioned(self, arn: FunctionArn) -> list[str]:
        """The qualifiers (alias names and version numbers) with provisioned concurrency. Raises CallFailed."""
        call = partial(self._clients.alias.list_provisioned_concurrency_configs, FunctionName=arn)
        what = f"listing provisioned concurrency of {arn}"
        listed = self._pages(what, call, "ProvisionedConcurrencyConfigs")
        return [str(config["FunctionArn"]).rpartition(":")[2] for config in listed]

    def urls(self, arn: FunctionArn) -> list[str]:
        """The qualifiers that have a function URL; the unqualified function is the empty text. Raises CallFailed."""
        call = partial(self._clients.alias.list_function_url_configs, FunctionName=arn)
        listed = self._pages(f"listing function URLs of {arn}", call, "FunctionUrlConfigs")
        return [str(config["FunctionArn"])[len(unqualified(str(config["FunctionArn"]))) + 1 :] for config in listed]

    def _pages(self, what: str, call: Callable[..., Any], member: str) -> Iterator[Mapping[str, Any]]:
        """Everything a list holds, 50 at a time, which is the most that AWS gives."""
        marker: str | None = None
        while True:
            answer = self._read(what, partial(call, MaxItems=50, **({"Marker": marker} if marker else {})))
            yield from answer[member]
            marker = answer.get("NextMarker")
            if not marker:
                return

    def highest_version(self, arn: FunctionArn) -> int:
        """The highest version number of a function, 0 if nothing was ever published. Raises CallFailed."""
        return max((listed.number.value for listed in self.versions(arn)), default=0)

    # Actions. Each raises CallFailed or one of its kinds; ``still_mine`` is asked right before the call goes out, each time it
    # does, since waiting for a turn can take long: it raises if the worker has lost its mandate meanwhile.

    def update_alias(self, arn: FunctionArn, name: str, version: VersionNumber, revision_id: str, still_mine: Guard) -> str:
        """Move an alias onto one version, all of its traffic; the new RevisionId. PreconditionFailed on another revision."""
        answer = self._paced(
            f"moving alias {name} of {arn} onto version {version}",
            lambda: self._clients.alias.update_alias(
                FunctionName=arn,
                Name=name,
                FunctionVersion=str(version),
                # Explicitly empty: left out, old weights would stay, and moving onto the weighted version would fail.
                RoutingConfig={"AdditionalVersionWeights": {}},
                RevisionId=revision_id,
            ),
            still_mine,
        )
        return answer["RevisionId"]

    def create_alias(self, arn: FunctionArn, name: str, version: VersionNumber, still_mine: Guard) -> str:
        """Make an alias; its RevisionId. AlreadyThere if there is one."""
        answer = self._paced(
            f"making alias {name} of {arn} on version {version}",
            lambda: self._clients.alias.create_alias(FunctionName=arn, Name=name, FunctionVersion=str(version)),
            still_mine,
        )
        return answer["RevisionId"]

    def delete_alias(self, arn: FunctionArn, name: str, still_mine: Guard) -> None:
        """Delete an alias. One that is not there any more is as good, also because its whole function is gone (404)."""
        with suppress(NotThere):
            call = partial(self._clients.alias.delete_alias, FunctionName=arn, Name=name)
            self._paced(f"deleting alias {name} of {arn}", call, still_mine)

    def delete_version(self, arn: FunctionArn, version: VersionNumber, still_mine: Guard) -> str | None:
        """Delete one published version; None when it is gone, else why it stays for now.

        ``version`` cannot be spelled ``$LATEST`` and is never left out: without it this call deletes the function.
        """
        call = partial(self._clients.alias.delete_function, FunctionName=arn, Qualifier=str(version))
        try:
            self._paced(f"deleting version {version} of {arn}", call, still_mine)
        except NotThere:
            return None
        except AlreadyThere as error:
            return f"AWS keeps it: {error.why}"
        except CallFailed as error:
            # Lambda@Edge removes its replicas hours after the last distribution let go of the version.
            if "replicated function" not in error.why:
                raise
            return "Lambda@Edge still has replicas of it; the next sweep tries again"
        return None

    def update_configuration(self, arn: FunctionArn, members: Mapping[str, Any], revision_id: str, still_mine: Guard) -> None:
        """Change members of $LATEST's configuration. Takes a while; see ``latest``.

        AWS repeats a whole environment in the message of some errors (one over 4 KB): such a message is not passed on.
        """
        what = f"updating {', '.join(sorted(members))} of {arn}"
        call = partial(self._clients.publish.update_function_configuration, FunctionName=arn, RevisionId=revision_id)
        try:
            self._paced(what, lambda: call(**dict(members)), still_mine)
        except CallFailed as error:
            values = members.get("Environment", {}).get("Variables", {}).values()
            if not any(_repeats(error.why, value) for value in values):
                raise
            code = error.why.partition(":")[0]
            why = f"{code} (AWS's message is withheld: it holds values of the environment)"
            raise type(error)(what, why) from None

    def update_code_and_publish(
        self, arn: FunctionArn, artifact: Artifact | Image, architectures: Sequence[str], revision_id: str, still_mine: Guard
    ) -> VersionMade:
        """Put code from S3, or a container image, into $LATEST and publish it, in one call."""
        where: dict[str, Any] = {"Architectures": list(architectures)}
        match artifact:
            case Image(uri=uri):
                where["ImageUri"] = uri
            case Artifact(bucket, key, object_version):
                where |= {"S3Bucket": bucket, "S3Key": key}
                if object_version is not None:
                    where["S3ObjectVersion"] = object_version
            case _:
                assert_never(artifact)
        answer = self._paced(
            f"updating the code of {arn}",
            lambda: self._clients.publish.update_function_code(FunctionName=arn, Publish=True, RevisionId=revision_id, **where),
            still_mine,
        )
        return _made(answer)

    def publish_version(self, arn: FunctionArn, code: str, revision_id: str, still_mine: Guard) -> VersionMade:
        """Publish what $LATEST holds; the existing version where nothing changed since it."""
        answer = self._paced(
            f"publishing a version of {arn}",
            lambda: self._clients.publish.publish_version(FunctionName=arn, CodeSha256=code, RevisionId=revision_id),
            still_mine,
        )
        return _made(answer)

    def _read(self, what: str, call: Callable[[], T]) -> T:
        """A read on the shared budget: one that got no answer is simply asked again."""
        for _ in range(_READ_ATTEMPTS - 1):
            with suppress(Unanswered):
                return self._paced(what, call, _nobody_minds)
        return self._paced(what, call, _nobody_minds)

    def _paced(self, what: str, call: Callable[[], T], still_mine: Guard) -> T:
        """One call on the shared budget, its errors translated; throttles are answers and tried again."""
        for attempt in range(1, self._throttle_attempts + 1):
            self._shared.wait()
            still_mine()
            try:
                return call()
            except (ClientError, BotoCoreError) as error:
                if not is_throttle(error) or attempt == self._throttle_attempts:
                    raise translated(what, error) from error
                self._shared.slow_down()
        raise AssertionError("unreachable: the last attempt returns or raises")


def _weights(alias: Mapping[str, Any]) -> Mapping[str, float]:
    return alias.get("RoutingConfig", {}).get("AdditionalVersionWeights") or {}


def _alias_seen(alias: Mapping[str, Any]) -> AliasSeen:
    found = str(alias["FunctionVersion"])
    version = None if found == "$LATEST" else VersionNumber.parse(found)
    return AliasSeen(version, str(alias["RevisionId"]), weighted=bool(_weights(alias)))


def _nobody_minds() -> None:
    """Reads need no mandate."""


def _reason(told: object) -> str:
    """AWS's sentence without its full stop: it goes into a sentence of ours."""
    return str(told).rstrip(". ")


def _hidden(answer: Mapping[str, Any]) -> tuple[str, str] | None:
    """What AWS left out of an answer, and why: it does so, without failing, where it may not decrypt an environment, or could
    not read the settings of a container image."""
    for member, what in (("Environment", "the environment"), ("ImageConfigResponse", "the image configuration")):
        error = answer.get(member, {}).get("Error")
        if error is not None:
            return what, _reason(f"{error.get('ErrorCode')}: {error.get('Message')}")
    return None


def _made(answer: Mapping[str, Any]) -> VersionMade:
    if (hidden := _hidden(answer)) is not None:
        what, why = hidden
        raise CallFailed(f"reading {what} of {answer['FunctionArn']}", why)
    return VersionMade(
        version=VersionNumber.parse(str(answer["Version"])),
        content=Content(str(answer["CodeSha256"]), digest(canonical(answer))),
        last_modified=epoch_seconds(str(answer["LastModified"])),
    )


def _repeats(message: str, value: str) -> bool:
    """Whether a message holds a value, as it is, escaped (AWS quotes environments as JSON), or a longer piece of it."""
    spellings = (value, json.dumps(value)[1:-1], *re.findall("[A-Za-z0-9]{6,}", value))
    return any(spelling and spelling in message for spelling in spellings)


def unqualified(arn: str) -> str:
    """A function's ARN without a qualifier: ``arn:aws:lambda:REGION:ACCOUNT:function:NAME`` has seven parts."""
    return ":".join(arn.split(":")[:7])


def epoch_seconds(text: str) -> float:
    """Lambda's time stamps (``2025-11-25T02:38:45.123+0000``) in epoch seconds."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()
