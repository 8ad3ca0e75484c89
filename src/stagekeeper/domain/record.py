"""The record of one operation: what is known about it, and how it ended. Must not know how it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stagekeeper.domain.model import FunctionArn, OperationId, Provenance, ServiceName, StageName
from stagekeeper.domain.operation import OperationKind, Phase, Status
from stagekeeper.domain.plan import Published
from stagekeeper.domain.refusal import Refusal
from stagekeeper.domain.stack_plan import StackMark, When


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The execution's output, as the contract has it."""

    output: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """The execution's error (a code) and cause (the contract's object)."""

    error: str
    cause: Mapping[str, Any]


End = Succeeded | Failed


@dataclass(frozen=True, slots=True)
class Carrier:
    """An operation, and the execution that says it carries it: the one of its name, or a recovery."""

    operation_id: OperationId
    execution: str


@dataclass(frozen=True, slots=True)
class OperationRecord:
    """``epoch`` counts phase changes: a worker whose epoch is not the record's any more must stop.

    ``service`` is None for a sweep of all services; ``collecting`` is the one whose ``collect`` a sweep holds or waits for.
    ``request_key``, ``plan_key`` and ``progress_key`` are where the bodies lie in the artifact bucket. ``asked_at`` (epoch
    seconds) is when the lock was first asked for. ``published`` and ``moved`` are the progress of finished phases. ``failure``
    is why it is being put back, and ``calls_ended`` that the worker which failed saw every call of its own answered.
    ``overlapped``: a phase was begun more than once, so an earlier worker of it may still be busy. ``publishing_since`` (epoch
    seconds) is when the versions were first waited for. ``execution`` is the one that carries the operation; others must not
    touch it. ``recoveries`` counts those that were begun; ``looked_at`` (epoch seconds) is when it last asked whether those in
    its way still live. ``end`` is there once the operation has ended. ``stacks_key`` is where its plan of stacks lies, ``marks``
    how far each of that plan's steps came, and ``stacks_due`` the place of those that come next (None: none does).
    ``resolved_key`` is where a deploy's request lies with the functions that its template turned out to have.
    """

    operation_id: OperationId
    kind: OperationKind
    service: ServiceName | None
    stage: StageName | None
    status: Status
    epoch: int
    phase: Phase
    started_at: str
    asked_at: float
    lock_wait_seconds: int
    provenance: Provenance
    request_key: str
    execution: str
    plan_key: str | None = None
    progress_key: str | None = None
    collecting: ServiceName | None = None
    published: Mapping[FunctionArn, Published] = field(default_factory=dict)
    moved: Mapping[FunctionArn, str] = field(default_factory=dict)
    failure: Refusal | None = None
    calls_ended: bool = False
    overlapped: bool = False
    publishing_since: float | None = None
    recoveries: int = 0
    looked_at: float | None = None
    stacks_key: str | None = None
    stacks_due: When | None = None
    marks: Mapping[int, StackMark] = field(default_factory=dict)
    resolved_key: str | None = None
    end: End | None = None

    @property
    def is_half_planned(self) -> bool:
        """Its stacks came first and are done: what else there is to do is to be planned now."""
        stacks_done = self.stacks_key is not None and self.stacks_due is None
        return self.status is Status.CONVERGING and self.plan_key is None and stacks_done

    @property
    def locked_service(self) -> ServiceName | None:
        """The service whose lock the operation may hold slots of. A sweep goes from one to the next."""
        return self.collecting if self.kind is OperationKind.SWEEP else self.service


@dataclass(frozen=True, slots=True)
class OperationNow:
    """What of an operation's record changes while it goes on, for whoever watches it and looks often.

    ``planned``: its plan is on record. ``has_stacks``: a plan of stacks is. ``has_ended``: how it ended is on record by now.
    """

    operation_id: OperationId
    kind: OperationKind
    service: ServiceName | None
    stage: StageName | None
    actor: str | None
    status: Status
    epoch: int
    phase: Phase
    execution: str
    recoveries: int
    planned: bool
    has_stacks: bool
    stacks_due: When | None
    collecting: ServiceName | None
    failure: Refusal | None
    has_ended: bool

    @property
    def locked_service(self) -> ServiceName | None:
        """The service whose lock it may hold slots of, or wait for."""
        return self.collecting if self.kind is OperationKind.SWEEP else self.service
