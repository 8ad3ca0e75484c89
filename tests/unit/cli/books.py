"""The record of a service as operations would have written it, put straight into a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from stagekeeper.aws import items
from stagekeeper.aws.clock import iso
from stagekeeper.aws.store import Store
from stagekeeper.aws.table import Put, Table
from stagekeeper.domain.lock import Entry, Lock
from stagekeeper.domain.model import (
    Content,
    FunctionArn,
    LogicalName,
    Movement,
    OperationId,
    Provenance,
    Release,
    ReleaseFunction,
    ReleaseNumber,
    ServedAlias,
    Service,
    ServiceName,
    Settings,
    Stage,
    StageName,
    TemplateRef,
    VersionNumber,
)
from stagekeeper.domain.operation import OperationKind, Phase, Status
from stagekeeper.domain.record import Failed, OperationRecord, Succeeded

ORDERS: Final = ServiceName("orders")
#: Half past two in the afternoon in Berlin, in summer.
NOON: Final = 1_815_568_200.0
JANE: Final = Provenance("jane", "the cart forgets", "1a2b3c4d5e6f", "feature/cart", "https://ci.example.com/runs/7")


def arn(name: str) -> FunctionArn:
    return FunctionArn(f"arn:aws:lambda:eu-central-1:123456789012:function:orders-{name.lower()}")


def content(text: str) -> Content:
    """``one`` is code, ``one/big`` code and configuration."""
    code, _, configuration = text.partition("/")
    return Content(code, configuration or "small")


def stage(name: str, release: int | None, *way_back: int, **versions: int) -> Stage:
    """A stage that serves these versions of these functions."""
    aliases = {arn(f): ServedAlias(LogicalName(f), VersionNumber(number), "rev") for f, number in versions.items()}
    served = None if release is None else ReleaseNumber(release)
    return Stage(StageName(name), served, tuple(ReleaseNumber(number) for number in way_back), aliases, revision=1)


def keeping(stage: Stage, *functions: str) -> Stage:
    """The same, of whose release these functions are no part."""
    kept = {where: replace(alias, kept=alias.function in functions or alias.kept) for where, alias in stage.aliases.items()}
    return replace(stage, aliases=kept)


def movement(stage: str, number: int, come: int | None, to: int | None, **said: object) -> Movement:
    """A deploy by Jane an hour after the one before, unless said otherwise."""
    plain = Movement(
        stage=StageName(stage),
        number=number,
        operation_id=OperationId(f"{stage}-{number}"),
        operation="deploy",
        from_release=None if come is None else ReleaseNumber(come),
        to_release=None if to is None else ReleaseNumber(to),
        at=iso(NOON + 3600 * number),
        provenance=JANE,
    )
    return replace(plain, **said)  # type: ignore[arg-type]  # members of a movement


def entry(name: str, *slots: str, operation: str = "deploy", since: float = NOON) -> Entry:
    return Entry(OperationId(name), operation, frozenset(slots), since, since + 1800)


@dataclass(frozen=True)
class Books:
    """Writes; ``store`` reads."""

    table: Table
    service: ServiceName = ORDERS

    @property
    def store(self) -> Store:
        return Store(self.table)

    def known(self) -> Books:
        """The service was deployed to."""
        self.table.put(Put(items.service_key(self.service), items.service_item(Service(self.service, ReleaseNumber(1)))))
        self.table.put(Put(items.known_service_key(self.service), {"service": self.service}))
        return self

    def of(self, service: str) -> Books:
        return replace(self, service=ServiceName(service))

    def stage(self, stage: Stage, protected: bool = False, description: str = "") -> None:
        told = replace(stage, settings=Settings(protected, description))
        self.table.put(Put(items.stage_key(self.service, stage.name), items.stage_item(told)))

    def release(
        self, number: int, template: TemplateRef | None = None, made_by: str = "maker", at: float = NOON, **functions: str
    ) -> None:
        parts = {LogicalName(name): ReleaseFunction(arn(name), content(text)) for name, text in functions.items()}
        release = Release(ReleaseNumber(number), parts, template)
        item = items.release_item(release, OperationId(made_by), iso(at))
        self.table.put(Put(items.release_key(self.service, release.number), item))

    def moved(self, *movements: Movement) -> None:
        for each in movements:
            self.table.put(Put(items.movement_key(self.service, each.stage, each.number), items.movement_item(each)))

    def version(self, name: str, number: int, text: str) -> None:
        """Its content, and that this is the version that carries it."""
        what, version = content(text), VersionNumber(number)
        item = items.version_item(arn(name), version, what, OperationId("op"), iso(NOON))
        self.table.put(Put(items.version_key(arn(name), version), item))
        self.table.put(Put(items.content_key(arn(name), what), {"version": number}))

    def operation(
        self,
        name: str,
        kind: OperationKind = OperationKind.DEPLOY,
        provenance: Provenance = JANE,
        execution: str | None = None,
        asked_at: float = NOON,
        ended: bool = False,
        output: Mapping[str, Any] | None = None,
        failed: str | None = None,
    ) -> None:
        record = OperationRecord(
            operation_id=OperationId(name),
            kind=kind,
            service=self.service,
            stage=StageName("prod"),
            status=Status.CONVERGING,
            epoch=3,
            phase=Phase.MOVE,
            started_at=iso(asked_at),
            asked_at=asked_at,
            lock_wait_seconds=1800,
            provenance=provenance,
            request_key="requests/x.json",
            execution=execution or name,
        )
        how = Succeeded(output or {}) if failed is None else Failed("InvalidRequest", {"message": failed, "blockers": []})
        end = items.end_attributes(how, iso(asked_at)) if ended else {}
        self.table.put(Put(items.operation_key(record.operation_id), {**items.operation_item(record), **end}))

    def lock(self, *holders: Entry, queue: tuple[Entry, ...] = (), sweeper: Entry | None = None) -> None:
        self.table.put(Put(items.lock_key(self.service), items.lock_item(Lock(holders, queue, 1, sweeper))))
