"""Where a handler's log goes, and that the handler is told: the names in its context and environment are the real ones.

On AWS an execution environment has one log stream, in the log group that the function's LoggingConfig names; both are
in the environment (Developer Guide, defined runtime environment variables) and in the context object. In a log group of
one's own choice the stream's name has the function's before the version (Developer Guide, Configuring CloudWatch log
groups). ministack writes each invocation to a stream of its own, without that name, and tells handlers of another.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from stagekeeper.embedded.fidelity import answers
from stagekeeper.embedded.fidelity.patching import wrap

_GROUP, _STREAM = "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME"


def install(lambda_svc: Any, lambda_runtime: Any, logs: Any) -> None:
    """After the modules that replace the workers' script: the context's stream comes from there."""
    # Of the thread that runs an invocation and then writes its log.
    current = threading.local()

    def spawning(original: Any) -> Any:
        def spawn(worker: Any) -> None:
            config = worker.config
            worker.sk_log_stream = lambda_svc.new_uuid().replace("-", "")
            logging = answers.configuration({"LoggingConfig": {}, **config})["LoggingConfig"]
            variables = (config.get("Environment") or {}).get("Variables") or {}
            version = config.get("Version", "$LATEST")
            name = _in_stream(config, logging["LogGroup"])
            stream = f"{time.strftime('%Y/%m/%d', time.gmtime())}/{name}[{version}]{worker.sk_log_stream}"
            told = {_GROUP: logging["LogGroup"], _STREAM: stream}
            worker.config = {**config, "Environment": {"Variables": {**variables, **told}}}
            try:
                original(worker)
            finally:
                worker.config = config

        return spawn

    def invoking(original: Any) -> Any:
        def invoke(worker: Any, event: Any, request_id: str, **more: Any) -> Any:
            try:
                return original(worker, event, request_id, **more)
            finally:
                # Set when it was spawned, which this invocation may have been the first to need.
                current.stream = getattr(worker, "sk_log_stream", None)

        return invoke

    def emitting(original: Any) -> Any:
        def emit(func: Any, *given: Any, **named: Any) -> None:
            current.emitting, current.stream = True, getattr(current, "stream", None) or lambda_svc.new_uuid().replace("-", "")
            try:
                original(func, *given, **named)
                _name_function(func.get("config") or func, current.stream, logs)
            finally:
                current.emitting, current.stream = False, None

        return emit

    def naming(original: Any) -> Any:
        def new_uuid() -> str:
            stream = getattr(current, "stream", None) if getattr(current, "emitting", False) else None
            return str(stream or original())

        return new_uuid

    # ministack keeps a function from setting it; the layer is not the function.
    lambda_runtime._RESERVED_RUNTIME_ENV_VARS = lambda_runtime._RESERVED_RUNTIME_ENV_VARS - {_STREAM}
    wrap(lambda_runtime.Worker, "_spawn", spawning)
    wrap(lambda_runtime.Worker, "invoke", invoking)
    wrap(lambda_svc, "_emit_lambda_logs", emitting)
    wrap(lambda_svc, "new_uuid", naming)


def _in_stream(config: dict[str, Any], group: str) -> str:
    """What the stream's name has before the version."""
    name = str(config["FunctionName"])
    return "" if group == f"/aws/lambda/{name}" else name


def _name_function(config: dict[str, Any], stream: str, logs: Any) -> None:
    """In a log group of one's own choice: what was just written is put where AWS would have written it."""
    group = (config.get("LoggingConfig") or {}).get("LogGroup")
    name = _in_stream(config, group) if group else ""
    if not name:
        return
    # Where ministack could not write it has made none; a log never breaks an invocation.
    streams = (logs._log_groups.get(group) or {"streams": {}})["streams"]
    for written in [each for each in streams if each.endswith(f"/[{config.get('Version', '$LATEST')}]{stream}")]:
        content = streams.pop(written)
        there = streams.setdefault(written.replace("/[", f"/{name}[", 1), {**content, "events": []})
        logs._append_log_events(there, content["events"])
