"""Watches an account: takes over into the story what operations came to, and compares it with what is really there.

Must not know how the product decides anything, nor make anything happen.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.fake.faults import Call

from .account import Account
from .reality import HOLDS, PERMISSION, Aws, Item, Record
from .story import Intent, Line, StageStory, Story


@dataclass
class Operation:
    """An operation as the story has it. ``hand``: what somebody put a function's alias on since it was planned (None: deleted).

    ``before`` and ``recorded``: the aliases as they were, on AWS and by the record, when it was planned.
    ``disturbed``: what else came in between; ``met``: every mishap that happened to it, also a harmless one.
    """

    name: str
    request: Mapping[str, Any]
    intent: Intent | None = None
    before: dict[str, int] = field(default_factory=dict)
    recorded: dict[str, int] = field(default_factory=dict)
    hand: dict[str, int | None] = field(default_factory=dict)
    disturbed: set[str] = field(default_factory=set)
    met: set[str] = field(default_factory=set)
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
        if self.intent is None or not self.intent.acts:
            return {expected}
        # What goes goes, whatever somebody put it on meanwhile.
        deleted = function in self.intent.dropped and (self.committed or self.kind == "teardown")
        gone: set[int | None] = {None} if deleted else set()
        if function in self.hand:
            last = self.hand[function]
            before = self.before.get(function)
            return {last} | (targets if last == before else set()) | ({before} if last in targets else set()) | gone
        return {expected} | targets | gone


class Watch:
    """One account and its story."""

    def __init__(self, account: Account, story: Story) -> None:
        self.world = account
        self.record = Record(account)
        self.story = story
        self.operations: dict[str, Operation] = {}
        self.wrong: list[str] = []
        #: How operations ended, by kind; which kinds were committed after a mishap; what was deleted, by kind of operation; what
        #: saved a version from a sweep that would have deleted it otherwise.
        self.ends: Counter[str] = Counter()
        self.after_mishaps: Counter[str] = Counter()
        self.deleted: Counter[str] = Counter()
        self.saved: Counter[str] = Counter()
        self._acting: str | None = None
        self._since = self.world.moments.now
        self._latest = Aws.of(self.world).latest
        #: The stages that something was under way on when it was looked the last time.
        self._busy: set[str] = set()
        fake = self.world.fake
        fake.on("DeleteFunction", self._guarded(self._deleting), when="before")
        fake.on("DeleteFunction", self._guarded(self._deleted), when="after")
        for written in ("UpdateFunctionCode", "UpdateFunctionConfiguration", "PublishVersion"):
            fake.on(written, self._guarded(self._written), when="after")

    def aws(self) -> Aws:
        return Aws.of(self.world)

    def open(self) -> list[Operation]:
        return [operation for operation in self.operations.values() if not operation.over]

    def _guarded(self, look: Callable[[Call], object]) -> Callable[[Call], object]:
        """What is found in the middle of a product's call: an exception would only be a failed call to the product."""

        def guarded(call: Call) -> None:
            with self.noting():
                look(call)

        return guarded

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Where the product would swallow it, what is wrong is said by the next look."""
        try:
            yield
        except AssertionError as error:
            self.wrong.append(str(error))

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

    def note_latest(self) -> None:
        """$LATEST was changed by hand."""
        self._latest = self.aws().latest

    def _deleting(self, call: Call) -> None:
        """A version is about to be deleted."""
        aws = self.aws()
        name, number = _named(call)
        if number not in aws.versions[name]:
            return
        self.settle()
        holders, _ = self.record.lock()
        collecting = [holder for holder, slots in holders.items() if "collect" in slots]
        assert len(holders) == len(collecting) == 1, f"{name}:{number} is deleted under the lock {holders}"
        operation = self.operations[collecting[0]]
        if operation.kind == "teardown":
            assert operation.stage is not None
            why = self.story.why_kept_by_others(operation.stage, name, number, aws)
        else:
            why = self._why_kept(operation.request, name, number, aws)
        assert why is None, f"{operation.kind} {operation.name} deletes {name}:{number}, but {why}"
        self._about_to_go = (operation.kind, name, number)

    def _deleted(self, call: Call) -> None:
        name, number = _named(call)
        kind, *place = self._about_to_go
        if place == [name, number] and number not in self.aws().versions[name]:
            self.deleted[kind] += 1
        self._about_to_go = ("", "", 0)

    _about_to_go: tuple[str, str, int] = ("", "", 0)

    def _why_kept(self, request: Mapping[str, Any], name: str, number: int, aws: Aws, ignoring: str | None = None) -> str | None:
        depth, keep = request.get("rollback_depth", 5), request.get("keep", 3)
        grace, now = request.get("grace_hours", 24) * 3600.0, self.world.moments.now

        def why(version: int) -> str | None:
            return self.story.why_kept(name, version, aws, depth, grace, now)

        newer = [version for version in aws.versions[name] if version > number and why(version) is None]
        found = self.story.why_kept(name, number, aws, depth, grace, now, ignoring)
        return found or (f"only {len(newer)} newer ones are unneeded" if len(newer) < keep else None)

    def could_go(self) -> list[tuple[str, int]]:
        """Versions that the keenest sweep would delete."""
        aws, keen = self.aws(), {"keep": 0, "rollback_depth": 0, "grace_hours": 0}
        return [
            (name, number)
            for name, versions in aws.versions.items()
            for number in versions
            if self._why_kept(keen, name, number, aws) is None
        ]

    def _note_saved(self, operation: Operation) -> None:
        """What was made by hand and alone saved a version from this sweep."""
        aws = self.aws()
        for name, versions in aws.versions.items():
            for number in versions:
                for kind in aws.held_by(name, number):
                    if kind in HOLDS and self._why_kept(operation.request, name, number, aws, kind) is None:
                        self.saved[kind] += 1

    # Settling the story with what is on record.

    def settle(self) -> None:
        """Take over what operations came to since the last time, in the order in which they did."""
        self._learn_releases()
        news = []
        for operation in self.open():
            passed = self.record.milestones(operation.name)
            if passed.get("status") == "compensating":
                self.story.failed.add(operation.name)  # it can only fail now
            if ("committed_at" in passed and not operation.committed) or "ended_at" in passed:
                item = self.record.operation(operation.name)
                assert item is not None
                news.append((str(item.get("committed_at", item.get("ended_at"))), operation, item))
        for _, operation, item in sorted(news, key=lambda each: each[0]):
            if "committed_at" in item and not operation.committed:
                operation.committed = True
                self._committed(operation)
            if "ended_at" in item:
                operation.over = True
                self._count(operation, str(item["status"]))
                self._over(operation, item)

    def _count(self, operation: Operation, status: str) -> None:
        self.ends[f"{operation.kind} {status}"] += 1
        if status in ("committed", "ended"):
            self.after_mishaps[operation.kind] += bool(operation.met)
            if operation.kind == "sweep":
                self._note_saved(operation)

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
                    self.story.interrupted.pop(name, None)

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
                left = (name, function) in aws.weights and function not in operation.hand
                assert not left, f"{said} left {function} with routing weights"
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
            # Nobody can call it by an alias that is deleted, so where a hand had put that needs no grace; what the record said of
            # it does, and is noted with the movement.
            if version is not None:
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
        busy = self._busy | {operation.stage for operation in self.open() if operation.stage is not None}
        self.settle()
        assert not self.wrong, self.wrong
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
        self._compare_hands(aws, busy)
        self._busy = {operation.stage for operation in self.open() if operation.stage is not None}

    def _compare_hands(self, aws: Aws, busy: set[str]) -> None:
        """What somebody made by hand is there, but for what goes with an alias that an operation moves or deletes."""
        for place, number in aws.weights.items():
            assert self.story.weights.get(place) == number, f"nobody gave {place} weight on {number}"
        for place in set(self.story.weights) - set(aws.weights):
            assert place[0] in busy, f"{place} has lost its weights"
            del self.story.weights[place]
        hanging = {version: held for version, held in aws.hanging.items() if held}
        assert hanging == self.story.hanging, f"on versions hang {hanging}, and should {self.story.hanging}"
        for place, users in self.story.users.items():
            gone = users - aws.users.get(place, set())
            assert not gone or (gone == {PERMISSION} and place[0] in busy), f"{place} is not used any more by {gone}"
            users -= gone

    def _compare_stage(self, name: str) -> None:
        item, stage = self.record.stage(name), self.story.stages.get(name)
        if stage is None:
            assert item is None, f"stage {name} is on record, and should not be: {item}"
            return
        assert item is not None, f"stage {name} is not on record"
        release = None if item["release"] is None else int(item["release"])
        recorded = (release, list(item["way_back"]), self.record.served(item), item["mixed"])
        ought = (stage.release, stage.way_back, stage.serves, stage.mixed)
        assert recorded == ought, f"stage {name} is recorded as {recorded}, and should be {ought}"
        settings, wanted = (item["protected"], item["description"]), (stage.protected, stage.description)
        assert settings == wanted, f"stage {name} has the settings {settings}, and should have {wanted}"

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


def _line(item: Item) -> Line:
    source, target = (None if item[end] is None else int(item[end]) for end in ("from_release", "to_release"))
    return Line(source, target, item["operation"], item["operation_id"])


def _named(call: Call) -> tuple[str, int]:
    """The version that a DeleteFunction is about."""
    return str(call.params["FunctionName"]).rpartition("orders-")[2], int(call.params["Qualifier"])
