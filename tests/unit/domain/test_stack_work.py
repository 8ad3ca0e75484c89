"""What to do next about a stack, from what is wanted and what is there."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagekeeper.domain.facts import Absent, Unreadable
from stagekeeper.domain.model import OperationId, ServiceName, StageName
from stagekeeper.domain.refusal import Code
from stagekeeper.domain.stack_work import (
    BLIND_LOOKS,
    ChangeSet,
    ContinueUpdateRollback,
    CreateChangeSet,
    DeleteChangeSet,
    DeleteStack,
    ExecuteChangeSet,
    Gone,
    History,
    Left,
    Owner,
    Reached,
    ResourceFailure,
    Stack,
    StackNow,
    StackProgress,
    StackRecord,
    Step,
    Stuck,
    Tokens,
    Wait,
    Wanted,
    WantedStack,
    is_settled,
    next_step,
    tokens_of,
)

OWNER = Owner(ServiceName("orders"), StageName("dev"), "table")
WANTED = WantedStack("orders--dev", OWNER, "templates/one", "digest", {"Size": "1"})
GONE = Gone("orders--dev", OWNER)
TOKENS = Tokens("change")
ID = "arn:stack/1"
QUEUE = ResourceFailure("Queue", "AWS::SQS::Queue", "UPDATE_FAILED", "Not today.")
BACK = ResourceFailure("Queue", "AWS::SQS::Queue", "UPDATE_FAILED", "Not back either.")
UNDELETED = ResourceFailure("Bucket", "AWS::S3::Bucket", "DELETE_FAILED", "It is not empty.")

UNCHANGED = "The submitted information didn't contain changes. Submit different information to create a change set."


def stack(status: str, **members: Any) -> Stack:
    members = {"reason": "", "tags": OWNER.tags(), "outputs": {"Out": "put"}, "changed_at": "t1", **members}
    return Stack(ID, status, **members)


def change_set(status: str = "CREATE_COMPLETE", execution: str = "AVAILABLE", reason: str = "") -> ChangeSet:
    return ChangeSet("arn:change", status, execution, reason)


def history(*begun: str, **failures: tuple[ResourceFailure, ...]) -> History:
    """Of the tokens `change`, `delete` and so on."""
    names = {"change": TOKENS.change, "delete": TOKENS.delete(ID), "resume": TOKENS.resume}
    return History(frozenset(names[name] for name in begun), {names[name]: found for name, found in failures.items()})


def decided(
    wanted: Wanted,
    at: Stack | Absent | Unreadable,
    change: ChangeSet | None = None,
    told: History | None = None,
    progress: StackProgress | None = None,
) -> Step:
    return next_step(wanted, StackNow(at, change, told or History()), TOKENS, progress or StackProgress())


def stuck(step: Step) -> Stuck:
    assert isinstance(step, Stuck), step
    return step


IN_PROGRESS = [
    "CREATE_IN_PROGRESS",
    "ROLLBACK_IN_PROGRESS",
    "DELETE_IN_PROGRESS",
    "UPDATE_IN_PROGRESS",
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
    "UPDATE_ROLLBACK_IN_PROGRESS",
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
    "IMPORT_IN_PROGRESS",
    "IMPORT_ROLLBACK_IN_PROGRESS",
]
UPDATABLE = ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"]
NEVER_WAS = ["CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"]
ALL = [*IN_PROGRESS, *UPDATABLE, *NEVER_WAS, "REVIEW_IN_PROGRESS", "DELETE_FAILED", "UPDATE_ROLLBACK_FAILED", "UPDATE_FAILED"]


# A stack that is wanted.


def test_one_that_is_not_there_is_made() -> None:
    assert decided(WANTED, Absent()) == CreateChangeSet(WANTED, None)


@pytest.mark.parametrize("status", UPDATABLE)
def test_one_that_is_there_is_changed(status: str) -> None:
    assert decided(WANTED, stack(status)) == CreateChangeSet(WANTED, ID)


@pytest.mark.parametrize("status", IN_PROGRESS)
@pytest.mark.parametrize("wanted", [WANTED, GONE], ids=["wanted", "gone"])
def test_what_is_under_way_is_waited_for(status: str, wanted: Wanted) -> None:
    step = decided(wanted, stack(status))

    assert isinstance(step, Wait)
    assert (status in step.why, step.brief) == (True, False)


@pytest.mark.parametrize("status", NEVER_WAS)
def test_what_never_came_to_be_is_deleted_first(status: str) -> None:
    assert decided(WANTED, stack(status)) == DeleteStack(ID, discard=True)


def test_one_under_review_without_our_change_set_is_deleted_first() -> None:
    assert decided(WANTED, stack("REVIEW_IN_PROGRESS")) == DeleteStack(ID, discard=True)


@pytest.mark.parametrize("tags", [{}, OWNER.tags()])
def test_one_under_review_with_our_change_set_is_gone_on_with(tags: dict[str, str]) -> None:
    held = change_set()

    assert decided(WANTED, stack("REVIEW_IN_PROGRESS", tags=tags), held) == ExecuteChangeSet(ID, held, never_was=True)


@pytest.mark.parametrize(
    ("held", "brief"),
    [
        (change_set("CREATE_PENDING", "UNAVAILABLE"), True),
        (change_set("CREATE_IN_PROGRESS", "UNAVAILABLE"), True),
        (change_set("DELETE_IN_PROGRESS", "UNAVAILABLE"), True),
        (change_set(execution="UNAVAILABLE"), True),
        (change_set(execution="EXECUTE_IN_PROGRESS"), True),
    ],
)
def test_a_change_set_that_is_not_ready_is_waited_for(held: ChangeSet, brief: bool) -> None:
    step = decided(WANTED, stack("CREATE_COMPLETE"), held)

    assert isinstance(step, Wait)
    assert step.brief is brief


def test_one_that_is_ready_is_executed() -> None:
    held = change_set()

    assert decided(WANTED, stack("UPDATE_COMPLETE"), held) == ExecuteChangeSet(ID, held, never_was=False)


def test_one_that_somebody_made_useless_is_deleted_and_made_anew() -> None:
    assert decided(WANTED, stack("UPDATE_COMPLETE"), change_set(execution="OBSOLETE")) == DeleteChangeSet(ID, None)


RECORD = StackRecord(ID, WANTED.digest, "t1")


@pytest.mark.parametrize("status", UPDATABLE)
@pytest.mark.parametrize("words", [UNCHANGED, "No updates are to be performed."])
def test_nothing_to_do_is_reached_and_the_change_set_is_deleted(status: str, words: str) -> None:
    held = change_set("FAILED", "UNAVAILABLE", words)

    assert decided(WANTED, stack(status), held) == DeleteChangeSet(ID, Reached({"Out": "put"}, changed=False, record=RECORD))


def test_a_change_set_that_fails_otherwise_says_why() -> None:
    step = decided(WANTED, stack("CREATE_COMPLETE"), change_set("FAILED", "UNAVAILABLE", "No such thing."))

    assert isinstance(step, DeleteChangeSet)
    assert isinstance(step.then, Stuck)
    assert (step.then.left, step.then.code) == (Left.AS_IT_WAS, None)
    assert "No such thing." in step.then.message


def test_of_a_stack_that_was_to_be_made_then_nothing_is_left() -> None:
    step = decided(WANTED, stack("REVIEW_IN_PROGRESS"), change_set("FAILED", "UNAVAILABLE", "No such thing."))

    assert isinstance(step, DeleteStack)
    assert (step.discard, step.then is not None) == (True, True)


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_COMPLETE"])
def test_what_was_executed_and_ended_well_is_reached(status: str) -> None:
    reached = Reached({"Out": "put"}, changed=True, record=RECORD)

    assert decided(WANTED, stack(status), change_set(execution="EXECUTE_COMPLETE")) == reached
    # Also where CloudFormation has forgotten the change set by then.
    assert decided(WANTED, stack(status), progress=StackProgress(ID, ("prepare", "execute"))) == reached


@pytest.mark.parametrize(
    ("status", "left"),
    [
        ("ROLLBACK_COMPLETE", Left.AS_IT_WAS),
        ("ROLLBACK_FAILED", Left.IN_BETWEEN),
        ("CREATE_FAILED", Left.IN_BETWEEN),
        ("UPDATE_ROLLBACK_COMPLETE", Left.AS_IT_WAS),
        ("UPDATE_FAILED", Left.IN_BETWEEN),
    ],
)
@pytest.mark.parametrize("knows", ["change set", "events", "progress"])
def test_what_was_executed_and_failed_is_told_and_not_tried_again(status: str, left: Left, knows: str) -> None:
    held = change_set(execution="EXECUTE_FAILED") if knows == "change set" else None
    told = history("change", change=(QUEUE,)) if knows == "events" else history(change=(QUEUE,))
    progress = StackProgress(ID, ("execute",)) if knows == "progress" else None

    step = stuck(decided(WANTED, stack(status), held, told, progress))

    assert (step.left, step.failure, step.code) == (left, QUEUE, None)
    assert "Queue (AWS::SQS::Queue) is UPDATE_FAILED: Not today." in step.message
    assert step.blockers == ("orders--dev/Queue (AWS::SQS::Queue) is UPDATE_FAILED: Not today",)


def test_where_no_resource_is_named_the_stacks_own_reason_is_told() -> None:
    failed = stack("ROLLBACK_COMPLETE", reason="The output cannot be worked out.")

    step = stuck(decided(WANTED, failed, change_set(execution="EXECUTE_FAILED")))

    assert "The output cannot be worked out." in step.message


def test_what_was_executed_on_another_stack_of_the_name_says_nothing_of_this_one() -> None:
    progress = StackProgress("arn:stack/0", ("execute",))

    assert decided(WANTED, stack("ROLLBACK_COMPLETE"), progress=progress) == DeleteStack(ID, discard=True)


def test_a_rollback_before_ours_is_no_failure_of_ours() -> None:
    """CloudFormation shows the stack as it was for a moment after it took the change."""
    held = change_set(execution="EXECUTE_IN_PROGRESS")

    step = decided(WANTED, stack("UPDATE_ROLLBACK_COMPLETE"), held, progress=StackProgress(ID, ("execute",)))

    assert isinstance(step, Wait)


@pytest.mark.parametrize("held", [None, change_set(execution="EXECUTE_FAILED")], ids=["theirs", "ours"])
def test_a_rollback_that_got_stuck_is_gone_on_with(held: ChangeSet | None) -> None:
    assert decided(WANTED, stack("UPDATE_ROLLBACK_FAILED"), held) == ContinueUpdateRollback(ID)


@pytest.mark.parametrize("held", [None, change_set(execution="EXECUTE_FAILED")], ids=["theirs", "ours"])
@pytest.mark.parametrize("knows", ["events", "progress"])
def test_but_once(held: ChangeSet | None, knows: str) -> None:
    told = history("resume", resume=(BACK,)) if knows == "events" else history(resume=(BACK,))
    progress = StackProgress(ID, ("resume",)) if knows == "progress" else None

    step = stuck(decided(WANTED, stack("UPDATE_ROLLBACK_FAILED"), held, told, progress))

    assert step.left is Left.IN_BETWEEN
    assert "Not back either" in step.message


def test_one_that_is_half_deleted_is_left_to_who_deletes_it() -> None:
    failed = stack("DELETE_FAILED", reason="The following resource(s) failed to delete: [Bucket].")

    step = stuck(decided(WANTED, failed))

    assert (step.left, step.code) == (Left.IN_BETWEEN, None)
    assert "[Bucket]" in step.message


def test_one_that_vanishes_while_it_is_changed_is_not_made_anew() -> None:
    assert stuck(decided(WANTED, Absent(), progress=StackProgress(ID, ("execute",)))).left is Left.IN_BETWEEN


# A stack that is to be gone.


@pytest.mark.parametrize("status", [*UPDATABLE, *NEVER_WAS, "REVIEW_IN_PROGRESS", "DELETE_FAILED", "UPDATE_ROLLBACK_FAILED"])
def test_one_that_is_to_be_gone_is_deleted_whatever_it_is(status: str) -> None:
    assert decided(GONE, stack(status)) == DeleteStack(ID, discard=False)


@pytest.mark.parametrize("begun", [(), ("delete",)])
def test_one_that_is_not_there_is_gone(begun: Any) -> None:
    assert decided(GONE, Absent(), progress=StackProgress(ID, begun)) == Reached({}, changed=bool(begun))


@pytest.mark.parametrize("knows", ["events", "progress"])
def test_what_would_not_go_is_named(knows: str) -> None:
    told = history("delete", delete=(UNDELETED,)) if knows == "events" else history(delete=(UNDELETED,))
    progress = StackProgress(ID, ("delete",)) if knows == "progress" else None

    step = stuck(decided(GONE, stack("DELETE_FAILED"), None, told, progress))

    assert (step.left, step.failure) == (Left.IN_BETWEEN, UNDELETED)
    assert "Bucket (AWS::S3::Bucket) is DELETE_FAILED: It is not empty" in step.message


def test_a_deletion_that_cloudformation_gave_up_is_told() -> None:
    kept = stack("UPDATE_COMPLETE", reason="Delete canceled. Cannot delete export x as it is in use by y.")

    assert decided(GONE, kept) == DeleteStack(ID, discard=False)
    assert "in use by y" in stuck(decided(GONE, kept, progress=StackProgress(ID, ("delete",)))).message


# Whose it is, and whether it can be seen.


@pytest.mark.parametrize("status", ALL)
@pytest.mark.parametrize(
    "tags",
    [
        {},
        OWNER.tags() | {"stagekeeper:stage": "prod"},
        OWNER.tags() | {"stagekeeper:service": "billing"},
        OWNER.tags() | {"stagekeeper:managed-by": "other"},
        replace(OWNER, stage=None).tags(),
    ],
    ids=["none", "stage", "service", "plane", "shared"],
)
@pytest.mark.parametrize("wanted", [WANTED, GONE], ids=["wanted", "gone"])
def test_what_is_not_ours_is_never_touched(status: str, tags: dict[str, str], wanted: Wanted) -> None:
    step = stuck(decided(wanted, stack(status, tags=tags)))

    assert (step.code, step.left) == (Code.STACK_OWNED_ELSEWHERE, Left.AS_IT_WAS)


def test_tags_of_others_beside_ours_do_not_matter() -> None:
    assert OWNER.owns({**OWNER.tags(), "team": "blue"})
    assert replace(OWNER, stage=None).owns({**replace(OWNER, stage=None).tags(), "team": "blue"})
    assert not replace(OWNER, stage=None).owns(OWNER.tags())


@pytest.mark.parametrize("wanted", [WANTED, GONE], ids=["wanted", "gone"])
def test_what_cannot_be_read_is_looked_at_again_for_a_while(wanted: Wanted) -> None:
    blind = Unreadable("stack orders--dev", "Throttling")

    assert isinstance(decided(wanted, blind), Wait)
    assert isinstance(decided(wanted, blind, progress=StackProgress(blind=BLIND_LOOKS - 1)), Wait)
    assert stuck(decided(wanted, blind, progress=StackProgress(blind=BLIND_LOOKS))).code is Code.UNREADABLE


# Its own.


@given(operation=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=80))
def test_the_names_that_an_operation_gives_are_ones_that_aws_takes(operation: str) -> None:
    for name in tokens_of(OperationId(operation), WANTED).all(ID):
        assert re.fullmatch("[a-zA-Z][-a-zA-Z0-9]{0,127}", name)


def test_they_differ_by_operation_by_stack_and_by_what_is_wanted() -> None:
    one = OperationId("one")
    names = [
        tokens_of(one, WANTED),
        tokens_of(OperationId("two"), WANTED),
        tokens_of(OperationId("o.ne"), WANTED),
        tokens_of(one, GONE),
        tokens_of(one, replace(WANTED, name="orders")),
        tokens_of(one, replace(WANTED, parameters={"Size": "2"})),
        tokens_of(one, replace(WANTED, template_digest="other")),
    ]

    assert len({name for each in names for name in (*each.all(ID), each.delete("another"))}) == 4 * len(names)
    assert tokens_of(one, WANTED) == tokens_of(one, replace(WANTED, template_key="elsewhere"))


# Settled.


@pytest.mark.parametrize(
    ("recorded", "now", "settled"),
    [
        (RECORD, stack("UPDATE_COMPLETE"), True),
        (RECORD, stack("CREATE_COMPLETE"), True),
        (None, stack("UPDATE_COMPLETE"), False),
        # Seen after the rollback: the time of the change is the rollback's.
        (RECORD, stack("UPDATE_ROLLBACK_COMPLETE"), True),
        (RECORD, stack("UPDATE_ROLLBACK_COMPLETE", changed_at="t2"), False),
        (RECORD, stack("UPDATE_ROLLBACK_FAILED"), False),
        (RECORD, stack("UPDATE_IN_PROGRESS"), False),
        (RECORD, stack("UPDATE_COMPLETE", changed_at="t2"), False),
        (replace(RECORD, stack_id="arn:stack/2"), stack("UPDATE_COMPLETE"), False),
        (replace(RECORD, digest="other"), stack("UPDATE_COMPLETE"), False),
        (RECORD, Absent(), False),
        (RECORD, Unreadable("stack", "why"), False),
    ],
)
def test_a_stack_that_nobody_touched_since_needs_nothing(recorded: Any, now: Any, settled: bool) -> None:
    assert is_settled(recorded, WANTED.digest, now) is settled
