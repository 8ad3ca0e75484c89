"""One unpacked copy of a zip for all execution environments that run it.

ministack unpacks it anew for each process that it starts: some thousand files every time for functions with
dependencies, which takes long to write, to compile and to remove again. On AWS a function's code is read-only, so no
handler can tell. Knows nothing of what is in a zip.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import types
import zipfile
from pathlib import Path
from typing import Any

from stagekeeper.embedded.fidelity.patching import PatchError, wrap

_CODE = "code"


def install(lambda_runtime: Any, folder: Path) -> None:
    """Unpacked code lies below `folder`, which must be on the same file system as the processes' own folders."""
    if getattr(lambda_runtime, "zipfile", None) is not zipfile:
        raise PatchError(
            "ministack's workers do not unpack with zipfile: this ministack is not the one the layer was written for."
        )
    folder.mkdir(parents=True, exist_ok=True)
    python = threading.local()
    lock = threading.Lock()

    class SharedZip(zipfile.ZipFile):
        def extractall(self, path: Any = None, members: Any = None, pwd: Any = None) -> None:
            target = Path(path or os.curdir)
            # Layers are unpacked next to the code; Node.js environments link into theirs.
            if not getattr(python, "spawning", False) or target.name != _CODE or self.filename is None:
                super().extractall(path, members, pwd)
                return
            shared = folder / hashlib.sha256(Path(self.filename).read_bytes()).hexdigest()
            with lock:
                if not shared.exists():
                    partial = Path(tempfile.mkdtemp(dir=folder))
                    super().extractall(partial)
                    partial.rename(shared)
            target.rmdir()
            target.symlink_to(shared)

    def spawning(original: Any) -> Any:
        def spawn(worker: Any) -> None:
            python.spawning = str(worker.config.get("Runtime", "")).startswith("python")
            try:
                original(worker)
            finally:
                python.spawning = False

        return spawn

    replacement = types.ModuleType("zipfile")
    replacement.__dict__.update(zipfile.__dict__, ZipFile=SharedZip)
    lambda_runtime.zipfile = replacement
    wrap(lambda_runtime.Worker, "_spawn", spawning)
