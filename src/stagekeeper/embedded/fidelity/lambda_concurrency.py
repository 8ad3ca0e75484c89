"""Provisioned concurrency, which ministack has at once and never compares; and who may have reserved concurrency.

Recorded: TestLambdaProvisionedConcurrency, test_function_concurrency_exceptions.
A function without any configuration has an empty list, not a 404. While an alias that has one moves, the version it
left stays among its weights until the new one is provisioned (hashicorp/terraform-provider-aws#48116).
"""

from __future__ import annotations

from typing import Any

from stagekeeper.embedded.fidelity import answers, paging
from stagekeeper.embedded.fidelity.door import Call, Door
from stagekeeper.embedded.fidelity.patching import Answer, later, wrap

_PAGE = 50


def install(door: Door, lambda_svc: Any, in_progress_seconds: float) -> None:
    rules = _Concurrency(lambda_svc, in_progress_seconds)
    door.refuse(rules.refuse_put, "PutProvisionedConcurrencyConfig")
    door.amend(rules.begin, "PutProvisionedConcurrencyConfig")
    door.answer(rules.list, "ListProvisionedConcurrencyConfigs")
    door.refuse(_refuse_qualified, "PutFunctionConcurrency")
    wrap(lambda_svc, "_update_alias", rules.moving)


class _Concurrency:
    def __init__(self, lambda_svc: Any, in_progress_seconds: float) -> None:
        self._lambda = lambda_svc
        self._seconds = in_progress_seconds

    def refuse_put(self, call: Call) -> Answer | None:
        if call.qualifier == "$LATEST":
            return answers.invalid("Provisioned Concurrency Configs cannot be applied to unpublished function versions.")
        function = self._lambda._functions.get(call.name)
        if function is None:
            return None
        provisioned = function.get("provisioned_concurrency", {})
        alias = function["aliases"].get(call.qualifier)
        if alias is not None:
            if alias.get("RoutingConfig"):
                return answers.invalid("Alias with weights can not be used with Provisioned Concurrency")
            if alias["FunctionVersion"] in provisioned:
                return answers.conflict(
                    "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
                )
        pointing = (a for name, a in function["aliases"].items() if name in provisioned)
        if any(a["FunctionVersion"] == call.qualifier for a in pointing):
            return answers.conflict("Version is pointed by a Provisioned Concurrency alias")
        return None

    def begin(self, call: Call, answered: Answer) -> Answer:
        if answered[0] >= 300:
            return answered
        config = self._lambda._functions[call.name]["provisioned_concurrency"][call.qualifier]
        _in_progress(config)
        later(self._seconds, lambda: _ready(config))
        return answers.ok(config, 202)

    def list(self, call: Call) -> Answer:
        function = self._lambda._functions.get(call.name)
        arn = self._lambda._func_arn(call.name)
        if function is None:
            return answers.not_found(f"Function not found: {arn}")
        configs = {
            qualifier: {"FunctionArn": f"{arn}:{qualifier}", **config}
            for qualifier, config in function.get("provisioned_concurrency", {}).items()
        }
        return paging.answer(call, "ProvisionedConcurrencyConfigs", configs, _PAGE)

    def moving(self, original: Any) -> Any:
        """Around _update_alias: the transient weights of a provisioned alias."""

        def update(name: str, alias_name: str, data: dict[str, Any]) -> Answer:
            function = self._lambda._functions.get(name) or {"aliases": {}}
            alias = function["aliases"].get(alias_name)
            left = alias["FunctionVersion"] if alias is not None else None
            answered: Answer = original(name, alias_name, data)
            config = function.get("provisioned_concurrency", {}).get(alias_name)
            if answered[0] >= 300 or alias is None or config is None or alias["FunctionVersion"] == left:
                return answered
            alias["RoutingConfig"] = {"AdditionalVersionWeights": {left: 1.0}}
            _in_progress(config)

            def arrive() -> None:
                alias.pop("RoutingConfig", None)
                _ready(config)

            later(self._seconds, arrive)
            return answers.ok(alias)

        return update


def _in_progress(config: dict[str, Any]) -> None:
    config.update(Status="IN_PROGRESS", AvailableProvisionedConcurrentExecutions=0, AllocatedProvisionedConcurrentExecutions=0)


def _ready(config: dict[str, Any]) -> None:
    requested = config["RequestedProvisionedConcurrentExecutions"]
    config.update(
        Status="READY",
        AvailableProvisionedConcurrentExecutions=requested,
        AllocatedProvisionedConcurrentExecutions=requested,
    )


def _refuse_qualified(call: Call) -> Answer | None:
    if call.qualifier is None:
        return None
    return answers.invalid(
        "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. "
        "Please specify either a function name or an unqualified function ARN."
    )
