"""How the things of the domain look as items of the table, both ways. Must not read or write.

Keys: a service's items share a partition (``SERVICE#orders``), so do a function's (``FUNCTION#arn``). Items are meant to be
read by people, too: names in full, times in ISO 8601.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from stagekeeper.aws.clock import epoch
from stagekeeper.aws.table import SCHEMA, Key, MalformedItem
from stagekeeper.domain.lock import Entry, Lock
from stagekeeper.domain.model import (
    Claim,
    Content,
    FunctionArn,
    LatestWrite,
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
from stagekeeper.domain.plan import Published
from stagekeeper.domain.reach import PastMovement
from stagekeeper.domain.record import End, Failed, OperationNow, OperationRecord, Succeeded
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.domain.stack_plan import AppliedStack, StackMark, Stand, When
from stagekeeper.domain.stack_work import StackProgress, StackRecord

Item = Mapping[str, Any]


def service_key(service: ServiceName) -> Key:
    return Key(f"SERVICE#{service}", "SERVICE")


def lock_key(service: ServiceName) -> Key:
    return Key(f"SERVICE#{service}", "LOCK")


def stage_key(service: ServiceName, stage: StageName) -> Key:
    return Key(f"SERVICE#{service}", f"STAGE#{stage}")


def release_key(service: ServiceName, number: ReleaseNumber) -> Key:
    return Key(f"SERVICE#{service}", f"RELEASE#{number:08d}")


def release_digest_key(service: ServiceName, digest: str) -> Key:
    return Key(f"SERVICE#{service}", f"RELEASE_DIGEST#{digest}")


def movement_key(service: ServiceName, stage: StageName, number: int) -> Key:
    return Key(f"SERVICE#{service}", f"MOVEMENT#{stage}#{number:08d}")


def operation_key(operation_id: OperationId) -> Key:
    return Key(f"OPERATION#{operation_id}", "OPERATION")


def claim_key(arn: FunctionArn) -> Key:
    return Key(f"FUNCTION#{arn}", "CLAIM")


def version_key(arn: FunctionArn, version: VersionNumber) -> Key:
    return Key(f"FUNCTION#{arn}", f"VERSION#{version.value:08d}")


def content_key(arn: FunctionArn, content: Content) -> Key:
    return Key(f"FUNCTION#{arn}", f"CONTENT#{content.digest}")


def member_key(service: ServiceName, arn: FunctionArn) -> Key:
    """One for each function that was ever claimed for a service, so that a sweep finds its versions."""
    return Key(f"SERVICE#{service}", f"FUNCTION#{arn}")


def member_item(arn: FunctionArn, function: LogicalName) -> Item:
    return {"function_arn": arn, "function": function}


def member_of(item: Item) -> tuple[FunctionArn, LogicalName]:
    return FunctionArn(item["function_arn"]), LogicalName(item["function"])


#: The partition that names every service.
SERVICES = "SERVICES"


def known_service_key(service: ServiceName) -> Key:
    return Key(SERVICES, f"SERVICE#{service}")


def known_service_of(item: Item) -> ServiceName:
    return ServiceName(item["service"])


def service_of_lock(key: Key) -> ServiceName:
    return ServiceName(key.pk.removeprefix("SERVICE#"))


def object_key(identity: str) -> Key:
    return Key(f"OBJECT#{identity}", "OBJECT")


def object_hash_of(item: Item) -> str:
    return str(item["sha256"])


def seconds(value: float) -> Decimal:
    """Epoch seconds as DynamoDB takes them: it knows no floats."""
    return Decimal(f"{value:.3f}")


def stage_item(stage: Stage) -> Item:
    return {
        "stage": stage.name,
        "release": stage.release,
        "way_back": list(stage.way_back),
        "functions": {
            arn: {
                "function": alias.function,
                "version": alias.version.value,
                "revision_id": alias.revision_id,
                "kept": alias.kept,
            }
            for arn, alias in stage.aliases.items()
        },
        "mixed": stage.mixed,
        "movements": stage.movements,
        "revision": stage.revision,
        "protected": stage.settings.protected,
        "description": stage.settings.description,
        "tearing_down": stage.tearing_down,
        "observed": stage.observed,
        "variables": stage.variables,
    }


def stage_of(item: Item) -> Stage:
    aliases = {
        FunctionArn(arn): ServedAlias(LogicalName(a["function"]), VersionNumber(a["version"]), a["revision_id"], a["kept"])
        for arn, a in item["functions"].items()
    }
    release = item["release"]
    return Stage(
        name=StageName(item["stage"]),
        release=None if release is None else ReleaseNumber(release),
        way_back=tuple(ReleaseNumber(number) for number in item["way_back"]),
        aliases=aliases,
        mixed=item["mixed"],
        movements=item["movements"],
        revision=item["revision"],
        settings=Settings(item["protected"], item["description"]),
        tearing_down=item["tearing_down"],
        # An earlier version knew no observed stages.
        observed=item.get("observed"),
        # An earlier version knew no variables.
        variables=item.get("variables"),
    )


def release_item(release: Release, operation_id: OperationId, at: str) -> Item:
    return {
        "release": release.number,
        "digest": release.digest,
        "functions": {
            name: {"arn": part.arn, "code": part.content.code, "configuration": part.content.configuration}
            for name, part in release.functions.items()
        },
        "template": None if release.template is None else {"key": release.template.key, "digest": release.template.digest},
        "operation_id": operation_id,
        "made_at": at,
    }


def release_of(item: Item) -> Release:
    functions = {
        LogicalName(name): ReleaseFunction(FunctionArn(part["arn"]), Content(part["code"], part["configuration"]))
        for name, part in item["functions"].items()
    }
    # An earlier version knew no templates.
    template = item.get("template")
    return Release(
        ReleaseNumber(item["release"]), functions, None if template is None else TemplateRef(template["key"], template["digest"])
    )


def release_number_of(item: Item) -> ReleaseNumber:
    """What a release's content is found by."""
    return ReleaseNumber(item["release"])


