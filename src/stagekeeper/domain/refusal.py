"""Why an operation ends without success: the contract's codes, as values. Must not know who shows them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stagekeeper.domain.model import ServiceName, StageName


class Code(StrEnum):
    """The codes of the public interface that the built operations use, in the order in which they are decided.

    A request's form is checked before all of them; an InvalidRequest that shows only under the lock has its place here.
    """

    SERVICE_NOT_FOUND = "ServiceNotFound"
    STAGE_NOT_FOUND = "StageNotFound"
    STAGE_EXISTS = "StageExists"
    STAGE_MOVED = "StageMoved"
    STAGE_PROTECTED = "StageProtected"
    RELEASE_NOT_FOUND = "ReleaseNotFound"
    NOTHING_TO_ROLL_BACK = "NothingToRollBack"
    FUNCTION_NOT_FOUND = "FunctionNotFound"
    FUNCTION_OWNED_ELSEWHERE = "FunctionOwnedElsewhere"
    INVALID_REQUEST = "InvalidRequest"
    CONFIRMATION_REQUIRED = "ConfirmationRequired"
    STAGE_IN_USE = "StageInUse"
    ALIAS_OWNED_ELSEWHERE = "AliasOwnedElsewhere"
    STACK_OWNED_ELSEWHERE = "StackOwnedElsewhere"
    SHARED_RESOURCE_IN_USE = "SharedResourceInUse"
    UNQUALIFIED_CALLERS = "UnqualifiedCallers"
    UNREADABLE = "Unreadable"
    ARTIFACT_MISSING = "ArtifactMissing"
    VERSION_MISSING = "VersionMissing"
    FUNCTION_NOT_READY = "FunctionNotReady"
    LOCKED = "Locked"
    DRIFTED = "Drifted"
    INTERNAL = "Internal"
    COMPENSATED = "Compensated"
    NEEDS_ATTENTION = "NeedsAttention"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An end without success. ``message`` says what, to what, and what to do now; ``blockers`` name who or what is in the way."""

    code: Code
    message: str
    blockers: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def not_readable(what: str, why: str) -> Refusal:
    """A fact that a decision needs could not be read: ``what`` it is, ``why`` in AWS's words. Nothing was done yet."""
    return Refusal(Code.UNREADABLE, f"{what} could not be read: {why}. Nothing was changed. Mend that and try again.", (what,))


def no_service(service: ServiceName, advice: str = "Check the spelling.") -> Refusal:
    sentence = f"There is no service {service}: nothing is deployed under that name. {advice}"
    return Refusal(Code.SERVICE_NOT_FOUND, sentence, (service,))


def no_stage(service: ServiceName, stage: StageName, advice: str = "Check the spelling.") -> Refusal:
    return Refusal(Code.STAGE_NOT_FOUND, f"Service {service} has no stage {stage}. {advice}", (stage,))
