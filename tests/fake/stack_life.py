"""What CloudFormation does to a stack, step by step, as time passes: create, update, roll back, delete, with its events.

An operation is a generator: it yields the seconds that its next step takes. AWS CloudFormation user guide: stack status codes,
stack failure options, continue rolling back an update, DeletionPolicy. Must not know requests, nor the product.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .stack_resources import Phase, ResourceFailed, Resources
from .templates import (
    MARKER,
    NO_VALUE,
    Made,
    Scope,
    Template,
    attribute_of,
    changes,
    name_of,
    ordered,
    ref_of,
    replaced,
)

Life = Generator[float, None, None]


@dataclass
class Event:
    """One line of a stack's history."""

    at: float
    number: int
    logical_id: str
    physical_id: str
    type: str
    status: str
    reason: str
    token: str | None


@dataclass
class Goal:
    """What a stack is to become."""

    template: Template
    values: dict[str, str]
    tags: dict[str, str]
    role: str | None


@dataclass
class ChangeSetHeld:
    """A change set. `made_at`: when it is worked out; until then it shows nothing."""

    change_set_id: str
    name: str
    goal: Goal
    changes: list[dict[str, Any]]
    begun_at: float
    made_at: float
    failed: str | None
    execution: str = "AVAILABLE"
    token: str | None = None


@dataclass
class FakeStack:
    """``resources``: physical id by logical id, ``left``: the status of those that it let go of. ``root_id`` and ``parent_id``
    are of one that is nested."""

    stack_id: str
    name: str
    status: str = "UPDATE_COMPLETE"
    root_id: str | None = None
    parent_id: str | None = None
    resources: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    reason: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    goal: Goal | None = None
    made: dict[str, Made] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    change_sets: dict[str, ChangeSetHeld] = field(default_factory=dict)
    created_at: float = 0.0
    updated_at: float | None = None
    protected: bool = False
    #: The stack that imports something of this one.
    imported_by: str | None = None
    #: What a rollback that got stuck has still to put back, by logical id.
    stuck: dict[str, Made] = field(default_factory=dict)
    #: What is going on, and when its next step is due.
    life: Life | None = None
    due: float = 0.0


