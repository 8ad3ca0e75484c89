"""Random histories: whatever several actors, faults and hand-made changes do in whatever order, the story stays true.

``STAGEKEEPER_HISTORIES`` is the number of histories (each of 50 steps); without a ``STAGEKEEPER_SEED`` they are the same on
every machine. A failure prints its history; with ``STAGEKEEPER_SHRINK=1`` the shortest one that fails, which takes minutes.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, note, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tests.unit.engine.execution import Execution
from tests.unit.engine.world import Saved, World, lambda_name

from . import mishaps
from .mishaps import Mishap
from .play import Play
from .reality import Aws
from .story import Line, StageStory, Story

STEPS = 50
HISTORIES = int(os.environ.get("STAGEKEEPER_HISTORIES", "42"))
SHRINK = bool(os.environ.get("STAGEKEEPER_SHRINK"))
SEED = os.environ.get("STAGEKEEPER_SEED")

#: So many executions at once, no more.
CROWD = 4

STAGES = ("prod", "dev", "qa")
FUNCTIONS = "abc"
#: Those that the service has at the beginning.
BASE = "ab"
#: Old and new code; few enough to meet the same content again and again.
TEXTS = ("one", "two", "three", "four")

#: Everything is drawn as plain numbers, so that what may be drawn never depends on what happened.
stages = st.sampled_from(("prod", "prod", "dev", "dev", "qa"))
functions = st.sampled_from(FUNCTIONS)
some = st.integers(0, 11)
nth = st.integers(1, 12)
yes_or_no = st.booleans()
#: Per function: left out, some code, new code, or what $LATEST holds.
parts = st.fixed_dictionaries({f: st.sampled_from(("out", "out", *TEXTS, "new", "as it is")) for f in FUNCTIONS})
drift = st.sampled_from(({}, {"on_drift": "overwrite"}))
#: That the stage is where its actor believes it is: not asked, right, or wrong.
#: So many states beyond the plan of an operation; -1 is wherever it is.
beyond = st.sampled_from((-1, 0, 1, 1, 2, 3))
#: A sweep's settings, instead of the stack's.
limits = st.fixed_dictionaries(
    {},
    optional={
        "keep": st.sampled_from((0, 0, 1)),
        "rollback_depth": st.sampled_from((0, 1, 5)),
        "grace_hours": st.sampled_from((0, 0, 1)),
    },
)
#: How far an operation gets before anything else happens: so many states, or to its end.
far = st.sampled_from((0, 0, 1, 2, 3, 4, 6, 99))
belief = st.sampled_from(("", "", "", "", "", "right", "right", "wrong"))
MISHAPS = ("no answer", "a lost answer", "throttled", "busy", "touched", "table throttled", "denied")
BY_HAND = ("move an alias", "delete an alias", "touch an alias", "publish", "change $LATEST")


def _base() -> Saved:
    """A service that has been used: prod was on r1 and is on r2, dev is on r2."""
    world = World(tuple(FUNCTIONS))
    for stage, text in (("prod", "one"), ("prod", "two"), ("dev", "two")):
        done = world.deploy(stage, {f: _part(world, f, text) for f in BASE})
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
        story.releases[number] = {f: aws.versions[f][number] for f in BASE}
        assert text
    serves = dict.fromkeys(BASE, 2)
    story.stages["prod"] = StageStory(2, [1], dict(serves), reached={1, 2}, reached_versions=set(serves.items()))
    story.stages["dev"] = StageStory(2, [], dict(serves), reached={2}, reached_versions=set(serves.items()))
    story.ledgers["prod"] = [Line(None, 1, "deploy", "op-1"), Line(1, 2, "deploy", "op-2")]
    story.ledgers["dev"] = [Line(None, 2, "deploy", "op-3")]
    story.aliases = dict(aws.aliases)
    story.published_at = dict.fromkeys(((f, n) for f in BASE for n in (1, 2)), world.moments.now - 5)
    return story


#: What may happen next: how often, and with what. In one rule, since hypothesis leaves whole rules out of a history: the rare
#: things happen among many others.
DEEDS: tuple[tuple[int, str, dict[str, st.SearchStrategy[Any]]], ...] = (
    (
        8,
        "deploy",
        {
            "far": far,
            "stage": stages,
            "wanted": parts,
            "memory": st.sampled_from((128, 256)),
            "how": drift,
            "believed": belief,
            "way": some,
        },
    ),
    (7, "rollback", {"far": far, "stage": stages, "to": some, "how": drift, "believed": belief}),
    (7, "reset_or_clone", {"far": far, "stage": stages, "other": stages, "to": some, "how": drift, "believed": belief}),
    (4, "tear_down", {"far": far, "stage": stages, "confirmed": yes_or_no, "believed": belief}),
    (5, "sweep", {"far": far, "really": st.sampled_from((True, True, False)), "given": limits}),
    (4, "something_small", {"far": far, "what": some, "stage": stages, "protected": yes_or_no, "believed": belief}),
    (5, "step", {"which": some}),
    (5, "run", {"which": some}),
    (3, "step_delivered_twice", {"which": some}),
    (3, "stop", {"which": some, "back": some}),
    (4, "notice", {"which": some, "at_once": yes_or_no}),
    (4, "late_worker", {"which": some}),
    (4, "time_passes", {"seconds": st.sampled_from((5, 40, 3600, 2 * 86400))}),
    (7, "kill", {"which": some, "far": beyond, "at": nth, "anywhere": yes_or_no, "after": yes_or_no}),
    (7, "fail", {"which": some, "far": beyond, "at": st.integers(1, 6), "what": st.sampled_from(MISHAPS), "function": functions}),
    (
        9,
        "overtake",
        {
            "which": some,
            "far": beyond,
            "at": st.integers(1, 8),
            "by_hand": st.sampled_from(("", "move an alias", "delete an alias")),
            "alias": some,
        },
    ),
    (8, "by_hand", {"what": st.sampled_from(BY_HAND), "which": st.integers(0, 99), "function": functions, "version": some}),
)
deeds = st.sampled_from([deed for deed in DEEDS for _ in range(deed[0])]).flatmap(
    lambda deed: st.tuples(st.just(deed[1]), st.fixed_dictionaries(deed[2]))
)


class Histories(RuleBasedStateMachine):
    """Actors, faults and hands. Each deed counts as a step only if there was something for it to do."""

    base: ClassVar[Saved]
    taken: ClassVar[Counter[str]] = Counter()
    ends: ClassVar[Counter[str]] = Counter()
    happened: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.play = Play(self.base, Story())
        self.play.story = _beginning(self.play.world)
        self.new = 0

    @rule(deed=deeds)
    def act(self, deed: tuple[str, dict[str, Any]]) -> None:
        name, given = deed
        self.play.log.append(name)
        getattr(self, name)(**given)

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

    def rollback(self, far: int, stage: str, to: int, how: dict[str, str], believed: str) -> None:
        choices: list[dict[str, Any]] = [{}] * 6 + [{"to": {"steps": 1}}, {"to": {"steps": 2}}]
        choices += [{"to": {"release": n}} for n in (1, 2, 3, 4)]
        self._begin({"operation": "rollback", "stage": stage, **choices[to], **how}, far, believed)

    def reset_or_clone(self, far: int, stage: str, other: str, to: int, how: dict[str, str], believed: str) -> None:
        if to > 9:
            self._begin({"operation": "clone", "stage": stage, "from": {"stage": other}}, far)
        else:
            where = {"release": to + 1} if to < 6 else {"stage": other}
            self._begin({"operation": "reset", "stage": stage, "to": where, **how}, far, believed)

    def tear_down(self, far: int, stage: str, confirmed: bool, believed: str) -> None:
        self._begin({"operation": "teardown", "stage": stage, **({"confirm": stage} if confirmed else {})}, far, believed)

    def sweep(self, far: int, really: bool, given: dict[str, int]) -> None:
        self._begin({"operation": "sweep", **({"mode": "delete"} if really else {}), **given}, far)

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
            wanted = {f: _part(self.play.world, f, f"new {self.new}") for f in FUNCTIONS[: 2 + which % 2]}
            execution = self.play.begin({"operation": "deploy", "stage": STAGES[which % 3], "functions": wanted})
            for _ in range(which % 6):
                if execution.state is not None:
                    self.play.step(execution)
            if not running:
                return self._one(0)  # it ended soon: one that has not begun
        return running[which % len(running)]

    def step(self, which: int) -> None:
        execution = self._one(which)
        self.did("step")
        self.play.step(execution)

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

    def step_delivered_twice(self, which: int) -> None:
        execution = self._one(which)
        self.did("delivered twice")
        execution.deliveries = 2
        self.play.step(execution)
        execution.deliveries = 1

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

    def notice(self, which: int, at_once: bool) -> None:
        self.did("notice")
        self.play.notice(self._stopped(which)[0], at_once=at_once)

    def late_worker(self, which: int) -> None:
        self.did("late worker")
        self.play.late(*self._stopped(which))

    def time_passes(self, seconds: int) -> None:
        self.did("time")
        self.play.world.clock.sleep(seconds)

    # Mishaps.

    def _at_work(self, which: int, far: int) -> Execution:
        """One that is under way, so many states beyond its plan if it comes that far; wherever it is for -1."""
        execution = self._one(which)
        for _ in range(4):
            if far < 0 or execution.state not in ("Accept", "Lock", "Plan"):
                break
            self.play.step(execution)
        for _ in range(far):
            if execution.state is not None:
                self.play.step(execution)
        return execution if execution.state is not None else self._one(which)

    def _with(self, which: int, far: int, arrange: Callable[[Execution], Mishap]) -> None:
        execution = self._at_work(which, far)
        mishap = arrange(execution)
        operation = self.play.operation_of(execution)
        if operation is not None and not mishap.harmless:
            operation.disturbed.add(mishap.name)
        self.did(mishap.name)
        self.play.log.append(f"{mishap.name} may happen")
        self.play.step(execution)
        if mishap.happened:
            self.happened[mishap.name] += 1
        elif operation is not None:
            operation.disturbed.discard(mishap.name)

    def kill(self, which: int, far: int, at: int, anywhere: bool, after: bool) -> None:
        self._with(which, far, lambda _: mishaps.killed(self.play.world.wire, at, anywhere=anywhere, after=after))

    def fail(self, which: int, far: int, at: int, what: str, function: str) -> None:
        wire = self.play.world.wire
        match what:
            case "no answer":
                self._with(which, far, lambda _: mishaps.unanswered(wire, at, applied=False))
            case "a lost answer":
                self._with(which, far, lambda _: mishaps.unanswered(wire, at, applied=True))
            case "throttled":
                self._with(which, far, lambda _: mishaps.throttled(wire, at))
            case "busy":
                self._with(which, far, lambda _: mishaps.busy(wire, at))
            case "touched":
                self._with(which, far, lambda _: mishaps.touched(wire, at))
            case "table throttled":
                self._with(which, far, lambda _: mishaps.table_throttled(wire, at))
            case "denied":
                self._with(which, far, lambda _: mishaps.denied(wire, function))

    def overtake(self, which: int, far: int, at: int, by_hand: str, alias: int) -> None:
        """An execution is stopped and recovered while its worker is between two calls; then the worker goes on."""
        execution = self._at_work(which, far)
        operation = self.play.operation_of(execution)
        stage = None if operation is None else operation.stage

        def first() -> None:
            own = [each for each in sorted(self.play.aws().aliases) if each[0] == stage]
            if by_hand and own:
                self._by_hand(by_hand, *own[alias % len(own)], which)

        self.did("overtaken")
        self.happened["overtaken"] += self.play.overtaken(execution, at, first)

    # By hand.

    def by_hand(self, what: str, which: int, function: str, version: int) -> None:
        aws, stage = self.play.aws(), ""
        if what.endswith("alias") and aws.aliases:
            stage, function = sorted(aws.aliases)[which % len(aws.aliases)]
        elif what.endswith("alias"):
            return
        self.did(what)
        self._by_hand(what, stage, function, version)

    def _by_hand(self, what: str, stage: str, function: str, version: int) -> None:
        fake, aws = self.play.world.fake, self.play.aws()
        name, versions = lambda_name(function), sorted(aws.versions[function])
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
            if sys.exc_info()[0] is not None:
                note("\n".join(self.play.log))
            else:
                self.play.rest()
                self.play.check_thoroughly()
                self.ends.update(self.play.ends)
        finally:
            self.play.close()


def test_random_histories_stay_true(record_property: Callable[[str, object], None]) -> None:
    Histories.base = _base()
    for counted in (Histories.taken, Histories.happened, Histories.ends):
        counted.clear()
    how = settings(
        max_examples=HISTORIES,
        stateful_step_count=STEPS,
        derandomize=SEED is None,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink) if SHRINK else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(Histories if SEED is None else seed(int(SEED))(Histories), settings=how)
    finally:
        steps = Histories.taken.total()
        record_property("random histories: seed", "none, the same every time" if SEED is None else SEED)
        record_property("random histories: steps", f"{steps} = {_counts(Histories.taken)}")
        record_property("random histories: mishaps that came to be", _counts(Histories.happened))
        record_property("random histories: operations' ends", _counts(Histories.ends))
    # Some rules find nothing to do now and then.
    assert steps >= 48 * HISTORIES, f"only {steps} steps were really taken"


def _counts(counted: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counted.most_common())
