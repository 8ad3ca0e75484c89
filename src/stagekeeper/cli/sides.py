"""What a stage serves, or a release contains, read from the record for a comparison, and the commit it was deployed from.

Must not know what differs: that is domain/comparison.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagekeeper.aws.table import MalformedItem
from stagekeeper.domain.comparison import Part, Side
from stagekeeper.domain.model import FunctionArn, Provenance, Release, ReleaseNumber, ServedAlias, ServiceName, Stage, StageName
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.refusal import Code, Refusal, no_stage

if TYPE_CHECKING:
    from stagekeeper.aws.store import ReleaseOnRecord, Store

#: So far back a stage's ledger is searched for the deploy of what it serves.
_SEARCHED = 100
#: So many versions are read at once.
_AT_ONCE = 8

_RELEASE = re.compile(r"r([1-9][0-9]{0,8})")
_STAGE = "stage:"


@dataclass(frozen=True, slots=True)
class ReadSide:
    """``stage`` is None for a release, ``release`` for a stage that became mixed while it was made.

    ``source`` is who deployed it, from which commit; None where the record does not tell a commit.
    """

    name: str
    stage: Stage | None
    release: ReleaseNumber | None
    side: Side
    source: Provenance | None


def named(text: str) -> StageName | ReleaseNumber:
    """``prod`` is a stage, ``r12`` a release; ``stage:r12`` is a stage of such a name."""
    release = _RELEASE.fullmatch(text)
    return ReleaseNumber(int(release[1])) if release else StageName(text.removeprefix(_STAGE))


def read(store: Store, service: ServiceName, wanted: StageName | ReleaseNumber) -> ReadSide | Refusal:
    """Raises CallFailed, MalformedItem."""
    return _release_side(store, service, wanted) if isinstance(wanted, int) else _stage_side(store, service, wanted)


def _release_side(store: Store, service: ServiceName, number: ReleaseNumber) -> ReadSide | Refusal:
    found = store.release_on_record(service, number)
    if found is None:
        sentence = f"Service {service} has no release r{number}. `stagekeeper releases` shows those it has."
        return Refusal(Code.RELEASE_NOT_FOUND, sentence)
    parts = [Part(name, part.arn, part.content) for name, part in found.release.functions.items()]
    return ReadSide(f"r{number}", None, number, Side(parts, found.release.template), _maker(store, found))


def _stage_side(store: Store, service: ServiceName, name: StageName) -> ReadSide | Refusal:
    stage = store.stage(service, name)
    if stage is None:
        return no_stage(service, name, "`stagekeeper status` shows those it has.")
    found = None
    if stage.release is not None:
        found = store.release_on_record(service, stage.release)
        if found is None:
            raise MalformedItem(f"release r{stage.release}, which stage {name} of service {service} serves, is not there")
    release = None if found is None else found.release
    side = Side(_served(store, stage, release), None if release is None else release.template)
    source = None if found is None else _deployed(store, service, stage, found)
    return ReadSide(name, stage, stage.release, side, source)


def _served(store: Store, stage: Stage, release: Release | None) -> list[Part]:
    """Every function with what its alias really serves: of a mixed stage and of kept functions the release does not tell."""
    told = {} if release is None or stage.mixed else release.functions
    by_release = {arn: alias for arn, alias in stage.aliases.items() if not alias.kept and alias.function in told}
    parts = [
        Part(alias.function, arn, told[alias.function].content, alias.version, alias.kept) for arn, alias in by_release.items()
    ]
    return [*parts, *_by_version(store, ((arn, alias) for arn, alias in stage.aliases.items() if arn not in by_release))]


def _by_version(store: Store, aliases: Iterable[tuple[FunctionArn, ServedAlias]]) -> list[Part]:
    def part(of: tuple[FunctionArn, ServedAlias]) -> Part:
        arn, alias = of
        known = store.version(arn, alias.version)
        return Part(alias.function, arn, None if known is None else known.content, alias.version, alias.kept)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(part, aliases))


def _deployed(store: Store, service: ServiceName, stage: Stage, found: ReleaseOnRecord) -> Provenance | None:
    """The stage's newest deploy of what it serves; where it came there otherwise, whoever made the release.

    Of other movements the commit says where somebody was who moved the stage, not what it was put on.
    """
    for movement in store.history(service, stage.name, _SEARCHED):
        deployed = movement.operation == OperationKind.DEPLOY and movement.to_release == found.release.number
        if deployed and movement.provenance.commit is not None:
            return movement.provenance
    return _maker(store, found)


def _maker(store: Store, found: ReleaseOnRecord) -> Provenance | None:
    head = store.operation_head(found.made_by)
    made = head is not None and head.operation == OperationKind.DEPLOY and head.provenance.commit is not None
    return head.provenance if head is not None and made else None
