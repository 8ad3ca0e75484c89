"""Reading Stagekeeper's records, and the writes that only add facts. Status changes and the lock are in ``journal.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

from stagekeeper.aws import items
from stagekeeper.aws.clock import epoch
from stagekeeper.aws.table import Key, MalformedItem, Put, Table
from stagekeeper.domain.lock import Lock
from stagekeeper.domain.model import (
    Claim,
    Content,
    FunctionArn,
    LogicalName,
    Movement,
    OperationId,
    Provenance,
    Release,
    ReleaseNumber,
    Service,
    ServiceName,
    Stage,
    StageName,
    VersionNumber,
)
from stagekeeper.domain.operation import Status
from stagekeeper.domain.reach import PastMovement
from stagekeeper.domain.record import End, OperationNow, OperationRecord
from stagekeeper.domain.stack_plan import AppliedStack

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741  # an item, or None where there is none


@dataclass(frozen=True, slots=True)
class VersionOnRecord:
    """``published_by`` is None for a version that somebody else published; ``recorded_at`` in epoch seconds."""

    content: Content
    published_by: OperationId | None
    recorded_at: float


@dataclass(frozen=True, slots=True)
class ReleaseOnRecord:
    """A release, the operation that made it, and when (ISO 8601)."""

    release: Release
    made_by: OperationId
    made_at: str


@dataclass(frozen=True, slots=True)
class OperationHead:
    """Who asked for an operation and who carries it: a few attributes of an item that can be big.

    ``execution`` is the one of its name, or the recovery that took it over; ``asked_at`` in epoch seconds.
    """

    operation: str
    execution: str
    epoch: int
    asked_at: float
    has_ended: bool
    provenance: Provenance


class Store:
    """Typed reads over the table. Every method raises CallFailed or MalformedItem; absent is None."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def service(self, service: ServiceName) -> Service | None:
        item = self._table.get(items.service_key(service))
        return None if item is None else _as(items.service_of, item)

    def stage(self, service: ServiceName, stage: StageName) -> Stage | None:
        item = self._table.get(items.stage_key(service, stage))
        return None if item is None else _as(items.stage_of, item)

    def stages(self, service: ServiceName) -> list[Stage]:
        return [_as(items.stage_of, item) for item in self._table.query(f"SERVICE#{service}", "STAGE#")]

    def services(self) -> list[ServiceName]:
        """Every service that ever claimed a function and was not torn down."""
        return [_as(items.known_service_of, item) for item in self._table.query(items.SERVICES, "SERVICE#")]

    def locked_services(self) -> list[ServiceName]:
        """Every service that has a lock, held or not, also one whose first deploy came to nothing. Reads the whole table."""
        return sorted(items.service_of_lock(key) for key in self._table.scan(items.lock_key(ServiceName("")).sk))

    def members(self, service: ServiceName) -> dict[FunctionArn, LogicalName]:
        """Every function that was ever claimed for the service, by its last name there."""
        return dict(_as(items.member_of, item) for item in self._table.query(f"SERVICE#{service}", "FUNCTION#"))

    def releases(self, service: ServiceName) -> list[Release]:
        return [_as(items.release_of, item) for item in self._table.query(f"SERVICE#{service}", "RELEASE#")]

    def movements(self, service: ServiceName) -> list[PastMovement]:
        """The ledgers of all stages, those of torn-down ones included."""
        return [_as(items.past_movement_of, item) for item in self._table.query(f"SERVICE#{service}", "MOVEMENT#")]

    def last_movement(self, service: ServiceName, stage: StageName) -> int:
        """The number of the newest line of a stage's ledger, 0 if it has none. A stage that is made again goes on with it."""
        item = self._table.last(f"SERVICE#{service}", f"MOVEMENT#{stage}#")
        return 0 if item is None else _as(items.past_movement_of, item).number

    def history(self, service: ServiceName, stage: StageName, limit: int) -> list[Movement]:
        """The newest lines of a stage's ledger, the newest first; of a torn-down stage as well."""
        found = self._table.newest(f"SERVICE#{service}", f"MOVEMENT#{stage}#", limit)
        return [_as(items.movement_of, item) for item in found]

    def histories(self, service: ServiceName, limit: int) -> list[list[Movement]]:
        """The same for each stage that ever was. However long the ledgers are: about one query for each stage."""
        ledgers: list[list[Movement]] = []
        before: str | None = None
        while True:
            found = self._table.newest(f"SERVICE#{service}", "MOVEMENT#", limit, before=before)
            lines = [_as(items.movement_of, item) for item in found]
            for stage, those in groupby(lines, key=lambda movement: movement.stage):
                ledgers.append(list(those))
                before = f"MOVEMENT#{stage}#"
            if len(lines) < limit:
                return ledgers
            # The answer was cut within the last stage's ledger: unless it holds that one alone, it is read again from its end.
            if len(ledgers[-1]) < limit:
                before = f"MOVEMENT#{ledgers.pop()[0].stage}$"

    def versions(self, arn: FunctionArn) -> dict[VersionNumber, VersionOnRecord]:
        """The ledger of a function: every version that was recorded, whoever published it."""
        return dict(_as(_version_of, item) for item in self._table.query(f"FUNCTION#{arn}", "VERSION#"))

    def version(self, arn: FunctionArn, version: VersionNumber) -> VersionOnRecord | None:
        item = self._table.get(items.version_key(arn, version))
        return None if item is None else _as(_version_of, item)[1]

    def realisation(self, arn: FunctionArn, content: Content) -> VersionNumber | None:
        """The version of a function that carries this content, if one is on record."""
        item = self._table.get(items.content_key(arn, content))
        return None if item is None else _as(items.version_number_of, item)

    def stack(self, service: ServiceName, name: str) -> AppliedStack | None:
        item = self._table.get(items.stack_key(service, name))
        return None if item is None else _as(items.stack_of, item)

    def stacks(self, service: ServiceName) -> list[AppliedStack]:
        """Every stack that we made for the service and that is not gone."""
        return [_as(items.stack_of, item) for item in self._table.query(f"SERVICE#{service}", "STACK#")]

    def release(self, service: ServiceName, number: ReleaseNumber) -> Release | None:
        item = self._table.get(items.release_key(service, number))
        return None if item is None else _as(items.release_of, item)

    def release_on_record(self, service: ServiceName, number: ReleaseNumber) -> ReleaseOnRecord | None:
        """A release with what made it."""
        item = self._table.get(items.release_key(service, number))
        return None if item is None else _as(_release_on_record_of, item)

    def newest_releases(self, service: ServiceName, limit: int) -> list[ReleaseOnRecord]:
        """The newest first, at most ``limit``."""
        return [_as(_release_on_record_of, item) for item in self._table.newest(f"SERVICE#{service}", "RELEASE#", limit)]

    def release_keys(self, service: ServiceName) -> list[Key]:
        """Where all releases of a service lie, and what finds them by their content."""
        return self._table.keys(f"SERVICE#{service}", "RELEASE")

    def function_keys(self, arn: FunctionArn) -> list[Key]:
        """Everything on record about a function: its claim, its versions, its contents."""
        return self._table.keys(f"FUNCTION#{arn}")

    def release_with(self, service: ServiceName, digest: str) -> Release | None:
        """The release whose content has this digest."""
        pointer = self._table.get(items.release_digest_key(service, digest))
        if pointer is None:
            return None
        number = _as(items.release_number_of, pointer)
        release = self.release(service, number)
        if release is None:
            raise MalformedItem(f"release r{number} of service {service} is named by its digest but is not there")
        return release

    def lock(self, service: ServiceName) -> Lock:
        return _as(items.lock_of, self._table.get(items.lock_key(service)))

    def operation(self, operation_id: OperationId) -> OperationRecord | None:
        item = self._table.get(items.operation_key(operation_id))
        return None if item is None else _as(items.operation_of, item)

    def operation_head(self, operation_id: OperationId) -> OperationHead | None:
        """Few attributes of an operation, for whoever shows many."""
        item = self._table.get_attributes(items.operation_key(operation_id), *_HEAD)
        return None if item is None else _as(_head_of, item)

    def operation_now(self, operation_id: OperationId) -> OperationNow | None:
        """How far an operation is, without what grows with the number of its functions."""
        item = self._table.get_attributes(items.operation_key(operation_id), *items.NOW)
        return None if item is None else _as(items.operation_now_of, item)

    def operation_end(self, operation_id: OperationId) -> End | None:
        """How an operation ended; None while it goes on."""
        item = self._table.get_attributes(items.operation_key(operation_id), *items.END)
        return None if item is None else _as(items.end_of, item)

    def claims(self, arns: Iterable[FunctionArn]) -> dict[FunctionArn, Claim]:
        keys = {items.claim_key(arn): arn for arn in arns}
        return {keys[key]: _as(items.claim_of, item) for key, item in self._table.get_many(keys).items()}

    def realisations(self, wanted: Sequence[tuple[FunctionArn, Content]]) -> dict[tuple[FunctionArn, Content], VersionNumber]:
        """For each function and content the version that carries it, where one is on record."""
        keys = {items.content_key(arn, content): (arn, content) for arn, content in wanted}
        return {keys[key]: _as(items.version_number_of, item) for key, item in self._table.get_many(keys).items()}

    def failed_operations(self, operation_ids: Iterable[OperationId]) -> frozenset[OperationId]:
        """Those that were to write $LATEST and did not succeed; one without a record counts as failed."""
        keys = {items.operation_key(operation_id): operation_id for operation_id in operation_ids}
        found = self._table.get_many(keys)
        return frozenset(
            operation_id for key, operation_id in keys.items() if (item := found.get(key)) is None or _as(_came_to_nothing, item)
        )


