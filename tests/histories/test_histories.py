"""Random histories: whatever several actors, faults and hand-made changes do in whatever order, the story stays true.

``STAGEKEEPER_HISTORIES`` is the number of histories (each of 50 steps); without a ``STAGEKEEPER_SEED`` they are the same on
every machine.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from moto import mock_aws

from tests.unit.engine.execution import Execution
from tests.unit.engine.world import Saved, World, lambda_name

from . import mishaps
from .mishaps import Mishap
from .play import Play
from .reality import Aws
from .story import Line, StageStory, Story

STEPS = 50
HISTORIES = int(os.environ.get("STAGEKEEPER_HISTORIES", "45"))
SEED = os.environ.get("STAGEKEEPER_SEED")

#: So many executions at once, no more.
CROWD = 4

STAGES = ("prod", "dev", "qa")
FUNCTIONS = "abcd"
#: Old and new code; few enough to meet the same content again and again.
TEXTS = ("one", "two", "three", "four")

#: Everything is drawn as plain numbers, so that what may be drawn never depends on what happened.
stages = st.integers(0, 2).map(STAGES.__getitem__)
functions = st.sampled_from(FUNCTIONS)
some = st.integers(0, 11)
nth = st.integers(1, 12)
yes_or_no = st.booleans()
#: Per function: left out, some code, new code, or what $LATEST holds.
parts = st.fixed_dictionaries({f: st.sampled_from(("out", "out", *TEXTS, "new", "as it is")) for f in FUNCTIONS})
drift = st.sampled_from(({}, {}, {"on_drift": "overwrite"}))
#: That the stage is where its actor believes it is: not asked, right, or wrong.
#: How far an operation gets before anything else happens: so many states, or to its end.
far = st.sampled_from((0, 0, 1, 2, 3, 4, 6, 99))
belief = st.sampled_from(("", "", "", "right", "wrong"))
MISHAPS = ("no answer", "a lost answer", "throttled", "busy", "touched", "table throttled", "denied")
BY_HAND = ("move an alias", "delete an alias", "touch an alias", "publish", "change $LATEST")


def _base() -> Saved:
    """A service that has been used: prod was on r1 and is on r2, dev is on r2."""
    world = World(tuple(FUNCTIONS))
    for stage, text in (("prod", "one"), ("prod", "two"), ("dev", "two")):
        done = world.deploy(stage, {f: _part(world, f, text) for f in "abc"})
        assert done.outcome == "succeeded", done.cause
    saved = world.save()
    world.close()
    return saved


def _part(world: World, function: str, text: str, memory: int = 128) -> dict[str, Any]:
    """One function of a deploy. Only ``a`` is configured: what was given once must be given always."""
    return world.wish(function, None if text == "as it is" else text, **({"MemorySize": memory} if function == "a" else {}))


def _beginning(world: World) -> Story:
    """What the story is at that point."""
    aws, story = Aws.of(world), Story()
    for number, text in ((1, "one"), (2, "two")):
        story.releases[number] = {f: aws.versions[f][number] for f in "abc"}
        assert text
    serves = dict.fromkeys("abc", 2)
    story.stages["prod"] = StageStory(2, [1], dict(serves), reached={1, 2}, reached_versions=set(serves.items()))
    story.stages["dev"] = StageStory(2, [], dict(serves), reached={2}, reached_versions=set(serves.items()))
    story.ledgers["prod"] = [Line(None, 1, "deploy", "op-1"), Line(1, 2, "deploy", "op-2")]
    story.ledgers["dev"] = [Line(None, 2, "deploy", "op-3")]
    story.aliases = dict(aws.aliases)
    story.published_at = dict.fromkeys(((f, n) for f in "abc" for n in (1, 2)), world.moments.now - 5)
    return story


class Histories(RuleBasedStateMachine):
    """Actors, faults and hands. Each rule counts as a step only if there was something for it to do."""

    base: ClassVar[Saved]
    taken: ClassVar[Counter[str]] = Counter()
    outcomes: ClassVar[Counter[str]] = Counter()
    happened: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.play = Play(self.base, Story())
        self.play.story = _beginning(self.play.world)
        self.new = 0

    def did(self, what: str) -> None:
        self.taken[what] += 1

    # Operations begin.

    def _begin(self, request: dict[str, Any], far: int, believed: str = "") -> None:
        if len(self.play.running) >= CROWD:
            # Enough of them are under way: one gets on instead.
            self.did("step")
            self.play.step(self.play.running[0])
            return
        if believed:
            stage = self.play.story.stages.get(request.get("stage", ""))
            number = stage.release if stage is not None and stage.release is not None else 1
            request["if_release"] = number if believed == "right" else number + 1
        execution = self.play.begin(request)
        self.did(request["operation"])
        self._go_on(execution, far)

    @rule(far=far, stage=stages, wanted=parts, memory=st.sampled_from((128, 256)), how=drift, believed=belief, way=some)
    def deploy(
        self, far: int, stage: str, wanted: dict[str, str], memory: int, how: dict[str, str], believed: str, way: int
    ) -> None:
        self.new += 1
        texts = {f: f"new {self.new}" if text == "new" else text for f, text in wanted.items() if text != "out"}
        asked = {f: _part(self.play.world, f, text, memory) for f, text in (texts or {"b": "one"}).items()}
        request: dict[str, Any] = {"operation": "deploy", "functions": asked, **how}
        if way:
            request["stage"] = stage
            request["partial"] = way > 9
        self._begin(request, far, believed if way else "")

    @rule(far=far, stage=stages, to=some, how=drift, believed=belief)
    def rollback(self, far: int, stage: str, to: int, how: dict[str, str], believed: str) -> None:
        choices: list[dict[str, Any]] = [{}] * 6 + [{"to": {"steps": 1}}, {"to": {"steps": 2}}]
        choices += [{"to": {"release": n}} for n in (1, 2, 3, 4)]
        self._begin({"operation": "rollback", "stage": stage, **choices[to], **how}, far, believed)

    @rule(far=far, stage=stages, other=stages, to=some, how=drift, believed=belief)
    def reset_or_clone(self, far: int, stage: str, other: str, to: int, how: dict[str, str], believed: str) -> None:
        if to > 9:
            self._begin({"operation": "clone", "stage": stage, "from": {"stage": other}}, far)
        else:
            where = {"release": to + 1} if to < 6 else {"stage": other}
            self._begin({"operation": "reset", "stage": stage, "to": where, **how}, far, believed)

    @rule(far=far, stage=stages, confirmed=yes_or_no, believed=belief)
    def tear_down(self, far: int, stage: str, confirmed: bool, believed: str) -> None:
        self._begin({"operation": "teardown", "stage": stage, **({"confirm": stage} if confirmed else {})}, far, believed)

    @rule(far=far, really=st.sampled_from((True, True, False)), keep=st.sampled_from((None, 0, 0, 1)), depth=st.sampled_from((None, 0, 1)), hours=st.sampled_from((None, 0, 0, 1)))
    def sweep(self, far: int, really: bool, keep: int | None, depth: int | None, hours: int | None) -> None:
        given = {"keep": keep, "rollback_depth": depth, "grace_hours": hours}
        mode = {"mode": "delete"} if really else {}
        self._begin({"operation": "sweep", **mode, **{name: value for name, value in given.items() if value is not None}}, far)

    @rule(far=far, what=some, stage=stages, protected=yes_or_no, believed=belief)
    def something_small(self, far: int, what: int, stage: str, protected: bool, believed: str) -> None:
        if what < 4:
            self._begin({"operation": "configure", "stage": stage, "settings": {"protected": protected}}, far, believed)
        elif what < 10:
            self._begin({"operation": "verify", **({} if what < 7 else {"stage": stage})}, far)
        else:
            self._begin({"operation": "recover"}, far)

    # Executions go on.

    def _one(self, which: int) -> Execution:
        """One that is under way; if there is none, a deploy of new code begins."""
        running = self.play.running
        if not running:
            self.new += 1
            wanted = {f: _part(self.play.world, f, f"new {self.new}") for f in FUNCTIONS[: 2 + which % 3]}
            execution = self.play.begin({"operation": "deploy", "stage": STAGES[which % 3], "functions": wanted})
            for _ in range(which % 6):
                if execution.state is not None:
                    self.play.step(execution)
            if not running:
                return self._one(0)  # it ended soon: one that has not begun
        return running[which % len(running)]

    @rule(which=some)
    def step(self, which: int) -> None:
        execution = self._one(which)
        self.did("step")
        self.play.step(execution)

    @rule(which=some)
    def run(self, which: int) -> None:
        """To its end, or until it waits for somebody."""
        execution = self._one(which)
        self.did("run")
        self._go_on(execution, 99)

    def _go_on(self, execution: Execution, far: int) -> None:
        for _ in range(min(far, 25)):
            if execution.state is None or execution.visited[-3:] == [execution.state] * 3:
                return
            self.play.step(execution)

    @rule(which=some)
    def step_delivered_twice(self, which: int) -> None:
        execution = self._one(which)
        self.did("delivered twice")
        execution.deliveries = 2
        self.play.step(execution)
        execution.deliveries = 1

    @rule(which=some, back=some)
    def stop(self, which: int, back: int) -> None:
        execution = self._one(which)
        self.did("stop")
        self.play.stop(execution)
        if back < 3:
            self.play.notice(execution, at_once=back < 2)

    def _stopped(self, which: int) -> tuple[Execution, str]:
        """One that was stopped; if there is none, somebody stops one now."""
        stopped = self.play.stopped
        if not stopped:
            self.play.stop(self._one(which))
        return stopped[which % len(stopped)]

    @rule(which=some, at_once=yes_or_no)
    def notice(self, which: int, at_once: bool) -> None:
        self.did("notice")
        self.play.notice(self._stopped(which)[0], at_once=at_once)

    @rule(which=some)
    def late_worker(self, which: int) -> None:
        self.did("late worker")
        self.play.late(*self._stopped(which))

    @rule(seconds=st.sampled_from((5, 40, 3600, 2 * 86400)))
    def time_passes(self, seconds: int) -> None:
        self.did("time")
        self.play.world.clock.sleep(seconds)

    # Mishaps.

    def _with(self, which: int, arrange: Callable[[Execution], Mishap]) -> None:
        execution = self._one(which)
        mishap = arrange(execution)
        operation = self.play.operation_of(execution)
        if operation is not None and not mishap.harmless:
            operation.disturbed.add(mishap.name)
        self.did(mishap.name)
        self.play.step(execution)
        if mishap.happened:
            self.happened[mishap.name] += 1
        elif operation is not None:
            operation.disturbed.discard(mishap.name)

    @rule(which=some, at=nth, anywhere=yes_or_no, after=yes_or_no)
    def kill(self, which: int, at: int, anywhere: bool, after: bool) -> None:
        self._with(which, lambda _: mishaps.killed(self.play.world.wire, at, anywhere=anywhere, after=after))

    @rule(which=some, at=st.integers(1, 6), what=st.sampled_from(MISHAPS), function=functions)
    def fail(self, which: int, at: int, what: str, function: str) -> None:
        wire = self.play.world.wire
        match what:
            case "no answer":
                self._with(which, lambda _: mishaps.unanswered(wire, at, applied=False))
            case "a lost answer":
                self._with(which, lambda _: mishaps.unanswered(wire, at, applied=True))
            case "throttled":
                self._with(which, lambda _: mishaps.throttled(wire, at))
            case "busy":
                self._with(which, lambda _: mishaps.busy(wire, at))
            case "touched":
                self._with(which, lambda _: mishaps.touched(wire, at))
            case "table throttled":
                self._with(which, lambda _: mishaps.table_throttled(wire, at))
            case "denied":
                self._with(which, lambda _: mishaps.denied(wire, function))

    @rule(which=some, at=st.integers(1, 8))
    def overtake(self, which: int, at: int) -> None:
        """An execution is stopped and recovered while its worker is between two calls; then the worker goes on."""
        execution = self._one(which)
        self.did("overtaken")
        self.happened["overtaken"] += self.play.overtaken(execution, at)

    # By hand.

    @rule(what=st.sampled_from(BY_HAND), which=st.integers(0, 99), function=functions, version=some)
    def by_hand(self, what: str, which: int, function: str, version: int) -> None:
        fake, aws = self.play.world.fake, self.play.aws()
        stage = ""
        if what.endswith("alias") and aws.aliases:
            stage, function = sorted(aws.aliases)[which % len(aws.aliases)]
        elif what.endswith("alias"):
            return
        name, versions = lambda_name(function), sorted(aws.versions[function])
        self.did(what)
        match what:
            case "move an alias":
                number = versions[version % len(versions)]
                fake.alias(name, stage, str(number))
                self.play.alias_by_hand(stage, function, number)
            case "delete an alias":
                fake.quietly("DeleteAlias", FunctionName=name, Name=stage)
                self.play.alias_by_hand(stage, function, None)
            case "touch an alias":
                fake.alias(name, stage, str(aws.aliases[stage, function]))  # another RevisionId, and nothing else
            case "publish":
                self.play.published_by_hand(function, int(fake.publish(name)))
            case "change $LATEST":
                self.new += 1
                fake.update(name, f"by hand {self.new}".encode())
                self.play.latest_by_hand(function)

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self.play.rest()
                self.play.check_thoroughly()
        finally:
            self.play.close()


@pytest.fixture(scope="module", autouse=True)
def _moto() -> Iterator[None]:
    with mock_aws():
        yield


def test_random_histories_stay_true() -> None:
    Histories.base = _base()
    Histories.taken.clear()
    how = settings(
        max_examples=HISTORIES,
        stateful_step_count=STEPS,
        derandomize=SEED is None,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink) if os.environ.get("STAGEKEEPER_SHRINK") else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(Histories if SEED is None else seed(int(SEED))(Histories), settings=how)
    finally:
        steps = Histories.taken.total()
        print(f"{steps} steps: {dict(Histories.taken.most_common())}")  # noqa: T201
        print(f"mishaps that came to be: {dict(Histories.happened.most_common())}")  # noqa: T201
    assert steps >= HISTORIES * STEPS * 0.9
