"""One mandate is shared by the threads of a worker: what one of them finds out counts for all."""

from __future__ import annotations

import pytest

from stagekeeper.aws.mandated import Superseded
from stagekeeper.domain.operation import Phase
from stagekeeper.engine.mandate import Mandate

from .world import World


def test_once_it_was_found_gone_no_other_thread_acts_on_it_for_the_rest_of_the_second(two: World) -> None:
    running = two.begin({"operation": "rollback", "stage": "prod"}).run_to("Move")
    journal = two.deps.journal
    mandate = Mandate(journal, two.clock, journal.begin(journal.reread(running.carrier), Phase.MOVE))
    journal.begin(journal.reread(running.carrier), Phase.COMPENSATE)
    with pytest.raises(Superseded):
        mandate.check()

    with pytest.raises(Superseded):
        mandate.check()
