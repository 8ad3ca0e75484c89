"""What can go wrong with one request, or with the process that sends it. Must not know what a request is for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from stagekeeper.domain.operation import ALIAS_CALL_TIMEOUT, CONNECT_TIMEOUT, MANDATE_INTERVAL, PUBLISH_CALL_TIMEOUT
from tests.unit.engine.execution import Execution
from tests.unit.engine.wire import Died, Sent

from .points import Fault, GoneOnWithout, Happen, Point, is_effect

_FUNCTIONS: Final = frozenset({"lambda.UpdateFunctionCode", "lambda.UpdateFunctionConfiguration", "lambda.PublishVersion"})
#: So many throttles in a row are a burst.
_BURST: Final = 3
#: A request that may be late as much as it likes (seconds of the test's clock), and a test that hangs (of real time).
_LONG, _HANGS = 120.0, 60.0


def _any(_: Sent) -> bool:
    return True


def _everywhere(_: Point) -> bool:
    return True


def _at_a_request(point: Point) -> bool:
    return point.sent is not None


def _at_a_request_to_others(point: Point) -> bool:
    """Of the table a throttle is as good as a 500: both are tried again, and neither has an effect."""
    return point.sent is not None and not point.sent.name.startswith("dynamodb.")


def where(fault: Fault, at: Callable[[Point], bool]) -> Fault:
    """The fault at fewer points."""
    return replace(fault, at=lambda point: fault.at(point) and at(point))


def where_something_changed(point: Point) -> bool:
    """Elsewhere dying is the same as dying at the point before."""
    return point.changed


def at_an_effect(point: Point) -> bool:
    return point.sent is not None and is_effect(point.sent)


def _at(*names: str) -> Callable[[Point], bool]:
    return lambda point: point.sent is not None and point.sent.name in names


def _of(service: str) -> Callable[[Point], bool]:
    return lambda point: point.sent is not None and point.sent.name.startswith(f"{service}.")


def _dies(how: str | None) -> Happen:
    def happen(execution: Execution, sent: Sent | None) -> None:
        execution.world.wire.death = how
        if sent is None:
            raise Died
        execution.world.wire.kill(_any)

    return happen


def _dies_after(execution: Execution, _: Sent | None) -> None:
    execution.world.wire.kill(_any, after=True)


def _loses_the_answer(execution: Execution, _: Sent | None) -> None:
    execution.world.wire.fail(_any, applied=True)


def _never_arrives(execution: Execution, _: Sent | None) -> None:
    execution.world.wire.fail(_any)


def _is_answered(code: str, status: int, times: int = 1) -> Happen:
    def happen(execution: Execution, sent: Sent | None) -> None:
        assert sent is not None
        for nth in range(1, times + 1):
            execution.world.wire.fail(
                lambda other: other.name.partition(".")[0] == sent.name.partition(".")[0], code, status, on_call=nth
            )

    return happen


def _conflicts(execution: Execution, sent: Sent | None) -> None:
    """Another transaction is at one of the items at this moment: nothing is written."""
    assert sent is not None

    def refuse() -> None:
        reasons = [{"Code": "TransactionConflict"}, *[{"Code": "None"}] * (sent.items_written - 1)]
        error = {"Error": {"Code": "TransactionCanceledException", "Message": "Transaction cancelled"}}
        response: Any = {**error, "CancellationReasons": reasons, "ResponseMetadata": {"HTTPStatusCode": 400}}
        raise execution.world.deps.table._client.exceptions.TransactionCanceledException(response, "TransactWriteItems")

    execution.world.wire.on(_any, refuse)


def _at_a_read_of_lambda(point: Point) -> bool:
    return point.remembers and point.sent is not None and point.sent.name.startswith("lambda.") and not is_effect(point.sent)


def _reads_what_was(execution: Execution, _: Sent | None) -> None:
    """Lambda answers this one read from a replica that has not heard of its last change."""
    world = execution.world
    now = world.fake.held()
    assert world.before_last_change is not None
    world.fake.hold(world.before_last_change)
    world.wire.on(_any, lambda: world.fake.hold(now), after=True)


class _GoingOnWithout:
    """Step Functions gives a worker up that is only late, and goes on without it; the worker goes on as well.

    The worker's own thread stands still at its request for as long as the request can take; meanwhile another thread takes the
    steps that follow. Only one of them ever runs: the one that stands still is let go while the other sleeps.
    """

    def __init__(self, execution: Execution, sent: Sent, *, recovered: bool) -> None:
        self._late, self._on = execution, execution.twin()
        self._clock = execution.world.clock
        self._delay = _takes(sent)
        self._recovered = recovered
        self._may_go, self._is_back = threading.Event(), threading.Event()
        self._trouble: BaseException | None = None
        self._thread = threading.Thread(target=self._go_on, daemon=True)
        execution.when_late = self._come_back

    def stand_still(self) -> None:
        self._thread.start()
        assert self._may_go.wait(_HANGS), "the late worker was never let go"

    def _go_on(self) -> None:
        self._clock.in_seconds(self._delay, self._let_go)
        try:
            if self._recovered:
                self._on.stop()
                self._on.world.notice(self._on.name)
            else:
                assert self._on.state is not None
                self._on.fail_state(self._on.state, "States.Timeout")
                self._on.run()
        except BaseException as error:  # told by join
            self._trouble = error
        self._clock.sleep(self._delay)

    def _let_go(self) -> None:
        self._may_go.set()
        assert self._is_back.wait(_HANGS), "the late worker does not come back"

    def _come_back(self) -> None:
        self._is_back.set()
        raise GoneOnWithout(self._join)

    def _join(self) -> Execution:
        self._thread.join(_HANGS)
        assert not self._thread.is_alive(), "what goes on without the late worker hangs"
        if self._trouble is not None:
            raise self._trouble
        return self._on


def _takes(sent: Sent) -> float:
    """How long (seconds) a request can be under way; nothing bounds one whose effect is conditional or none."""
    if sent.name in _FUNCTIONS:
        return MANDATE_INTERVAL + CONNECT_TIMEOUT + PUBLISH_CALL_TIMEOUT - 0.1
    # An alias may be moved on a mandate that was checked as long ago as that is allowed.
    if is_effect(sent) and sent.name.startswith("lambda."):
        return MANDATE_INTERVAL + CONNECT_TIMEOUT + ALIAS_CALL_TIMEOUT - 0.1
    return _LONG


def _is_late(*, recovered: bool) -> Happen:
    """The request takes effect late."""

    def happen(execution: Execution, sent: Sent | None) -> None:
        assert sent is not None
        _GoingOnWithout(execution, sent, recovered=recovered).stand_still()

    return happen


def _hears_late(*, recovered: bool) -> Happen:
    """The request takes effect, and its answer comes late."""

    def happen(execution: Execution, sent: Sent | None) -> None:
        assert sent is not None
        execution.world.wire.on(_any, _GoingOnWithout(execution, sent, recovered=recovered).stand_still, after=True)

    return happen


#: The worker dies before the request, or after its task is done. That it dies after a request is that it dies before the next:
#: in between nothing leaves the process.
CAUGHT = Fault("the worker dies, Catch takes over", _everywhere, _dies("Runtime.ExitError"))
RETRIED = Fault("the worker dies, Retry sends another", _everywhere, _dies("Lambda.ServiceException"))
STOPPED = Fault("the execution is gone, a recovery follows", _everywhere, _dies(None))
#: Nothing of the product can tell this from dying before the next request: it proves that the harness counts right.
DIES_AFTER = Fault("the worker dies right after an effect", at_an_effect, _dies_after)
LOST = Fault("the answer is lost after the effect", at_an_effect, _loses_the_answer)
NEVER_ARRIVES = Fault("no answer comes, and no effect", _at_a_request, _never_arrives)
BROKEN = Fault("AWS answers 500", _at_a_request_to_others, _is_answered("ServiceException", 500))
THROTTLED = Fault("a burst of throttles", _of("lambda"), _is_answered("TooManyRequestsException", 429, _BURST))
BUSY = Fault("an update is in progress", _at(*_FUNCTIONS), _is_answered("ResourceConflictException", 409))
STALE_REVISION = Fault(
    "the RevisionId is stale", _at(*_FUNCTIONS, "lambda.UpdateAlias"), _is_answered("PreconditionFailedException", 412)
)
TABLE_CONFLICTS = Fault("transactions conflict", _at("dynamodb.TransactWriteItems"), _conflicts)
TABLE_THROTTLED = Fault("the table is throttled", _of("dynamodb"), _is_answered("ProvisionedThroughputExceededException", 400))
LATE = Fault("a request is late, Catch goes on without its worker", at_an_effect, _is_late(recovered=False))
LATE_AND_RECOVERED = Fault("a request is late, a recovery goes on without its worker", at_an_effect, _is_late(recovered=True))
HEARD_LATE = Fault("an answer is late, Catch goes on without its worker", _at_a_request, _hears_late(recovered=False))
HEARD_LATE_AND_RECOVERED = Fault(
    "an answer is late, a recovery goes on without its worker", _at_a_request, _hears_late(recovered=True)
)
STALE = Fault("a read does not see the last change yet", _at_a_read_of_lambda, _reads_what_was)

LATENESS: Final = (LATE, LATE_AND_RECOVERED, HEARD_LATE, HEARD_LATE_AND_RECOVERED)
DEATHS: Final = (CAUGHT, RETRIED, STOPPED)
ANSWERS: Final = (LOST, BROKEN, THROTTLED, BUSY, STALE_REVISION, TABLE_CONFLICTS, TABLE_THROTTLED, STALE)
#: The product takes NEVER_ARRIVES for BROKEN, and cannot tell DIES_AFTER from the next CAUGHT.
EVERYTHING: Final = (*DEATHS, DIES_AFTER, NEVER_ARRIVES, *ANSWERS, *LATENESS)
