"""Random histories: whatever several actors, faults and hand-made changes do in whatever order, the story stays true.

``STAGEKEEPER_HISTORIES`` is the number of histories (each of 50 steps); without a ``STAGEKEEPER_SEED`` they are the same on
every machine. A failure prints its history and the history's number: ``STAGEKEEPER_FIRST`` begins with that one. With
``STAGEKEEPER_SHRINK=1`` it prints the shortest history that fails, which takes minutes.
"""

from __future__ import annotations

import gc
import os
import sys
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, note, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.unit.engine.world import Saved, World

from . import mishaps
from .account import Livelock, Watched
from .draws import BASE, FUNCTIONS, STAGES, deeds
from .hands import ON_ALIASES, ON_VERSIONS, Hands
from .mishaps import Mishap
from .play import Play
from .reality import FOREIGN, HOLDS, Aws, Place, Version
from .room import with_room
from .story import Line, StageStory, Story

STEPS = 50
HISTORIES = int(os.environ.get("STAGEKEEPER_HISTORIES", "16"))
FIRST = int(os.environ.get("STAGEKEEPER_FIRST", "0"))
SHRINK = bool(os.environ.get("STAGEKEEPER_SHRINK"))
SEED = os.environ.get("STAGEKEEPER_SEED")

#: So many executions at once, no more.
CROWD = 4
#: The states before an operation has a plan.
_EARLY = ("Accept", "Lock", "Plan", "Inspect")
#: The operations that commit something.
KINDS = ("deploy", "rollback", "reset", "clone", "configure", "teardown", "sweep")


def _base() -> Saved:
    """A service that has been used: prod went from r1 to r3, dev is on r2; all that days ago."""
    world = World(tuple(FUNCTIONS))
    for stage, text in (("prod", "one"), ("prod", "two"), ("dev", "two"), ("prod", "three")):
        done = world.deploy(stage, {f: _part(world, f, text) for f in BASE})
        assert done.outcome == "succeeded", done.cause
    world.clock.sleep(3 * 86400)
    return world.save()


def _part(world: World, function: str, text: str, memory: int = 128) -> dict[str, Any]:
    """One function of a deploy. Only ``a`` is configured: what was given once must be given always."""
    return world.wish(function, None if text == "as it is" else text, **({"MemorySize": memory} if function == "a" else {}))


def _beginning(world: World) -> Story:
    """What the story is at that point."""
    aws, story = Aws.of(world), Story()
    for number in (1, 2, 3):
        story.releases[number] = {f: aws.versions[f][number] for f in BASE}
    for name, release, way_back in (("prod", 3, [2, 1]), ("dev", 2, [])):
        serves = dict.fromkeys(BASE, release)
        reached = {release, *way_back}
        versions = {(f, number) for f in BASE for number in reached}
        story.stages[name] = StageStory(release, way_back, serves, reached=reached, reached_versions=versions)
    story.ledgers["prod"] = [Line(None, 1, "deploy", "op-1"), Line(1, 2, "deploy", "op-2"), Line(2, 3, "deploy", "op-4")]
    story.ledgers["dev"] = [Line(None, 2, "deploy", "op-3")]
    story.aliases = dict(aws.aliases)
    long_ago = world.moments.now - 3 * 86400
    story.published_at = dict.fromkeys(((f, n) for f in BASE for n in (1, 2, 3)), long_ago)
    return story


