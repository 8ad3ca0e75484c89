"""Start, stop and inspect one embedded AWS on one loopback port. Standard library only.

Used by `stagekeeper local` and by the tests' fixtures. It knows processes, ports and folders; it must not know the
control plane, its template or `sam` (see `deploy.py`), nor anything about what the server does with a request.

Folders, all below `<checkout>/.local/<port>/`:

    instance.json   which process serves here; written when it is started, removed when it is stopped
    run-*/          one run's home, temporary files, log, state and sam build; removed when it is stopped
    kept/           the state of `keep=True` runs; survives, and is read again by the next of them
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
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stagekeeper.embedded.server import EXIT_PORT_BUSY, EXIT_WRONG_VERSION, IDENTITY_PATH, LOOPBACK

REGION = "us-east-1"
ACCOUNT = "000000000000"
START_SECONDS = 60.0
STOP_SECONDS = 15.0


class EmbeddedError(Exception):
    """Something a person can act on; `str()` of it is the sentence to show them."""


class PortBusy(EmbeddedError):
    """The port is taken, by whomever."""


@dataclass(frozen=True)
class Instance:
    """One embedded AWS. `stack` and `state_machine_arn` are there once the control plane is deployed on it."""

    root: Path
    port: int
    pid: int
    token: str
    region: str
    account: str
    keep: bool
    folder: Path
    stack: str | None = None
    state_machine_arn: str | None = None

    @property
    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"


def start(
    port: int | None,
    root: Path,
    *,
    region: str = REGION,
    account: str = ACCOUNT,
    keep: bool = False,
    throttle: bool = False,
    in_progress_seconds: float = 0.2,
) -> Instance:
    """Start an embedded AWS of the checkout `root`; returns when it answers. `port` None takes a free one.

    Nothing is deployed on it. Raises EmbeddedError (PortBusy for a taken port) and then leaves nothing running.
    """
    root = root.resolve()
    if port is not None:
        return _start(port, root, region, account, keep, throttle, in_progress_seconds)
    for _attempt in range(5):
        # Between finding a free port and the server's bind another program may take it: then try the next.
        with contextlib.suppress(PortBusy):
            return _start(_free_port(), root, region, account, keep, throttle, in_progress_seconds)
    raise EmbeddedError("No free port was found for the embedded AWS in five attempts.")


def stop(instance: Instance) -> None:
    """Stop it and remove what it wrote, but for what `keep` keeps. Stopping a stopped one does nothing."""
    if _is_ours(instance.pid, instance.token):
        os.kill(instance.pid, signal.SIGTERM)
        if not _wait_gone(instance, STOP_SECONDS) and _is_ours(instance.pid, instance.token):
            # It leads its own session, so its group is itself and the handlers it started.
            os.killpg(instance.pid, signal.SIGKILL)
            if not _wait_gone(instance, STOP_SECONDS):
                raise EmbeddedError(f"The embedded AWS on port {instance.port} (pid {instance.pid}) cannot be ended.")
    _forget(instance)


def find(root: Path, port: int) -> Instance | None:
    """The instance of this checkout that serves on `port`, or None."""
    instance = _recorded(root.resolve(), port)
    return instance if instance is not None and _is_ours(instance.pid, instance.token) else None


def running(root: Path) -> list[Instance]:
    """Every instance of this checkout that is alive, by port."""
    return [instance for port in _ports(root) if (instance := find(root, port)) is not None]


def clear_dead(root: Path) -> None:
    """Remove what instances left that ended by themselves (a crash, a reboot)."""
    for port in _ports(root):
        recorded = _recorded(root.resolve(), port)
        if recorded is not None and not _is_ours(recorded.pid, recorded.token):
            _forget(recorded)


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


def _start(port: int, root: Path, region: str, account: str, keep: bool, throttle: bool, in_progress_seconds: float) -> Instance:
    python = interpreter(root)
    recorded = _recorded(root, port)
    if recorded is not None:
        if _is_ours(recorded.pid, recorded.token):
            raise _taken(recorded)
        _forget(recorded)
    home = root / ".local" / str(port)
    home.mkdir(parents=True, exist_ok=True)
    # A folder of its own for each attempt: clearing up after a failed one must not touch another's.
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=home))
    token = secrets.token_hex(16)
    instance = Instance(root, port, 0, token, region, account, keep, folder)
    child = _spawn(python, instance, throttle, in_progress_seconds)
    instance = dataclasses.replace(instance, pid=child.pid)
    _children[child.pid] = child
    try:
        _claim(instance)
        _wait_ready(child, instance)
    except BaseException:
        stop(instance)
        raise
    return instance


def _spawn(python: Path, instance: Instance, throttle: bool, in_progress_seconds: float) -> subprocess.Popen[bytes]:
    folder = instance.folder
    state = folder.parent / "kept" if instance.keep else folder / "state"
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
    command = [str(python), "-I", str(server), "--port", str(instance.port), "--token", instance.token]
    command += ["--in-progress-seconds", str(in_progress_seconds), *(["--throttle"] if throttle else [])]
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
        if code == EXIT_WRONG_VERSION:
            raise EmbeddedError(log_tail(instance.log))
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


def _forget(instance: Instance) -> None:
    """Remove the run's folder, and its record if the record is still about this run."""
    child = _children.pop(instance.pid, None)
    if child is not None:
        child.wait()
    recorded = _recorded(instance.root, instance.port)
    if recorded is not None and recorded.token == instance.token:
        _record_path(instance.root, instance.port).unlink(missing_ok=True)
    shutil.rmtree(instance.folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # Not empty while it holds `kept/` or another attempt's run.
        instance.folder.parent.rmdir()


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
