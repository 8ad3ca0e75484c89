"""A stage's lines: whose they are, what is told beside them, and going on with them while the stage moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest
from botocore.exceptions import EndpointConnectionError

from stagekeeper.aws.errors import CallFailed, Throttled, Unanswered
from stagekeeper.cli.endings import CommandFailed
from stagekeeper.cli.logs import (
    LATEST,
    OVERLAP,
    PATIENCE,
    RECORD_EVERY,
    SOONEST,
    Asked,
    Follower,
    Line,
    check_functions,
    lines,
    moved,
    newest,
    pause,
    remarks,
)
from stagekeeper.cli.served import StageRecord
from stagekeeper.domain.model import LogicalName, ReleaseNumber, Stage, StageName, VersionNumber
from stagekeeper.domain.served import GRACE_SECONDS, Contents, Held, Move, Window
from tests.fake import AwsError

from .books import NOON, ORDERS, arn, stage
from .logged import Logged

PROD = StageName("prod")
API = arn("Api")


def contents(**releases: int) -> Contents:
    """``r7=13``: r7 has one function, Api, whose content version 13 carries."""
    return {
        ReleaseNumber(int(name[1:])): {API: Held(LogicalName("Api"), VersionNumber(version))}
        for name, version in releases.items()
    }


def record(now: Stage | None, *moves: Move, others: Sequence[Stage] = (), **releases: int) -> StageRecord:
    beside = [StageRecord(other.name, other, (), (), {}) for other in others]
    return StageRecord(PROD, now, beside, moves, contents(**releases))


def move(at: float, left: int | None, to: int | None) -> Move:
    """A move at a second from noon, that took two seconds."""
    numbers = [None if number is None else ReleaseNumber(number) for number in (left, to)]
    return Move(NOON + at - 2, NOON + at, numbers[0], numbers[1])


@pytest.fixture
def logged() -> Logged:
    made = Logged()
    made.function("Api")
    return made


# Lines of a window.


def shown(logged: Logged, at: StageRecord, since: float, until: float, *functions: str) -> list[tuple[str, int, str]]:
    window = Window(NOON + since, NOON + until)
    served = Asked(ORDERS, at, frozenset(functions)).timeline(at, window).served
    return [(line.function, line.version.value, line.message) for line in lines(logged.events, served, None)]


def test_lines_of_all_functions_come_in_the_order_of_time(logged: Logged) -> None:
    logged.function("Worker")
    for seconds, (name, version) in enumerate([("Api", 2), ("Worker", 1), ("Worker", 1), ("Api", 2)]):
        logged.say(name, version, seconds, str(seconds))

    found = shown(logged, record(stage("prod", 7, Api=2, Worker=1)), 0, 60)

    assert found == [("Api", 2, "0"), ("Worker", 1, "1"), ("Worker", 1, "2"), ("Api", 2, "3")]


def test_each_versions_lines_count_only_while_the_stage_served_it(logged: Logged) -> None:
    """Version 2 is another stage's before the move, version 1 another's long after it."""
    for seconds, version in [(-30, 1), (-20, 2), (10, 2), (20, 1), (GRACE_SECONDS + 10, 1)]:
        logged.say("Api", version, seconds, f"{seconds:.0f}")
    at = record(stage("prod", 7, Api=2), move(0, 6, 7), r6=1, r7=2)

    found = shown(logged, at, -60, 3600)

    assert [(version, message) for _, version, message in found] == [(1, "-30"), (2, "10"), (1, "20")]


def test_only_of_the_functions_that_were_asked_for(logged: Logged) -> None:
    logged.function("Worker")
    for name in ("Api", "Worker"):
        logged.say(name, 1, 0, name)

    assert shown(logged, record(stage("prod", 7, Api=1, Worker=1)), 0, 60, "Worker") == [("Worker", 1, "Worker")]


def test_a_line_says_where_it_lies(logged: Logged) -> None:
    logged.say("Api", 1, 0.25, "here")
    at = record(stage("prod", 7, Api=1))

    (line,) = lines(logged.events, at.timeline(Window(NOON, NOON + 1)).served, None)

    assert (line.at, line.group, line.stream[:14]) == (NOON + 0.25, "/aws/lambda/orders-api", "2027/07/14/[1]")


@pytest.mark.parametrize(("limit", "left"), [(None, ["1", "2", "3"]), (2, ["2", "3"]), (9, ["1", "2", "3"])])
def test_a_limit_leaves_the_newest(limit: int | None, left: list[str]) -> None:
    found = (Line(0, LogicalName("Api"), VersionNumber(1), text, "g", "s", text) for text in "123")

    assert [line.message for line in newest(found, limit)] == left


def test_a_function_that_the_stage_neither_has_nor_had_is_refused() -> None:
    window = Window(NOON - 60, NOON + 60)
    gone = Move(NOON - 2, NOON, ReleaseNumber(6), ReleaseNumber(7), {arn("Mailer"): VersionNumber(3)})
    at = record(stage("prod", 7, Api=1, Worker=1), gone, r6=1, r7=1)

    check_functions(Asked(ORDERS, at, frozenset({"Api", "orders-mailer"})), window)
    with pytest.raises(CommandFailed, match=r"has no function Nobody\. It has Api, Worker, orders-mailer\."):
        check_functions(Asked(ORDERS, at, frozenset({"Api", "Nobody"})), window)


# What is told beside them.


def told(at: StageRecord, *functions: str) -> list[str]:
    return remarks(at, Asked(ORDERS, at, frozenset(functions)).timeline(at, Window(NOON - 60, NOON + 60)))


def test_that_another_stage_serves_the_same_version_is_told() -> None:
    others = [stage("qa", 7, Api=2, Worker=1), stage("dev", 8, Api=3)]

    assert told(record(stage("prod", 7, Api=2, Worker=1), others=others)) == [
        "qa served the same versions of Api, Worker then: its lines are here too."
    ]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("qa",), "qa served the same version of Api then: its lines are here too."),
        (("qa", "local"), "local and qa served the same version of Api then: their lines are here too."),
        (
            ("a", "b", "c", "d", "e", "f", "g"),
            "a, b, c, d, e and 2 more served the same version of Api then: their lines are here too.",
        ),
    ],
)
def test_all_stages_that_share_are_told_in_one_line(names: Sequence[str], said: str) -> None:
    assert told(record(stage("prod", 7, Api=2), others=[stage(name, 7, Api=2) for name in names])) == [said]


def test_what_another_stage_shares_of_functions_that_nobody_asked_for_is_not_told() -> None:
    at = record(stage("prod", 7, Api=2, Worker=1), others=[stage("qa", 7, Worker=1)])

    assert told(at, "Api") == []


def test_of_many_functions_few_are_named() -> None:
    versions = {f"F{number}": 1 for number in range(8)}
    at = record(stage("prod", 7, **versions), others=[stage("qa", 7, **versions)])

    assert "of F0, F1, F2, F3, F4 and 3 more then: " in told(at)[0]


def test_lines_that_cannot_be_told_apart_any_more_are_told() -> None:
    swept = replace(
        record(stage("prod", 7, Api=2), move(0, 6, 7)),
        contents={**contents(r7=2), ReleaseNumber(6): {API: Held(LogicalName("Api"), None)}},
    )

    assert told(swept) == [
        "Which version of Api stage prod served as r6 is not on record any more, so those lines are missing here."
    ]
    assert told(record(stage("prod", 7, Api=2), move(0, 6, 7), r7=2)) == [
        "Which versions stage prod served as r6 is not on record any more, so those lines are missing here."
    ]


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (stage("prod", 6, Api=12), stage("prod", 7, Api=13), "prod moved to r7: Api 12 -> 13"),
        (stage("prod", 6, Api=12), stage("prod", 7, Api=12), "prod moved to r7"),
        (stage("prod", 6, Api=12), stage("prod", 6, Api=13), "prod moved to r6: Api 12 -> 13"),
        (stage("prod", 6, Api=12), stage("prod", 7, Api=12, Worker=1), "prod moved to r7: Worker new -> 1"),
        (stage("prod", 6, Api=12, Worker=1), stage("prod", 7, Api=12), "prod moved to r7: Worker 1 -> none"),
        (stage("prod", 6, Api=12), replace(stage("prod", 6, Api=12), revision=9), None),
        (stage("prod", 6, Api=12), None, "prod was torn down."),
        (None, None, None),
        (None, stage("prod", 7, Api=13), "prod moved to r7: Api new -> 13"),
    ],
    ids=["a move", "the same version", "drift", "a new function", "one less", "nothing", "a teardown", "gone", "made again"],
)
def test_what_happened_between_two_looks(before: Stage | None, after: Stage | None, sentence: str | None) -> None:
    assert moved(PROD, before, after) == sentence


# Following.


class Enough(Exception):
    """Ends a follower, as Ctrl-C does."""


@dataclass
class Followed:
    """A follower of prod and its clock. The record is what ``at`` says; what ``happens`` does so after so many rounds."""

    logged: Logged
    at: StageRecord
    since: float = -60.0
    limit: int | None = None
    shown: list[Line] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    looks: list[float] = field(default_factory=list)
    happens: dict[int, Callable[[], None]] = field(default_factory=dict)
    slept: list[float] = field(default_factory=list)
    _rounds: int = 0

    def run(self, rounds: int) -> list[str]:
        """What the lines say that were shown in so many rounds."""
        follower = Follower(
            Asked(ORDERS, self.at),
            self.logged.events,
            self,
            NOON + self.since,
            peek=self._peek,
            look=lambda: self.at,
            show=self.shown.extend,
            tell=self.told.append,
            limit=self.limit,
        )
        self._rounds = rounds
        with pytest.raises(Enough):
            follower.run()
        return [line.message for line in self.shown]

    def _peek(self) -> Stage | None:
        self.looks.append(self.now() - NOON)
        return self.at.stage

    def now(self) -> float:
        return self.logged.clock.now()

    def sleep(self, seconds: float) -> None:
        """A round ends when it sleeps."""
        self.slept.append(seconds)
        if len(self.slept) == self._rounds:
            raise Enough
        self.logged.clock.sleep(seconds)
        self.happens.get(len(self.slept), lambda: None)()


@pytest.fixture
def followed(logged: Logged) -> Followed:
    return Followed(logged, record(stage("prod", 6, Api=1)))


def test_it_begins_with_what_was_there_and_goes_on_with_what_comes(followed: Followed) -> None:
    logged = followed.logged
    logged.say("Api", 1, -30, "before")
    logged.say("Api", 1, -90, "too long ago")
    followed.happens[1] = lambda: logged.say("Api", 1, logged.clock.now() - NOON, "after")

    assert followed.run(rounds=4) == ["before", "after"]


def test_no_line_is_shown_twice_and_late_ones_are_not_lost(followed: Followed) -> None:
    """A line can come to CloudWatch Logs seconds after it was written, behind others."""
    logged = followed.logged
    logged.say("Api", 1, -1, "first")
    followed.happens[3] = lambda: logged.say("Api", 1, logged.clock.now() - NOON - OVERLAP + 6, "late")

    assert followed.run(rounds=20) == ["first", "late"]


def test_the_first_round_alone_is_limited(followed: Followed) -> None:
    logged, followed.limit = followed.logged, 2
    for seconds in range(5):
        logged.say("Api", 1, -10 + seconds, str(seconds))

    def more() -> None:
        for seconds in range(3):
            logged.say("Api", 1, logged.clock.now() - NOON, f"new {seconds}")

    followed.happens[1] = more

    assert followed.run(rounds=3) == ["3", "4", "new 0", "new 1", "new 2"]


def test_after_a_move_it_goes_on_with_the_new_version_and_says_so(followed: Followed) -> None:
    logged = followed.logged

    def the_stage_moves() -> None:
        at = logged.clock.now() - NOON
        followed.at = record(stage("prod", 7, Api=2), move(at, 6, 7), r6=1, r7=2)
        # Its first call came before anybody looked at the record again.
        logged.say("Api", 2, at, "new")
        logged.say("Api", 1, at + 1, "old, still at work")

    followed.happens[2] = the_stage_moves

    assert sorted(followed.run(rounds=8)) == ["new", "old, still at work"]
    assert followed.told == ["prod moved to r7: Api 1 -> 2"]


def test_the_record_is_looked_at_every_five_seconds(followed: Followed) -> None:
    followed.run(rounds=12)

    between = [later - earlier for earlier, later in zip([0.0, *followed.looks], followed.looks, strict=False)]
    assert len(between) >= 6
    assert all(RECORD_EVERY <= each < RECORD_EVERY + LATEST for each in between)


def test_what_is_to_be_known_of_the_lines_is_told_once(followed: Followed) -> None:
    shared = [stage("qa", 6, Api=1)]
    followed.at = record(stage("prod", 6, Api=1), others=shared)

    def the_stage_moves() -> None:
        at = followed.logged.clock.now() - NOON
        followed.at = record(stage("prod", 7, Api=2), move(at, 6, 7), others=shared, r6=1, r7=2)

    followed.happens[2] = the_stage_moves
    followed.run(rounds=10)

    assert followed.told == [
        "qa served the same version of Api then: its lines are here too.",
        "prod moved to r7: Api 1 -> 2",
    ]


def test_whose_the_lines_of_the_new_version_are_as_well_is_told_after_the_move(followed: Followed) -> None:
    def the_stage_moves() -> None:
        at = followed.logged.clock.now() - NOON
        others = [stage("qa", 7, Api=2)]
        followed.at = record(stage("prod", 7, Api=2), move(at, 6, 7), others=others, r6=1, r7=2)

    followed.happens[2] = the_stage_moves
    followed.run(rounds=10)

    assert followed.told == [
        "prod moved to r7: Api 1 -> 2",
        "qa served the same version of Api then: its lines are here too.",
    ]


def test_a_stage_that_is_torn_down_is_told_and_its_last_lines_come(followed: Followed) -> None:
    logged = followed.logged

    def the_stage_goes() -> None:
        followed.at = record(None, move(logged.clock.now() - NOON, 6, None), r6=1)
        logged.say("Api", 1, logged.clock.now() - NOON, "last words")

    followed.happens[2] = the_stage_goes

    assert followed.run(rounds=6) == ["last words"]
    assert followed.told == ["prod was torn down."]


def test_what_the_stage_left_is_not_asked_for_any_more_once_its_time_is_over(followed: Followed) -> None:
    at = -GRACE_SECONDS + 20
    followed.at = record(stage("prod", 7, Api=2), move(at, 6, 7), r6=1, r7=2)
    followed.run(rounds=30)

    prefixes = [params["logStreamNamePrefix"][-3:] for params in followed.logged.logs.asked]
    assert prefixes.index("[1]") < 4
    assert "[1]" not in prefixes[-8:]
    assert prefixes.count("[2]") > prefixes.count("[1]") > 0


@pytest.mark.parametrize(("idle", "seconds"), [(0, SOONEST), (1, 2), (3, 4), (4, LATEST), (100, LATEST)])
def test_the_longer_nothing_comes_the_longer_it_waits(idle: int, seconds: float) -> None:
    assert pause(idle) == seconds


def test_what_comes_makes_it_quick_again(followed: Followed) -> None:
    logged = followed.logged
    followed.happens[3] = lambda: logged.say("Api", 1, logged.clock.now() - NOON, "there")
    followed.run(rounds=5)

    assert followed.slept == [2, 3, 4, SOONEST, 2]


# When AWS does not answer.


def fails(logged: Logged, error: Callable[[], Exception], seconds: float) -> None:
    """From now on for so long."""
    until = logged.clock.now() + seconds

    def before(_: object) -> None:
        if logged.clock.now() < until:
            raise error()

    logged.logs.before = before


OUTAGES: list[Callable[[], Exception]] = [
    lambda: AwsError("ServiceUnavailableException", "later", 503),
    lambda: AwsError("ThrottlingException", "Rate exceeded"),
    lambda: EndpointConnectionError(endpoint_url="https://logs"),
]


@pytest.mark.parametrize("error", OUTAGES, ids=["no answer", "throttled", "no network"])
def test_it_survives_that_aws_does_not_answer_for_a_while_and_says_so_once(
    followed: Followed, error: Callable[[], Exception]
) -> None:
    logged = followed.logged
    followed.happens[1] = lambda: fails(logged, error, 40)
    followed.happens[2] = lambda: logged.say("Api", 1, logged.clock.now() - NOON, "meanwhile")

    assert followed.run(rounds=30) == ["meanwhile"]
    assert [sentence.partition(" (")[0] for sentence in followed.told] == ["AWS does not answer"]


def test_its_patience_is_anew_after_every_answer(followed: Followed) -> None:
    logged = followed.logged
    for begins in (1, 60):
        followed.happens[begins] = lambda: fails(logged, OUTAGES[0], PATIENCE * 0.7)
    followed.run(rounds=120)

    assert len(followed.told) == 2


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (lambda: AwsError("ServiceUnavailableException", "never", 503), Unanswered),
        (lambda: AwsError("ThrottlingException", "Rate exceeded"), Throttled),
    ],
    ids=["no answer", "throttled"],
)
def test_its_patience_ends(followed: Followed, error: Callable[[], Exception], raised: type[CallFailed]) -> None:
    fails(followed.logged, error, 10 * PATIENCE)
    with pytest.raises(raised):
        followed.run(rounds=10_000)

    assert followed.logged.clock.now() - NOON > PATIENCE


def test_what_waiting_does_not_mend_ends_it_at_once(followed: Followed) -> None:
    fails(followed.logged, lambda: AwsError("InvalidParameterException", "Invalid filter pattern"), 3600)

    with pytest.raises(CallFailed, match="Invalid filter pattern"):
        followed.run(rounds=10)
    assert followed.slept == []
