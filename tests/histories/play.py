"""Plays operations on an account and watches them: every step is settled with the story, and compared with what is really there.

Which operation does what, and when, is the caller's to say. Must not know how the product decides anything.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stagekeeper.aws.errors import CallFailed
from stagekeeper.aws.journal import Superseded
from stagekeeper.domain.model import OperationId
from stagekeeper.engine.notice import notice
from tests.fake.faults import Call
from tests.unit.engine.execution import Execution
from tests.unit.engine.wire import Died
from tests.unit.engine.world import Saved

from . import mishaps
from .reality import Account, Aws, Item, Record
from .story import Intent, Line, StageStory, Story

#: Outcomes of an operation that something came in between of.
_PUT_BACK = frozenset({"Compensated", "Internal", "Drifted", "AliasOwnedElsewhere", "NeedsAttention", "Unreadable"})
_BY_HAND = frozenset({"Drifted", "AliasOwnedElsewhere", "Compensated"})
#: More steps than any operation takes once nobody is in its way.
_ENOUGH = 60


@dataclass
class Operation:
    """An operation as the story has it. ``hand``: what somebody put a function's alias on since it was planned (None: deleted).

    ``before`` and ``recorded``: the aliases as they were, on AWS and by the record, when it was planned.
    ``disturbed``: what else came in between.
    """

    name: str
    request: Mapping[str, Any]
    intent: Intent | None = None
    before: dict[str, int] = field(default_factory=dict)
    recorded: dict[str, int] = field(default_factory=dict)
    hand: dict[str, int | None] = field(default_factory=dict)
    disturbed: set[str] = field(default_factory=set)
    waited: bool = False
    stopped: bool = False
    committed: bool = False
    over: bool = False

    @property
    def kind(self) -> str:
        return str(self.request["operation"])

    @property
    def stage(self) -> str | None:
        return self.request.get("stage")

    def may_be_at(self, aws: Aws, function: str, expected: int | None) -> set[int | None]:
        """Where the alias of its stage may be while it is under way, when nothing of it would be at ``expected``."""
        wanted = None if self.intent is None else self.intent.content.get(function)
        targets: set[int | None] = set() if wanted is None else set(aws.having(function, wanted))
        if wanted is None and function in self.recorded and self.request.get("on_drift") == "overwrite":
            targets = {self.recorded[function]}  # kept, and put back where the record has it
        if self.intent is None or not self.intent.moves:
            return {expected}
        # What goes goes, whatever somebody put it on meanwhile.
        deleted = function in self.intent.dropped and (self.committed or self.kind == "teardown")
        gone: set[int | None] = {None} if deleted else set()
        if function in self.hand:
            last = self.hand[function]
            before = self.before.get(function)
            return {last} | (targets if last == before else set()) | ({before} if last in targets else set()) | gone
        return {expected} | targets | gone


class Play:
    """One history. ``running`` are the executions that may be stepped, recoveries included."""

    def __init__(self, saved: Saved, story: Story) -> None:
        self.world = Account(saved=saved)
        self.record = Record(self.world)
        self.story = story
        self.operations: dict[str, Operation] = {}
        self.running: list[Execution] = []
        #: Executions that were stopped, each with the state that a worker of it was in.
        self.stopped: list[tuple[Execution, str]] = []
        self.wrong: list[str] = []
        #: What happened so far, for whoever looks for the reason of a failure.
        self.log: list[str] = []
        #: How operations ended, by kind.
        self.ends: Counter[str] = Counter()
        self._acting: str | None = None
        self._since = self.world.moments.now
        self._latest = Aws.of(self.world).latest
        fake = self.world.fake
        fake.on("DeleteFunction", self._deleting, when="before")
        for written in ("UpdateFunctionCode", "UpdateFunctionConfiguration", "PublishVersion"):
            fake.on(written, self._written, when="after")

    def aws(self) -> Aws:
        return Aws.of(self.world)

    # What the product does to AWS, as it happens.

    def _written(self, _: Call) -> None:
        aws, now = self.aws(), self.world.moments.now
        for name, versions in aws.versions.items():
            for number in versions:
                self.story.published_at.setdefault((name, number), now)
            for member, part in enumerate(("code", "configuration")):
                if aws.latest[name][member] != self._latest[name][member]:
                    self.story.writers.setdefault(name, {})[part] = self._acting
        self._latest = aws.latest

    def _deleting(self, call: Call) -> None:
        """A version is about to be deleted."""
        aws = self.aws()
        name, number = str(call.params["FunctionName"]).rpartition("orders-")[2], int(call.params["Qualifier"])
        if number not in aws.versions[name]:
            return
        self.settle()
        holders, _ = self.record.lock()
        collecting = [holder for holder, slots in holders.items() if "collect" in slots]
        if len(holders) != 1 or len(collecting) != 1:
            self.wrong.append(f"{name}:{number} is deleted under the lock {holders}")
            return
        operation = self.operations[collecting[0]]
        if operation.kind == "teardown":
            assert operation.stage is not None
            why = self.story.why_kept_by_others(operation.stage, name, number, aws)
        else:
            why = self._why_kept(operation.request, name, number, aws)
        if why is not None:
            self.wrong.append(f"{operation.kind} {operation.name} deletes {name}:{number}, but {why}")

    def _why_kept(self, request: Mapping[str, Any], name: str, number: int, aws: Aws) -> str | None:
        depth, keep = request.get("rollback_depth", 5), request.get("keep", 3)
        grace, now = request.get("grace_hours", 24) * 3600.0, self.world.moments.now

        def why(version: int) -> str | None:
            return self.story.why_kept(name, version, aws, depth, grace, now)

        newer = [version for version in aws.versions[name] if version > number and why(version) is None]
        return why(number) or (f"only {len(newer)} newer ones are unneeded" if len(newer) < keep else None)

    # Operations.

    def begin(self, request: Mapping[str, Any]) -> Execution:
        execution = self.world.begin(request)
        self.log.append(f"{execution.name} begins: {dict(request)}")
        if request["operation"] != "recover":
            operation = Operation(execution.name, request)
            if request["operation"] == "sweep":
                operation.intent = Intent(frozenset({"planned" if request.get("mode") != "delete" else "succeeded"}))
            self.operations[execution.name] = operation
        self.running.append(execution)
        return execution

    def operation_of(self, execution: Execution) -> Operation | None:
        """The one that an execution carries: its own, or that which it recovers."""
        return self.operations.get(str(execution.request.get("operation_id", execution.name)))

    def open(self) -> list[Operation]:
        return [operation for operation in self.operations.values() if not operation.over]

    def step(self, execution: Execution, enter: Callable[[Execution], object] = Execution.step) -> None:
        """Enter the next state, and look what came of it."""
        operation = self.operation_of(execution)
        self._since = self.world.moments.now
        state = execution.state
        if operation is not None:
            self._acting = operation.name
            if execution.name == operation.name:
                self._expect(operation, str(execution.state))
        try:
            enter(execution)
        finally:
            self.world.wire.mend()
            self.log.append(f"{execution.name} {state} -> {execution.state or execution.outcome}")
        if operation is not None and execution.visited[-1:] in (["Lock"], ["Collect"]) and len(self.open()) > 1:
            operation.waited = True
        self.look()
        if execution.state is None and execution in self.running:
            self.running.remove(execution)
            if operation is not None and execution.name == operation.name:
                self._ended(execution, operation)

    def _expect(self, operation: Operation, state: str) -> None:
        aws = self.aws()
        if state == "Plan" and operation.kind != "sweep" and not operation.committed:
            operation.intent = self.story.expect(operation.request, aws)
            operation.before = {f: version for (at, f), version in aws.aliases.items() if at == operation.stage}
            stage = self.story.stages.get(operation.stage or "")
            operation.recorded = {} if stage is None else dict(stage.serves)
            operation.hand.clear()
        if state == "Inspect" and operation.kind == "verify":
            operation.intent = self._expect_verify(operation.request, aws)

    def _expect_verify(self, request: Mapping[str, Any], aws: Aws) -> Intent:
        name = request.get("stage")
        if name is not None and name not in self.story.stages:
            return Intent(frozenset({"StageNotFound"}))
        stages = self.story.stages if name is None else [name]
        drifted = any(
            aws.aliases.get((each, f)) != version for each in stages for f, version in self.story.stages[each].serves.items()
        )
        moving = any(operation.kind not in ("sweep", "verify") for operation in self.open())
        return Intent(frozenset({"Drifted", "unchanged"} if moving else {"Drifted" if drifted else "unchanged"}))

    def _ended(self, execution: Execution, operation: Operation) -> None:
        """An execution ended by itself: with what it ought to come to, and as the record has it."""
        intent = operation.intent
        allowed = set() if intent is None else set(intent.outcomes)
        if operation.hand or "latest" in operation.disturbed:
            allowed |= _BY_HAND
        if operation.disturbed - {"latest"}:
            allowed |= _PUT_BACK
        if operation.waited:
            allowed |= {"Locked"} | ({"NeedsAttention"} if operation.kind == "sweep" else set())
        said = f"{operation.kind} {operation.name} {dict(operation.request)} ended {execution.outcome}: {execution.cause}"
        assert execution.outcome in allowed, f"{said}; it ought to be {sorted(allowed)}, disturbed by {operation.disturbed}"
        item = self.record.operation(operation.name)
        if item is None:
            operation.over = True
        elif operation.kind not in ("verify",):
            assert "ended_at" in item, f"{said}, but its record goes on"
            end = item["end"]
            assert end.get("error", end.get("output", {}).get("outcome")) == execution.outcome, f"{said}, recorded as {end}"

    # Stopping, noticing, recovering.

    def stop(self, execution: Execution) -> None:
        """Somebody stops it. What a worker of it is doing goes on, or comes later."""
        state = execution.state
        if state is None:
            return
        operation = self.operation_of(execution)
        if operation is not None:
            operation.disturbed.add("stopped")
            operation.stopped = True
        self.log.append(f"{execution.name} is stopped in {state}")
        execution.stop()
        self.stopped.append((execution, state))
        self.running.remove(execution)

    def notice(self, execution: Execution, *, at_once: bool) -> None:
        """The rule on executions' ends tells of it. The recoveries run at once, or are stepped like others."""
        self._since = self.world.moments.now
        subject = str(execution.request.get("operation_id", execution.name))
        notice(self.world.deps, OperationId(subject), execution.name)
        started = self.world.begun()
        self.running += started
        if at_once:
            for recovery in started:
                while recovery.state is not None:
                    self.step(recovery)
        self.look()

    def late(self, execution: Execution, state: str) -> None:
        """A worker of a stopped execution does its state only now."""
        self._since = self.world.moments.now
        operation = self.operation_of(execution)
        self._acting = None if operation is None else operation.name
        self.log.append(f"{execution.name} late in {state}")
        try:
            execution.deliver(state)
        except (Superseded, CallFailed, Died):
            pass
        finally:
            self.world.wire.mend()
        self.look()

    def overtaken(self, execution: Execution, at: int, first: Callable[[], object]) -> bool:
        """Its worker is held up before its request of this number; meanwhile ``first`` happens, and the execution is stopped and
        recovered. Whether the worker came that far."""
        state = execution.state
        assert state is not None
        if self._subject(execution) is None:
            self.step(execution)
            return False

        def meanwhile() -> None:
            first()
            self.stop(execution)
            notice(self.world.deps, OperationId(self._subject(execution) or ""), execution.name)
            self.world.run_started()

        mishap = mishaps.overtaken(self.world.wire, at, meanwhile)
        self.step(execution, lambda each: self._enter_late(each, state))
        return mishap.happened

    def _subject(self, execution: Execution) -> str | None:
        operation = self.operation_of(execution)
        return None if operation is None else operation.name

    def _enter_late(self, execution: Execution, state: str) -> None:
        """As ``step``, but a worker of a stopped execution answers nobody."""
        try:
            execution.step()
        finally:
            if (execution, state) in self.stopped:
                self.world.cut(execution)

    # What somebody does by hand.

    def alias_by_hand(self, stage: str, function: str, version: int | None) -> None:
        """An alias was put on a version, or deleted."""
        self.log.append(f"by hand {function}:{stage} -> {version}")
        if version is None:
            self.story.aliases.pop((stage, function), None)
        else:
            self.story.aliases[stage, function] = version
        for operation in self.open():
            if operation.stage == stage and operation.intent is not None:
                operation.hand[function] = version

    def latest_by_hand(self, function: str) -> None:
        """$LATEST's code was changed."""
        self._latest = self.aws().latest
        self.story.writers.setdefault(function, {})["code"] = None
        for operation in self.open():
            if operation.intent is not None and operation.kind == "deploy":
                operation.disturbed.add("latest")

    def published_by_hand(self, function: str, number: int) -> None:
        if (function, number) in self.story.published_at:
            return  # AWS made none, since nothing had changed
        self.story.published_at[function, number] = self.world.moments.now
        self.story.strangers.add((function, number))
        if any(operation.kind == "deploy" for operation in self.open()):
            self.story.doubtful.add((function, number))

    # Settling the story with what is on record.

    def settle(self) -> None:
        """Take over what operations came to since the last time, in the order in which they did."""
        self._learn_releases()
        news = []
        for operation in self.open():
            item = self.record.operation(operation.name)
            if item is not None and (("committed_at" in item and not operation.committed) or "ended_at" in item):
                news.append((str(item.get("committed_at", item.get("ended_at"))), operation, item))
        for _, operation, item in sorted(news, key=lambda each: each[0]):
            if "committed_at" in item and not operation.committed:
                operation.committed = True
                self._committed(operation)
            if "ended_at" in item:
                operation.over = True
                self.ends[f"{operation.kind} {item['status']}"] += 1
                self._over(operation, item)

    def _learn_releases(self) -> None:
        last = self.record.last_release()
        for number in range(1, last + 1):
            if number in self.story.releases:
                continue
            item = self.record.release(number)
            if item is None:
                continue
            intent = self.operations[item["operation_id"]].intent
            assert intent is not None
            found = {name: part["code"] for name, part in item["functions"].items()}
            assert found == {name: code for name, (code, _) in intent.content.items()}, f"r{number} is not what was asked for"
            assert dict(intent.content) not in self.story.releases.values(), f"r{number} has another number already"
            self.story.releases[number] = dict(intent.content)

    def _committed(self, operation: Operation) -> None:
        intent, kind = operation.intent, operation.kind
        assert intent is not None
        assert intent.moves, f"{kind} {operation.name} was committed, though it ought to be {intent}"
        if kind == "configure":
            assert operation.stage is not None
            stage = self.story.stages[operation.stage]
            stage.protected = operation.request["settings"].get("protected", stage.protected)
            stage.description = operation.request["settings"].get("description", stage.description)
        elif kind == "teardown":
            self._torn_down(operation)
        elif kind != "sweep":
            if operation.stage is not None:
                self._moved(operation, intent, operation.stage)
            for name, wish in operation.request.get("functions", {}).items():
                if "code" in wish and self.aws().latest[name] == intent.content[name]:
                    self.story.writers.pop(name, None)

    def _moved(self, operation: Operation, intent: Intent, name: str) -> None:
        """The stage's movement is true: pointer, way back, aliases on record, and one line in the ledger."""
        said, aws = f"{operation.kind} {operation.name} of {name}", self.aws()
        item = self.record.stage(name)
        assert item is not None, f"{said} was committed, but there is no stage"
        number, before = int(item["release"]), self.story.stages.get(name)
        assert intent.release in (None, number), f"{said} went to r{number} instead of r{intent.release}"
        assert self.story.releases.get(number) == dict(intent.content), f"{said}: r{number} has other content"
        assert tuple(item["way_back"]) == intent.way_back, f"{said}: its way back is {item['way_back']}, not {intent.way_back}"
        served = {} if before is None else before.serves
        kept = set(served) - set(intent.content)
        serves = self.record.served(item)
        assert set(serves) - intent.dropped == (set(intent.content) | kept) - intent.dropped, f"{said} serves {serves}"
        for function, version in serves.items():
            if function in kept:
                assert version == served[function], f"{said}: kept {function} is recorded on {version}, not {served[function]}"
            else:
                wanted = intent.content[function]
                found = aws.content(function, version)
                assert found == wanted, f"{said}: {function}:{version} is {found}, r{number} says {wanted}"
        stage = before or StageStory(None, [], {})
        self._note_line(name, Line(stage.release, number, operation.kind, operation.name))
        self._note_aliases(operation, name, {f: v for f, v in serves.items() if f not in intent.dropped}, aws)
        for function, version in served.items():
            if serves.get(function) != version:
                self.story.left_at[function, version] = self._since
        self.story.popped_at.update(dict.fromkeys(intent.popped, self._since))
        stage.reached |= {number, *intent.popped} | ({stage.release} if stage.release is not None else set())
        stage.release, stage.way_back, stage.serves, stage.mixed = number, list(intent.way_back), serves, False
        stage.reached_versions |= set(serves.items())
        self.story.stages[name] = stage

    def _note_line(self, name: str, line: Line) -> None:
        ledger = self.story.ledgers.setdefault(name, [])
        ledger.append(line)
        found = self.record.movement(name, len(ledger))
        assert (None if found is None else _line(found)) == line, f"line {len(ledger)} of {name} is {found}, not {line}"

    def _note_aliases(self, operation: Operation, name: str, wanted: Mapping[str, int | None], aws: Aws) -> None:
        """Where an operation left the aliases: all as ``wanted``, but for those that were changed by hand meanwhile."""
        for function, version in wanted.items():
            found = aws.aliases.get((name, function))
            allowed = operation.may_be_at(aws, function, version) if function in operation.hand else {version}
            said = f"{operation.kind} {operation.name} left {function}:{name} on {found}, not on {allowed}"
            assert found in allowed, f"{said}; by hand: {operation.hand}"
            self._alias_is(name, function, found)

    def _alias_is(self, name: str, function: str, version: int | None) -> None:
        left = self.story.aliases.pop((name, function), None)
        if left is not None and left != version:
            self.story.left_at[function, left] = self._since
            if name in self.story.stages:
                self.story.stages[name].reached_versions.add((function, left))
        if version is not None:
            self.story.aliases[name, function] = version

    def _torn_down(self, operation: Operation) -> None:
        assert operation.stage is not None
        stage = self.story.stages[operation.stage]
        self._note_line(operation.stage, Line(stage.release, None, "teardown", operation.name))
        self._note_aliases(operation, operation.stage, dict.fromkeys(stage.serves), self.aws())
        self.story.left_at.update(dict.fromkeys(stage.serves.items(), self._since))
        del self.story.stages[operation.stage]

    def _over(self, operation: Operation, item: Item) -> None:
        status, name, aws = str(item["status"]), operation.stage, self.aws()
        if operation.kind in ("sweep", "configure", "verify"):
            return
        if status == "needs-attention":
            self._needs_attention(operation, item)
        elif operation.committed:
            dropped = frozenset() if operation.intent is None else operation.intent.dropped
            if operation.kind == "deploy" and name is not None:
                self._note_aliases(operation, name, dict.fromkeys(dropped), aws)
                for function in dropped:
                    version = self.story.stages[name].serves.pop(function, None)
                    if version is not None:
                        self.story.left_at[function, version] = self._since
        else:
            assert status in ("refused", "unchanged", "compensated"), f"{operation.name} ended as {status}"
            if name is not None:
                self._note_aliases(operation, name, {f: self.story.aliases.get((name, f)) for f in operation.hand}, aws)
        if not operation.committed and status in ("compensated", "needs-attention"):
            self.story.failed.add(operation.name)

    def _needs_attention(self, operation: Operation, item: Item) -> None:
        """Something could not be put back: what is really served is on record."""
        name, aws = operation.stage, self.aws()
        assert operation.disturbed, f"{operation.kind} {operation.name} needs attention for no reason: {item['end']}"
        if name is None:
            return
        found = self.record.stage(name)
        assert found is not None, f"{name} is not on record, though {operation.name} left it mixed"
        serves = self.record.served(found)
        stage = self.story.stages.setdefault(name, StageStory(None, [], {}))
        if not operation.committed:
            assert found["mixed"], f"{operation.name} could not put {name} back, and does not call it mixed"
            if stage.mixed and self.record.movement(name, len(self.story.ledgers.get(name, [])) + 1) is not None:
                self._note_line(name, Line(stage.release, stage.release, operation.kind, operation.name))
        intent = operation.intent
        assert intent is not None
        for function in set(stage.serves) | set(serves) | set(intent.content):
            at = aws.aliases.get((name, function))
            expected = self.story.aliases.get((name, function))
            assert at in operation.may_be_at(aws, function, expected), f"{operation.name} left {function}:{name} on {at}"
            touched = function in intent.content or operation.kind == "teardown"
            if touched and function not in operation.hand and at != expected:
                assert at == serves.get(function), f"{name} is mixed: {function} serves {at}, on record is {serves}"
            self._alias_is(name, function, at)
        for function, version in stage.serves.items():
            if serves.get(function) != version:
                self.story.left_at[function, version] = self._since
        stage.serves, stage.mixed = serves, bool(found["mixed"])
        stage.reached_versions |= set(serves.items())

    # What must be true at any moment.

    def look(self) -> None:
        """Settle, then compare record and AWS with the story."""
        self.settle()
        aws = self.aws()
        holders, _ = self.record.lock()
        slots = [slot for held in holders.values() for slot in held]
        assert len(slots) == len(set(slots)), f"a slot of the lock has two holders: {holders}"
        assert "collect" not in slots or len(holders) == 1, f"somebody holds the lock beside a collector: {holders}"
        names = {*self.story.stages, *(operation.stage for operation in self.open() if operation.stage is not None)}
        for name in sorted(names):
            self._compare_stage(name)
        functions = self.world.names
        for name, function in sorted({*aws.aliases, *self.story.aliases, *((n, f) for n in names for f in functions)}):
            found, expected = aws.aliases.get((name, function)), self.story.aliases.get((name, function))
            under_way = [o.may_be_at(aws, function, expected) for o in self.open() if o.stage == name]
            allowed = {expected}.union(*under_way)
            assert found in allowed, f"{function}:{name} serves {found}, not {allowed}"
        assert not self.wrong, self.wrong

    def _compare_stage(self, name: str) -> None:
        item, stage = self.record.stage(name), self.story.stages.get(name)
        if stage is None:
            assert item is None, f"stage {name} is on record, and should not be: {item}"
            return
        assert item is not None, f"stage {name} is not on record"
        release = None if item["release"] is None else int(item["release"])
        recorded = (release, list(item["way_back"]), self.record.served(item), item["mixed"], item["protected"])
        ought = (stage.release, stage.way_back, stage.serves, stage.mixed, stage.protected)
        assert recorded == ought, f"stage {name} is recorded as {recorded}, and should be {ought}"

    # The end of a history.

    def rest(self) -> None:
        """Let everything under way come to its end, recovering what was stopped; then nothing may be left over."""
        for _ in range(_ENOUGH):
            at_work = [execution for execution in self.running if execution.state not in ("Lock", "Collect", "Recover")]
            for execution in at_work or list(self.running):
                if execution in self.running:
                    self.step(execution)
            if not self.running:
                for execution, _ in self.stopped:
                    self.notice(execution, at_once=False)
            if not self.running:
                break
        self._forget_unrecorded()
        if self.open():
            # Recovered in vain too often: from then on somebody has to ask for it.
            recovery = self.begin({"operation": "recover", "service": "orders"})
            for _ in range(_ENOUGH):
                if recovery.state is not None:
                    self.step(recovery)
        still = [(operation.name, operation.kind) for operation in self.open()]
        assert not still, f"these have not ended: {still}, running {[e.name for e in self.running]}"

    def _forget_unrecorded(self) -> None:
        """One that was stopped before it was on record has done nothing, and never will."""
        for operation in self.open():
            if operation.stopped and self.record.operation(operation.name) is None:
                operation.over = True

    def check_thoroughly(self) -> None:
        """Once nothing is under way."""
        assert self.record.lock() == ({}, [])
        aws = self.aws()
        for name, ledger in self.story.ledgers.items():
            lines = self.record.movements(name)
            assert [_line(each) for each in lines] == ledger, f"the ledger of {name} is {lines}, not {ledger}"
            assert [int(each["number"]) for each in lines] == list(range(1, len(ledger) + 1))
            for one, following in itertools.pairwise(ledger):
                assert following.source == one.target, f"the ledger of {name} does not chain: {one}, then {following}"
        for name, versions in aws.versions.items():
            for number in versions:
                if (name, number) not in self.story.strangers:
                    assert self.record.published_by(name, number), f"{name}:{number} was published, and nobody knows"
        for name, stage in self.story.stages.items():
            if stage.mixed:
                continue
            for function, version in stage.serves.items():
                if aws.aliases.get((name, function)) == version and stage.release is not None:
                    wanted = self.story.releases[stage.release].get(function, aws.content(function, version))
                    assert aws.content(function, version) == wanted, f"{function}:{name} is not what r{stage.release} says"
        for request in [{"operation": "verify"}, *({"operation": "verify", "stage": name} for name in self.story.stages)]:
            verify = self.begin(request)
            while verify.state is not None:
                self.step(verify)

    def close(self) -> None:
        self.world.close()


def _line(item: Item) -> Line:
    source, target = (None if item[end] is None else int(item[end]) for end in ("from_release", "to_release"))
    return Line(source, target, item["operation"], item["operation_id"])
