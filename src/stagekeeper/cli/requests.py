"""From what a command was told to the input of ``StartExecution``, as the public interface has it.

Pure: options, the project's values and facts of checkout and record come in. What was not said is left out: the control plane's
defaults are its own, and null is no value there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stagekeeper.cli.endings import misuse

#: The input of an execution.
Request = dict[str, Any]

#: What `--if-release` says for "whatever the stage serves by then".
ANY_RELEASE = "any"

#: An execution's name (API reference of Step Functions, StartExecution), and so an operation's id.
_LONGEST_ID = 80
_IN_NO_ID = re.compile(r"[\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff\U0010ffff]")
_SECRET = "secret:"  # noqa: S105  # the mark of a reference, no secret


@dataclass(frozen=True, slots=True)
class Said:
    """What the options that every operation has said."""

    reason: str | None = None
    lock_wait: int | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Origin:
    """Who wants the operation, and from where; for the ledger. ``commit`` is what is deployed, so only a deploy has one: the
    ledger tells by it what a release was made of."""

    actor: str | None = None
    commit: str | None = None
    branch: str | None = None
    run_url: str | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """What the request of any operation begins with."""

    service: str | None = None
    stage: str | None = None
    if_release: int | None = None
    said: Said = field(default_factory=Said)
    origin: Origin = field(default_factory=Origin)

    def request(self, operation: str, **fields: Any) -> Request:
        """A field that is None or False was not said; ``from_`` is the field ``from``."""
        origin, said = self.origin, self.said
        source = {"commit": origin.commit, "branch": origin.branch, "run_url": origin.run_url}
        return {"operation": operation} | _said(
            {
                "service": self.service,
                "stage": self.stage,
                "if_release": self.if_release,
                **{name.rstrip("_"): value for name, value in fields.items()},
                "dry_run": said.dry_run,
                "lock_wait_seconds": said.lock_wait,
                "reason": said.reason,
                "actor": origin.actor,
                "source": _said(source) or None,
            }
        )


def _said(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None and value is not False}


# The operations.


@dataclass(frozen=True, slots=True)
class Content:
    """What is deployed: ``functions`` (the place of their document) or ``template`` (its place), as the request has them, and
    what goes with a template."""

    functions: Mapping[str, Any] | None = None
    template: Mapping[str, str] | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    allow_shared: Sequence[str] = ()


def deploy(
    head: Head,
    content: Content,
    *,
    variables: Mapping[str, Any] | None = None,
    partial: bool = False,
    on_drift: str | None = None,
    accept_unqualified_callers: bool = False,
) -> Request:
    """``variables`` None leaves the stage's as they are; an empty map takes them all away."""
    return head.request(
        "deploy",
        functions=content.functions,
        template=content.template,
        parameters=dict(content.parameters) or None,
        variables=variables,
        allow_shared=list(content.allow_shared) or None,
        partial=partial,
        on_drift=on_drift,
        accept_unqualified_callers=accept_unqualified_callers,
    )


def rollback(
    head: Head,
    *,
    to_release: int | None = None,
    steps: int | None = None,
    on_drift: str | None = None,
    allow_missing: bool = False,
) -> Request:
    to = None if to_release is None and steps is None else _said({"release": to_release, "steps": steps})
    return head.request("rollback", to=to, on_drift=on_drift, allow_missing=allow_missing)


def reset(
    head: Head,
    *,
    to_stage: str | None = None,
    to_release: int | None = None,
    on_drift: str | None = None,
    allow_missing: bool = False,
) -> Request:
    to = _said({"release": to_release, "stage": to_stage})
    return head.request("reset", to=to, on_drift=on_drift, allow_missing=allow_missing)


def clone(head: Head, like: str, *, variables: Mapping[str, Any] | None = None, allow_missing: bool = False) -> Request:
    return head.request("clone", from_={"stage": like}, variables=variables, allow_missing=allow_missing)


def teardown(head: Head, *, confirm: str | None = None) -> Request:
    return head.request("teardown", confirm=confirm)


def sweep(
    head: Head,
    *,
    delete: bool = False,
    keep: int | None = None,
    rollback_depth: int | None = None,
    grace_hours: int | None = None,
) -> Request:
    mode = "delete" if delete else None
    return head.request("sweep", mode=mode, keep=keep, rollback_depth=rollback_depth, grace_hours=grace_hours)


