"""The stack's parameters that a sweep for a template needs: one that is missing or no number deletes nothing, and says which."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Final

import pytest

from stagekeeper.domain.facts import StackSeen
from stagekeeper.handlers.orphaned_versions import Answer, Done
from stagekeeper.handlers.orphaned_versions_request import answer_to

OWN: Final = StackSeen("arn:shop", "shop", "UPDATE_IN_PROGRESS", "arn:shop")
GOOD: Final = {"KEEP": "3", "ROLLBACK_DEPTH": "5", "GRACE_HOURS": "24", "AWS_SECRET_ACCESS_KEY": "5ecret"}


def answered(monkeypatch: pytest.MonkeyPatch, **environment: str | None) -> Answer:
    for name, value in {**GOOD, **environment}.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    event: dict[str, Any] = {"RequestType": "Update", "LogicalResourceId": "CleanUp", "ResourceProperties": {"Service": "orders"}}
    context = SimpleNamespace(invoked_function_arn="arn:aws:lambda:eu-central-1:123456789012:function:f")
    return answer_to(event, context, OWN, 0.0, Done())


@pytest.mark.parametrize("name", ["KEEP", "ROLLBACK_DEPTH"])
@pytest.mark.parametrize("value", [None, "", "-1", "many", "1.5"])
def test_a_parameter_that_is_missing_or_malformed_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str | None) -> None:
    answer = answered(monkeypatch, **{name: value})

    assert (answer.word, answer.failed, answer.deleted) == ("Internal", True, 0)
    assert answer.detail == f"the environment of Stagekeeper's own function is wrong: {name}"