def version_item(arn: FunctionArn, version: VersionNumber, content: Content, published_by: OperationId | None, at: str) -> Item:
    """``published_by`` is null for a version that somebody else published: it may be served, but never collected."""
    return {
        "function_arn": arn,
        "version": version.value,
        "code": content.code,
        "configuration": content.configuration,
        "published_by": published_by,
        "recorded_at": at,
    }


def version_number_of(item: Item) -> VersionNumber:
    """What a function's content is found by."""
    return VersionNumber(item["version"])


def service_item(service: Service) -> Item:
    return {"service": service.name, "last_release": service.last_release}


def service_of(item: Item) -> Service:
    return Service(ServiceName(item["service"]), ReleaseNumber(item["last_release"]))


def movement_item(movement: Movement) -> Item:
    return {
        "stage": movement.stage,
        "number": movement.number,
        "operation": movement.operation,
        "operation_id": movement.operation_id,
        "from_release": movement.from_release,
        "to_release": movement.to_release,
        "at": movement.at,
        "popped": list(movement.popped),
        "displaced": {arn: version.value for arn, version in movement.displaced.items()},
        **_provenance(movement.provenance),
    }


def past_movement_of(item: Item) -> PastMovement:
    return PastMovement(
        stage=StageName(item["stage"]),
        number=item["number"],
        from_release=None if item["from_release"] is None else ReleaseNumber(item["from_release"]),
        to_release=None if item["to_release"] is None else ReleaseNumber(item["to_release"]),
        at=epoch(item["at"]),
        popped=tuple(ReleaseNumber(number) for number in item["popped"]),
        displaced={FunctionArn(arn): VersionNumber(version) for arn, version in item["displaced"].items()},
    )


def movement_of(item: Item) -> Movement:
    """The whole line, as people read it; ``past_movement_of`` is what rules need of it."""
    past = past_movement_of(item)
    return Movement(
        stage=past.stage,
        number=past.number,
        operation_id=OperationId(item["operation_id"]),
        operation=item["operation"],
        from_release=past.from_release,
        to_release=past.to_release,
        at=item["at"],
        provenance=provenance_of(item),
        popped=past.popped,
        displaced=past.displaced,
    )


def claim_item(claim: Claim) -> Item:
    write = claim.latest_write
    return {
        "service": claim.service,
        "function": claim.function,
        "given": sorted(claim.given),
        "latest_write": None
        if write is None
        else {"operation_id": write.operation_id, "before": _content(write.before), "wanted": _content(write.wanted)},
    }


def claim_of(item: Item) -> Claim:
    write = item["latest_write"]
    return Claim(
        service=ServiceName(item["service"]),
        function=LogicalName(item["function"]),
        given=frozenset(item["given"]),
        latest_write=None
        if write is None
        else LatestWrite(OperationId(write["operation_id"]), _content_of(write["before"]), _content_of(write["wanted"])),
    )


def lock_item(lock: Lock) -> Item:
    return {
        "holders": {entry.operation_id: _entry(entry) for entry in lock.holders},
        "queue": [_entry(entry) for entry in lock.queue],
        "revision": lock.revision,
        "sweeper": None if lock.sweeper is None else _entry(lock.sweeper),
    }


