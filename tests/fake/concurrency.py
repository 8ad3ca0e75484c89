"""Reserved and provisioned concurrency, and the asynchronous-invocation settings that hang on a qualifier.

Recorded from AWS 2025-11-25, localstack snapshots TestLambdaProvisionedConcurrency::* and
TestLambdaReservedConcurrency::*.
"""

from __future__ import annotations

from .clock import aws_time
from .errors import AwsError, conflict, function_not_found, invalid_parameter, not_found
from .store import LATEST, Function, Provisioned, Store, page
from .wire import Answer, Params


class ProvisionedConcurrency:
    """`ready_seconds`: how long a configuration is IN_PROGRESS. Its own answer says so even when that is 0."""

    def __init__(self, store: Store, ready_seconds: float) -> None:
        self._store = store
        self.ready_seconds = ready_seconds

    def put(self, params: Params) -> Answer:
        if params["Qualifier"] == LATEST:
            raise invalid_parameter("Provisioned Concurrency Configs cannot be applied to unpublished function versions.")
        function, qualifier = self._store.qualified(params["FunctionName"], params["Qualifier"])
        self._check_target(function, qualifier)
        now = self._store.clock()
        config = Provisioned(params["ProvisionedConcurrentExecutions"], now + self.ready_seconds, now)
        function.provisioned[qualifier] = config
        return self._shown(config, ready=False)

    def _check_target(self, function: Function, qualifier: str) -> None:
        alias = function.aliases.get(qualifier)
        if alias is None:
            if any(function.aliases[name].version == qualifier for name in function.provisioned if name in function.aliases):
                raise conflict("Version is pointed by a Provisioned Concurrency alias")
            return
        if alias.weights or self._store.clock() < alias.shifting_until:
            # The transient weights of a move count too (hashicorp/terraform#24957).
            raise invalid_parameter("Alias with weights can not be used with Provisioned Concurrency")
        if alias.version in function.provisioned:
            raise conflict("Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version")

    def get(self, params: Params) -> Answer:
        function, qualifier = self._find(params)
        config = function.provisioned.get(qualifier)
        if config is None:
            raise AwsError(
                "ProvisionedConcurrencyConfigNotFoundException",
                "No Provisioned Concurrency Config found for this function",
                404,
            )
        return self._shown(config, ready=self._store.clock() >= config.ready_at)

    def delete(self, params: Params) -> Answer:
        function, qualifier = self._find(params)
        function.provisioned.pop(qualifier, None)
        return {}

    def list(self, params: Params) -> Answer:
        function, _ = self._store.function(params["FunctionName"])
        now = self._store.clock()
        found = [
            self._shown(config, ready=now >= config.ready_at) | {"FunctionArn": self._store.arn(function.name, qualifier)}
            for qualifier, config in function.provisioned.items()
        ]
        chosen, marker = page(found, params.get("Marker"), params.get("MaxItems"), 50)
        return {"ProvisionedConcurrencyConfigs": chosen} | ({"NextMarker": marker} if marker else {})

    def _find(self, params: Params) -> tuple[Function, str]:
        if params["Qualifier"] == LATEST:
            raise invalid_parameter("The function resource provided must be an alias or a published version.")
        return self._store.qualified(params["FunctionName"], params["Qualifier"])

    def _shown(self, config: Provisioned, ready: bool) -> Answer:
        here = config.requested if ready else 0
        return {
            "RequestedProvisionedConcurrentExecutions": config.requested,
            "AllocatedProvisionedConcurrentExecutions": here,
            "AvailableProvisionedConcurrentExecutions": here,
            "Status": "READY" if ready else "IN_PROGRESS",
            "LastModified": aws_time(config.last_modified),
        }


class ReservedConcurrency:
    """Belongs to the function as a whole; no alias or version has one."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, params: Params) -> Answer:
        function = self._find(params)
        function.reserved = params["ReservedConcurrentExecutions"]
        return {"ReservedConcurrentExecutions": function.reserved}

    def get(self, params: Params) -> Answer:
        function = self._find(params)
        return {} if function.reserved is None else {"ReservedConcurrentExecutions": function.reserved}

    def delete(self, params: Params) -> Answer:
        self._find(params).reserved = None
        return {}

    def _find(self, params: Params) -> Function:
        names = self._store.parse(params["FunctionName"])
        if names.qualifier is not None:
            raise invalid_parameter(
                "This operation is permitted on Lambda functions only."
                " Aliases and versions do not support this operation."
                " Please specify either a function name or an unqualified function ARN."
            )
        function = self._store.functions.get(names.name)
        if function is None:
            raise function_not_found(self._store.arn(names.name, LATEST))
        return function


class InvokeConfigs:
    """Retries, age and destinations of asynchronous calls, per qualifier."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, params: Params) -> Answer:
        function, qualifier = self._store.qualified(params["FunctionName"], params.get("Qualifier"))
        given = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")
        function.invoke_configs[qualifier] = {
            "FunctionArn": self._store.arn(function.name, qualifier or LATEST),
            "LastModified": self._store.clock(),
            "DestinationConfig": {"OnSuccess": {}, "OnFailure": {}},
            **{key: params[key] for key in given if key in params},
        }
        return dict(function.invoke_configs[qualifier])

    def get(self, params: Params) -> Answer:
        function, qualifier = self._find(params)
        return dict(function.invoke_configs[qualifier])

    def delete(self, params: Params) -> Answer:
        function, qualifier = self._find(params)
        del function.invoke_configs[qualifier]
        return {}

    def list(self, params: Params) -> Answer:
        function, _ = self._store.function(params["FunctionName"])
        configs = list(function.invoke_configs.values())
        chosen, marker = page(configs, params.get("Marker"), params.get("MaxItems"), 50)
        return {"FunctionEventInvokeConfigs": chosen} | ({"NextMarker": marker} if marker else {})

    def _find(self, params: Params) -> tuple[Function, str]:
        names = self._store.parse(params["FunctionName"], params.get("Qualifier"))
        function = self._store.functions.get(names.name)
        qualifier = names.qualifier or ""
        if function is None or qualifier not in function.invoke_configs:
            arn = self._store.arn(names.name, qualifier or LATEST)
            raise not_found(f"The function {arn} doesn't have an EventInvokeConfig")
        return function, qualifier
