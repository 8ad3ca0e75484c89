"""Weighted aliases: an invocation goes to one of the alias's two versions, at random by weight.

ministack always takes the alias's main version. Covers Invoke and Step Functions' Lambda tasks.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from stagekeeper.embedded.fidelity import lambda_model
from stagekeeper.embedded.fidelity.patching import wrap


class Routed(str):
    """A version's number, chosen for an alias: selects the version, but is written as the alias.

    ministack looks its qualifier up as a version and writes it into the invoked ARN, which on AWS names the alias.
    """

    alias: str

    def __format__(self, _spec: str) -> str:
        return self.alias


def chosen_version(alias: dict[str, Any], draw: Callable[[], float]) -> str:
    """The version that serves this invocation; `draw` gives a number in [0, 1)."""
    weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    remaining = draw()
    for version, weight in weights.items():
        if remaining < weight:
            return str(version)
        remaining -= weight
    return str(alias["FunctionVersion"])


def install(lambda_svc: Any, draw: Callable[[], float] = random.random) -> None:
    def routed(name: str, qualifier: str | None) -> str | None:
        function = lambda_svc._functions.get(name) or {}
        alias = function.get("aliases", {}).get(qualifier)
        if alias is None or qualifier is None:
            return qualifier
        version = chosen_version(alias, draw)
        if version == alias["FunctionVersion"]:
            return qualifier
        chosen = Routed(version)
        chosen.alias = qualifier
        return chosen

    def invoking(original: Any) -> Any:
        async def invoke(name: str, event: Any, headers: Any, path_qualifier: str | None = None, query_params: Any = None) -> Any:
            qualifier = lambda_svc._qualifier_from_path_or_query(path_qualifier, query_params)
            return await original(name, event, headers, routed(name, qualifier), query_params)

        return invoke

    def referring(original: Any) -> Any:
        def _get_func_record_for_ref(function_ref: str) -> Any:
            name, qualifier = lambda_model.split_reference(function_ref)
            version = routed(name, qualifier)
            if isinstance(version, Routed):
                record, config = lambda_svc._get_func_record_for_qualifier(name, str.__str__(version))
                return record, config, name
            return original(function_ref)

        return _get_func_record_for_ref

    wrap(lambda_svc, "_invoke", invoking)
    wrap(lambda_svc, "_get_func_record_for_ref", referring)
