"""Saving everything at the end and loading it at the start (`start --keep`), with nothing lost in silence.

ministack logs what it cannot save or load and goes on without it: here that is a failure. And it saves records as they
are, while the timers and threads that were to finish them end with the process:
- an execution that still runs is ABORTED, as when somebody stops it (ministack would make it FAILED with an error of
  its own, at the next start only);
- what the layer's modules would do `later`, as the end of an update of a function, is done before saving.

Everything that the layer's other modules remember for longer than a request lies in ministack's records, so it is kept
with them; their token buckets, locks and handler processes begin anew.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stagekeeper.embedded.fidelity import lambda_handlers
from stagekeeper.embedded.fidelity.patching import do_waiting, wrap


def install(app: Any, lambda_runtime: Any, sfn: Any, responses: Any, saved: Path, unreadable: int) -> None:
    """`saved` is written once everything is saved; the process ends with exit code `unreadable` if it cannot be loaded."""

    def loading(original: Any) -> Any:
        def load() -> None:
            with _errors() as errors:
                original()
            if errors:
                sys.stderr.write(f"The kept state cannot be loaded: {'; '.join(errors)}.\n")
                sys.stderr.flush()
                # The server would take an exception here for an application without a life cycle, and go on.
                os._exit(unreadable)

        return load

    def saving(original: Any) -> Any:
        def save_all(services: Any) -> None:
            _abort_running(sfn, responses)
            do_waiting()
            # What a handler would still do is lost either way; while it does it, records change under the saving.
            lambda_handlers.stop_all(lambda_runtime)
            with _errors() as errors:
                original(services)
            if errors:
                sys.stderr.write(f"The state cannot be kept: {'; '.join(errors)}.\n")
            else:
                saved.touch()

        return save_all

    wrap(app, "_load_persisted_state", loading)
    wrap(app, "save_all", saving)


def _abort_running(sfn: Any, responses: Any) -> None:
    for (account, region, _arn), execution in list(sfn._executions._data.items()):
        if execution["status"] == "RUNNING":
            execution.update(status="ABORTED", stopDate=sfn.now_iso())
            with responses.request_scope(account, region):
                sfn._add_event(execution, "ExecutionAborted", {"executionAbortedEventDetails": {}})


@contextmanager
def _errors() -> Iterator[list[str]]:
    """What any of ministack's services logs as an error meanwhile."""
    errors: list[str] = []

    class Collecting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            reason = f" ({record.exc_info[1]})" if record.exc_info else ""
            errors.append(f"{record.getMessage()}{reason}")

    collecting = Collecting(logging.ERROR)
    logging.getLogger().addHandler(collecting)
    try:
        yield errors
    finally:
        logging.getLogger().removeHandler(collecting)
