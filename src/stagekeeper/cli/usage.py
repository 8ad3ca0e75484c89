"""The group that all commands are in: what is wrong with a command line is told with `--json` as all other errors are.

Imports nothing heavy: whoever asks for `--help` waits for this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stagekeeper.cli.endings import usage_told
from stagekeeper.cli.options import PlainGroup

_JSON = "stagekeeper.json"


class Commands(PlainGroup):
    """Nobody has read the options of a command line that is wrong, so that `--json` is among its words has to do."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        as_json = _is_asked(args)
        with usage_told(as_json=as_json):
            context = super().make_context(info_name, args, parent, **extra)
        context.meta[_JSON] = as_json
        return context

    def invoke(self, ctx: Any) -> Any:
        with usage_told(as_json=ctx.meta.get(_JSON, False)):
            return super().invoke(ctx)


def _is_asked(words: Sequence[str]) -> bool:
    """Whether `--json` is among the options; what comes after `--` is none."""
    return "--json" in (words[: words.index("--")] if "--" in words else words)
