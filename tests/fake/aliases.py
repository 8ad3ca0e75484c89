"""Aliases and their weights.

Recorded from AWS 2025-11-25, localstack snapshots TestLambdaAlias::*: the sentences, and which of them comes first.
"""

from __future__ import annotations

from .errors import (
    AwsError,
    alias_not_found,
    conflict,
    function_not_found,
    invalid_parameter,
    not_found,
    precondition_failed,
)
from .store import LATEST, Alias, Function, Store, page
from .wire import Answer, Params


class Aliases:
    """`limit` is the number of aliases a function may have (None: any number); `shift_seconds` is how long an alias
    with provisioned concurrency shows transient weights after it was moved."""

    def __init__(self, store: Store, limit: int | None, shift_seconds: float) -> None:
        self._store = store
        self.limit = limit
        self.shift_seconds = shift_seconds

    def create(self, params: Params) -> Answer:
        names = self._store.parse(params["FunctionName"])
        function = self._store.functions.get(names.name)
        target = params["FunctionVersion"]
        if function is None:
            raise function_not_found(self._store.arn(names.name, target))
        weights = _weights(params) or {}
        self._check_target(function, target, weights)
        name = params["Name"]
        if name in function.aliases:
            raise conflict(f"Alias already exists: {self._store.arn(function.name, name)}")
        if self.limit is not None and len(function.aliases) >= self.limit:
            raise AwsError("AliasLimitExceededException", f"Function already has {self.limit} aliases.", 400)
        alias = Alias(name, target, params.get("Description", ""), weights, self._store.revision())
        function.aliases[name] = alias
        return self._shown(function, alias)

    def update(self, params: Params) -> Answer:
        names = self._store.parse(params["FunctionName"])
        function = self._store.functions.get(names.name)
        alias = function.aliases.get(params["Name"]) if function else None
        if function is None or alias is None:
            raise not_found(f"Alias not found: {self._store.arn(names.name, params['Name'])}")
        if params.get("RevisionId", alias.revision) != alias.revision:
            raise precondition_failed()
        target = params.get("FunctionVersion", alias.version)
        given = _weights(params)
        # Weights that a call does not mention stay: moving an alias onto its own weighted version needs them cleared.
        weights = alias.weights if given is None else given
        self._check_target(function, target, weights)
        self._shift(function, alias, target)
        alias.version, alias.weights = target, weights
        alias.description = params.get("Description", alias.description)
        alias.revision = self._store.revision()
        return self._shown(function, alias)

    def _shift(self, function: Function, alias: Alias, target: str) -> None:
        """With provisioned concurrency AWS keeps the old version in the weights until the new one is provisioned
        (hashicorp/terraform-provider-aws#48116)."""
        config = function.provisioned.get(alias.name)
        if config is None or target == alias.version or self.shift_seconds <= 0:
            return
        until = self._store.clock() + self.shift_seconds
        alias.shifting_from, alias.shifting_until = alias.version, until
        config.ready_at = until

    def _check_target(self, function: Function, target: str, weights: dict[str, float]) -> None:
        if len(weights) > 1:
            raise invalid_parameter("Number of items in AdditionalVersionWeights cannot be greater than 1")
        if target == LATEST and weights:
            raise invalid_parameter("$LATEST is not supported for an alias pointing to more than 1 version")
        if target in weights:
            raise invalid_parameter(
                f"Invalid function version {target}. Function version {target} is already included in routing configuration."
            )
        for version in (target, *weights):
            if function.version(version) is None:
                raise function_not_found(self._store.arn(function.name, version))
        for weighted in weights:
            _check_alike(function, target, weighted)

    def get(self, params: Params) -> Answer:
        function, alias = self._find(params)
        return self._shown(function, alias)

    def _find(self, params: Params) -> tuple[Function, Alias]:
        names = self._store.parse(params["FunctionName"])
        function = self._store.functions.get(names.name)
        alias = function.aliases.get(params["Name"]) if function else None
        if function is None or alias is None:
            raise alias_not_found(self._store.arn(names.name, params["Name"]))
        return function, alias

    def list(self, params: Params) -> Answer:
        function, _ = self._store.function(params["FunctionName"])
        wanted = params.get("FunctionVersion")
        # "Only list aliases that invoke that version" (API reference, ListAliases): those that weigh it do.
        invoking = function.aliases if wanted is None else function.aliases_of(wanted)
        aliases = [function.aliases[name] for name in sorted(invoking)]
        chosen, marker = page(aliases, params.get("Marker"), params.get("MaxItems"), 50)
        listed = [self._shown(function, alias) for alias in chosen]
        return {"Aliases": listed} | ({"NextMarker": marker} if marker else {})

    def delete(self, params: Params) -> Answer:
        """Deleting an alias takes all that hangs on it along, except event source mappings. A missing one is fine."""
        function, _ = self._store.function(params["FunctionName"])
        name = params["Name"]
        if function.aliases.pop(name, None) is not None:
            function.policies.pop(name, None)
            function.urls.pop(name, None)
            function.provisioned.pop(name, None)
            function.invoke_configs.pop(name, None)
        return {}

    def _shown(self, function: Function, alias: Alias) -> Answer:
        answer: Answer = {
            "AliasArn": self._store.arn(function.name, alias.name),
            "Name": alias.name,
            "FunctionVersion": alias.version,
            "Description": alias.description,
            "RevisionId": alias.revision,
        }
        weights = dict(alias.weights)
        if alias.shifting_from is not None and self._store.clock() < alias.shifting_until:
            weights = {alias.shifting_from: 1.0}
        if weights:
            answer["RoutingConfig"] = {"AdditionalVersionWeights": weights}
        return answer


def _weights(params: Params) -> dict[str, float] | None:
    """The weights a call gives: None when it says nothing about them, {} when it clears them."""
    if "RoutingConfig" not in params:
        return None
    return dict(params["RoutingConfig"].get("AdditionalVersionWeights", {}))


def _check_alike(function: Function, target: str, weighted: str) -> None:
    """Both versions of a weighted alias need the same role and dead-letter configuration (developer guide, "Create a
    routing configuration"). The sentence is the fake's own: no recording of it was found."""
    first, second = function.version(target), function.version(weighted)
    assert first is not None
    assert second is not None
    for member in ("Role", "DeadLetterConfig"):
        if first.settings.get(member) != second.settings.get(member):
            raise invalid_parameter(f"Versions {target} and {weighted} of a weighted alias differ in {member}.")