def lock_of(item: Item | None) -> Lock:
    if item is None:
        return Lock()
    holders = sorted((_entry_of(entry) for entry in item["holders"].values()), key=lambda entry: entry.since)
    # An earlier version wrote no sweeper.
    sweeper = item.get("sweeper")
    return Lock(
        holders=tuple(holders),
        queue=tuple(_entry_of(entry) for entry in item["queue"]),
        revision=item["revision"],
        sweeper=None if sweeper is None else _entry_of(sweeper),
    )


def operation_item(record: OperationRecord) -> Item:
    """A new operation's item; how it ends is set later, by ``end_attributes``."""
    return {
        "operation_id": record.operation_id,
        "operation": record.kind.value,
        "service": record.service,
        "stage": record.stage,
        "status": record.status.value,
        "epoch": record.epoch,
        "phase": record.phase.value,
        "started_at": record.started_at,
        "asked_at": seconds(record.asked_at),
        "lock_wait_seconds": record.lock_wait_seconds,
        "request_key": record.request_key,
        "execution": record.execution,
        "plan_key": record.plan_key,
        "progress_key": record.progress_key,
        "collecting": record.collecting,
        "published": published_attribute(record.published),
        "moved": dict(record.moved),
        "failure": failure_attribute(record.failure),
        "calls_ended": record.calls_ended,
        "overlapped": record.overlapped,
        "publishing_since": None if record.publishing_since is None else seconds(record.publishing_since),
        "recoveries": record.recoveries,
        "looked_at": None if record.looked_at is None else seconds(record.looked_at),
        "stacks_key": record.stacks_key,
        "stacks_due": None if record.stacks_due is None else record.stacks_due.value,
        "marks": marks_attribute(record.marks),
        "resolved_key": record.resolved_key,
        **_provenance(record.provenance),
    }


def operation_of(item: Item) -> OperationRecord:
    return OperationRecord(
        operation_id=OperationId(item["operation_id"]),
        kind=OperationKind(item["operation"]),
        service=None if item["service"] is None else ServiceName(item["service"]),
        stage=None if item["stage"] is None else StageName(item["stage"]),
        status=Status(item["status"]),
        epoch=item["epoch"],
        phase=Phase(item["phase"]),
        started_at=item["started_at"],
        asked_at=float(item["asked_at"]),
        lock_wait_seconds=item["lock_wait_seconds"],
        provenance=provenance_of(item),
        request_key=item["request_key"],
        execution=item["execution"],
        plan_key=item["plan_key"],
        published={
            FunctionArn(arn): Published(VersionNumber(made["version"]), made["ours"]) for arn, made in item["published"].items()
        },
        moved={FunctionArn(arn): revision for arn, revision in item["moved"].items()},
        failure=_failure_of(item["failure"]),
        progress_key=item["progress_key"],
        collecting=None if item["collecting"] is None else ServiceName(item["collecting"]),
        calls_ended=item["calls_ended"],
        overlapped=item["overlapped"],
        publishing_since=None if item["publishing_since"] is None else float(item["publishing_since"]),
        recoveries=item["recoveries"],
        looked_at=None if item["looked_at"] is None else float(item["looked_at"]),
        # An earlier version knew no stacks.
        stacks_key=item.get("stacks_key"),
        stacks_due=None if item.get("stacks_due") is None else When(item["stacks_due"]),
        marks=_marks_of(item.get("marks", {})),
        resolved_key=item.get("resolved_key"),
        end=end_of(item),
    )


#: What somebody who watches an operation asks for again and again: nothing that grows with the number of functions.
NOW = (
    "schema",
    "operation_id",
    "operation",
    "service",
    "stage",
    "actor",
    "status",
    "epoch",
    "phase",
    "execution",
    "recoveries",
    "plan_key",
    "stacks_key",
    "stacks_due",
    "collecting",
    "failure",
    "ended_at",
)


def operation_now_of(item: Item) -> OperationNow:
    """From the attributes ``NOW``."""
    if item["schema"] != SCHEMA:
        raise MalformedItem(
            f"operation {item['operation_id']} has schema {item['schema']!r}, this version of Stagekeeper reads {SCHEMA}"
        )
    return OperationNow(
        operation_id=OperationId(item["operation_id"]),
        kind=OperationKind(item["operation"]),
        service=None if item["service"] is None else ServiceName(item["service"]),
        stage=None if item["stage"] is None else StageName(item["stage"]),
        actor=item["actor"],
        status=Status(item["status"]),
        epoch=item["epoch"],
        phase=Phase(item["phase"]),
        execution=item["execution"],
        recoveries=item["recoveries"],
        planned=item["plan_key"] is not None,
        # An earlier version knew no stacks.
        has_stacks=item.get("stacks_key") is not None,
        stacks_due=None if item.get("stacks_due") is None else When(item["stacks_due"]),
        collecting=None if item["collecting"] is None else ServiceName(item["collecting"]),
        failure=_failure_of(item["failure"]),
        has_ended="ended_at" in item,
    )


