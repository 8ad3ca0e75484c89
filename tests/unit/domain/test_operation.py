"""The life of an operation: the only ways its status can go, as the design lists them."""

from __future__ import annotations

import itertools

import pytest

from stagekeeper.domain.operation import ALLOWED, Phase, Status, may_become, seconds_until_calls_ended

WAYS = {
    (Status.PLANNED, Status.REFUSED),
    (Status.PLANNED, Status.UNCHANGED),
    (Status.PLANNED, Status.COMPENSATED),
    (Status.PLANNED, Status.CONVERGING),
    (Status.CONVERGING, Status.COMMITTED),
    (Status.CONVERGING, Status.COMPENSATING),
    # Teardown and sweep, which put nothing back.
    (Status.CONVERGING, Status.NEEDS_ATTENTION),
    (Status.COMPENSATING, Status.COMPENSATED),
    (Status.COMPENSATING, Status.NEEDS_ATTENTION),
    (Status.COMMITTED, Status.ENDED),
    (Status.COMMITTED, Status.NEEDS_ATTENTION),
}


@pytest.mark.parametrize(("now", "then"), list(itertools.product(Status, Status)))
def test_status_moves_only_along_the_ways_of_the_design(now: Status, then: Status) -> None:
    assert may_become(now, then) is ((now, then) in WAYS)


def test_what_is_committed_is_never_put_back() -> None:
    reached, ahead = set(), [Status.COMMITTED]
    while ahead:
        status = ahead.pop()
        reached.add(status)
        ahead += ALLOWED[status] - reached
    assert reached.isdisjoint({Status.COMPENSATING, Status.COMPENSATED, Status.CONVERGING})


@pytest.mark.parametrize("phase", list(Phase))
def test_a_call_in_flight_is_waited_for_as_long_as_its_client_waits(phase: Phase) -> None:
    """30 s for an answer while publishing or changing a stack, 5 s for aliases; 1 s until the epoch is read, 2 s to connect."""
    assert seconds_until_calls_ended(phase) == (33 if phase in (Phase.PUBLISH, Phase.STACKS) else 8)
