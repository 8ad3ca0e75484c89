"""Work on one stack, from what is there to what is wanted, over as many invocations as it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from stagekeeper.aws.errors import Unanswered
from stagekeeper.domain.model import OperationId, StageName
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.domain.stack_work import Left, Reached, StackProgress, Stuck, tokens_of
from stagekeeper.engine.stack_work import Waiting
from tests.fake import FakeLambda

from .stack_room import NAME, OWNER, ROLE, Room, queue, template

MADE = ["CreateChangeSet", "ExecuteChangeSet"]
LOST = ReadTimeoutError(endpoint_url="https://cloudformation.fake")
TWO = template(Queue=queue(), Second=queue())


@pytest.fixture
def room() -> Room:
    return Room()


def reached(outcome: object) -> Reached:
    assert isinstance(outcome, Reached), outcome
    return outcome


def stuck(outcome: object) -> Stuck:
    assert isinstance(outcome, Stuck), outcome
    return outcome


# Making, changing, deleting.


def test_a_stack_that_is_not_there_is_made_by_a_change_set(room: Room) -> None:
    body = template(Queue=queue(QueueName="q"), outputs={"Url": {"Ref": "Queue"}})

    outcome = reached(room.end(room.wanted(body)))

    assert outcome.outputs == {"Url": "https://sqs.eu-central-1.amazonaws.com/123456789012/q"}
    assert outcome.changed
    assert room.effects() == MADE
    assert room.stack.status == "CREATE_COMPLETE"


def test_it_carries_our_tags_and_cloudformation_acts_with_its_own_role(room: Room) -> None:
    room.end(room.wanted())

    (request,) = room.aws.asked("CreateChangeSet")
    assert room.stack.tags == {
        "stagekeeper:service": "orders",
        "stagekeeper:stage": "dev",
        "stagekeeper:managed-by": "state-table",
    }
    assert (request["RoleARN"], request["Capabilities"]) == (ROLE, ["CAPABILITY_NAMED_IAM"])
    assert "TemplateBody" not in request


def test_a_template_larger_than_a_request_may_be_is_no_matter(room: Room) -> None:
    body = template(Queue=queue(Tags=[{"Key": "long", "Value": "x" * 60_000}]))

    assert reached(room.end(room.wanted(body))).changed


def test_one_that_is_there_is_changed(room: Room) -> None:
    room.deploy(template(Queue=queue(VisibilityTimeout=1)))

    outcome = reached(room.end(room.wanted(template(Queue=queue(VisibilityTimeout=2)))))

    assert outcome.changed
    assert room.stack.made["Queue"].properties == {"VisibilityTimeout": 2}
    assert room.stack.status == "UPDATE_COMPLETE"


def test_parameters_alone_are_a_change(room: Room) -> None:
    body = {**template(Queue=queue(VisibilityTimeout={"Ref": "Seconds"})), "Parameters": {"Seconds": {"Type": "String"}}}
    room.deploy(body, Seconds="1")

    assert reached(room.end(room.wanted(body, Seconds="2"))).changed
    assert room.stack.made["Queue"].properties == {"VisibilityTimeout": "2"}


def test_outputs_alone_are_a_change(room: Room) -> None:
    """Such a change set has no changes and can be executed (aws-cdk#2029)."""
    room.deploy()

    outcome = reached(room.end(room.wanted(template(Queue=queue(), outputs={"Arn": {"Fn::GetAtt": ["Queue", "Arn"]}}))))

    assert outcome.changed
    assert list(outcome.outputs) == ["Arn"]


@pytest.mark.parametrize(
    "words",
    [
        "The submitted information didn't contain changes. Submit different information to create a change set.",
        "No updates are to be performed.",
    ],
)
def test_where_nothing_differs_nothing_is_done_and_no_change_set_stays(room: Room, words: str) -> None:
    room.deploy()
    room.aws.no_changes = words

    outcome = reached(room.end(room.wanted()))

    assert not outcome.changed
    assert room.effects() == ["CreateChangeSet", "DeleteChangeSet"]
    assert room.stack.change_sets.keys() <= {cs.name for cs in room.stack.change_sets.values() if cs.execution != "AVAILABLE"}


def test_one_that_is_to_be_gone_is_deleted_by_its_id(room: Room) -> None:
    room.deploy()
    stack_id = room.stack.stack_id

    outcome = reached(room.end(room.gone))

    assert outcome.changed
    assert not room.is_there
    (request,) = room.aws.asked("DeleteStack")
    assert (request["StackName"], request["RoleARN"]) == (stack_id, ROLE)


def test_one_that_is_gone_already_is_gone(room: Room) -> None:
    outcome = reached(room.end(room.gone))

    assert (outcome.changed, room.effects()) == (False, [])


def test_functions_of_the_template_are_made_and_deleted(room: Room) -> None:
    lambda_ = FakeLambda(clock=room.moments)
    room.aws.resources.lambda_ = lambda_
    function = {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Runtime": "python3.13",
            "Handler": "index.handler",
            "Role": "arn:aws:iam::123456789012:role/r",
            "Timeout": {"Ref": "Timeout"},
            "Code": {"ZipFile": "def handler(event, context): ..."},
        },
    }

    body = template(Api=function, outputs={"Arn": {"Fn::GetAtt": "Api.Arn"}}) | {"Parameters": {"Timeout": {"Type": "Number"}}}

    outcome = reached(room.end(room.wanted(body, Timeout="7")))

    name = outcome.outputs["Arn"].rpartition(":")[2]
    assert list(lambda_.state()) == [name, "event-source-mappings"]
    assert reached(room.end(room.wanted(body, Timeout="8"))).changed
    assert lambda_.state()[name]["latest"]["Timeout"] == 8
    room.end(room.gone, "op-2")
    assert list(lambda_.state()) == ["event-source-mappings"]


