"""Start, stop and inspect one embedded AWS on one loopback port. Standard library only.

Used by `stagekeeper local` and by the tests' fixtures. It knows processes, ports and folders; it must not know the
control plane, its template or `sam` (see `deploy.py`), nor anything about what the server does with a request.

Folders, all below `<checkout>/.local/<port>/`:

    instance.json   which process serves here; written when it is started, removed when it is stopped
    run-*/          one run's home, temporary files, log, state and sam build; removed when it is stopped
    kept/           what the last `keep=True` run left when it was stopped; the next of them begins with a copy of it
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stagekeeper.embedded import kept
from stagekeeper.embedded.errors import EmbeddedError as EmbeddedError
from stagekeeper.embedded.errors import KeptStateUnusable
from stagekeeper.embedded.errors import PortBusy as PortBusy
from stagekeeper.embedded.server import (
    EXIT_KEPT_UNREADABLE,
    EXIT_PORT_BUSY,
    EXIT_PORT_REFUSED,
    EXIT_WRONG_VERSION,
    IDENTITY_PATH,
    LOOPBACK,
    MINISTACK_VERSION,
)

REGION = "us-east-1"
ACCOUNT = "000000000000"
START_SECONDS = 60.0
STOP_SECONDS = 15.0
# Everything is written once more at the end, and ending a server that is at it would lose it.
STOP_KEEPING_SECONDS = 120.0


@dataclass(frozen=True)
class Instance:
    """One embedded AWS. `stack` and `state_machine_arn` are there once the control plane is deployed on it.

    `users`: somebody asked for it with `stagekeeper local start`; those of tests and of the demo end by themselves.
    """

    root: Path
    port: int
    pid: int
    token: str
    region: str
    account: str
    keep: bool
    folder: Path
    users: bool = False
    stack: str | None = None
    state_machine_arn: str | None = None

    @property
    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def kept(self) -> Path:
        """What `keep` keeps, for the next run on this port."""
        return self.folder.parent / "kept"

    @property
    def state(self) -> Path:
        """Where the server writes, kept or not."""
        return self.folder / "state"

    @property
    def saved(self) -> Path:
        """Is there once the server has written everything at its end."""
        return self.folder / "saved"


def start(
    port: int | None,
    root: Path,
    *,
    region: str = REGION,
    account: str = ACCOUNT,
    keep: bool = False,
    users: bool = False,
    throttle: bool = False,
    in_progress_seconds: float = 0.2,
) -> Instance:
    """Start an embedded AWS of the checkout `root`; returns when it answers. `port` None takes a free one.

    Nothing is deployed on it. With `keep` it begins with what the last such run on this port left.
    Raises EmbeddedError (PortBusy for a taken port) and then leaves nothing running.
    """
    root = root.resolve()
    options = ["--in-progress-seconds", str(in_progress_seconds), *(["--throttle"] if throttle else [])]

    def on(port: int) -> Instance:
        # A folder of its own for each attempt: clearing up after a failed one must not touch another's.
        folder = root / ".local" / str(port) / f"run-{secrets.token_hex(4)}"
        return _start(Instance(root, port, 0, secrets.token_hex(16), region, account, keep, folder, users), options)

    if port is not None:
        return on(port)
    for _attempt in range(5):
        # Between finding a free port and the server's bind another program may take it: then try the next.
        with contextlib.suppress(PortBusy):
            return on(_free_port())
    raise EmbeddedError("No free port was found for the embedded AWS in five attempts.")


def stop(instance: Instance, *, discard: bool = False) -> None:
    """Stop it and remove what it wrote, but for what `keep` keeps. Stopping a stopped one does nothing.

    `discard` keeps what an earlier run left, instead of what this one did. Raises EmbeddedError when it cannot be
    ended, and when it ended without saving what it was to keep.
    """
    alive = _is_ours(instance.pid, instance.token)
    if alive:
        os.kill(instance.pid, signal.SIGTERM)
        if not _wait_gone(instance, STOP_KEEPING_SECONDS if instance.keep and not discard else STOP_SECONDS):
            # It leads its own session, so its group is itself and the handlers it started.
            os.killpg(instance.pid, signal.SIGKILL)
            if not _wait_gone(instance, STOP_SECONDS):
                raise EmbeddedError(f"The embedded AWS on port {instance.port} (pid {instance.pid}) cannot be ended.")
    if discard:
        instance.saved.unlink(missing_ok=True)
    lost = _forget(instance)
    if alive and not discard and lost is not None:
        raise EmbeddedError(lost)


def find(root: Path, port: int) -> Instance | None:
    """The instance of this checkout that serves on `port`, or None."""
    instance = _recorded(root.resolve(), port)
    return instance if instance is not None and _is_ours(instance.pid, instance.token) else None


def running(root: Path) -> list[Instance]:
    """Every instance of this checkout that is alive, by port."""
    return [instance for port in _ports(root) if (instance := find(root, port)) is not None]


def clear_dead(root: Path) -> list[str]:
    """Remove what instances left that ended by themselves (a crash, a reboot); a sentence for each that lost something."""
    lost = []
    for port in _ports(root):
        recorded = _recorded(root.resolve(), port)
        if recorded is not None and not _is_ours(recorded.pid, recorded.token):
            lost.append(_forget(recorded))
    return [sentence for sentence in lost if sentence is not None]


def record(instance: Instance, *, stack: str, state_machine_arn: str) -> Instance:
    """Remember what was deployed on the instance, for `status`."""
    deployed = dataclasses.replace(instance, stack=stack, state_machine_arn=state_machine_arn)
    _partial_record(deployed).replace(_record_path(deployed.root, deployed.port))
    return deployed


def interpreter(root: Path) -> Path:
    """The interpreter that ministack, and so every handler, runs on. Raises EmbeddedError when it is missing."""
    python = root / ".tools" / "ministack" / "bin" / "python"
    if not python.exists():
        raise EmbeddedError(f"The embedded AWS is not installed: {python} is missing. Run `make setup` first.")
    return python


def log_tail(path: Path, lines: int = 15) -> str:
    """The end of a log, for an error message; empty when there is none."""
    if not path.exists():
        return ""
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


# Children of this very process: kept so that they can be reaped, or they would stay as zombies.
_children: dict[int, subprocess.Popen[bytes]] = {}


def _start(instance: Instance, options: list[str]) -> Instance:
    python = interpreter(instance.root)
    recorded = _recorded(instance.root, instance.port)
    if recorded is not None:
        if _is_ours(recorded.pid, recorded.token):
            raise _taken(recorded)
        _forget(recorded)
    instance.folder.mkdir(parents=True)
    try:
        if instance.keep:
            kept.check_out(instance.kept, instance.state, MINISTACK_VERSION)
        child = _spawn(python, instance, options)
    except BaseException:
        _remove(instance)
        raise
    instance = dataclasses.replace(instance, pid=child.pid)
    _children[child.pid] = child
    try:
        _claim(instance)
        _wait_ready(child, instance)
    except BaseException:
        stop(instance, discard=True)
        raise
    return instance


def _spawn(python: Path, instance: Instance, options: list[str]) -> subprocess.Popen[bytes]:
    folder, state = instance.folder, instance.state
    for needed in (folder / "home", folder / "tmp", state / "services", state / "s3"):
        needed.mkdir(parents=True, exist_ok=True)
    # ministack reads much of its configuration from the environment, and handlers inherit it: nothing of the
    # caller's may reach them.
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "STATE_DIR": str(state / "services"),
        "S3_DATA_DIR": str(state / "s3"),
        "PERSIST_STATE": "1" if instance.keep else "0",
        "S3_PERSIST": "1" if instance.keep else "0",
        "GATEWAY_PORT": str(instance.port),
        "BIND_HOST": LOOPBACK,
        "AUTH": "true",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "MINISTACK_REGION": instance.region,
        "MINISTACK_ACCOUNT_ID": instance.account,
        # ministack clears away containers of its kind when it finds a Docker socket: those are not ours to touch.
        "DOCKER_HOST": f"unix://{folder}/no-docker.sock",
    }
    server = Path(__file__).with_name("server.py")
    command = [str(python), "-I", str(server), "--port", str(instance.port), "--token", instance.token, *options]
    command += ["--saved", str(instance.saved)] if instance.keep else []
    with instance.log.open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - the checkout's own tool, no shell
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            close_fds=True,
        )


def _taken(by: Instance) -> PortBusy:
    return PortBusy(
        f"Port {by.port} is busy: an embedded AWS of this checkout runs there already (pid {by.pid}). "
        f"Stop it with `stagekeeper local stop --port {by.port}`, or choose another port with --port."
    )


def _wait_ready(child: subprocess.Popen[bytes], instance: Instance) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        code = child.poll()
        if code == EXIT_PORT_BUSY:
            raise PortBusy(
                f"Port {instance.port} is busy: another program listens on {LOOPBACK}:{instance.port}. "
                "Choose another port with --port."
            )
        if code in (EXIT_WRONG_VERSION, EXIT_PORT_REFUSED):
            raise EmbeddedError(log_tail(instance.log))
        if code == EXIT_KEPT_UNREADABLE:
            reason = log_tail(instance.log, 1)
            raise KeptStateUnusable(f"{reason} {kept.WAY_OUT.format(kept=instance.kept)}")
        if code is not None:
            raise EmbeddedError(f"The embedded AWS ended at once (exit code {code}):\n{log_tail(instance.log)}")
        if _answers(instance):
            return
        time.sleep(0.05)
    raise EmbeddedError(f"The embedded AWS did not answer within {START_SECONDS:.0f} s:\n{log_tail(instance.log)}")


def _answers(instance: Instance) -> bool:
    # No proxy: an HTTP_PROXY of the caller's environment must not get to see loopback requests.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(instance.endpoint + IDENTITY_PATH, timeout=2) as answer:
            identity: Any = json.load(answer)
    except (OSError, ValueError):
        return False
    return isinstance(identity, dict) and identity.get("token") == instance.token


def _is_ours(pid: int, token: str) -> bool:
    """Whether `pid` is alive and is the process we started: process ids are reused, the token is not."""
    if pid <= 0:
        return False
    child = _children.get(pid)
    if child is not None and child.poll() is not None:
        return False
    proc = Path("/proc") / str(pid) / "cmdline"
    if Path("/proc/self/cmdline").exists():
        try:
            return token.encode() in proc.read_bytes().split(b"\0")
        except OSError:
            return False
    # Where there is no /proc (macOS).
    listing = ["/bin/ps", "-o", "args=", "-p", str(pid)]
    listed = subprocess.run(listing, capture_output=True, text=True, check=False)  # noqa: S603 - no shell
    return token in listed.stdout.split()


def _wait_gone(instance: Instance, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while _is_ours(instance.pid, instance.token):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _forget(instance: Instance) -> str | None:
    """Keep what is to be kept, remove the run's folder, and its record if that is still about this run.

    Returns a sentence if the run was to be kept and was not saved.
    """
    child = _children.pop(instance.pid, None)
    if child is not None:
        child.wait()
    lost = None
    if instance.saved.exists():
        kept.put_back(instance.state, instance.kept, MINISTACK_VERSION)
    elif instance.keep and instance.folder.exists():
        lost = _not_saved(instance)
    _remove(instance)
    return lost


def _remove(instance: Instance) -> None:
    shutil.rmtree(instance.folder, ignore_errors=True)
    # After the folder: as long as there is a record, the next `stop` or `start` finds what one that was broken off left.
    recorded = _recorded(instance.root, instance.port)
    if recorded is not None and recorded.token == instance.token:
        _record_path(instance.root, instance.port).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # Not empty while it holds `kept/` or another attempt's run.
        instance.folder.parent.rmdir()


def _not_saved(instance: Instance) -> str:
    remains = "what an earlier stop kept is as it was" if instance.kept.exists() else "nothing was kept before"
    reason = log_tail(instance.log, 1)
    return f"What the embedded AWS on port {instance.port} held was not kept, because it ended without saving it; {remains}." + (
        f" The end of its log: {reason}" if reason else ""
    )


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _record_path(root: Path, port: int) -> Path:
    return root / ".local" / str(port) / "instance.json"


def _ports(root: Path) -> list[int]:
    folder = root.resolve() / ".local"
    return sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdigit()) if folder.is_dir() else []


def _claim(instance: Instance) -> None:
    """Put the record there, unless another start of the same port was faster."""
    partial = _partial_record(instance)
    path = _record_path(instance.root, instance.port)
    try:
        os.link(partial, path)
    except FileExistsError:
        other = _recorded(instance.root, instance.port)
        raise _taken(other or instance) from None
    finally:
        partial.unlink()


def _partial_record(instance: Instance) -> Path:
    fields = dataclasses.asdict(instance) | {"root": str(instance.root), "folder": str(instance.folder)}
    partial = _record_path(instance.root, instance.port).with_suffix(f".{instance.token}")
    partial.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
    return partial


def _recorded(root: Path, port: int) -> Instance | None:
    path = _record_path(root, port)
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return Instance(**fields | {"root": Path(fields["root"]), "folder": Path(fields["folder"])})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise EmbeddedError(f"{path} is not an instance record ({error}). Remove it by hand.") from error
