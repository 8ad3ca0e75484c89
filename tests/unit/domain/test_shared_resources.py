"""What another stage needs is not taken away by a change set."""

from __future__ import annotations

import pytest

from stagekeeper.domain.model import LogicalName, StageName
from stagekeeper.domain.refusal import Code
from stagekeeper.domain.shared_resources import forbidden
from stagekeeper.domain.stack_work import ResourceChange

PROD = (StageName("prod"),)
NEEDED = {"Queue": PROD}


def change(action: str, replacement: str | None = None, logical_id: str = "Queue") -> ResourceChange:
    return ResourceChange(logical_id, "AWS::SQS::Queue", action, replacement)


@pytest.mark.parametrize(
    ("asked", "may"),
    [
        (change("Add"), True),
        (change("Modify", "False"), True),
        (change("SyncWithActual", "False"), True),
        (change("Modify", "True"), False),
        (change("Modify", "Conditional"), False),
        (change("Modify"), False),
        (change("Remove"), False),
        (change("Import"), False),
        (change("Dynamic"), False),
        (change("SomethingNew"), False),
        (change("Remove", logical_id="Other"), True),
    ],
)
def test_what_another_stage_declares_is_not_taken_away(asked: ResourceChange, may: bool) -> None:
    refused = forbidden([asked], NEEDED, frozenset(), {})

    assert (refused is None) is may
    if refused is not None:
        assert refused.code is Code.SHARED_RESOURCE_IN_USE
        assert "Queue" in refused.message
        assert refused.blockers == ("Queue (AWS::SQS::Queue): prod",)


def test_but_it_may_be_allowed_by_name() -> None:
    both = [change("Remove"), change("Remove", logical_id="Table")]
    needed = {"Queue": PROD, "Table": (StageName("prod"), StageName("qa"))}

    assert forbidden(both, needed, frozenset({"Queue", "Table"}), {}) is None
    refused = forbidden(both, needed, frozenset({"Queue"}), {})
    assert refused is not None
    assert refused.blockers == ("Table (AWS::SQS::Queue): prod, qa",)
    assert "allow_shared: [Table]" in refused.message


def test_a_function_that_a_stage_serves_may_not() -> None:
    served = {LogicalName("Queue"): PROD}

    refused = forbidden([change("Modify", "True")], {}, frozenset({"Queue"}), served)

    assert refused is not None
    assert "allow_shared" not in refused.message


def test_the_properties_that_would_replace_it_are_named_where_they_are_known() -> None:
    asked = ResourceChange("Queue", "AWS::SQS::Queue", "Modify", "True", ("FifoQueue", "QueueName"))

    refused = forbidden([asked], NEEDED, frozenset(), {})

    assert refused is not None
    assert "would replace Queue (AWS::SQS::Queue) for its new FifoQueue, QueueName, which stage prod needs" in refused.message


def test_what_is_in_a_nested_stack_is_not_known_so_a_change_of_it_has_to_be_allowed() -> None:
    nested = ResourceChange("Queue", "AWS::CloudFormation::Stack", "Modify", "False")

    refused = forbidden([nested], NEEDED, frozenset(), {})

    assert refused is not None
    assert "might take away what is in Queue" in refused.message
    assert forbidden([nested], NEEDED, frozenset({"Queue"}), {}) is None