def test_what_is_there_can_be_kept_for_another_account(room: Room) -> None:
    room.deploy(TWO)
    other = Room()

    other.aws.hold(room.aws.held())
    other.end(other.gone)

    assert (room.is_there, other.is_there) == (True, False)


# Waiting.


def test_a_stack_that_takes_long_is_waited_for_outside() -> None:
    room = Room(resource_seconds=100)

    outcome = room.step(room.wanted())

    assert isinstance(outcome, Waiting)
    assert outcome.seconds == 5
    assert room.moments.now - room.began_at < 15


def test_waits_grow_up_to_half_a_minute() -> None:
    room = Room(resource_seconds=400)
    wanted, progress, waits = room.wanted(), StackProgress(), []
    while isinstance(outcome := room.step(wanted, progress), Waiting):
        room.moments.advance(outcome.seconds)
        progress = outcome.progress
        waits.append(outcome.seconds)

    assert waits[:5] == [5, 8, 11, 17, 25]
    assert set(waits[5:]) == {30}
    assert len(waits) < 25


def test_what_others_have_under_way_is_waited_for(room: Room) -> None:
    room.deploy(template(Queue=queue(VisibilityTimeout=1)))
    room.aws._lives.seconds = 60
    theirs = room.step(room.wanted(template(Queue=queue(VisibilityTimeout=2))), operation="theirs")
    assert isinstance(theirs, Waiting)

    outcome = reached(room.end(room.wanted(template(Queue=queue(VisibilityTimeout=3)))))

    assert outcome.changed
    assert room.stack.made["Queue"].properties == {"VisibilityTimeout": 3}


# Failures, and what CloudFormation makes of them.


def test_one_that_could_not_be_made_says_which_resource_and_why(room: Room) -> None:
    room.aws.fail("Queue", "CREATE", "The quota is used up.")

    outcome = stuck(room.end(room.wanted(TWO)))

    assert (outcome.code, outcome.left) == (None, Left.AS_IT_WAS)
    assert outcome.failure is not None
    assert outcome.failure.logical_id == "Queue"
    assert "Queue (AWS::SQS::Queue) is CREATE_FAILED: The quota is used up." in outcome.message
    assert outcome.blockers == (f"{NAME}/Queue (AWS::SQS::Queue) is CREATE_FAILED: The quota is used up",)


def test_one_that_could_not_be_changed_says_so_and_is_as_it_was(room: Room) -> None:
    room.deploy(template(Queue=queue(VisibilityTimeout=1), Second=queue(VisibilityTimeout=1)))
    room.aws.fail("Second", "UPDATE", "Not today.")

    outcome = stuck(room.end(room.wanted(template(Queue=queue(VisibilityTimeout=2), Second=queue(VisibilityTimeout=2)))))

    assert outcome.left is Left.AS_IT_WAS
    assert "Second (AWS::SQS::Queue) is UPDATE_FAILED: Not today." in outcome.message
    assert room.stack.status == "UPDATE_ROLLBACK_COMPLETE"
    assert room.stack.made["Queue"].properties == {"VisibilityTimeout": 1}


