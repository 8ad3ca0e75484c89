"""What calls a function from outside: event source mappings and function URLs.

Recorded from AWS 2025-11-25, localstack snapshots TestLambdaEventSourceMappings::* and TestLambdaUrl::*.
"""

from __future__ import annotations

import hashlib
from typing import Any

from .clock import aws_time
from .errors import AwsError, conflict, function_not_found, invalid_parameter, not_found, resource_not_found
from .store import Store, page
from .wire import Answer, Params

_STREAM_DEFAULTS = {
    "MaximumRecordAgeInSeconds": -1,
    "MaximumRetryAttempts": -1,
    "ParallelizationFactor": 1,
    "BisectBatchOnFunctionError": False,
    "TumblingWindowInSeconds": 0,
    "LastProcessingResult": "No records processed",
    "DestinationConfig": {"OnFailure": {}},
}


class EventSourceMappings:
    """Mappings belong to the account, not to a function: they outlive function and alias and must be deleted alone."""

    def __init__(self, store: Store, deleting_seconds: float) -> None:
        self._store = store
        self.deleting_seconds = deleting_seconds

    def create(self, params: Params) -> Answer:
        names = self._store.parse(params["FunctionName"])
        function = self._store.functions.get(names.name)
        if function is None or (names.qualifier and function.version(names.qualifier) is None):
            raise invalid_parameter("Function does not exist")
        source, target = params["EventSourceArn"], self._store.arn(names.name, names.qualifier)
        for uuid, other in self._store.mappings.items():
            if (other["EventSourceArn"], other["FunctionArn"]) == (source, target):
                raise conflict(
                    f'An event source mapping with {_service(source).upper()} arn (" {source} ") and function'
                    f' (" {target} ") already exists. Please update or delete the existing mapping with UUID {uuid}'
                )
        uuid = self._uuid()
        mapping: dict[str, Any] = {
            "UUID": uuid,
            "EventSourceMappingArn": f"arn:aws:lambda:{self._store.region}:{self._store.account}:event-source-mapping:{uuid}",
            "EventSourceArn": source,
            "FunctionArn": target,
            "BatchSize": params.get("BatchSize", 10 if _service(source) == "sqs" else 100),
            "MaximumBatchingWindowInSeconds": params.get("MaximumBatchingWindowInSeconds", 0),
            "FunctionResponseTypes": params.get("FunctionResponseTypes", []),
            "LastModified": self._store.clock(),
            "StateTransitionReason": "User action",
        }
        if _service(source) != "sqs":
            mapping |= _STREAM_DEFAULTS | {key: params[key] for key in _STREAM_DEFAULTS if key in params}
            mapping["StartingPosition"] = params.get("StartingPosition", "LATEST")
        mapping["State"] = "Enabled" if params.get("Enabled", True) else "Disabled"
        self._store.mappings[uuid] = mapping
        return mapping | {"State": "Creating"}

    def get(self, params: Params) -> Answer:
        return dict(self._find(params))

    def delete(self, params: Params) -> Answer:
        """It "enters a Deleting state and might not be completely deleted for several seconds" (API reference)."""
        mapping = self._find(params)
        if mapping["State"] == "Deleting":
            raise AwsError("ResourceInUseException", "Cannot delete the event source mapping because it is in use.")
        mapping["State"] = "Deleting"
        self._store.mappings_end[mapping["UUID"]] = self._store.clock() + self.deleting_seconds
        return dict(mapping)

    def list(self, params: Params) -> Answer:
        """`FunctionName` matches the mapping's whole ARN: a name alone does not find the mappings of its aliases."""
        found = list(self._store.mappings.values())
        if "FunctionName" in params:
            names = self._store.parse(params["FunctionName"])
            arn = self._store.arn(names.name, names.qualifier)
            found = [mapping for mapping in found if mapping["FunctionArn"] == arn]
        if "EventSourceArn" in params:
            found = [mapping for mapping in found if mapping["EventSourceArn"] == params["EventSourceArn"]]
        chosen, marker = page(found, params.get("Marker"), params.get("MaxItems"), 100)
        return {"EventSourceMappings": chosen} | ({"NextMarker": marker} if marker else {})

    def _find(self, params: Params) -> dict[str, Any]:
        mapping = self._store.mappings.get(params["UUID"])
        if mapping is None:
            raise resource_not_found()
        return mapping

    def _uuid(self) -> str:
        return self._store.revision()


def _service(arn: str) -> str:
    return arn.split(":")[2]


class Urls:
    """Function URLs: of the unqualified function, or of an alias; never of a version."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, params: Params) -> Answer:
        names = self._store.parse(params["FunctionName"], params.get("Qualifier"))
        function = self._store.functions.get(names.name)
        qualifier = names.qualifier or ""
        if function is None or (qualifier and qualifier not in function.aliases):
            raise not_found("Function does not exist")
        arn = self._store.arn(names.name, names.qualifier)
        if qualifier in function.urls:
            raise conflict(
                f"Failed to create function url config for [functionArn = {arn}]."
                " Error message:  FunctionUrlConfig exists for this Lambda function"
            )
        host = hashlib.sha256(arn.encode()).hexdigest()[:32]
        now = aws_time(self._store.clock())
        config: dict[str, Any] = {
            "FunctionUrl": f"https://{host}.lambda-url.{self._store.region}.on.aws/",
            "FunctionArn": arn,
            "AuthType": params["AuthType"],
            "CreationTime": now,
            "LastModifiedTime": now,
            "InvokeMode": params.get("InvokeMode", "BUFFERED"),
        }
        if "Cors" in params:
            config["Cors"] = params["Cors"]
        function.urls[qualifier] = config
        return {key: value for key, value in config.items() if key != "LastModifiedTime"}

    def get(self, params: Params) -> Answer:
        urls, qualifier = self._find(params)
        return dict(urls[qualifier])

    def delete(self, params: Params) -> Answer:
        urls, qualifier = self._find(params)
        del urls[qualifier]
        return {}

    def list(self, params: Params) -> Answer:
        names = self._store.parse(params["FunctionName"])
        function = self._store.functions.get(names.name)
        if function is None:
            raise function_not_found(self._store.arn(names.name))
        chosen, marker = page(list(function.urls.values()), params.get("Marker"), params.get("MaxItems"), 50)
        return {"FunctionUrlConfigs": chosen} | ({"NextMarker": marker} if marker else {})

    def _find(self, params: Params) -> tuple[dict[str, dict[str, Any]], str]:
        names = self._store.parse(params["FunctionName"], params.get("Qualifier"))
        function = self._store.functions.get(names.name)
        if function is None or (names.qualifier or "") not in function.urls:
            raise resource_not_found()
        return function.urls, names.qualifier or ""
