"""Aliases: what AWS refuses, and the lists.

Recorded: test_alias_lifecycle, test_notfound_and_invalid_routingconfigs, test_alias_naming,
test_non_existent_alias_deletion, test_non_existent_alias_update. An update is judged by what the alias would be after
it: moving onto the version that has a weight fails unless the same call clears the weights.
"""

from __future__ import annotations

import re
from typing import Any

from stagekeeper.embedded.fidelity import answers, lambda_leftovers, lambda_updates, paging
from stagekeeper.embedded.fidelity.door import Call, Door
from stagekeeper.embedded.fidelity.patching import Answer

_NAME = re.compile(r"(?!^[0-9]+$)([a-zA-Z0-9-_]+)")
_LONGEST_NAME = 128
_PAGE = 50


def install(door: Door, lambda_svc: Any) -> None:
    rules = _Aliases(lambda_svc)
    door.refuse(rules.refuse_create, "CreateAlias")
    door.refuse(rules.refuse_update, "UpdateAlias")
    door.refuse(rules.refuse_get, "GetAlias")
    door.answer(rules.delete, "DeleteAlias")
    door.answer(rules.list, "ListAliases")


class _Aliases:
    def __init__(self, lambda_svc: Any) -> None:
        self._lambda = lambda_svc

    def refuse_create(self, call: Call) -> Answer | None:
        name, version = str(call.data.get("Name", "")), str(call.data.get("FunctionVersion", ""))
        if not _NAME.fullmatch(name):
            pattern = "Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)"
            return answers.malformed(name, "name", pattern)
        if len(name) > _LONGEST_NAME:
            constraint = f"Member must have length less than or equal to {_LONGEST_NAME}"
            return answers.malformed(name, "name", constraint)
        weights = _weights(call.data)
        refusal = _malformed_weights(weights)
        if refusal is not None:
            return refusal
        function = self._lambda._functions.get(call.name)
        if function is None:
            return answers.not_found(f"Function not found: {self._arn(call, version)}")
        if name in function["aliases"]:
            return answers.conflict(f"Alias already exists: {self._arn(call, name)}")
        return self._refuse_target(call, function, version, weights)

    def refuse_update(self, call: Call) -> Answer | None:
        name = call.request.path["Name"]
        weights = _weights(call.data)
        refusal = _malformed_weights(weights)
        if refusal is not None:
            return refusal
        function = self._lambda._functions.get(call.name)
        alias = function["aliases"].get(name) if function is not None else None
        if function is None or alias is None:
            return answers.not_found(f"Alias not found: {self._arn(call, name)}")
        stale = lambda_updates.check_revision(alias, call.data)
        if stale is not None:
            return stale
        version = str(call.data.get("FunctionVersion") or alias["FunctionVersion"])
        after = weights if call.data.get("RoutingConfig") is not None else _weights(alias)
        return self._refuse_target(call, function, version, after)

    def refuse_get(self, call: Call) -> Answer | None:
        name = call.request.path["Name"]
        function = self._lambda._functions.get(call.name)
        if function is not None and name in function["aliases"]:
            return None
        return answers.not_found(f"Cannot find alias arn: {self._arn(call, name)}")

    def delete(self, call: Call) -> Answer:
        """Deleting one that is not there succeeds; on a function that is not there it does not."""
        name = call.request.path["Name"]
        function = self._lambda._functions.get(call.name)
        if function is None:
            return answers.not_found(f"Function not found: {self._lambda._func_arn(call.name)}")
        if function["aliases"].pop(name, None) is not None:
            lambda_leftovers.forget_qualifier(self._lambda, call.name, name)
        return 204, {}, b""

    def list(self, call: Call) -> Answer:
        function = self._lambda._functions.get(call.name)
        if function is None:
            return answers.not_found(f"Function not found: {self._lambda._func_arn(call.name)}")
        version = call.request.parameter("FunctionVersion")
        # "Only list aliases that invoke that version" (API reference, ListAliases): those that weigh it do.
        matching = {
            name: alias
            for name, alias in function["aliases"].items()
            if version in (None, alias["FunctionVersion"], *_weights(alias))
        }
        return paging.answer(call, "Aliases", matching, _PAGE)

    def _refuse_target(self, call: Call, function: dict[str, Any], version: str, weights: dict[str, float]) -> Answer | None:
        if len(weights) > 1:
            return answers.invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")
        if weights and version == "$LATEST":
            return answers.invalid("$LATEST is not supported for an alias pointing to more than 1 version")
        if version in weights:
            return answers.invalid(
                f"Invalid function version {version}. Function version {version} is already included in routing configuration."
            )
        for needed in (version, *weights):
            if needed != "$LATEST" and needed not in function["versions"]:
                return answers.not_found(f"Function not found: {self._arn(call, needed)}")
        for weighted in weights:
            refusal = _differing(function["versions"][version]["config"], function["versions"][weighted]["config"])
            if refusal is not None:
                return refusal
        return None

    def _arn(self, call: Call, qualifier: str) -> str:
        return f"{self._lambda._func_arn(call.name)}:{qualifier}"


def _differing(one: dict[str, Any], other: dict[str, Any]) -> Answer | None:
    """Both versions of a weighted alias have the same role and dead-letter queue (Developer Guide, canaries)."""
    for member in ("Role", "DeadLetterConfig"):
        if (one.get(member) or None) != (other.get(member) or None):
            return answers.invalid(f"The versions of an alias with weights must have the same {member}.")
    return None


def _weights(of: dict[str, Any]) -> dict[str, float]:
    return (of.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}


def _malformed_weights(weights: dict[str, float]) -> Answer | None:
    member = "routingConfig.additionalVersionWeights"
    shown = "{" + ", ".join(f"{version}={weight}" for version, weight in weights.items()) + "}"
    if any(not re.fullmatch("[0-9]+", version) for version in weights):
        return answers.malformed(
            shown,
            member,
            "Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must have "
            "length greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+]",
        )
    if any(not 0 <= weight <= 1 for weight in weights.values()):
        return answers.malformed(
            shown,
            member,
            "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have "
            "value greater than or equal to 0.0, Member must not be null]",
        )
    return None