@pytest.mark.parametrize("forgetful", [False, True])
def test_what_failed_is_not_tried_twice_by_one_operation(room: Room, forgetful: bool) -> None:
    room.deploy()
    room.aws.fail("Second", "CREATE")
    first = stuck(room.end(room.wanted(TWO), forgetful=forgetful))

    again = stuck(room.end(room.wanted(TWO), forgetful=forgetful))

    assert again == first
    assert room.effects() == MADE


def test_what_was_begun_with_an_older_stack_of_the_name_says_nothing_of_this_one(room: Room) -> None:
    room.aws.fail("Queue", "CREATE")
    stuck(room.end(room.wanted(), "theirs"))

    assert reached(room.step(room.wanted(), StackProgress("older", ("prepare", "execute")))).changed


def test_another_operation_tries_anew(room: Room) -> None:
    room.deploy()
    room.aws.fail("Second", "CREATE")
    room.end(room.wanted(TWO))

    assert reached(room.end(room.wanted(TWO), "op-2")).changed


def test_what_never_came_to_be_is_deleted_and_made_anew(room: Room) -> None:
    room.aws.fail("Queue", "CREATE")
    stuck(room.end(room.wanted()))
    room.aws.calls.clear()

    outcome = reached(room.end(room.wanted(), "op-2"))

    assert outcome.changed
    assert room.effects() == ["DeleteStack", *MADE]


def test_also_where_not_all_of_it_could_be_deleted(room: Room) -> None:
    room.aws.fail("Second", "CREATE")
    room.aws.fail("Queue", "DELETE", "Not empty.")
    first = stuck(room.end(room.wanted(TWO)))
    assert room.stack.status == "ROLLBACK_FAILED"
    assert first.left is Left.IN_BETWEEN

    assert reached(room.end(room.wanted(TWO), "op-2")).changed


def test_one_that_is_only_under_review_is_deleted_and_made_anew(room: Room) -> None:
    """An operation that died between its change set and executing it leaves one."""
    room.mandate = Dies(2)
    with pytest.raises(KeyboardInterrupt):
        room.step(room.wanted())
    assert room.stack.status == "REVIEW_IN_PROGRESS"
    room.mandate = lambda: None
    room.aws.calls.clear()

    assert reached(room.end(room.wanted(), "op-2")).changed
    assert room.effects() == ["DeleteStack", *MADE]


def test_one_under_review_whose_tags_are_not_shown_yet_is_known_by_its_change_set(room: Room) -> None:
    room.mandate = Dies(2)
    with pytest.raises(KeyboardInterrupt):
        room.step(room.wanted())
    assert room.stack.tags == {}
    room.mandate = lambda: None

    assert reached(room.end(room.gone, "op-2")).changed
    assert not room.is_there


def test_a_rollback_that_got_stuck_is_gone_on_with_once(room: Room) -> None:
    old, new = template(Queue=queue(VisibilityTimeout=1)), template(Queue=queue(VisibilityTimeout=2))
    room.deploy(old)
    room.aws.fail("Queue", "UPDATE", "Not today.")
    room.aws.fail("Queue", "ROLLBACK", "Not back either.")

    outcome = stuck(room.end(room.wanted(new)))

    assert room.effects() == [*MADE, "ContinueUpdateRollback"]
    assert room.stack.status == "UPDATE_ROLLBACK_COMPLETE"
    assert (outcome.left, outcome.failure and outcome.failure.reason) == (Left.AS_IT_WAS, "Not today.")


@pytest.mark.parametrize("forgetful", [False, True])
def test_if_it_gets_stuck_again_it_says_what_is_where(room: Room, forgetful: bool) -> None:
    room.deploy(template(Queue=queue(VisibilityTimeout=1)))
    room.aws.fail("Queue", "UPDATE", "Not today.")
    room.aws.fail("Queue", "ROLLBACK", "Not back either.", times=None)

    outcome = stuck(room.end(room.wanted(template(Queue=queue(VisibilityTimeout=2))), forgetful=forgetful))

    assert outcome.left is Left.IN_BETWEEN
    assert room.effects() == [*MADE, "ContinueUpdateRollback"]
    assert "Not back either" in outcome.message
    assert "Not today" in outcome.message
    assert "UPDATE_ROLLBACK_FAILED" in outcome.message