class Histories(RuleBasedStateMachine):
    """Actors, faults and hands. Each deed counts as a step only if there was something for it to do."""

    base: ClassVar[Saved]
    taken: ClassVar[Counter[str]] = Counter()
    happened: ClassVar[Counter[str]] = Counter()
    ends: ClassVar[Counter[str]] = Counter()
    after_mishaps: ClassVar[Counter[str]] = Counter()
    deleted: ClassVar[Counter[str]] = Counter()
    saved: ClassVar[Counter[str]] = Counter()

    #: Which of the histories this is.
    number: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.idle = True
        self.new = 0

    @initialize(drawn=st.integers(0, 999))
    def begin(self, drawn: int) -> None:
        """hypothesis begins with the simplest that could be drawn, which is not worth to be played."""
        self.idle = drawn == 0
        if not self.idle:
            self.play = Play(self.base, Story())
            self.play.story = _beginning(self.play.world)
            self.hands = Hands(self.play)

    @rule(deed=deeds)
    def act(self, deed: tuple[str, dict[str, Any]]) -> None:
        if self.idle:
            return
        name, given = deed
        self.play.log.append(name)
        try:
            getattr(self, name)(**given)
        except Livelock as error:
            raise AssertionError(str(error)) from error

    def did(self, what: str) -> None:
        self.taken[what] += 1

    # Operations begin.

    def _begin(self, request: dict[str, Any], far: int, believed: str = "") -> Watched | None:
        if len(self.play.running) >= CROWD:
            # Enough of them are under way: one gets on instead.
            self.did("run")
            self.play.get_on(self.play.running[len(self.play.log) % CROWD], 25)
            return None
        if believed:
            stage = self.play.story.stages.get(request.get("stage", ""))
            number = stage.release if stage is not None and stage.release is not None else 1
            request["if_release"] = number if believed == "right" else number + 1
        execution = self.play.begin(request)
        self.did(request["operation"])
        self.play.get_on(execution, min(far, 25))
        return execution

    def _stage(self, which: int, fit: Callable[[StageStory | None], bool]) -> str:
        """A stage that fits, most of the time and if there is one."""
        names = [name for name in STAGES if fit(self.play.story.stages.get(name))]
        names = names if names and which < 90 else list(STAGES)
        return names[which % len(names)]

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

    def rollback(self, far: int, which: int, to: int, how: dict[str, str], believed: str) -> None:
        choices: list[dict[str, Any]] = [{}] * 7 + [{"to": {"steps": 1}}, {"to": {"steps": 2}}]
        choices += [{"to": {"release": n}} for n in (1, 2, 3)]
        stage = self._stage(which, lambda stage: stage is not None and bool(stage.way_back))
        self._begin({"operation": "rollback", "stage": stage, **choices[to], **how}, far, believed)

    def reset(self, far: int, which: int, to: int, how: dict[str, str], believed: str) -> None:
        stage = self._stage(which, lambda stage: stage is not None)
        releases = sorted(self.play.story.releases)
        if to < 8:
            where: dict[str, Any] = {"release": releases[-1 - to % len(releases)] + (to == 7)}
        else:
            where = {"stage": STAGES[to - 8]}
        self._begin({"operation": "reset", "stage": stage, "to": where, **how}, far, believed)

    def clone(self, far: int, which: int, to: int) -> None:
        stage = self._stage(which, lambda stage: stage is None)
        other = self._stage(to * 8, lambda stage: stage is not None)
        self._begin({"operation": "clone", "stage": stage, "from": {"stage": other}}, far)

    def tear_down(self, far: int, which: int, confirmed: bool, believed: str, late: int | None) -> None:
        stage = self._stage(which, lambda stage: stage is not None)
        request = {"operation": "teardown", "stage": stage, **({"confirm": stage} if confirmed else {})}
        execution = self._begin(request, far if late is None else 3, believed)
        if late is not None and execution is not None and execution.state == "TearDown":
            # A plan is not the last word: somebody comes to use a version that is about to go.
            self.hang(late, 2 * which + 1, False)
            self.play.get_on(execution, far)

    def configure(self, far: int, which: int, protected: bool, believed: str) -> None:
        self.new += 1
        stage = self._stage(which, lambda stage: stage is not None)
        said = {"protected": protected, **({"description": f"number {self.new}"} if which % 2 else {})}
        self._begin({"operation": "configure", "stage": stage, "settings": said}, far, believed)

    def look(self, far: int, what: int, stage: str) -> None:
        request = {"operation": "recover"} if what > 8 else {"operation": "verify", **({} if what < 4 else {"stage": stage})}
        self._begin(request, far)

    def sweep(self, far: int, really: bool, given: dict[str, int]) -> None:
        request = {"operation": "sweep", **({"mode": "delete"} if really else {}), **given}
        if far == 99:
            self._let_all_get_on()
        execution = self._begin(dict(request), far)
        operation = None if execution is None else self.play.operation_of(execution)
        if execution is None or operation is None or execution.output is None or operation.met:
            return
        if not really or (execution.output["deleted_count"] == 0 and len(self.play.log) % 4):
            return
        # What one sweep leaves, the next one leaves as well.
        self.did("sweep again")
        again = self.play.begin(request)
        self.play.get_on(again, 25)
        assert again.output is None or again.output["deleted_count"] == 0, f"a second sweep deletes {again.output}"
        self.happened["second sweep deleted nothing"] += again.output is not None

    def _let_all_get_on(self) -> None:
        """A quiet hour: whatever is under way comes to its end, if it does not wait for one that was stopped."""
        for _ in range(2):
            for execution in list(self.play.running):
                if execution in self.play.running:
                    self.play.get_on(execution, 25)

    # Executions go on.

    def _one(self, which: int) -> Watched:
        """One that is under way; if there is none, somebody begins one."""
        running = self.play.running
        if not running:
            self._begin_some(which)
        return running[which % len(running)] if running else self._one_that_has_not_begun()

    def _begin_some(self, which: int) -> None:
        self.new += 1
        overwrite = {"on_drift": "overwrite"}
        match which:
            case 0 | 1:
                self.rollback(0, which, 0, overwrite, "")
            case 2 | 3:
                self.reset(0, which, 1 + which, overwrite, "")
            case 4:
                self.clone(0, which, 0)
            case 5:
                self.tear_down(0, which, True, "", None)
            case 6 | 7:
                self.sweep(0, True, {"keep": 0, "rollback_depth": 1, "grace_hours": 0})
            case 8:
                self.configure(0, 1, False, "")
            case _:
                wanted = {f: _part(self.play.world, f, f"new {self.new}") for f in FUNCTIONS[: 2 + which % 2]}
                stage = STAGES[which % len(STAGES)]
                self.play.begin({"operation": "deploy", "stage": stage, "functions": wanted, **overwrite})

    def _one_that_has_not_begun(self) -> Watched:
        wanted = {f: _part(self.play.world, f, f"new {self.new}") for f in BASE}
        return self.play.begin({"operation": "deploy", "stage": "prod", "functions": wanted})

    def step(self, which: int) -> None:
        execution = self._one(which)
        self.did("step")
        self.play.step(execution)

    def run(self, which: int) -> None:
        """To its end, or until it waits for somebody."""
        execution = self._one(which)
        self.did("run")
        self.play.get_on(execution, 25)

    def step_delivered_twice(self, which: int) -> None:
        execution = self._one(which)
        self.did("delivered twice")
        execution.deliveries = 2
        self.play.step(execution)
        execution.deliveries = 1

    def stop(self, which: int, far: int, back: int) -> None:
        execution = self._at_work(which, far)
        self.did("stop")
        self.play.stop(execution)
        if back < 9:
            self.play.notice(execution, at_once=back < 7)

    def _stopped(self, which: int) -> tuple[Watched, str]:
        """One that was stopped; if there is none, somebody stops one now."""
        stopped = self.play.stopped
        if not stopped:
            self.play.stop(self._at_work(which, which % 3))
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

    def _at_work(self, which: int, far: int, states: Collection[str] = ()) -> Watched:
        """One that is under way: so many states beyond its plan if it comes that far, or wherever it is for -1; if ``states`` are
        given, about to enter one of them."""
        for attempt in range(3):
            busy = [each for each in self.play.running if not each.waits]
            if not busy and len(self.play.running) < CROWD:
                self._begin_some((which + attempt) % 12)
            execution = busy[which % len(busy)] if busy else self._one(which)
            for _ in range(8):
                done = execution.state in states if states else far < 0 or execution.state not in _EARLY
                if done or execution.state is None or (not states and execution.waits):
                    break
                self.play.step(execution)
            if execution.state is not None and done:
                break
        for _ in range(0 if states else far):
            if execution.state is not None:
                self.play.step(execution)
        return execution if execution.state is not None else self._one(which)

    def _with(self, which: int, far: int, arrange: Callable[[Watched], Mishap], states: Collection[str] = ()) -> None:
        execution = self._at_work(which, far, states)
        mishap = arrange(execution)
        operation = self.play.operation_of(execution)
        if operation is not None and not mishap.harmless:
            operation.disturbed.add(mishap.name)
        self.did(mishap.name)
        self.play.log.append(f"{mishap.name} may happen")
        self.play.step(execution)
        if mishap.happened:
            self.happened[mishap.name] += 1
            if operation is not None:
                operation.met.add(mishap.name)
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
                self._with(which, far, lambda _: mishaps.throttled(wire, at), ("Publish", "Move", "TearDown", "Collect"))
            case "busy":
                self._with(which, far, lambda _: mishaps.busy(wire, at), ("Publish",))
            case "touched":
                self._with(which, far, lambda _: mishaps.touched(wire, at), ("Publish", "Move"))
            case "table throttled":
                self._with(which, far, lambda _: mishaps.table_throttled(wire, at))
            case "denied":
                self._with(which, far, lambda _: mishaps.denied(wire, function), ("Move", "TearDown", "CleanUp"))

    def overtake(self, which: int, far: int, at: int, by_hand: str, alias: int) -> None:
        """An execution is stopped and recovered while its worker is between two calls; then the worker goes on."""
        execution = self._at_work(which, far)
        operation = self.play.operation_of(execution)
        stage = None if operation is None else operation.stage

        def first() -> None:
            own = [each for each in sorted(self.play.aws().aliases) if each[0] == stage]
            if by_hand and own:
                self._by_hand(by_hand, own[alias % len(own)], which)

        self.did("overtaken")
        self.happened["overtaken"] += self.play.overtaken(execution, at, first)

    # By hand.

    def by_hand(self, what: str, which: int, function: str, version: int) -> None:
        aliases = sorted(self.play.aws().aliases)
        if what.endswith("alias") and not aliases:
            return
        self.did(what)
        self._by_hand(what, aliases[which % len(aliases)] if what.endswith("alias") else ("", function), version)

    def _by_hand(self, what: str, place: Place, version: int) -> None:
        aws = self.play.aws()
        versions = sorted(aws.versions[place[1]])
        match what:
            case "move an alias":
                self.hands.point(place, versions[version % len(versions)])
            case "delete an alias":
                self.hands.delete_alias(place)
            case "touch an alias":
                self.hands.touch(place)
            case "weigh an alias":
                others = [number for number in versions if number != aws.aliases[place]]
                self.hands.weigh(place, others[version % len(others)] if others else None)
            case "publish":
                if version % 3:
                    # Without a change since the last version AWS makes none.
                    self._by_hand("change $LATEST", place, version)
                self.hands.publish(place[1])
            case "change $LATEST":
                self.new += 1
                self.hands.change_latest(place[1], f"by hand {self.new}")

    def _version(self, which: int) -> Version | None:
        """A version that nothing needs, if there is one, most of the time; now and then one that is about to go."""
        versions = [(f, number) for f, each in self.play.aws().versions.items() for number in each]
        torn = [each.stage for each in self.play.open() if each.kind == "teardown" and each.intent and each.intent.moves]
        going = {place for name in torn for place in self.play.story.stages[str(name)].reached_versions}
        if going and which % 2:
            chosen = [place for place in versions if place in going] or versions
        else:
            chosen = (self.play.could_go() if which < 80 else []) or versions
        return chosen[which % len(chosen)] if chosen else None

    def foreign_alias(self, which: int, version: int, weighted: bool) -> None:
        """An alias of a name that is no stage: on a version, or giving it some of its traffic."""
        chosen = self._version(which)
        if chosen is None:
            return
        function, number = chosen
        place = FOREIGN[which % len(FOREIGN)], function
        others = [each for each in sorted(self.play.aws().versions[function]) if each != number]
        if weighted and others:
            self.did("foreign alias with weights")
            self.hands.point(place, others[version % len(others)])
            self.hands.weigh(place, number)
        else:
            self.did("foreign alias")
            self.hands.point(place, number)

    def weigh(self, which: int, version: int, none: bool) -> None:
        """Routing weights of any alias come and go."""
        aws = self.play.aws()
        places = sorted(aws.weights if none and aws.weights else aws.aliases)
        if not places:
            return
        self.did("weights")
        if none and aws.weights:
            self.hands.weigh(places[which % len(places)], None)
        else:
            self._by_hand("weigh an alias", places[which % len(places)], version)

    def hang(self, what: int, which: int, on_alias: bool) -> None:
        """Something that calls a version by its number, or an alias."""
        aliases, chosen = sorted(self.play.aws().aliases), self._version(which)
        if which % 4:
            aliases = [place for place in aliases if place[0] in self.play.story.stages]
        if on_alias and aliases:
            alias, function = aliases[which % len(aliases)]
            self.did("a user of an alias")
            self.hands.hang(ON_ALIASES[what % len(ON_ALIASES)], function, alias)
        elif chosen is not None:
            function, number = chosen
            self.did("a user of a version")
            self.hands.hang(ON_VERSIONS[what % len(ON_VERSIONS)], function, str(number))

    def take_off(self, which: int) -> None:
        """What was made by hand goes again."""
        aws = self.play.aws()
        hung = [(what, f, str(number)) for (f, number), held in sorted(aws.hanging.items()) for what in sorted(held)]
        hung += [(what, f, alias) for (alias, f), held in sorted(aws.users.items()) for what in sorted(held)]
        foreign = [place for place in sorted(aws.aliases) if place[0] in FOREIGN]
        if not hung and not foreign:
            return
        self.did("taken off")
        if hung and (which % 3 or not foreign):
            self.hands.take_off(*hung[which % len(hung)])
        else:
            self.hands.delete_alias(foreign[which % len(foreign)])

    def teardown(self) -> None:
        if self.idle:
            return
        if sys.exc_info()[0] is not None:
            note(f"history {self.number} of seed {SEED}:\n" + "\n".join(self.play.log))
        else:
            self._end()

    def _end(self) -> None:
        try:
            self.play.rest()
            self.play.check_thoroughly()
            self.play.verify_all()
        except Livelock as error:
            raise AssertionError(str(error)) from error
        self.ends.update(self.play.ends)
        self.after_mishaps.update(self.play.after_mishaps)
        self.deleted.update(self.play.deleted)
        self.saved.update(self.play.saved)


