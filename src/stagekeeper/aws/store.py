"""Reading Stagekeeper's records, and the writes that only add facts. Status changes and the lock are in ``journal.py``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stagekeeper.aws import items
from stagekeeper.aws.table import MalformedItem, Put, Table
from stagekeeper.domain.lock import Lock
from stagekeeper.domain.model import (
    Claim,
    Content,
    FunctionArn,
    OperationId,
    Release,
    ReleaseNumber,
    Service,
    ServiceName,
    Stage,
    StageName,
    VersionNumber,
)
from stagekeeper.domain.operation import Status
from stagekeeper.domain.record import OperationRecord


class Store:
    """Typed reads over the table. Every method raises CallFailed or MalformedItem; absent is None."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def service(self, service: ServiceName) -> Service | None:
        item = self._table.get(items.service_key(service))
        return None if item is None else items.service_of(item)

    def stage(self, service: ServiceName, stage: StageName) -> Stage | None:
        item = self._table.get(items.stage_key(service, stage))
        return None if item is None else items.stage_of(item)

    def stages(self, service: ServiceName) -> list[Stage]:
        return [items.stage_of(item) for item in self._table.query(f"SERVICE#{service}", "STAGE#")]

    def release(self, service: ServiceName, number: ReleaseNumber) -> Release | None:
        item = self._table.get(items.release_key(service, number))
        return None if item is None else items.release_of(item)

    def release_with(self, service: ServiceName, digest: str) -> Release | None:
        """The release whose content has this digest."""
        pointer = self._table.get(items.release_digest_key(service, digest))
        if pointer is None:
            return None
        release = self.release(service, ReleaseNumber(pointer["release"]))
        if release is None:
            raise MalformedItem(f"release r{pointer['release']} of service {service} is named by its digest but is not there")
        return release

    def lock(self, service: ServiceName) -> Lock:
        return items.lock_of(self._table.get(items.lock_key(service)))

    def operation(self, operation_id: OperationId) -> OperationRecord | None:
        item = self._table.get(items.operation_key(operation_id))
        return None if item is None else items.operation_of(item)

    def claims(self, arns: Iterable[FunctionArn]) -> dict[FunctionArn, Claim]:
        keys = {items.claim_key(arn): arn for arn in arns}
        return {keys[key]: items.claim_of(item) for key, item in self._table.get_many(keys).items()}

    def realisations(self, wanted: Sequence[tuple[FunctionArn, Content]]) -> dict[tuple[FunctionArn, Content], VersionNumber]:
        """For each function and content the version that carries it, where one is on record."""
        keys = {items.content_key(arn, content): (arn, content) for arn, content in wanted}
        return {keys[key]: VersionNumber(item["version"]) for key, item in self._table.get_many(keys).items()}

    def failed_operations(self, operation_ids: Iterable[OperationId]) -> frozenset[OperationId]:
        """Those that were to write $LATEST and did not succeed; one without a record counts as failed."""
        keys = {items.operation_key(operation_id): operation_id for operation_id in operation_ids}
        found = self._table.get_many(keys)
        failed = {Status.COMPENSATING.value, Status.COMPENSATED.value}
        attention = Status.NEEDS_ATTENTION.value
        return frozenset(
            operation_id
            for key, operation_id in keys.items()
            if (item := found.get(key)) is None
            or item["status"] in failed
            or (item["status"] == attention and "committed_at" not in item)
        )


class ObjectHashes:
    """The table as a cache of what S3 objects hashed to. ``read_only`` for dry runs, which write nothing."""

    def __init__(self, table: Table, *, read_only: bool) -> None:
        self._table = table
        self._read_only = read_only

    def recall(self, identity: str) -> str | None:
        item = self._table.get(items.object_key(identity))
        return None if item is None else str(item["sha256"])

    def remember(self, identity: str, sha256: str) -> None:
        if not self._read_only:
            self._table.put(Put(items.object_key(identity), {"sha256": sha256}))