#: What says how an operation ended, which can be long.
END = ("operation_id", "ended_at", "end")


def published_attribute(published: Mapping[FunctionArn, Published]) -> Item:
    return {arn: {"version": made.version.value, "ours": made.ours} for arn, made in published.items()}


def marks_attribute(marks: Mapping[int, StackMark]) -> Item:
    return {
        str(number): {
            "stand": mark.stand.value,
            "stack_id": mark.progress.stack_id,
            "begun": list(mark.progress.begun),
            "waits": mark.progress.waits,
            "blind": mark.progress.blind,
            "why": mark.why,
            "changed": mark.changed,
        }
        for number, mark in marks.items()
    }


def _marks_of(item: Item) -> dict[int, StackMark]:
    return {int(number): _mark_of(mark) for number, mark in item.items()}


def _mark_of(item: Item) -> StackMark:
    progress = StackProgress(item["stack_id"], tuple(item["begun"]), int(item["waits"]), int(item["blind"]))
    return StackMark(Stand(item["stand"]), progress, item["why"], item["changed"])


def stack_key(service: ServiceName, name: str) -> Key:
    return Key(f"SERVICE#{service}", f"STACK#{name}")


def stack_item(stack: AppliedStack) -> Item:
    """What was last made of a stack, so that what is as it should be needs no look at its template."""
    return {
        "stack": stack.name,
        "content_key": stack.content,
        "stack_id": stack.seen.stack_id,
        "digest": stack.seen.digest,
        "changed_at": stack.seen.changed_at,
        "stage": stack.stage,
    }


def stack_of(item: Item) -> AppliedStack:
    return AppliedStack(
        name=item["stack"],
        content=item["content_key"],
        seen=StackRecord(item["stack_id"], item["digest"], item["changed_at"]),
        stage=None if item["stage"] is None else StageName(item["stage"]),
    )


def failure_attribute(failure: Refusal | None) -> Item | None:
    if failure is None:
        return None
    return {
        "code": failure.code.value,
        "message": failure.message,
        "blockers": list(failure.blockers),
        "warnings": list(failure.warnings),
    }


def end_attributes(end: End, at: str) -> Item:
    """``ended_at`` is what tells an operation that has ended from one that has not."""
    match end:
        case Succeeded(output=output):
            return {"ended_at": at, "end": {"output": output}}
        case Failed(error=error, cause=cause):
            return {"ended_at": at, "end": {"error": error, "cause": cause}}


def end_of(item: Item) -> End | None:
    if "ended_at" not in item:
        return None
    end = item.get("end")
    if not isinstance(end, dict):
        raise MalformedItem(f"operation {item['operation_id']} has ended but does not say how")
    return Succeeded(end["output"]) if "output" in end else Failed(end["error"], end["cause"])


def _failure_of(item: Item | None) -> Refusal | None:
    if item is None:
        return None
    return Refusal(Code(item["code"]), item["message"], tuple(item["blockers"]), tuple(item["warnings"]))


def _provenance(provenance: Provenance) -> Item:
    return {
        "actor": provenance.actor,
        "reason": provenance.reason,
        "commit": provenance.commit,
        "branch": provenance.branch,
        "run_url": provenance.run_url,
    }


def provenance_of(item: Item) -> Provenance:
    return Provenance(item["actor"], item["reason"], item["commit"], item["branch"], item["run_url"])


def _content(content: Content) -> Item:
    return {"code": content.code, "configuration": content.configuration}


def _content_of(item: Item) -> Content:
    return Content(item["code"], item["configuration"])


def _entry(entry: Entry) -> Item:
    return {
        "operation_id": entry.operation_id,
        "operation": entry.operation,
        "slots": sorted(entry.slots),
        "since": seconds(entry.since),
        "gives_up_at": seconds(entry.gives_up_at),
    }


def _entry_of(item: Item) -> Entry:
    return Entry(
        operation_id=OperationId(item["operation_id"]),
        operation=item["operation"],
        slots=frozenset(item["slots"]),
        since=float(item["since"]),
        gives_up_at=float(item["gives_up_at"]),
    )