def test_one_that_others_left_stuck_is_put_back_first_and_then_changed(room: Room) -> None:
    room.deploy(template(Queue=queue(VisibilityTimeout=1)))
    room.aws.fail("Queue", "UPDATE")
    room.aws.fail("Queue", "ROLLBACK", times=2)
    stuck(room.end(room.wanted(template(Queue=queue(VisibilityTimeout=2))), "theirs"))
    room.aws.calls.clear()

    assert reached(room.end(room.wanted(template(Queue=queue(VisibilityTimeout=3))))).changed
    assert room.effects() == ["ContinueUpdateRollback", *MADE]


def test_one_operation_may_have_to_delete_several_that_never_came_to_be(room: Room) -> None:
    room.aws.fail("Queue", "CREATE")
    stuck(room.end(room.wanted(), "theirs"))
    room.judge = refusing

    assert stuck(room.end(room.wanted())).code is Code.SHARED_RESOURCE_IN_USE
    assert not room.is_there
    first, second = room.aws.asked("DeleteStack")
    assert first["ClientRequestToken"] != second["ClientRequestToken"]


@pytest.mark.parametrize("forgetful", [False, True])
def test_what_could_not_be_deleted_is_named_and_a_second_operation_deletes_again(room: Room, forgetful: bool) -> None:
    room.deploy(TWO)
    room.aws.fail("Queue", "DELETE", "The queue is busy.")

    outcome = stuck(room.end(room.gone, forgetful=forgetful))

    assert outcome.left is Left.IN_BETWEEN
    assert "Queue (AWS::SQS::Queue) is DELETE_FAILED: The queue is busy" in outcome.message
    assert stuck(room.end(room.gone, forgetful=forgetful)) == outcome
    assert room.effects() == ["DeleteStack"]
    assert reached(room.end(room.gone, "op-2")).changed
    assert not room.is_there


def test_one_that_is_half_deleted_is_not_made_anew_by_itself(room: Room) -> None:
    room.deploy(TWO)
    room.aws.fail("Queue", "DELETE")
    room.end(room.gone, "theirs")
    room.aws.calls.clear()

    assert stuck(room.end(room.wanted())).left is Left.IN_BETWEEN
    assert room.effects() == []


def test_a_template_that_cloudformation_does_not_take_changes_nothing(room: Room) -> None:
    outcome = stuck(room.end(room.wanted({**template(Queue=queue()), "Parameters": {"Size": {"Type": "String"}}})))

    assert "Parameters: [Size] must have values" in outcome.message
    assert outcome.left is Left.AS_IT_WAS
    assert not room.is_there


def test_a_protected_stack_is_not_deleted(room: Room) -> None:
    room.deploy()
    room.stack.protected = True

    assert "TerminationProtection" in stuck(room.end(room.gone)).message


def test_one_that_another_stack_imports_from_stays_and_says_so(room: Room) -> None:
    room.deploy()
    room.stack.imported_by = "reports"

    outcome = stuck(room.end(room.gone))

    assert "in use by reports" in outcome.message
    assert outcome.left is Left.AS_IT_WAS


def test_one_that_somebody_deletes_meanwhile_is_not_made_again_unasked(room: Room) -> None:
    room.aws._lives.seconds = 60
    wanted = room.wanted()
    waiting = room.step(wanted)
    assert isinstance(waiting, Waiting)
    room.aws.finish()
    del room.aws.stacks[NAME]

    assert "deleted by somebody else" in stuck(room.step(wanted, waiting.progress)).message


# Whose it is.


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"stagekeeper:service": "orders"},
        OWNER.tags() | {"stagekeeper:service": "billing"},
        OWNER.tags() | {"stagekeeper:stage": "prod"},
        OWNER.tags() | {"stagekeeper:managed-by": "another"},
        {name: value for name, value in OWNER.tags().items() if name != "stagekeeper:stage"},
    ],
    ids=["none", "some", "other service", "other stage", "other control plane", "the service's"],
)
@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "ROLLBACK_COMPLETE", "DELETE_FAILED", "REVIEW_IN_PROGRESS"])
def test_a_stack_that_is_not_ours_is_never_touched(room: Room, tags: dict[str, str], status: str) -> None:
    stack = room.aws.put(NAME, status)
    stack.tags = tags

    for wanted in (room.wanted(), room.gone):
        outcome = stuck(room.end(wanted))
        assert (outcome.code, outcome.left) == (Code.STACK_OWNED_ELSEWHERE, Left.AS_IT_WAS)
    assert room.effects() == []