@dataclass
class Lives:
    """Leads stacks through their operations. `seconds` is what each resource takes."""

    region: str
    account: str
    resources: Resources
    clock: Callable[[], float]
    seconds: float
    _events: Iterable[int] = field(default_factory=itertools.count)
    _unique: Iterable[int] = field(default_factory=lambda: itertools.count(1))

    def number_from(self, first: int) -> None:
        """Names and events that are made from now on."""
        self._events, self._unique = itertools.count(first), itertools.count(first)

    def begin(self, stack: FakeStack, life: Life, now: float) -> None:
        stack.life, stack.due = life, now
        self.settle(stack, now)

    def settle(self, stack: FakeStack, now: float) -> None:
        """Let everything happen that is due."""
        while stack.life is not None and stack.due <= now:
            self._at = stack.due
            try:
                stack.due += next(stack.life)
            except StopIteration:
                stack.life = None

    # What is said of it.

    def tell(self, stack: FakeStack, logical_id: str, made: Made, status: str, token: str | None, reason: str = "") -> None:
        made.status = status
        number = next(iter(self._events))
        stack.events.append(Event(self._at, number, logical_id, made.physical_id, made.type, status, reason, token))

    def enter(self, stack: FakeStack, status: str, token: str | None, reason: str = "") -> None:
        stack.status, stack.reason = status, reason
        self.tell(stack, stack.name, Made("AWS::CloudFormation::Stack", stack.stack_id), status, token, reason)

    def review(self, stack: FakeStack, now: float) -> None:
        self._at = now
        self.enter(stack, "REVIEW_IN_PROGRESS", None, "User Initiated")

    # What a template means for this stack.

    def scope(self, stack: FakeStack, goal: Goal, made: Mapping[str, Made], unknown: frozenset[str] = frozenset()) -> Scope:
        def found(logical_id: str) -> Made | None:
            return None if logical_id in unknown else made.get(logical_id)

        def ref(logical_id: str) -> str:
            at = found(logical_id)
            return ref_of(at, self.region, self.account) if at is not None else f"{MARKER}{logical_id}"

        def attribute(logical_id: str, name: str) -> str:
            at = found(logical_id)
            return attribute_of(at, name, self.region, self.account) if at is not None else f"{MARKER}{logical_id}.{name}"

        pseudo = {
            "AWS::Region": self.region,
            "AWS::AccountId": self.account,
            "AWS::Partition": "aws",
            "AWS::StackName": stack.name,
            "AWS::StackId": stack.stack_id,
            "AWS::URLSuffix": "amazonaws.com",
        }
        return Scope(goal.template, goal.values, pseudo, ref, attribute)

    def planned(self, stack: FakeStack, goal: Goal) -> list[dict[str, Any]] | None:
        """The changes that a change set shows; None where there is nothing to do, not even to the outputs."""
        retag = goal.tags != stack.tags
        unknown: frozenset[str] = frozenset()
        while True:
            scope = self.scope(stack, goal, stack.made, unknown)
            wanted = {
                logical_id: (resource["Type"], scope.value(resource.get("Properties", {})))
                for logical_id, resource in goal.template["Resources"].items()
                if scope.has(resource)
            }
            gone = {name for name, at in stack.made.items() if name in wanted and replaced(at, *wanted[name]) == "True"}
            if gone <= unknown:
                break
            unknown |= gone
        found = changes(stack.made, wanted, retag=retag)
        same_outputs = stack.goal is not None and stack.goal.template.get("Outputs") == goal.template.get("Outputs")
        return None if not found and same_outputs else found

    # Its operations.

    def create(self, stack: FakeStack, goal: Goal, token: str | None, retain: bool) -> Life:
        """`retain`: what is made keeps its DeletionPolicy when it is rolled back, as long as nobody asks otherwise."""
        self.enter(stack, "CREATE_IN_PROGRESS", token, "User Initiated")
        stack.tags, stack.goal, stack.outputs = dict(goal.tags), goal, {}
        failed: list[str] = []
        for logical_id in self._there(stack, goal):
            yield from self._make(stack, goal, logical_id, token, failed)
            if failed:
                break
        if not failed:
            self._set_outputs(stack, goal)
            self.enter(stack, "CREATE_COMPLETE", token)
            return
        self._cancel(stack, goal, failed[0], token)
        reason = f"The following resource(s) failed to create: [{failed[0]}]. Rollback requested by user."
        self.enter(stack, "ROLLBACK_IN_PROGRESS", token, reason)
        left: list[str] = []
        yield from self._delete_all(stack, list(reversed(stack.made)), token, left, retain=retain)
        if left:
            self.enter(stack, "ROLLBACK_FAILED", token, _failed_to("delete", left))
        else:
            self.enter(stack, "ROLLBACK_COMPLETE", token)

    def update(self, stack: FakeStack, goal: Goal, token: str | None, retain: bool) -> Life:
        self.enter(stack, "UPDATE_IN_PROGRESS", token, "User Initiated")
        stack.updated_at = self._at
        before, old_tags = {name: replace(made) for name, made in stack.made.items()}, dict(stack.tags)
        stack.tags = dict(goal.tags)
        failed: list[str] = []
        displaced: dict[str, Made] = {}
        there = self._there(stack, goal)
        for logical_id in there:
            yield from self._make(stack, goal, logical_id, token, failed, displaced)
            if failed:
                break
        if failed:
            self._cancel(stack, goal, failed[0], token)
            yield from self._roll_back(stack, before, displaced, failed, token, retain)
            if stack.status != "UPDATE_ROLLBACK_FAILED":
                stack.tags = old_tags
            return
        stack.goal = goal
        self._set_outputs(stack, goal)
        self.enter(stack, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", token)
        for logical_id, made in displaced.items():
            yield from self._delete(stack, logical_id, made, token, [])
        yield from self._delete_all(stack, [name for name in reversed(list(before)) if name not in there], token, [])
        self.enter(stack, "UPDATE_COMPLETE", token)

    def resume(self, stack: FakeStack, token: str | None) -> Life:
        """ContinueUpdateRollback."""
        self.enter(stack, "UPDATE_ROLLBACK_IN_PROGRESS", token, "User Initiated")
        yield from self._put_back(stack, dict(stack.stuck), token)
        yield from self._end_rollback(stack, [], token, retain=True)

    def delete(self, stack: FakeStack, token: str | None) -> Life:
        before = stack.status
        self.enter(stack, "DELETE_IN_PROGRESS", token, "User Initiated")
        if stack.imported_by is not None:
            yield self.seconds
            told = f"Delete canceled. Cannot delete export {stack.name}-export as it is in use by {stack.imported_by}."
            self.enter(stack, before, token, told)
            return
        left: list[str] = []
        yield from self._delete_all(stack, list(reversed(stack.made)), token, left)
        if left:
            self.enter(stack, "DELETE_FAILED", token, _failed_to("delete", left))
        else:
            self.enter(stack, "DELETE_COMPLETE", token)

    def _there(self, stack: FakeStack, goal: Goal) -> list[str]:
        scope = self.scope(stack, goal, stack.made)
        return [name for name in ordered(goal.template) if scope.has(goal.template["Resources"][name])]

    def _make(
        self,
        stack: FakeStack,
        goal: Goal,
        logical_id: str,
        token: str | None,
        failed: list[str],
        displaced: dict[str, Made] | None = None,
    ) -> Life:
        """One resource, as the goal has it; made, changed, replaced or left as it is."""
        definition = goal.template["Resources"][logical_id]
        kind, properties = definition["Type"], self.scope(stack, goal, stack.made).value(definition.get("Properties", {}))
        assert properties is not NO_VALUE
        old = stack.made.get(logical_id)
        difference = None if old is None else replaced(old, kind, properties)
        if old is not None and difference is None:
            old.definition = dict(definition)
            return
        unique = f"{next(iter(self._unique)):012x}".upper()
        physical = name_of(stack.name, logical_id, kind, properties, unique)
        if old is not None and difference == "False":
            physical = old.physical_id
        new = Made(kind, physical, properties, dict(definition))
        what: Phase = "UPDATE" if old is not None else "CREATE"
        self.tell(stack, logical_id, replace(new), f"{what}_IN_PROGRESS", token)
        yield self.seconds
        try:
            if old is not None and difference == "False":
                self.resources.update(logical_id, old, new, stack.stack_id)
            else:
                if old is not None:
                    self.resources.refuse(logical_id, "UPDATE")
                self.resources.create(logical_id, new, stack.stack_id)
                if old is not None and displaced is not None:
                    displaced[logical_id] = old
        except ResourceFailed as error:
            failed.append(logical_id)
            self.tell(stack, logical_id, replace(new), f"{what}_FAILED", token, str(error))
            return
        stack.made[logical_id], stack.resources[logical_id] = new, new.physical_id
        self.tell(stack, logical_id, new, f"{what}_COMPLETE", token)

    def _cancel(self, stack: FakeStack, goal: Goal, after: str, token: str | None) -> None:
        """What was going on beside the one that failed."""
        there = self._there(stack, goal)
        for logical_id in there[there.index(after) + 1 :][:1]:
            kind = goal.template["Resources"][logical_id]["Type"]
            what = "UPDATE" if logical_id in stack.made else "CREATE"
            reason = f"Resource {'update' if what == 'UPDATE' else 'creation'} cancelled"
            beside = Made(kind, stack.resources.get(logical_id, ""))
            self.tell(stack, logical_id, beside, f"{what}_FAILED", token, reason)

    def _roll_back(
        self,
        stack: FakeStack,
        before: Mapping[str, Made],
        displaced: Mapping[str, Made],
        failed: list[str],
        token: str | None,
        retain: bool,
    ) -> Life:
        verb = "update" if failed[0] in before else "create"
        self.enter(stack, "UPDATE_ROLLBACK_IN_PROGRESS", token, _failed_to(verb, failed))
        new = [(name, stack.made[name]) for name in stack.made if name not in before]
        for name in displaced:
            new.append((name, stack.made[name]))
            stack.made[name], stack.resources[name] = before[name], before[name].physical_id
        changed = {
            name: made
            for name, made in before.items()
            if name not in displaced and (stack.made[name].properties != made.properties or name in failed)
        }
        yield from self._put_back(stack, changed, token)
        yield from self._end_rollback(stack, new, token, retain)

    def _put_back(self, stack: FakeStack, changed: Mapping[str, Made], token: str | None) -> Life:
        stack.stuck = {}
        for logical_id, made in changed.items():
            was = stack.made[logical_id]
            self.tell(stack, logical_id, replace(was), "UPDATE_IN_PROGRESS", token)
            yield self.seconds
            try:
                self.resources.update(logical_id, was, made, stack.stack_id, "ROLLBACK")
            except ResourceFailed as error:
                stack.stuck[logical_id] = made
                self.tell(stack, logical_id, replace(was), "UPDATE_FAILED", token, str(error))
                continue
            stack.made[logical_id] = made
            self.tell(stack, logical_id, made, "UPDATE_COMPLETE", token)

    def _end_rollback(self, stack: FakeStack, new: list[tuple[str, Made]], token: str | None, retain: bool) -> Life:
        if stack.stuck:
            self.enter(stack, "UPDATE_ROLLBACK_FAILED", token, _failed_to("update", list(stack.stuck)))
            return
        self.enter(stack, "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", token)
        for logical_id, made in new:
            yield from self._delete(stack, logical_id, made, token, [], retain)
            if stack.made.get(logical_id) is made:
                del stack.made[logical_id], stack.resources[logical_id]
        self.enter(stack, "UPDATE_ROLLBACK_COMPLETE", token)

    def _delete_all(
        self, stack: FakeStack, logical_ids: list[str], token: str | None, left: list[str], retain: bool = True
    ) -> Life:
        for logical_id in logical_ids:
            yield from self._delete(stack, logical_id, stack.made[logical_id], token, left, retain)
            if logical_id not in left:
                del stack.made[logical_id], stack.resources[logical_id]

    def _delete(
        self, stack: FakeStack, logical_id: str, made: Made, token: str | None, left: list[str], retain: bool = True
    ) -> Life:
        if retain and made.definition.get("DeletionPolicy") == "Retain":
            self.tell(stack, logical_id, made, "DELETE_SKIPPED", token)
            return
        self.tell(stack, logical_id, made, "DELETE_IN_PROGRESS", token)
        yield self.seconds
        try:
            self.resources.delete(logical_id, made)
        except ResourceFailed as error:
            left.append(logical_id)
            self.tell(stack, logical_id, made, "DELETE_FAILED", token, str(error))
            return
        self.tell(stack, logical_id, made, "DELETE_COMPLETE", token)

    def _set_outputs(self, stack: FakeStack, goal: Goal) -> None:
        scope = self.scope(stack, goal, stack.made)
        outputs = goal.template.get("Outputs", {})
        stack.outputs = {name: str(scope.value(each["Value"])) for name, each in outputs.items() if scope.has(each)}


def _failed_to(verb: str, logical_ids: list[str]) -> str:
    return f"The following resource(s) failed to {verb}: [{', '.join(logical_ids)}]. "
