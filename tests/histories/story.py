"""The small model: what stages serve, how they came there, and what a request ought to come to.

Made from the requests and from what was done by hand, by the words of the design; it knows none of the product's decisions.
Must not read anything: AWS's versions and aliases are handed in as a snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .reality import Aws, Content, Place, Version, code_digest

#: Releases that no stage ever served are kept while they are among so many newest ones (design, section 6).
NEWEST_RELEASES = 10

Request = Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    """A movement in the ledger."""

    source: int | None
    target: int | None
    operation: str
    operation_id: str


@dataclass
class StageStory:
    """A stage that exists. ``serves``: function -> version by the record, also of kept functions. ``reached`` are the releases
    and versions of its life."""

    release: int | None
    way_back: list[int]
    serves: dict[str, int]
    mixed: bool = False
    protected: bool = False
    description: str = ""
    reached: set[int] = field(default_factory=set)
    reached_versions: set[Version] = field(default_factory=set)


@dataclass(frozen=True)
class Intent:
    """What a request ought to come to if nothing disturbs it: one of ``outcomes``.

    ``release`` None: the one of this content, whatever its number. ``dropped`` are functions whose aliases go at the end.
    ``tries``: it finds out only midway that it cannot be done, and puts back what it moved by then.
    """

    outcomes: frozenset[str]
    stage: str | None = None
    content: Mapping[str, Content] = field(default_factory=dict)
    release: int | None = None
    way_back: tuple[int, ...] = ()
    popped: tuple[int, ...] = ()
    dropped: frozenset[str] = frozenset()
    tries: bool = False

    @property
    def moves(self) -> bool:
        return "succeeded" in self.outcomes

    @property
    def acts(self) -> bool:
        return self.moves or self.tries


def _refused(*codes: str) -> Intent:
    return Intent(frozenset(codes))


@dataclass
class Story:
    """``aliases`` is what AWS ought to show, hand-made changes included. Times are epoch seconds, never later than the truth.

    ``weights``, ``hanging`` and ``users`` are what somebody gave to an alias, or hung on a version or an alias, by hand.
    ``writers``: whose write of $LATEST's code, and of its configuration, is there now; None is nobody's who failed.
    ``interrupted``: the deploys that were under way when a hand changed $LATEST.
    ``strangers`` are versions published by hand, ``doubtful`` those of them that an operation under way may take for its own.
    """

    stages: dict[str, StageStory] = field(default_factory=dict)
    ledgers: dict[str, list[Line]] = field(default_factory=dict)
    releases: dict[int, Mapping[str, Content]] = field(default_factory=dict)
    last_release: int = 0
    aliases: dict[Place, int] = field(default_factory=dict)
    weights: dict[Place, int] = field(default_factory=dict)
    hanging: dict[Version, set[str]] = field(default_factory=dict)
    users: dict[Place, set[str]] = field(default_factory=dict)
    strangers: set[Version] = field(default_factory=set)
    doubtful: set[Version] = field(default_factory=set)
    published_at: dict[Version, float] = field(default_factory=dict)
    left_at: dict[Version, float] = field(default_factory=dict)
    popped_at: dict[int, float] = field(default_factory=dict)
    writers: dict[str, dict[str, str | None]] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    interrupted: dict[str, set[str]] = field(default_factory=dict)

    # What a request ought to come to.

    def expect(self, request: Request, aws: Aws) -> Intent:
        match request["operation"]:
            case "deploy":
                intent = self._deploy(request, aws)
                unclear = any("code" not in wish and self.may_be_left_over(f) for f, wish in request["functions"].items())
                return replace(intent, outcomes=intent.outcomes | {"FunctionNotReady"}) if unclear else intent
            case "rollback":
                return self._rollback(request, aws)
            case "reset" | "clone":
                return self._reset_or_clone(request, aws)
            case "teardown":
                return self._teardown(request, aws)
            case "configure":
                return self._configure(request)
        raise AssertionError(f"{request['operation']} has no plan")

    def _stage_moved(self, request: Request) -> bool:
        serves = self.stages[request["stage"]].release if request.get("stage") in self.stages else None
        return "if_release" in request and request["if_release"] != serves

    def _deploy(self, request: Request, aws: Aws) -> Intent:
        name = request.get("stage")
        stage = self.stages.get(name) if name is not None else None
        if request.get("partial") and stage is None:
            return _refused("StageNotFound")
        if self._stage_moved(request):
            return _refused("StageMoved")
        wanted = {f: self._wanted(f, wish, aws) for f, wish in request["functions"].items()}
        problems = {"FunctionNotReady" for f, wish in request["functions"].items() if "code" not in wish and self.left_over(f)}
        content = dict(wanted)
        if request.get("partial") and stage is not None and stage.release is not None:
            kept = {f: part for f, part in self.releases[stage.release].items() if f not in wanted}
            content |= kept
            unserved = [f for f in kept if stage.mixed or f not in stage.serves]
            problems |= {"VersionMissing" for f in unserved if not aws.having(f, kept[f])}
        if name is not None:
            problems |= self._alias_problems(name, content, request, aws)
        if problems:
            return _refused(*problems)
        number = next((n for n, known in self.releases.items() if known == content), None)
        if name is None:
            there = number is not None and all(self._ours(aws, f, part) for f, part in content.items())
            return Intent(frozenset({"unchanged"} if there else {"succeeded"}), None, content, number)
        way_back = self._pushed(stage, number)
        others = frozenset() if stage is None else frozenset(stage.serves) - set(content)
        dropped = frozenset() if request.get("partial") else others
        settled = stage is not None and not stage.mixed and not dropped and number is not None and stage.release == number
        outcomes = self._whether_unchanged(name, settled, content, aws)
        return self._past_weights(Intent(outcomes, name, content, number, way_back, dropped=dropped), request, aws)

    def _wanted(self, function: str, wish: Request, aws: Aws) -> Content:
        code, memory = aws.latest[function]
        if "code" in wish:
            code = code_digest(function, wish["code"]["s3_key"].rpartition("/")[2].removesuffix(".zip"))
        return code, wish.get("configuration", {}).get("MemorySize", memory)

    def _ours(self, aws: Aws, function: str, content: Content) -> bool:
        return any((function, n) not in self.strangers for n in aws.having(function, content))

    def _pushed(self, stage: StageStory | None, number: int | None) -> tuple[int, ...]:
        if stage is None or stage.release is None or stage.release == number:
            return () if stage is None else tuple(stage.way_back)
        return (stage.release, *stage.way_back)

    def _rollback(self, request: Request, aws: Aws) -> Intent:
        stage = self.stages.get(request["stage"])
        if stage is None:
            return _refused("StageNotFound")
        if self._stage_moved(request):
            return _refused("StageMoved")
        to = request.get("to", {})
        if "release" in to:
            number = to["release"]
            if number not in (stage.release, *stage.way_back):
                return _refused("ReleaseNotFound")
            steps = 0 if number == stage.release else stage.way_back.index(number) + 1
        elif "steps" not in to and stage.mixed and stage.release is not None:
            steps = 0
        else:
            steps = to.get("steps", 1)
            if steps > len(stage.way_back):
                return _refused("NothingToRollBack")
        target = stage.release if steps == 0 else stage.way_back[steps - 1]
        assert target is not None
        if target == stage.release:
            steps = 0
        return self._restored(request, target, tuple(stage.way_back[steps:]), tuple(stage.way_back[:steps]), aws)

    def _reset_or_clone(self, request: Request, aws: Aws) -> Intent:
        name, clone = request["stage"], request["operation"] == "clone"
        choice = request["from"] if clone else request["to"]
        if not clone and name not in self.stages:
            return _refused("StageNotFound")
        if "stage" in choice and choice["stage"] not in self.stages:
            return _refused("StageNotFound")
        if clone and name in self.stages:
            return _refused("StageExists")
        if self._stage_moved(request):
            return _refused("StageMoved")
        number = self.stages[choice["stage"]].release if "stage" in choice else choice["release"]
        if number is None or number not in self.releases:
            return _refused("ReleaseNotFound")
        way_back = () if clone else self._pushed(self.stages[name], number)
        return self._restored(request, number, way_back, (), aws)

    def _restored(self, request: Request, number: int, way_back: tuple[int, ...], popped: tuple[int, ...], aws: Aws) -> Intent:
        name, content = request["stage"], self.releases[number]
        problems = self._alias_problems(name, content, request, aws)
        problems |= {"VersionMissing" for f, part in content.items() if not aws.having(f, part)}
        if problems:
            return _refused(*problems)
        stage = self.stages.get(name)
        settled = stage is not None and stage.release == number and not stage.mixed
        outcomes = self._whether_unchanged(name, settled, content, aws)
        if any(not self._ours(aws, f, part) for f, part in content.items()):
            outcomes |= {"VersionMissing"}  # nobody recorded the one that has the content by chance
        return self._past_weights(Intent(outcomes, name, content, number, way_back, popped), request, aws)

    def _past_weights(self, intent: Intent, request: Request, aws: Aws) -> Intent:
        """Only who moves an alias sees its routing weights; they are drift then, and nothing before has shown them."""
        assert intent.stage is not None
        serves = self.stages[intent.stage].serves if intent.stage in self.stages else {}
        weighted = [f for f in intent.content if f in serves and (intent.stage, f) in aws.weights]
        moved = [f for f in weighted if aws.content(f, serves[f]) != intent.content[f]]
        doubtful = [f for f in weighted if len(aws.having(f, intent.content[f])) > 1]
        if request.get("on_drift") == "overwrite" or not (moved or doubtful):
            return intent
        before = intent.outcomes - {"succeeded", "unchanged"} if moved else intent.outcomes
        return replace(intent, outcomes=before | {"Drifted"}, tries=True)

    def _alias_problems(self, name: str, content: Mapping[str, Content], request: Request, aws: Aws) -> set[str]:
        serves = self.stages[name].serves if name in self.stages else {}
        drifted = any(aws.aliases.get((name, f)) != version for f, version in serves.items())
        problems = {"AliasOwnedElsewhere" for f in content if f not in serves and (name, f) in aws.aliases}
        return problems | ({"Drifted"} if drifted and request.get("on_drift") != "overwrite" else set())

    def _whether_unchanged(self, name: str, settled: bool, content: Mapping[str, Content], aws: Aws) -> frozenset[str]:
        """Whether a stage whose pointer is right already is all as it ought to be."""
        serves = self.stages[name].serves if name in self.stages else {}
        right = settled and all(aws.aliases.get((name, f)) == version for f, version in serves.items())
        right = right and all(f in serves and aws.content(f, serves[f]) == part for f, part in content.items())
        if not right:
            return frozenset({"succeeded"})
        twice = any(len(aws.having(f, part)) > 1 for f, part in content.items())
        return frozenset({"unchanged", "succeeded"} if twice else {"unchanged"})

    def _teardown(self, request: Request, aws: Aws) -> Intent:
        stage = self.stages.get(request["stage"])
        if stage is None:
            return _refused("StageNotFound")
        if self._stage_moved(request):
            return _refused("StageMoved")
        if stage.protected and request.get("confirm") != request["stage"]:
            return _refused("StageProtected")
        if "confirm" not in request and any(aws.users.get((request["stage"], f)) for f in stage.serves):
            return _refused("StageInUse")
        return Intent(frozenset({"succeeded"}), request["stage"], dropped=frozenset(stage.serves))

    def _configure(self, request: Request) -> Intent:
        stage = self.stages.get(request["stage"])
        if stage is None:
            return _refused("StageNotFound")
        if self._stage_moved(request):
            return _refused("StageMoved")
        settings = request["settings"]
        same = stage.protected == settings.get("protected", stage.protected)
        same = same and stage.description == settings.get("description", stage.description)
        return Intent(frozenset({"unchanged"} if same else {"succeeded"}), request["stage"])

    def left_over(self, function: str) -> bool:
        """Whether $LATEST of the function holds what a failed deploy left there."""
        return not self.failed.isdisjoint(w for w in self.writers.get(function, {}).values() if w is not None)

    def may_be_left_over(self, function: str) -> bool:
        """Whether a failed deploy may take for its own what a hand put there while it was under way."""
        return not self.failed.isdisjoint(self.interrupted.get(function, ()))

    # What needs a version.

    def why_kept(
        self, function: str, version: int, aws: Aws, depth: int, grace: float, now: float, ignoring: str | None = None
    ) -> str | None:
        """Why a sweep must not delete a version, but for ``keep``; None if nothing needs it. Without the hold ``ignoring``."""
        content, place = aws.content(function, version), (function, version)
        containing = {n for n, release in self.releases.items() if release.get(function) == content}
        held = [why for kind, why in aws.held_by(function, version).items() if kind != ignoring]
        if held:
            return held[0]
        if place in self.strangers and place not in self.doubtful:
            return "it was published by hand"
        for name, stage in self.stages.items():
            if stage.release in containing or stage.serves.get(function) == version:
                return f"stage {name} serves it"
            if not containing.isdisjoint(stage.way_back[:depth]):
                return f"the way back of stage {name} reaches it"
        if any(now - self.popped_at[n] < grace for n in containing if n in self.popped_at):
            return "it was popped lately"
        if not containing.isdisjoint(self._unserved()):
            return "it was never served and is new"
        touched = max(self.left_at.get(place, 0.0), self.published_at.get(place, 0.0))
        return "it was displaced or published lately" if now - touched < grace else None

    def why_kept_by_others(self, torn: str, function: str, version: int, aws: Aws) -> str | None:
        """Why the teardown of stage ``torn`` must not delete a version; None if only that stage ever reached it."""
        content, place = aws.content(function, version), (function, version)
        containing = {n for n, release in self.releases.items() if release.get(function) == content}
        held = list(aws.held_by(function, version, but=torn).values())
        if held:
            return held[0]
        if place in self.strangers and place not in self.doubtful:
            return "it was published by hand"
        for name, stage in self.stages.items():
            reached = place in stage.reached_versions or not containing.isdisjoint(stage.reached)
            if name == torn and not reached:
                return f"stage {torn} never reached it"
            if name != torn and reached:
                return f"stage {name} reached it"
        return "it was never served and is new" if not containing.isdisjoint(self._unserved()) else None

    def _unserved(self) -> set[int]:
        newest = sorted(self.releases, reverse=True)[:NEWEST_RELEASES]
        served = {line.target for ledger in self.ledgers.values() for line in ledger} | {s.release for s in self.stages.values()}
        return set(newest) - {number for number in served if number is not None}
