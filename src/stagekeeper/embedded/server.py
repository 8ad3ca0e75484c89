"""The embedded AWS's process: ministack with the fidelity layer laid over it, serving on one loopback port.

A script, run by the interpreter of ministack's own tool environment (`.tools/ministack/bin/python -I server.py …`),
so it may import the standard library, what ministack brings along, and the fidelity layer beside it: nothing of the
product. `instance.py` is what starts it and knows its command line and exit codes.

Handlers run as child processes of this one and inherit its environment but not its `sys.path`: the checkout is put on
`sys.path` here, never into PYTHONPATH, so that a handler can only import what its own zip holds.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import importlib.metadata
import json
import os
import socket
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

MINISTACK_VERSION = "1.5.33"
LOOPBACK = "127.0.0.1"
IDENTITY_PATH = "/_stagekeeper/instance"

# Exit codes that instance.py tells apart; any other one is a crash.
EXIT_WRONG_VERSION = 3
EXIT_PORT_BUSY = 4
EXIT_KEPT_UNREADABLE = 5
EXIT_PORT_REFUSED = 6


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM; returns the exit code."""
    options = _parser().parse_args(argv)
    refusal = version_refusal(_installed_version())
    if refusal is not None:
        sys.stderr.write(f"{refusal}\n")
        return EXIT_WRONG_VERSION
    try:
        listener = _listener(options.port)
    except OSError as error:
        sys.stderr.write(f"Port {options.port} on {LOOPBACK} cannot be had: {error.strerror}.\n")
        return port_exit(error)
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    _serve(listener, options)
    return 0


def version_refusal(installed: str | None) -> str | None:
    """The sentence to refuse with, or None when `installed` is the version this layer was written for."""
    if installed == MINISTACK_VERSION:
        return None
    found = "no ministack" if installed is None else f"ministack {installed}"
    return (
        f"The fidelity layer was written for ministack {MINISTACK_VERSION}, but {found} is installed in "
        f"{sys.prefix}. Run `make setup` to install the right one; after an upgrade on purpose, check every patch in "
        "embedded/fidelity/ against the new source and only then change MINISTACK_VERSION."
    )


def port_exit(error: OSError) -> int:
    """Of a port that cannot be had: somebody else has it, or it is not for us (a low one, without the privilege)."""
    return EXIT_PORT_BUSY if error.errno == errno.EADDRINUSE else EXIT_PORT_REFUSED


def _installed_version() -> str | None:
    try:
        return importlib.metadata.version("ministack")
    except importlib.metadata.PackageNotFoundError:
        return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="The embedded AWS (started by `stagekeeper local start`).")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token", required=True, help="names this instance; answered at " + IDENTITY_PATH)
    parser.add_argument("--saved", type=Path, help="keep what is there: written when everything was saved at the end")
    parser.add_argument("--in-progress-seconds", type=float, default=0.2)
    parser.add_argument("--throttle", action="store_true", help="Lambda's control-plane budgets, as on AWS")
    return parser


def _listener(port: int) -> socket.socket:
    """Bind before anything else happens, so that a busy port is found out before state is loaded."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((LOOPBACK, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def _serve(listener: socket.socket, options: argparse.Namespace) -> None:
    # By name, because only the tool environment has them: the checkout's own checks run without.
    ministack_app = import_module("ministack.app")
    lambda_runtime = import_module("ministack.core.lambda_runtime")
    serve = import_module("hypercorn.asyncio").serve

    from stagekeeper.embedded import fidelity
    from stagekeeper.embedded.fidelity import kept_state, lambda_handlers

    fidelity.install(fidelity.Settings(in_progress_seconds=options.in_progress_seconds, throttle=options.throttle))
    if options.saved is not None:
        kept_state.install(
            ministack_app,
            lambda_runtime,
            import_module("ministack.services.stepfunctions"),
            import_module("ministack.core.responses"),
            options.saved,
            EXIT_KEPT_UNREADABLE,
        )
    config = import_module("hypercorn.config").Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.keep_alive_timeout = 75
    config.loglevel = "WARNING"
    try:
        asyncio.run(serve(_with_identity(ministack_app.app, options.token), config))
    finally:
        # A handler that is still running would outlive the server that started it.
        lambda_handlers.stop_all(lambda_runtime)


def _with_identity(app: Any, token: str) -> Any:
    """Answer IDENTITY_PATH with this instance's token: a port that answers need not be ours."""
    body = json.dumps({"token": token, "pid": os.getpid()}).encode()

    async def identified(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != IDENTITY_PATH:
            await app(scope, receive, send)
            return
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return identified


if __name__ == "__main__":
    raise SystemExit(main())
