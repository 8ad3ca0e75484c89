"""Which stacks an operation changes, when, and what becomes of them if it fails. Pure; how a stack is changed is ``stack_work``.

The service stack holds what all stages share, a stage stack what one stage owns. Each step knows what the stack was before, so
that it can be put back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from stagekeeper.domain.lock import COLLECT, PUBLISH
from stagekeeper.domain.model import LogicalName, ServiceName, Stage, StageName
from stagekeeper.domain.plan import Change
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.domain.stack_work import Owner, StackProgress, StackRecord, WantedStack

#: CloudFormation takes names of up to 128 characters.
_MAX_NAME = 128


class When(StrEnum):
    """The place of a step in its operation."""

    FIRST = "first"  # before anything else can be planned: a deploy's service stack, the stage stacks of a teardown
    BEFORE_MOVE = "before_move"  # once its aliases are there
    AFTER_COMMIT = "after_commit"  # traffic first
    CLEAN_UP = "clean_up"  # what nobody needs any more, under slots asked for anew
    LAST = "last"  # when a torn-down service has nothing left on its functions


@dataclass(frozen=True, slots=True)
class StackContent:
    """What a stack is made of: where its template lies in the artifact bucket, the template's hex SHA-256, and the values of its
    parameters, which may hold what should not be shown."""

    template_key: str
    template_digest: str
    parameters: Mapping[str, str] = field(repr=False)

    def wanted(self, name: str, owner: Owner) -> WantedStack:
        """The stack as CloudFormation is told to make it."""
        return WantedStack(name, owner, self.template_key, self.template_digest, self.parameters)


@dataclass(frozen=True, slots=True)
class AppliedStack:
    """What we last made of a stack: ``content`` is the key of its ``StackContent``, ``seen`` how it was then, by which somebody
    else's change is found out."""

    name: str
    content: str
    seen: StackRecord
    stage: StageName | None = None


@dataclass(frozen=True, slots=True)
class StackStep:
    """One stack's way from ``before`` to ``after`` (keys of contents; None: no stack).

    ``needed`` are the stages that a resource must stay for, by its logical id; ``served`` those that serve a function;
    ``allowed`` is what the request gives up by name. ``template`` is the key of the deploy's. ``impossible`` says why nothing
    can be done about the stack. ``unknown_before``: one is there, but what it was made of is not on record.
    """

    name: str
    stage: StageName | None
    when: When
    before: str | None
    after: str | None
    needed: Mapping[str, tuple[StageName, ...]] = field(default_factory=dict)
    served: Mapping[LogicalName, tuple[StageName, ...]] = field(default_factory=dict)
    allowed: frozenset[str] = frozenset()
    template: str | None = None
    removes_function: bool = False
    impossible: str | None = None
    unknown_before: bool = False

    @property
    def is_made_anew(self) -> bool:
        """No stack was there: what is left of it if it cannot be made is to go."""
        return self.before is None and not self.unknown_before


@dataclass(frozen=True, slots=True)
class StackPlan:
    """All steps of an operation, in their order, and what its user should know of them."""

    steps: tuple[StackStep, ...] = ()
    changes: tuple[Change, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def slot_to_clean_up(self) -> str:
        """What of the lock cleaning up takes: a function may go only while nobody can be on the way back to it."""
        return COLLECT if any(step.removes_function for _, step in self.of(When.CLEAN_UP)) else PUBLISH

    def of(self, when: When) -> tuple[tuple[int, StackStep], ...]:
        return tuple((number, step) for number, step in enumerate(self.steps) if step.when is when)


class Stand(StrEnum):
    """How far a step came."""

    BEGUN = "begun"
    REACHED = "reached"
    PUTTING_BACK = "putting_back"
    PUT_BACK = "put_back"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True)
class StackMark:
    """A step's stand, how far the change of its stack came, whether that changed anything, and what it is stuck at, or what is to
    be told of it."""

    stand: Stand
    progress: StackProgress = field(default_factory=StackProgress)
    why: str | None = None
    changed: bool = False


Marks = Mapping[int, StackMark]


def next_forward(plan: StackPlan, marks: Marks, when: When) -> tuple[int, StackStep] | None:
    """The first step of this place that is still to be done."""
    for number, step in plan.of(when):
        if number not in marks or marks[number].stand is Stand.BEGUN:
            return number, step
    return None


def next_backward(plan: StackPlan, marks: Marks) -> tuple[int, StackStep] | None:
    """The last step that was begun and is not put back: what was done last is undone first. One that is stuck stays so."""
    for number in sorted(marks, reverse=True):
        if marks[number].stand in (Stand.BEGUN, Stand.REACHED, Stand.PUTTING_BACK):
            return number, plan.steps[number]
    return None


@dataclass(frozen=True, slots=True)
class StuckStack:
    """A stack that could not be put where it should be."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"stack {self.name}: {self.why}"


def stuck(plan: StackPlan, marks: Marks) -> list[StuckStack]:
    """In the order of the steps."""
    marked = sorted(marks.items())
    return [StuckStack(plan.steps[number].name, str(mark.why)) for number, mark in marked if mark.stand is Stand.STUCK]


def noted(plan: StackPlan, marks: Marks) -> tuple[str, ...]:
    """What is to be told of the stacks that became what they were to be."""
    told = [(plan.steps[number].name, mark) for number, mark in sorted(marks.items()) if mark.stand is not Stand.STUCK]
    return tuple(f"stack {name}: {mark.why}" for name, mark in told if mark.why is not None)


def stack_slug(stage: StageName) -> str:
    """A stage's name as stack names, bucket names and the like can have it."""
    return stage.lower().replace("_", "-").strip("-")


def stage_stack_name(service: ServiceName, stage: StageName) -> str:
    """The name of a stage's stack. Too long ones end in a hash."""
    name = f"{service}--{stack_slug(stage)}"
    if len(name) <= _MAX_NAME:
        return name
    digest = hashlib.sha256(f"{service}--{stage}".encode()).hexdigest()[:12]
    return f"{name[: _MAX_NAME - 13]}-{digest}"


def same_stack(service: ServiceName, stage: StageName, others: Sequence[Stage]) -> Refusal | None:
    """Two stages whose names differ only by case or by ``_`` and ``-`` would share one stack."""
    name = stage_stack_name(service, stage)
    for other in others:
        if other.name != stage and stage_stack_name(service, other.name) == name:
            sentence = (
                f"Stage {stage} of service {service} would have the same stack as stage {other.name}: {name}. Names of stages "
                "must differ by more than case, _ and -. Choose another name."
            )
            return Refusal(Code.INVALID_REQUEST, sentence, (other.name,))
    return None
