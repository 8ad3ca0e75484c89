"""What the example's README tells to send is what the control plane takes. (Its `sam` commands package it in the other cases.)"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from stagekeeper.handlers import request_forms as forms

from .shop import EXAMPLE

README = (EXAMPLE / "README.md").read_text(encoding="utf-8")
#: Of the shell: its variable between two quoted strings.
BUCKET = "'\"$ARTIFACT_BUCKET\"'"


def requests() -> list[dict[str, Any]]:
    """Every request of the page, in its order."""
    started = re.findall(r"--input '(\{\n.*?\n\})'", README, re.DOTALL)
    blocks = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    inline = re.findall(r"`(\{\"operation\".*?\})`", README, re.DOTALL)
    return [json.loads(text.replace(BUCKET, "bucket")) for text in (*started, *inline, *blocks)]


def test_it_shows_a_deploy_a_rollback_a_teardown_and_a_variable() -> None:
    assert [request["operation"] for request in requests()] == ["deploy", "rollback", "teardown", "deploy"]


@pytest.mark.parametrize("request_", requests(), ids=lambda request: str(request["operation"]))
def test_every_request_has_the_form_of_its_operation(request_: dict[str, Any]) -> None:
    of_its_operation: dict[str, type[forms.OfStage]] = {
        "deploy": forms.Deploy,
        "rollback": forms.Rollback,
        "teardown": forms.Teardown,
    }

    assert of_its_operation[request_["operation"]].model_validate(request_).service == "shop"