def _came_to_nothing(item: Mapping[str, Any]) -> bool:
    status = Status(item["status"])
    midway = status is Status.NEEDS_ATTENTION and "committed_at" not in item
    return midway or status in (Status.COMPENSATING, Status.COMPENSATED)


def _version_of(item: Mapping[str, Any]) -> tuple[VersionNumber, VersionOnRecord]:
    return VersionNumber(item["version"]), VersionOnRecord(
        content=Content(item["code"], item["configuration"]),
        published_by=None if item["published_by"] is None else OperationId(item["published_by"]),
        recorded_at=epoch(item["recorded_at"]),
    )


_HEAD = ("pk", "sk", "operation", "execution", "epoch", "asked_at", "ended_at", "actor", "reason", "commit", "branch", "run_url")


def _head_of(item: Mapping[str, Any]) -> OperationHead:
    return OperationHead(
        operation=item["operation"],
        execution=item["execution"],
        epoch=int(item["epoch"]),
        asked_at=float(item["asked_at"]),
        has_ended="ended_at" in item,
        provenance=items.provenance_of(item),
    )


def _release_on_record_of(item: Mapping[str, Any]) -> ReleaseOnRecord:
    return ReleaseOnRecord(items.release_of(item), OperationId(item["operation_id"]), item["made_at"])


def _as(make: Callable[[I], T], item: I) -> T:
    """An item as the value it stands for. What is not as it was written is a fact of its own, and no fault of the reader's."""
    try:
        return make(item)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        place = f"{item.get('pk')} / {item.get('sk')}" if isinstance(item, Mapping) else "an item"
        raise MalformedItem(f"item {place} is damaged: {type(error).__name__}: {error}") from error


class ObjectHashes:
    """The table as a cache of what S3 objects hashed to. ``read_only`` for dry runs, which write nothing."""

    def __init__(self, table: Table, *, read_only: bool) -> None:
        self._table = table
        self._read_only = read_only

    def recall(self, identity: str) -> str | None:
        item = self._table.get(items.object_key(identity))
        return None if item is None else _as(items.object_hash_of, item)

    def remember(self, identity: str, sha256: str) -> None:
        if not self._read_only:
            self._table.put(Put(items.object_key(identity), {"sha256": sha256}))