def adopt(
    head: Head,
    *,
    stages: Sequence[str] = (),
    functions: Mapping[str, str] | None = None,
    accept_unqualified_callers: bool = False,
) -> Request:
    """``functions`` is logical name to function name; None stands for those that the service has."""
    named = None if functions is None else {logical: {"function_name": name} for logical, name in functions.items()}
    return head.request(
        "adopt", stages=list(stages) or None, functions=named, accept_unqualified_callers=accept_unqualified_callers
    )


def configure(head: Head, *, protected: bool | None = None, description: str | None = None) -> Request:
    given = {"protected": protected, "description": description}
    return head.request("configure", settings={name: value for name, value in given.items() if value is not None})


def verify(head: Head) -> Request:
    return head.request("verify")


def recover(head: Head, operation_id: str | None = None) -> Request:
    return head.request("recover", operation_id=operation_id)


# What options spell.


def one_of(given: Mapping[str, bool], *, needed: bool = True) -> None:
    """At most one of these options (by spelling, and whether it was given) may be there; exactly one where it is ``needed``."""
    there = [option for option, is_there in given.items() if is_there]
    if len(there) > 1:
        raise misuse(f"{there[0]} and {there[1]} do not go together. Say one of them.")
    if needed and not there:
        *others, last = given
        raise misuse(f"Say {', '.join(others)} or {last}.")


def release_number(given: str) -> int:
    """A release as people write it: ``7`` or ``r7``. Raises ValueError."""
    if re.fullmatch(r"r?[1-9][0-9]{0,8}", given) is None:
        raise ValueError(f"{given} is no release's number, such as 7 or r7.")
    return int(given.removeprefix("r"))


def expected_release(given: str | None, on_record: int | None) -> int | None:
    """The request's ``if_release``: what was given, else what the stage serves by the record (None: there is no such stage)."""
    if given is None:
        return on_record
    if given == ANY_RELEASE:
        return None
    try:
        return release_number(given)
    except ValueError:
        raise misuse(f"--if-release is a release's number, or {ANY_RELEASE}; not {given}.") from None


def pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    """``NAME=VALUE`` of an option that may be repeated. A value may hold further equals signs, and may be empty."""
    found: dict[str, str] = {}
    for each in given:
        name, sign, value = each.partition("=")
        if not sign or not name:
            # Not the text itself: it may be a value that is nobody's business.
            raise misuse(f"{option} takes NAME=VALUE, once for each name.")
        if name in found:
            raise misuse(f"{option} names {name} twice.")
        found[name] = value
    return found


def variables_of(of_project: Mapping[str, Any] | None, given: Sequence[str]) -> dict[str, Any] | None:
    """The stage's variables: the project's, with those that were given over them; None if neither says any."""
    if of_project is None and not given:
        return None
    over = {name: _variable(value) for name, value in pairs("--variable", given).items()}
    return {**(of_project or {}), **over}


def _variable(value: str) -> str | dict[str, str]:
    return {"secret": value.removeprefix(_SECRET)} if value.startswith(_SECRET) else value


# Operation ids.


def operation_id(service: str | None, stage: str | None, operation: str, at: datetime, tail: str) -> str:
    """A name that tells people what the operation was. ``tail`` is random; ``at`` is in UTC.

    It ends with what makes it unique: where it would be too long, the names before are cut.
    """
    end = f"-{operation}-{at:%Y%m%dT%H%M%S}-{tail}"
    names = "-".join(_IN_NO_ID.sub("-", name) for name in (service or "all", stage) if name)
    return names[: _LONGEST_ID - len(end)].rstrip("-") + end


def checked_id(given: str, option: str = "--operation-id") -> str:
    """An operation's id that somebody gave. Raises CommandFailed if it can be no execution's name."""
    if not given or len(given) > _LONGEST_ID or _IN_NO_ID.search(given):
        raise misuse(
            f"{option} is the name of an execution: 1 to {_LONGEST_ID} characters, best letters, digits, "
            'hyphens and underscores; no blanks, and none of < > { } [ ] ? * " # % \\ ^ | ~ ` $ & , ; : /'
        )
    return given