# Whether it may be done.


def refusing(changes: Any) -> Refusal | None:
    return Refusal(Code.SHARED_RESOURCE_IN_USE, "prod needs it.", ("Second: prod",)) if changes else None


def test_changes_that_somebody_minds_are_not_made(room: Room) -> None:
    room.deploy(TWO)
    room.judge = refusing

    outcome = stuck(room.end(room.wanted()))

    assert outcome == Stuck("prod needs it.", ("Second: prod",), Left.AS_IT_WAS, Code.SHARED_RESOURCE_IN_USE)
    assert room.effects() == ["CreateChangeSet", "DeleteChangeSet"]
    assert "Second" in room.stack.made


def test_nothing_is_left_of_a_stack_that_somebody_minds(room: Room) -> None:
    room.judge = refusing

    assert stuck(room.end(room.wanted())).code is Code.SHARED_RESOURCE_IN_USE
    assert not room.is_there


def test_all_pages_of_the_changes_are_judged(room: Room) -> None:
    room.aws.page = 2
    seen: list[str] = []

    def judge(changes: Any) -> None:
        seen.extend(change.logical_id for change in changes)

    room.judge = judge
    room.end(room.wanted(template(**{f"Queue{number}": queue() for number in range(7)})))

    assert seen == [f"Queue{number}" for number in range(7)]


# Deaths, lost answers, repetitions.


