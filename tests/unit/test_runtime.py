"""What every handler does before its state's work: it takes only payloads of its own version."""

from __future__ import annotations

import importlib
import json
from types import SimpleNamespace
from typing import Any, Final

import pytest

from stagekeeper.handlers.runtime import SCHEMA, UpdatedMeanwhile

from .pages import ROOT, text

HANDLERS: Final = sorted(
    path.stem for path in (ROOT / "src/stagekeeper/handlers").glob("*.py") if "@state(" in path.read_text(encoding="utf-8")
)
CONTEXT: Final = SimpleNamespace(
    log_group_name="group", log_stream_name="stream", aws_request_id="id", get_remaining_time_in_millis=lambda: 60_000
)


@pytest.mark.filterwarnings("ignore:No application metrics")
@pytest.mark.parametrize("schema", [SCHEMA + 1, str(SCHEMA), None])
@pytest.mark.parametrize("module", HANDLERS)
def test_a_payload_of_another_version_is_refused_under_a_name_that_the_state_machine_knows(module: str, schema: Any) -> None:
    event = {**json.loads(text(ROOT / f"events/{module}.json")), "schema": schema}

    with pytest.raises(UpdatedMeanwhile, match=f"reads schema {SCHEMA} and was given"):
        importlib.import_module(f"stagekeeper.handlers.{module}").handler(event, CONTEXT)


def test_there_are_handlers() -> None:
    assert len(HANDLERS) == 14