def test_random_histories_stay_true(record_property: Callable[[str, object], None]) -> None:
    Histories.base = _base()
    counted = {
        "operations' ends": Histories.ends,
        "mishaps that came to be": Histories.happened,
        "committed after a mishap": Histories.after_mishaps,
        "versions deleted": Histories.deleted,
        "versions saved from a sweep by this alone": Histories.saved,
    }
    for counter in (Histories.taken, *counted.values()):
        counter.clear()
    try:
        with_room(_play_all)
    finally:
        record_property("random histories: seed", "none, the same every time" if SEED is None else SEED)
        record_property("random histories: steps", f"{Histories.taken.total()} = {_counts(Histories.taken)}")
        for what, counter in counted.items():
            record_property(f"random histories: {what}", _counts(counter))
    # Some deeds find nothing to do now and then.
    assert Histories.taken.total() >= 48 * HISTORIES, f"only {Histories.taken.total()} steps were really taken"
    # Other seeds may do without one thing or another, if there are few histories.
    if (38 if SEED is None else 200) <= HISTORIES:
        _check_that_it_was_not_idle()


def _play_all() -> None:
    """One after the other, each from its own seed.

    In a single run hypothesis would make most of its examples from others, by copying parts of them: far fewer histories than
    it seems.
    """
    for number in range(FIRST, FIRST + HISTORIES):
        machine = seed(int(SEED or 0) * 1_000_000 + number)(Histories)
        Histories.number = number
        how = settings(
            max_examples=2,
            stateful_step_count=STEPS + 1,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink) if SHRINK else (Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(machine, settings=how)
        if number % 10 == 9:
            gc.collect()  # an account and what watches it know each other


def _check_that_it_was_not_idle() -> None:
    """Histories in which nothing is committed, deleted or saved would prove nothing."""
    for kind in KINDS:
        committed = Histories.ends[f"{kind} committed"] + Histories.ends[f"{kind} ended"]
        assert committed >= 10, f"only {committed} times was a {kind} committed"
    assert Histories.after_mishaps.total() >= 30, f"only {Histories.after_mishaps} were committed after a mishap"
    assert Histories.deleted["sweep"] >= 30, f"sweeps deleted {Histories.deleted['sweep']} versions"
    assert Histories.happened["second sweep deleted nothing"] >= 10
    for hold in HOLDS:
        assert Histories.saved[hold] > 0, f"{hold} never saved a version from a sweep"


def _counts(counted: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counted.most_common())
