"""What other templates call as ``Custom::OrphanedVersions``: CloudFormation's event in, its answer out, whatever happens.

CloudFormation waits for an hour where none comes. So this module imports nothing but the standard library: everything else is
imported inside the handler's ``try``, and whatever is wrong with it is an answer as well. An answer that cannot be given is an
exception, after which Lambda delivers the event again; sweeping twice does no harm. ``ResponseURL`` is as good as a credential:
it is in no log and in no exception. Must not know how a sweep goes.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import logging
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: CloudFormation takes no more (bytes).
_LARGEST_BODY = 4096
#: Left of the Lambda's time (seconds) when no new work is begun any more, and when it is answered for that is not done.
_WORK_ENDS, _ANSWER_ANYWAY = 60.0, 20.0
#: How long (seconds) one try to answer may take, and the pause after the first that failed; it doubles with each.
_PUT_TIMEOUT, _FIRST_PAUSE, _LONGEST_PAUSE = 10.0, 0.5, 15.0

_logger = logging.getLogger(__name__)
# Of its own only a level: how lines look is the runtime's business here, where no other library can be counted on.
_logger.setLevel(logging.INFO)


@dataclass(frozen=True)
class Answer:
    """``word`` is the attribute ``Reason``, ``detail`` says the same for people. ``failed`` fails the resource."""

    word: str
    detail: str
    deleted: int = 0
    kept: int = 0
    failed: bool = False


@dataclass
class Done:
    """How many versions are deleted by now, for an answer that does not wait for the rest."""

    deleted: int = 0


#: Event, context, until when (epoch seconds) work may be begun, and where to tell what is done.
Work = Callable[[Mapping[str, Any], Any, float, Done], Answer]


class NotAnswered(Exception):
    """CloudFormation could not be told. Lambda delivers the event again."""


def handler(event: Mapping[str, Any], context: Any) -> None:
    respond(event, context, _work)


def _work(event: Mapping[str, Any], context: Any, deadline: float, done: Done) -> Answer:
    # In two steps: whatever is wrong with most of the code, a stack that goes back is let go back.
    from stagekeeper.aws.clock import SystemClock
    from stagekeeper.aws.stacks import Stacks
    from stagekeeper.engine.own_stack import RollingBack, look_at_own

    own = look_at_own(Stacks(SystemClock()), str(event["StackId"]))
    if isinstance(own, RollingBack):
        return Answer("Rollback", own.why)

    from stagekeeper.handlers.orphaned_versions_request import answer_to

    return answer_to(event, context, own, deadline, done)


def respond(event: Mapping[str, Any], context: Any, work: Work) -> None:
    """Do the work and answer, once. Raises NotAnswered, and KeyError for what is no event of CloudFormation."""
    ends = time.time() + context.get_remaining_time_in_millis() / 1000
    done = Done()
    line = _Line(event, ends)
    late = threading.Timer(max(0.0, ends - _ANSWER_ANYWAY - time.time()), line.answer_anyway, (done,))
    late.daemon = True
    late.start()
    try:
        answer = work({key: value for key, value in event.items() if key != "ResponseURL"}, context, ends - _WORK_ENDS, done)
    except Exception as error:
        # Not hidden: it is the answer, and in the log in full.
        _logger.exception("the sweep for a template failed")
        answer = Answer("Internal", f"{type(error).__name__}: {error}", done.deleted, failed=True)
    finally:
        late.cancel()
    line.answer(answer)


@dataclass
class _Line:
    """To CloudFormation; it takes one answer. ``ends``: when the Lambda's time is over (epoch seconds)."""

    event: Mapping[str, Any]
    ends: float
    _answered: bool = False
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, answer: Answer) -> None:
        """Raises NotAnswered."""
        with self._guard:
            if self._answered:
                return
            body = body_of(self.event, answer)
            self._put(body)
            self._answered = True
        _logger.info("answered %s: %s: %s", json.loads(body)["Status"], answer.word, answer.detail)

    def answer_anyway(self, done: Done) -> None:
        """While the work is still not done. What it does from then on is a few calls at most."""
        # In vain: said in the log already, and whoever does the work tries again.
        with contextlib.suppress(NotAnswered):
            self.answer(Answer("OutOfTime", "AWS answered too slowly; the next sweep goes on", done.deleted))

    def _put(self, body: bytes) -> None:
        pause = _FIRST_PAUSE
        while (why := _put_once(self.event["ResponseURL"], body)) is not None:
            _logger.warning("CloudFormation was not reached: %s", why)
            if time.time() + pause + _PUT_TIMEOUT > self.ends:
                raise NotAnswered(why)
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


def _put_once(url: str, body: bytes) -> str | None:
    """Why it was in vain; None if CloudFormation has the answer. Raises NotAnswered where trying again is in vain, too."""
    if not url.startswith(("https://", "http://")):
        raise NotAnswered("the ResponseURL is no address of the web")
    # Without a type of its own urllib sends one that is not in the URL's signature.
    request = urllib.request.Request(url, body, {"Content-Type": ""}, method="PUT")  # noqa: S310  # the scheme is checked above
    try:
        with urllib.request.urlopen(request, timeout=_PUT_TIMEOUT):  # noqa: S310  # the same
            return None
    except urllib.error.HTTPError as error:
        error.close()
        if error.code >= 500 or error.code in (408, 429):
            return f"status {error.code}"
        # The URL itself is refused: it is signed, and for some hours only.
        refused = f"status {error.code}"
    except (OSError, http.client.HTTPException) as error:
        # By its kind alone: the message of some of them holds the URL.
        return type(error).__name__
    raise NotAnswered(refused)


def body_of(event: Mapping[str, Any], answer: Answer) -> bytes:
    """The answer as CloudFormation wants it, cut so that it is taken.

    The deletion of a stack never fails for our sake.
    """
    leaves = event["RequestType"] == "Delete"
    said = {
        "Status": "FAILED" if answer.failed and not leaves else "SUCCESS",
        "PhysicalResourceId": event.get("PhysicalResourceId") or _physical_id(event),
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "NoEcho": False,
    }
    detail = answer.detail
    while True:
        data = {
            "DeletedCount": str(answer.deleted),
            "KeptCount": str(answer.kept),
            "Reason": answer.word,
            "Detail": detail,
        }
        body = json.dumps({**said, "Reason": f"{answer.word}: {detail}", "Data": data}).encode()
        if len(body) <= _LARGEST_BODY or not detail:
            return body
        detail = detail[: len(detail) * 3 // 4]


def _physical_id(event: Mapping[str, Any]) -> str:
    """The same for an event that is delivered twice, so that no second resource comes of it."""
    named = f"{event['StackId']} {event['LogicalResourceId']}".encode()
    return f"orphaned-versions-{hashlib.sha256(named).hexdigest()[:24]}"
