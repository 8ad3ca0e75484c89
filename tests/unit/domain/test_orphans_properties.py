"""Whatever a service went through, a sweep and a teardown take nothing that anybody can still reach.

Histories are played on a small world that knows which version every alias served and when it left it; the decision knows only
what would be on record. So what the ledger tells of the past is checked against what really happened.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from stagekeeper.domain.ledger import choose_rollback, popped, pushed, taken_off
from stagekeeper.domain.model import (
    FunctionArn,
    LogicalName,
    Release,
    ReleaseNumber,
    ServedAlias,
    Stage,
    StageName,
    VersionNumber,
)
from stagekeeper.domain.orphans import (
    FoundVersion,
    FunctionFacts,
    SweepSettings,
    orphans,
    orphans_of_stage,
)
from stagekeeper.domain.reach import PastMovement, ServiceFacts, index, unheld_functions
from tests.unit.domain.builders import arn, part

FUNCTIONS = {arn(name): LogicalName(name) for name in ("api", "web")}
STAGES = [StageName(name) for name in ("dev", "prod")]
HOUR = 3600.0

Numbered = tuple[FunctionArn, VersionNumber]


@dataclass
class World:
    """A service of two functions, on AWS and on record. ``left`` is not on record: when an alias really left a version."""

    settings: SweepSettings
    now: float = 1_000_000.0
    versions: dict[Numbered, FoundVersion] = field(default_factory=dict)
    published: dict[FunctionArn, int] = field(default_factory=dict)
    releases: list[Release] = field(default_factory=list)
    stages: dict[StageName, Stage] = field(default_factory=dict)
    movements: list[PastMovement] = field(default_factory=list)
    left: dict[Numbered, float] = field(default_factory=dict)
    taken_off: list[tuple[ReleaseNumber, float]] = field(default_factory=list)
    served: dict[StageName, set[Numbered]] = field(default_factory=dict)

    # What can be asked.

    def service(self) -> ServiceFacts:
        return ServiceFacts(list(self.stages.values()), self.releases, self.movements, {})

    def function(self, where: FunctionArn) -> FunctionFacts:
        aliases: dict[VersionNumber, list[str]] = {}
        for stage in self.stages.values():
            if where in stage.aliases:
                aliases.setdefault(stage.aliases[where].version, []).append(stage.name)
        found = [version for (at, _), version in self.versions.items() if at == where]
        return FunctionFacts(FUNCTIONS[where], where, found, aliases, {})

    def orphans(self, settings: SweepSettings) -> set[Numbered]:
        service = index(self.service())
        verdicts = [verdict for where in FUNCTIONS for verdict in orphans(self.function(where), service, settings, self.now)]
        return {(verdict.arn, verdict.version) for verdict in verdicts if verdict.remove}

    def release(self, number: ReleaseNumber) -> Release:
        return next(release for release in self.releases if release.number == number)

    def realised(self, release: Release) -> dict[FunctionArn, VersionNumber]:
        """Where the release's functions exist: the newest version of each."""
        found: dict[FunctionArn, VersionNumber] = {}
        for member in release.functions.values():
            same = [
                number for (at, number), known in self.versions.items() if (at, known.content) == (member.arn, member.content)
            ]
            if same:
                found[member.arn] = max(same)
        return found

    def promised(self, depth: int) -> dict[tuple[StageName, int], dict[FunctionArn, VersionNumber]]:
        """Per stage and number of steps, the functions that a rollback finds a version of."""
        reach: dict[tuple[StageName, int], dict[FunctionArn, VersionNumber]] = {}
        for stage in self.stages.values():
            for steps in range(1, min(depth, len(stage.way_back)) + 1):
                chosen = choose_rollback(stage, None, steps)
                assert isinstance(chosen, int)
                reach[stage.name, steps] = self.realised(self.release(ReleaseNumber(chosen)))
            if stage.mixed and stage.release is not None:
                reach[stage.name, 0] = self.realised(self.release(stage.release))
        return reach

    def built(self) -> list[dict[FunctionArn, VersionNumber]]:
        """Where the newest releases exist that no stage ever served."""
        served = {movement.to_release for movement in self.movements}
        return [self.realised(release) for release in self.releases[-10:] if release.number not in served]

    def just_popped(self) -> list[dict[FunctionArn, VersionNumber]]:
        """Where the releases exist that a rollback took off a way back within the grace period."""
        return [
            self.realised(self.release(number)) for number, at in self.taken_off if self.now - at < self.settings.grace_seconds
        ]

    # What can happen.

    def build(self, codes: dict[str, str]) -> Release:
        functions = {LogicalName(name): part(name, code) for name, code in codes.items()}
        equal = next((release for release in self.releases if release.functions == functions), None)
        release = equal or Release(ReleaseNumber(len(self.releases) + 1), functions)
        if equal is None:
            self.releases.append(release)
        exists = self.realised(release)
        for member in functions.values():
            if member.arn not in exists:
                number = VersionNumber(self.published.get(member.arn, 0) + 1)
                self.published[member.arn] = number.value
                self.versions[member.arn, number] = FoundVersion(number, 1, True, self.now, member.content)
        return release

    def deploy(self, name: StageName, codes: dict[str, str]) -> None:
        release = self.build(codes)
        stage = self.stages.get(name)
        self._move(name, release, pushed(stage, release.number), drop=True)

    def rollback(self, name: StageName, steps: int) -> None:
        stage = self.stages.get(name)
        if stage is None or steps > len(stage.way_back):
            return
        release = self.release(stage.way_back[steps - 1])
        if len(self.realised(release)) == len(release.functions):
            lines = len(self.movements)
            self._move(name, release, popped(stage, release.number, steps), drop=False)
            # One to what is served already is no movement and takes nothing off.
            if len(self.movements) > lines:
                self.taken_off += [(number, self.now) for number in stage.way_back[:steps]]

    def reset(self, name: StageName, number: int) -> None:
        stage = self.stages.get(name)
        if stage is None or number > len(self.releases):
            return
        release = self.releases[number - 1]
        if len(self.realised(release)) == len(release.functions):
            self._move(name, release, pushed(stage, release.number), drop=False)

    def fail(self, name: StageName, codes: dict[str, str]) -> None:
        """A deploy that moved one alias, failed, and could not put it back.

        Not twice in a row: failures have no line in the ledger, so what only the first one served is nowhere on record.
        """
        stage = self.stages.get(name)
        if stage is None or stage.mixed:
            return
        release = self.build(codes)
        aliases = dict(stage.aliases)
        for where, number in list(self.realised(release).items())[:1]:
            self._serve(name, aliases, where, number)
        self.stages[name] = replace(stage, aliases=aliases, mixed=True)

    def tear_down(self, name: StageName) -> None:
        if name not in self.stages:
            return
        stage, service = self.stages[name], index(self.service())
        others = {other: at for other, at in self.stages.items() if other != name}
        verdicts = [verdict for where in FUNCTIONS for verdict in orphans_of_stage(stage, self.function(where), service)]
        gone = {(verdict.arn, verdict.version) for verdict in verdicts if verdict.remove}
        own = self.served.pop(name) & self.versions.keys()
        self._move(name, None, (), drop=True)
        before, built = self.promised(100), self.built()
        for numbered in gone:
            del self.versions[numbered]
        assert own <= {(verdict.arn, verdict.version) for verdict in verdicts}, "all that it served is judged"
        assert self.promised(100) == before, "ways back of others"
        assert self.built() == built, "built, never served"
        assert not gone & {numbered for other in others for numbered in self.served[other]}, "served by others in their lives"
        self._check_that_aliases_work()

    def sweep(self) -> None:
        gone = self.orphans(self.settings)
        before, built, just_popped = self.promised(self.settings.rollback_depth), self.built(), self.just_popped()
        for numbered in gone:
            found = self.versions.pop(numbered)
            for moment in (found.published_at, self.left.get(numbered)):
                assert moment is None or self.now - moment >= self.settings.grace_seconds
        assert self.promised(self.settings.rollback_depth) == before
        assert (self.built(), self.just_popped()) == (built, just_popped)
        self._check_that_aliases_work()
        assert not self.orphans(self.settings), "a second sweep finds nothing"

    def wait(self, hours: int) -> None:
        self.now += hours * HOUR

    def _check_that_aliases_work(self) -> None:
        for stage in self.stages.values():
            assert {(where, alias.version) for where, alias in stage.aliases.items()} <= self.versions.keys()

    def _serve(self, name: StageName, aliases: dict[FunctionArn, ServedAlias], where: FunctionArn, number: VersionNumber) -> None:
        if where in aliases and aliases[where].version != number:
            self.left[where, aliases[where].version] = self.now
        aliases[where] = ServedAlias(FUNCTIONS[where], number, None)
        self.served.setdefault(name, set()).add((where, number))

    def _move(self, name: StageName, release: Release | None, way_back: tuple[ReleaseNumber, ...], *, drop: bool) -> None:
        """Put the aliases on the release, and the line into the ledger: none if nothing changes."""
        stage = self.stages.get(name) or Stage(name, None, (), {}, movements=len(self.movements))
        old = {where: alias.version for where, alias in stage.aliases.items()}
        aliases = dict(stage.aliases)
        wanted = {} if release is None else self.realised(release)
        for where, number in wanted.items():
            self._serve(name, aliases, where, number)
        for where in (old.keys() - wanted.keys()) if drop else ():
            self.left[where, aliases.pop(where).version] = self.now
        new = {where: alias.version for where, alias in aliases.items()}
        if release is not None and release.number == stage.release and old == new and not stage.mixed:
            return
        told = set() if stage.release is None else {(m.arn, m.content) for m in self.release(stage.release).functions.values()}
        after = None if release is None else release.number
        displaced = {
            where: number
            for where, number in old.items()
            if new.get(where) != number
            and ((where, self.versions[where, number].content) not in told or stage.mixed or stage.release == after)
        }
        off = taken_off(stage.way_back, way_back) if release is not None else ()
        line = stage.movements + 1
        self.movements.append(PastMovement(name, line, stage.release, after, self.now, off, displaced))
        if release is None:
            del self.stages[name]
        else:
            self.stages[name] = Stage(name, release.number, way_back, aliases, movements=line)


