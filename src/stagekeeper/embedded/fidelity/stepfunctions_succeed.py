"""A Succeed state of a JSONata machine gives its `Output`, as the Amazon States Language has it; ministack ignores it there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stagekeeper.embedded.fidelity.patching import wrap


def install(stepfunctions: Any) -> None:
    """Patch the last thing ministack does with a Succeed state's data."""

    def make(apply: Callable[..., Any]) -> Callable[..., Any]:
        def apply_output(state: dict[str, Any], data: Any, context: Any = None) -> Any:
            jsonata = stepfunctions._state_query_language(state, context) == "JSONata"
            if state.get("Type") == "Succeed" and jsonata and "Output" in state:
                return stepfunctions._apply_jsonata_output(state, data, context, default=data)
            return apply(state, data, context)

        return apply_output

    wrap(stepfunctions, "_apply_output_path", make)