class Dies:
    """A worker that is stopped at its so-manieth effect."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


CASES: Mapping[str, tuple[Any, Any]] = {
    "made": (None, TWO),
    "changed": (TWO, template(Queue=queue(VisibilityTimeout=2))),
    "the same": (TWO, TWO),
    "gone": (TWO, None),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("applied", [False, True])
def test_who_dies_at_an_effect_is_followed_by_one_who_knows_nothing(room: Room, case: str, at: int, applied: bool) -> None:
    before, after = CASES[case]
    if before is not None:
        room.deploy(before)
    wanted = room.gone if after is None else room.wanted(after)
    dies = Dies(at)

    def hook(operation: str, _request: Mapping[str, Any]) -> None:
        if not operation.startswith(("Describe", "List")):
            dies()

    if applied:
        room.aws.after = hook
    else:
        room.aws.before = hook
    try:
        room.end(wanted)
    except KeyboardInterrupt:
        outcome = reached(room.end(wanted, forgetful=True))
        assert outcome.changed is (case != "the same") or case == "gone"
    executed = [request for name, request in room.aws.calls if name == "ExecuteChangeSet"]
    assert len({request["ClientRequestToken"] for request in executed}) <= 1
    assert room.is_there is (after is not None)
    if after is not None:
        assert room.stack.made.keys() == after["Resources"].keys()
        starts = [event for event in room.stack.events if event.logical_id == NAME and event.reason == "User Initiated"]
        assert len([event for event in starts if event.token in {r["ClientRequestToken"] for r in executed}]) <= 1


@pytest.mark.parametrize("operation", ["CreateChangeSet", "ExecuteChangeSet", "DeleteStack", "DeleteChangeSet"])
@pytest.mark.parametrize("applied", [False, True])
def test_an_answer_that_is_lost_is_found_out_by_looking(room: Room, operation: str, applied: bool) -> None:
    room.deploy(TWO)
    lost: list[str] = []

    def hook(name: str, _request: Mapping[str, Any]) -> None:
        if name == operation and not lost:
            lost.append(name)
            raise LOST

    if applied:
        room.aws.after = hook
    else:
        room.aws.before = hook
    wanted: Any = {"DeleteStack": room.gone, "DeleteChangeSet": room.wanted(TWO)}.get(operation, room.wanted())

    reached(room.end(wanted))

    assert lost
    assert room.is_there is (operation != "DeleteStack")


DENIED: Any = {"Error": {"Code": "AccessDenied", "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 403}}


@pytest.mark.parametrize("operation", ["DeleteChangeSet", "DeleteStack"])
def test_what_is_to_be_said_is_said_although_nobody_can_clear_up(room: Room, operation: str) -> None:
    def hook(name: str, _request: Mapping[str, Any]) -> None:
        if name == operation:
            raise ClientError(DENIED, operation)

    if operation == "DeleteChangeSet":
        room.deploy()
    room.aws.before, room.judge = hook, refusing

    outcome = room.end(room.wanted())

    if operation == "DeleteChangeSet":
        assert not reached(outcome).changed
    else:
        assert stuck(outcome).code is Code.SHARED_RESOURCE_IN_USE


def test_where_no_answer_comes_the_state_machine_tries_again(room: Room) -> None:
    def hook(name: str, _request: Mapping[str, Any]) -> None:
        assert len(room.aws.calls) < 50, "it goes on for ever"
        if name == "CreateChangeSet":
            raise LOST

    room.aws.before = hook
    with pytest.raises(Unanswered):
        room.step(room.wanted())


def test_who_is_shown_what_was_before_waits_and_does_not_press(room: Room) -> None:
    """CloudFormation took the deletion, and shows the stack as it was for a while."""
    room.deploy()
    room.stack.events[-1].token = tokens_of(OperationId("op-1"), room.gone).delete(room.stack.stack_id)

    def hook(_operation: str, _request: Mapping[str, Any]) -> None:
        assert len(room.aws.calls) < 50, "it presses"

    room.aws.before = hook

    assert isinstance(room.step(room.gone), Waiting)
    assert room.effects() == ["DeleteStack", "DeleteStack"]


def test_a_stack_that_cannot_be_read_is_not_taken_for_absent(room: Room) -> None:
    def hook(name: str, _request: Mapping[str, Any]) -> None:
        if name == "DescribeStacks":
            raise LOST

    room.aws.before = hook

    outcome = stuck(room.end(room.wanted()))

    assert (outcome.code, room.effects()) == (Code.UNREADABLE, [])


def test_one_look_that_fails_is_no_reason_to_give_up(room: Room) -> None:
    left = [LOST, LOST]

    def hook(name: str, _request: Mapping[str, Any]) -> None:
        if name == "DescribeStacks" and left:
            raise left.pop()

    room.aws.before = hook

    assert reached(room.end(room.wanted())).changed


def test_who_has_lost_its_mandate_does_nothing_more(room: Room) -> None:
    room.mandate = Dies(1)

    with pytest.raises(KeyboardInterrupt):
        room.step(room.wanted())

    assert room.effects() == []


def test_another_worker_of_the_same_operation_does_nothing_twice(room: Room) -> None:
    """Both look at each step of the other."""
    wanted, entered = room.wanted(), []

    def hook(name: str, _request: Mapping[str, Any]) -> None:
        if name in MADE and name not in entered:
            entered.append(name)
            room.step(wanted)

    room.aws.before = hook

    assert reached(room.end(wanted)).changed
    room.aws.finish()
    assert [event.status for event in room.stack.events if event.logical_id == NAME] == [
        "REVIEW_IN_PROGRESS",
        "CREATE_IN_PROGRESS",
        "CREATE_COMPLETE",
    ]


def test_a_change_set_that_somebody_made_useless_is_made_anew(room: Room) -> None:
    room.deploy()
    wanted = room.wanted(TWO)
    room.mandate = Dies(2)
    with pytest.raises(KeyboardInterrupt):
        room.step(wanted)
    room.mandate = lambda: None
    (held,) = [each for each in room.stack.change_sets.values() if each.execution == "AVAILABLE"]
    held.execution = "OBSOLETE"

    assert reached(room.end(wanted)).changed


def test_what_it_was_when_it_was_reached_is_told_for_the_next_time(room: Room) -> None:
    outcome = reached(room.end(room.wanted()))

    assert outcome.record is not None
    assert outcome.record.digest == room.wanted().digest
    assert outcome.record.stack_id == room.stack.stack_id


def test_stages_of_one_service_are_told_apart(room: Room) -> None:
    room.deploy()

    other = replace(room.wanted(), owner=replace(OWNER, stage=StageName("prod")))

    assert stuck(room.end(other)).code is Code.STACK_OWNED_ELSEWHERE
