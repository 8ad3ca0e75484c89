"""Running handlers: what becomes of an exception, of an environment that fails, and of one that is replaced.

AWS's rules (recorded: TestTaskServiceLambda::test_raise_exception and its like):
- an exception arrives under its class's name, with message, request id and stack trace;
- it does not end the execution environment: the next invocation finds it warm;
- an environment that is replaced by an update finishes what it is at.
"""

from __future__ import annotations

import importlib.util
import json
import os
import threading
from pathlib import Path
from typing import Any

from stagekeeper.embedded.fidelity.patching import replaced_once, wrap

# What AWS's Python runtime brings besides the standard library.
_RUNTIME_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")

# What handlers share with the server; the rest of its environment configures it.
_SHARED_ENVIRONMENT = frozenset({"PATH", "LANG", "HOME", "TMPDIR"})

_INIT_FAILED = "Worker init failed: "
_TIMED_OUT = "Task timed out after "


def install(lambda_svc: Any, lambda_runtime: Any, folder: Path) -> None:
    """`folder` becomes the place from which handlers import boto3."""
    _link_runtime_packages(folder)
    hidden = [name for name in os.environ if name not in _SHARED_ENVIRONMENT]
    lambda_runtime._PYTHON_WORKER_SCRIPT = worker_script(lambda_runtime._PYTHON_WORKER_SCRIPT, folder, hidden)
    failures = threading.local()
    wrap(lambda_runtime.Worker, "invoke", lambda original: _reporting(original, failures))
    wrap(lambda_svc, "_execute_function_warm", lambda original: _with_failure(original, failures))
    _finish_before_ending(lambda_svc, lambda_runtime)


def stop_all(lambda_runtime: Any) -> None:
    """End every handler's process, busy or not: the server is going down."""
    with lambda_runtime._lock:
        for workers in lambda_runtime._workers.values():
            for worker in workers:
                worker.in_use = False
    lambda_runtime.reset()


def worker_script(original: str, runtime_folder: Path, hidden: list[str]) -> str:
    """ministack's script with the prelude before it, and its three ways of ending an invocation led through it."""
    script = replaced_once(
        original,
        'json.dumps({"status": "error", "error": str(e)})',
        'json.dumps({"status": "error", "error": _sk_init_failure(e, module_name, handler_name)})',
    )
    # Reported as "ok": ministack ends the process of a worker whose status is "error".
    script = replaced_once(
        script,
        'json.dumps({"status": "error", "error": str(e), "trace": traceback.format_exc()})',
        'json.dumps({"status": "ok", "failure": _sk_failure(e), "trace": traceback.format_exc()})',
    )
    script = replaced_once(script, 'json.dumps({"status": "ok", "result": result})', "_sk_marshalled(result)")
    script = replaced_once(script, 'os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", "")', "_sk_log_stream()")
    prelude = Path(__file__).with_name("worker_prelude.py").read_text(encoding="utf-8")
    calls = f"_sk_without_the_servers_environment({hidden!r})\n_sk_only_runtime_packages({str(runtime_folder)!r})"
    return f"{prelude}\n{calls}\n{script}"


def _link_runtime_packages(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in _RUNTIME_PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            continue
        origin = Path(spec.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        link = folder / source.name
        if not link.exists():
            link.symlink_to(source)


def _reporting(original: Any, failures: threading.local) -> Any:
    """Around Worker.invoke: remember what failed for `_with_failure`, in the same thread, and answer as ministack."""

    def invoke(worker: Any, event: Any, request_id: str, **more: Any) -> Any:
        failures.last = None
        try:
            response = original(worker, event, request_id, **more)
        except RuntimeError as error:
            response = {"status": "error", "error": str(error), "log": ""}
            failures.last = _spawn_failure(str(error), request_id)
        if response.get("failure") is not None:
            failures.last = response["failure"]
            response = {**response, "status": "error", "error": failures.last["errorMessage"]}
        elif response.get("error") in ("Worker process died", "Worker returned no response"):
            failures.last = _exit_failure(request_id)
        elif str(response.get("error")).startswith(_TIMED_OUT):
            message = f"RequestId: {request_id} Error: {response['error']}"
            failures.last = {"errorMessage": message, "errorType": "Sandbox.Timedout", "stackTrace": []}
        return response

    return invoke


def _with_failure(original: Any, failures: threading.local) -> Any:
    """Around _execute_function_warm: the body of a failed invocation as AWS has it."""

    def execute(function: Any, event: Any, request_id: str) -> Any:
        failures.last = None
        result = original(function, event, request_id)
        failure = failures.last
        if failure is not None:
            body = {key: failure[key] for key in ("errorMessage", "errorType")}
            result = {**result, "body": {**body, "requestId": request_id, "stackTrace": failure["stackTrace"]}}
        return result

    return execute


def _spawn_failure(message: str, request_id: str) -> dict[str, Any]:
    _, found, reported = message.partition(_INIT_FAILED)
    if found:
        failure: dict[str, Any] = json.loads(reported)
        return failure
    return _exit_failure(request_id)


def _exit_failure(request_id: str) -> dict[str, Any]:
    message = f"RequestId: {request_id} Error: Runtime exited without providing a reason"
    return {"errorMessage": message, "errorType": "Runtime.ExitError", "stackTrace": []}


def _finish_before_ending(lambda_svc: Any, lambda_runtime: Any) -> None:
    """A busy worker that is to be ended is ended when it is given back."""
    retired: set[Any] = set()

    def ending(original: Any) -> Any:
        def kill_workers(workers: Any) -> None:
            chosen = [worker for worker in workers if worker is not None]
            retired.update(worker for worker in chosen if worker.in_use)
            original([worker for worker in chosen if not worker.in_use])

        return kill_workers

    def giving_back(original: Any) -> Any:
        def release_worker(worker: Any) -> None:
            original(worker)
            if worker in retired:
                retired.discard(worker)
                lambda_runtime.kill_workers([worker])

        return release_worker

    wrap(lambda_runtime, "kill_workers", ending)
    wrap(lambda_runtime, "release_worker", giving_back)
    # Imported by name there.
    lambda_svc.release_worker = lambda_runtime.release_worker
