"""While an alias with provisioned concurrency moves, AWS itself puts weights on it: that is no drift, and is waited for."""

from __future__ import annotations

import pytest

from .conftest import Deployed
from .world import World, lambda_name

SHIFT = 30.0


@pytest.fixture
def warm(deployed: Deployed) -> World:
    """prod has seen r1 and r2 and serves r2; provisioned concurrency follows its alias on ``a`` in half a minute."""
    world = deployed("ab", "one two")
    world.fake.quietly(
        "PutProvisionedConcurrencyConfig", FunctionName=lambda_name("a"), Qualifier="prod", ProvisionedConcurrentExecutions=1
    )
    world.fake._aliases.shift_seconds = SHIFT
    return world


def lose_the_answer(world: World) -> None:
    """A move of ``a`` happens, and nobody hears of it: the next attempt has to look."""
    world.wire.fail(lambda sent: sent.name == "lambda.UpdateAlias" and lambda_name("a") in sent.path, None, applied=True)


def test_a_move_whose_weights_are_on_their_way_is_done(warm: World) -> None:
    lose_the_answer(warm)

    done = warm.rollback()

    assert done.outcome == "succeeded", done.cause
    assert warm.aliases() == warm.recorded() == {"a": "1", "b": "1"}


def test_a_shift_that_takes_longer_than_anybody_waits_is_no_drift(warm: World) -> None:
    warm.fake._aliases.shift_seconds = 3600.0
    lose_the_answer(warm)

    done = warm.rollback()

    assert done.outcome == "succeeded", done.cause


def test_a_shift_that_ends_between_two_looks_is_no_drift(warm: World) -> None:
    """The alias still had weights when it was looked at, its provisioned concurrency was at rest when that was asked for."""
    lose_the_answer(warm)
    warm.fake.on("GetProvisionedConcurrencyConfig", lambda _: warm.clock.sleep(SHIFT), on_call=1)

    done = warm.rollback()

    assert done.outcome == "succeeded", done.cause
