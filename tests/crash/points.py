"""Every point at which an execution can be hit, each tried in a process of its own that begins right there.

The execution runs once, undisturbed. Before each request that leaves the process, and at the end of each task, the process is
forked once for each fault: the child has everything as it is at that moment, lets the fault happen and goes on to the end. So
a point costs what comes after it, and thousands of them fit into a test. Must not know what an operation should do.
"""

from __future__ import annotations

import copy
import gc
import os
import select
import signal
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn

from tests.unit.engine.execution import Execution
from tests.unit.engine.wire import MUTATIONS, Died, Sent
from tests.unit.engine.world import World

#: A child that is not done after so long (seconds of real time) hangs.
_PATIENCE: Final = 120.0


class GoneOnWithout(BaseException):
    """Unwinds a worker that came back to nobody. ``join`` waits for the execution that went on without it."""

    def __init__(self, join: Callable[[], Execution]) -> None:
        super().__init__()
        self.join = join


def is_effect(sent: Sent) -> bool:
    return sent.name in MUTATIONS or sent.name == "sfn.StartExecution"


def remember(world: World, sent: Sent | None) -> None:
    """Keep what Lambda holds before each change of it, for reads that do not see the last one."""
    if sent is not None and sent.name.startswith("lambda.") and is_effect(sent):
        world.before_last_change = copy.deepcopy(world.fake.held())


#: Ends a child's run: finds the operation ended well, or raises AssertionError.
Conclude = Callable[[Execution], None]


#: Lets it happen, in the process that goes on from here.
Happen = Callable[[Execution, Sent | None], None]


@dataclass(frozen=True, slots=True)
class Point:
    """A place in an execution: just before a request is sent, or (None) before a task that is done has answered.

    ``remembers``: Lambda has been changed before, so that a read can be stale. ``changed``: something took effect since the
    point before. Where nothing did, dying here is dying there.
    """

    sent: Sent | None
    remembers: bool
    changed: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """What can happen at a point. ``at`` says at which."""

    name: str
    at: Callable[[Point], bool]
    happen: Happen


@dataclass(slots=True)
class Tally:
    """How many points were tried, and what went wrong at which."""

    points: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def try_every_point(execution: Execution, faults: Sequence[Fault], conclude: Conclude) -> Tally:
    """Run the execution to its end, with every fault at every point that it can happen at."""
    tally = Tally()
    child = False
    seen = 0
    changed = True

    def probe(sent: Sent | None) -> None:
        nonlocal child, seen, changed
        seen += 1
        point = Point(sent, execution.world.before_last_change is not None, changed)
        # The end of a task is one: what comes next is another worker's.
        changed = sent is None or is_effect(sent)
        remember(execution.world, sent)
        for fault in faults:
            if not fault.at(point):
                continue
            pid, ear = _fork()
            if pid == 0:
                child = True
                execution.world.wire.probe = None
                fault.happen(execution, sent)
                return
            tally.points[fault.name] += 1
            told = _listen(pid, ear)
            if told:
                what = "the end of a task" if sent is None else sent.name
                tally.failures.append(f"{fault.name} at point {seen} ({what}, in {execution.visited[-1]}):\n{told}")

    # What is there now is there to the end: no collector looks at it, and no child has to copy it for that.
    gc.freeze()
    execution.world.wire.probe = probe
    try:
        ended = execution
        try:
            execution.run()
        except Died:
            if not child:
                raise
        except GoneOnWithout as gone:
            ended = gone.join()
        if child:
            conclude(ended)
    except BaseException:
        if not child:
            raise
        _tell(traceback.format_exc())
    if child:
        _tell("")
    execution.world.wire.probe = None
    return tally


_mouths: list[int] = []


def _fork() -> tuple[int, int]:
    ear, mouth = os.pipe()
    with warnings.catch_warnings():
        # A process with threads may not survive its fork, since a lock may be held by a thread that is not there. The child
        # uses nothing that another thread of a test run uses: no log, no output, no test runner; it ends by _exit.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        os.close(ear)
        _mouths.append(mouth)
        return 0, -1
    os.close(mouth)
    return pid, ear


def _tell(text: str) -> NoReturn:
    """The last words of a child."""
    os.write(_mouths[-1], text.encode()[-60_000:])
    os._exit(0 if not text else 1)


def _listen(pid: int, ear: int) -> str:
    """What a child has to say: nothing if all is well."""
    heard = b""
    try:
        while True:
            ready, _, _ = select.select([ear], [], [], _PATIENCE)
            if not ready:
                os.kill(pid, signal.SIGKILL)
                heard += b"it hangs"
                break
            chunk = os.read(ear, 65_536)
            if not chunk:
                break
            heard += chunk
    finally:
        os.close(ear)
        _, status = os.waitpid(pid, 0)
    if status and not heard:
        return f"it ended with status {status} and without a word"
    return heard.decode(errors="replace")