Step = Callable[[World], object]

NAMES = st.sampled_from(STAGES)
CODES = st.builds(
    lambda api, web: {"api": api} | ({"web": web} if web else {}), st.sampled_from("ABC"), st.sampled_from(["", "A", "B", "C"])
)


def step(method: Callable[..., object], *arguments: st.SearchStrategy[object]) -> st.SearchStrategy[Step]:
    return st.tuples(*arguments).map(lambda drawn: lambda world: method(world, *drawn))


STEPS = st.one_of(
    step(World.deploy, NAMES, CODES),
    step(World.deploy, NAMES, CODES),
    step(World.build, CODES),
    step(World.rollback, NAMES, st.integers(1, 3)),
    step(World.reset, NAMES, st.integers(1, 6)),
    step(World.fail, NAMES, CODES),
    step(World.tear_down, NAMES),
    step(World.sweep),
    step(World.wait, st.sampled_from([30, 5, 1])),
)
SETTINGS = st.builds(SweepSettings, st.sampled_from([0, 0, 1, 2]), st.integers(0, 3), st.sampled_from([24 * HOUR, 4 * HOUR, 0.0]))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A service after any history, in which every sweep and every teardown was checked."""
    world = World(draw(SETTINGS))
    for happens in draw(st.lists(STEPS, min_size=8, max_size=40)):
        happens(world)
    return world


@settings(max_examples=300)
@given(worlds())
def test_nothing_that_anybody_can_reach_is_ever_removed(world: World) -> None:
    """The steps check it; at the end, everything there is to sweep is swept."""
    world.sweep()
    world.wait(1_000)
    world.sweep()


@given(worlds())
def test_in_the_end_everything_goes_that_nobody_can_reach(world: World) -> None:
    world.wait(1_000)
    world.settings = SweepSettings(0, world.settings.rollback_depth, 0)
    world.sweep()
    needed = {(where, alias.version) for stage in world.stages.values() for where, alias in stage.aliases.items()}
    promised = [*world.promised(world.settings.rollback_depth).values(), *world.built()]
    promised += [world.realised(world.release(stage.release)) for stage in world.stages.values() if stage.release is not None]
    assert world.versions.keys() == needed | {numbered for found in promised for numbered in found.items()}


@given(worlds(), SETTINGS, st.integers(0, 3), st.integers(0, 3), st.sampled_from([0.0, HOUR, 30 * HOUR]))
def test_more_to_keep_never_removes_more(world: World, less: SweepSettings, keep: int, depth: int, grace: float) -> None:
    more = SweepSettings(less.keep + keep, less.rollback_depth + depth, less.grace_seconds + grace)
    assert world.orphans(more) <= world.orphans(less)


@given(worlds(), SETTINGS, st.randoms(use_true_random=False))
def test_the_order_of_the_facts_does_not_matter(world: World, settings: SweepSettings, lots: random.Random) -> None:
    service = world.service()
    mixed_up = ServiceFacts(
        stages=lots.sample(list(service.stages), len(service.stages)),
        releases=lots.sample(list(service.releases), len(service.releases)),
        movements=lots.sample(list(service.movements), len(service.movements)),
        in_flight={},
    )
    for where in FUNCTIONS:
        function = world.function(where)
        other_way_round = replace(
            function,
            versions=lots.sample(list(function.versions), len(function.versions)),
            aliases={version: names[::-1] for version, names in function.aliases.items()},
        )
        in_order = orphans(function, index(service), settings, world.now)
        assert orphans(other_way_round, index(mixed_up), settings, world.now) == in_order
        for stage in world.stages.values():
            torn = orphans_of_stage(stage, function, index(service))
            assert orphans_of_stage(stage, other_way_round, index(mixed_up)) == torn


@given(worlds())
def test_a_function_whose_claim_is_freed_is_on_no_stage_and_on_no_way_back(world: World) -> None:
    free = unheld_functions(index(world.service()), FUNCTIONS, 100, math.inf)
    assert not free & {where for stage in world.stages.values() for where in stage.aliases}
    assert not free & {where for found in [*world.promised(100).values(), *world.built()] for where in found}
