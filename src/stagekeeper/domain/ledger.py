"""The way back of a stage: what a rollback can reach, and how movements change it. Pure stack rules."""

from __future__ import annotations

from stagekeeper.domain.model import ReleaseNumber, Stage
from stagekeeper.domain.refusal import Code, Refusal

#: Older entries fall off. No clean-up setting reaches this far back, and the stage's item must stay small.
WAY_BACK_LIMIT = 100


def pushed(stage: Stage | None, target: ReleaseNumber) -> tuple[ReleaseNumber, ...]:
    """The way back after a deploy or a reset onto ``target``: what the stage served is pushed; a repair pushes nothing."""
    if stage is None or stage.release is None or stage.release == target:
        return () if stage is None else stage.way_back
    return (stage.release, *stage.way_back)[:WAY_BACK_LIMIT]


def popped(stage: Stage, target: ReleaseNumber, steps: int | None) -> tuple[ReleaseNumber, ...]:
    """The way back after a rollback onto ``target``: it and everything newer is popped.

    A release can be there more than once: ``steps`` says which is meant, without them it is the newest.
    A rollback onto the release the stage has already (a mixed or drifted stage being put right) pops nothing.
    """
    if target == stage.release:
        return stage.way_back
    return stage.way_back[stage.way_back.index(target) + 1 if steps is None else steps :]


def taken_off(before: tuple[ReleaseNumber, ...], after: tuple[ReleaseNumber, ...]) -> tuple[ReleaseNumber, ...]:
    """The releases that a movement popped: none, unless what is left is the older end of what there was."""
    gone = len(before) - len(after)
    return before[:gone] if gone > 0 and before[gone:] == after else ()


def choose_rollback(stage: Stage, release: ReleaseNumber | None, steps: int | None) -> ReleaseNumber | Refusal:
    """The release a rollback goes to. ``release`` or ``steps`` at most; neither means one step.

    A mixed stage without a ``to`` goes to the release recorded before the failure.
    """
    if release is not None:
        if release == stage.release or release in stage.way_back:
            return release
        return Refusal(
            Code.RELEASE_NOT_FOUND,
            f"r{release} is not in the way back of stage {stage.name}, which is {_spelled(stage.way_back)}. "
            + ("Choose one of those, or use" if stage.way_back else "Use")
            + " reset, which goes to any release.",
        )
    if steps is None and stage.mixed and stage.release is not None:
        return stage.release
    back = 1 if steps is None else steps
    if back > len(stage.way_back):
        serves = "no release" if stage.release is None else f"r{stage.release}"
        return Refusal(
            Code.NOTHING_TO_ROLL_BACK,
            f"Stage {stage.name} serves {serves} and its way back is {_spelled(stage.way_back)}: "
            f"there is nothing {back} step{'' if back == 1 else 's'} before it.",
        )
    return stage.way_back[back - 1]


def _spelled(way_back: tuple[ReleaseNumber, ...]) -> str:
    return ", ".join(f"r{number}" for number in way_back) or "empty"
