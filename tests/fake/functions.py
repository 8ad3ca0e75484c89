"""Functions and versions: create, read, update, publish, list, delete."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable
from typing import Any

from . import configuration
from .clock import aws_time
from .errors import (
    conflict,
    function_not_found,
    function_pending,
    invalid_parameter,
    precondition_failed,
    update_in_progress,
)
from .store import LATEST, Function, Settings, Store, Version, page
from .wire import Answer, Params

#: Gives the bytes at (bucket, key, version), or None where there is nothing.
Objects = Callable[[str, str, str | None], bytes | None]

_CREATING = ("The function is being created.", "Creating")


class Functions:
    """`update_seconds` is how long an update stays InProgress and a new function Pending; `version_seconds` the same
    for a published version. With 0 everything has settled by the next call."""

    def __init__(self, store: Store, objects: Objects, update_seconds: float, version_seconds: float) -> None:
        self._store = store
        self._objects = objects
        self.update_seconds = update_seconds
        self.version_seconds = version_seconds

    def create(self, params: Params) -> Answer:
        names = self._store.parse(params["FunctionName"])
        if names.name in self._store.functions:
            raise conflict(f"Function already exist: {names.name}")
        settings = configuration.defaults(names.name, self._store.region)
        settings |= {key: params[key] for key in ("PackageType", "Architectures") if key in params}
        settings = configuration.overlay(settings, params, names.name)
        code, location = self._code(params["Code"], settings["PackageType"])
        now = self._store.clock()
        latest = Version(
            number=LATEST,
            settings=settings | code,
            location=location,
            revision=self._store.revision(),
            last_modified=now,
            state="Pending",
            state_reason=_CREATING[0],
            update=None,
            settles_at=now + self.update_seconds,
        )
        function = Function(names.name, self._store.arn(names.name), latest, tags=dict(params.get("Tags", {})))
        function.last_number = self._store.last_numbers.get(names.name, 0)
        self._store.functions[names.name] = function
        if params.get("Publish"):
            made = self._new_version(function, None, pending=True)
            # AWS answers with the version's number but the function's own ARN here (recorded from AWS 2025-11-25,
            # localstack snapshot TestLambdaVersions::test_publish_version_on_create).
            return self.shown(function, made, None)
        return self.shown(function, latest, None)

    def get(self, params: Params) -> Answer:
        function, version, qualifier = self._read(params)
        answer: Answer = {
            "Configuration": self.shown(function, version, qualifier),
            "Code": dict(version.location),
        }
        if function.tags_error is not None:
            answer["TagsError"] = dict(function.tags_error)
        elif function.tags:
            answer["Tags"] = dict(function.tags)
        if function.reserved is not None:
            answer["Concurrency"] = {"ReservedConcurrentExecutions": function.reserved}
        return answer

    def get_configuration(self, params: Params) -> Answer:
        function, version, qualifier = self._read(params)
        return self.shown(function, version, qualifier)

    def _read(self, params: Params) -> tuple[Function, Version, str | None]:
        function, qualifier = self._store.function(params["FunctionName"], params.get("Qualifier"))
        version = function.version(qualifier or LATEST)
        if version is None:
            raise function_not_found(self._store.arn(function.name, qualifier))
        return function, version, qualifier

    def update_code(self, params: Params) -> Answer:
        function = self._updatable(params)
        latest = function.latest
        code, location = self._code(params, latest.settings["PackageType"])
        settings = latest.settings | code
        if "Architectures" in params:
            settings["Architectures"] = list(params["Architectures"])
        if params.get("DryRun"):
            tried = Version(LATEST, settings, location, latest.revision, latest.last_modified)
            return self.shown(function, tried, None)
        self._change(function, settings, location)
        if not params.get("Publish"):
            return self.shown(function, latest, None)
        published = self._publish(function, None, pending=True)
        return self.shown(function, published, published.number)

    def update_configuration(self, params: Params) -> Answer:
        function = self._updatable(params)
        settings = configuration.overlay(function.latest.settings, params, function.name)
        self._change(function, settings, function.latest.location)
        return self.shown(function, function.latest, None)

    def _updatable(self, params: Params) -> Function:
        """The function, if it may be updated or published now and the caller knows its revision."""
        function, _ = self._store.function(params["FunctionName"])
        if function.latest.state == "Pending":
            raise function_pending("Pending")
        if function.latest.update == "InProgress":
            raise update_in_progress(function.arn)
        if params.get("RevisionId", function.latest.revision) != function.latest.revision:
            raise precondition_failed()
        return function

    def _change(self, function: Function, settings: Settings, location: dict[str, Any]) -> None:
        latest, now = function.latest, self._store.clock()
        latest.settings, latest.location = settings, location
        latest.revision = self._store.revision()
        latest.last_modified = now
        latest.update, latest.update_reason = "InProgress", _CREATING[0]
        latest.settles_at = now + self.update_seconds
        latest.settles_failed, function.update_fails = function.update_fails, None
        function.updated_since_publish = True

    def publish(self, params: Params) -> Answer:
        function = self._updatable(params)
        digest = function.latest.settings["CodeSha256"]
        if params.get("CodeSha256", digest) != digest:
            raise invalid_parameter(
                f"CodeSHA256 ({params['CodeSha256']}) is different from current CodeSHA256 in $LATEST ({digest})."
                " Please try again with the CodeSHA256 in $LATEST."
            )
        # SnapStart initialises a version before it is Active (developer guide, SnapStart: activating).
        snapshot = function.latest.settings["SnapStart"]["ApplyOn"] == "PublishedVersions"
        version = self._publish(function, params.get("Description"), pending=snapshot or self.version_seconds > 0)
        return self.shown(function, version, version.number)

    def _publish(self, function: Function, description: str | None, pending: bool) -> Version:
        """A new version of $LATEST, or the last one when there was no update since, whatever the description says.

        An update that changes nothing counts as one: AWS does not compare (getmoto/moto#8379, verified against AWS).
        """
        last = function.versions.get(function.last_number)
        if last is not None and not function.updated_since_publish:
            return last
        version = self._new_version(function, description, pending)
        # Publishing touches $LATEST: its RevisionId is another one afterwards.
        function.latest.revision = self._store.revision()
        return version

    def _new_version(self, function: Function, description: str | None, pending: bool) -> Version:
        now = self._store.clock()
        function.last_number += 1
        failure, function.publish_fails = function.publish_fails, None
        pending = pending or failure is not None
        version = Version(
            number=str(function.last_number),
            settings=configuration.frozen(function.latest.settings, description),
            location=function.latest.location,
            revision=self._store.revision(),
            last_modified=now,
            state="Pending" if pending else "Active",
            state_reason=_CREATING[0] if pending else None,
            update=None if pending else "Successful",
            settles_at=now + self.version_seconds if pending else None,
            settles_failed=failure,
        )
        function.versions[function.last_number] = version
        function.updated_since_publish = False
        return version

    def list_versions(self, params: Params) -> Answer:
        function, _ = self._store.function(params["FunctionName"])
        versions, marker = page(function.all_versions(), params.get("Marker"), params.get("MaxItems"), 50)
        listed = [self.shown(function, version, version.number, listed=True) for version in versions]
        return {"Versions": listed} | ({"NextMarker": marker} if marker else {})

    def list_functions(self, params: Params) -> Answer:
        functions = [self._store.functions[name] for name in sorted(self._store.functions)]
        chosen, marker = page(functions, params.get("Marker"), params.get("MaxItems"), 50)
        listed = [self.shown(function, function.latest, None, listed=True) for function in chosen]
        return {"Functions": listed} | ({"NextMarker": marker} if marker else {})

    def account(self, _params: Params) -> Answer:
        """Code counts once per version (recorded from AWS 2025-11-25, localstack snapshot
        TestLambdaAccountSettings::test_account_settings_total_code_size_config_update). The limits are AWS's defaults."""
        functions = self._store.functions.values()
        reserved = sum(function.reserved or 0 for function in functions)
        stored = sum(version.settings["CodeSize"] for function in functions for version in function.all_versions())
        return {
            "AccountLimit": {
                "TotalCodeSize": 80_530_636_800,
                "CodeSizeUnzipped": 262_144_000,
                "CodeSizeZipped": 52_428_800,
                "ConcurrentExecutions": 1000,
                "UnreservedConcurrentExecutions": 1000 - reserved,
            },
            "AccountUsage": {"TotalCodeSize": stored, "FunctionCount": len(functions)},
        }

    def delete(self, params: Params) -> Answer:
        names = self._store.parse(params["FunctionName"], params.get("Qualifier"))
        function = self._store.functions.get(names.name)
        if function is None:
            # Unqualified, even when the call had a qualifier (recorded from AWS 2025-11-25, localstack snapshot
            # TestLambdaFunction::test_delete_on_nonexisting_version).
            raise function_not_found(self._store.arn(names.name))
        if names.qualifier is None:
            _check_replicas(function, function.versions)
            # Event source mappings outlive their function; everything else goes with it.
            self._store.last_numbers[names.name] = function.last_number
            del self._store.functions[names.name]
        elif names.qualifier == LATEST:
            raise invalid_parameter("$LATEST version cannot be deleted without deleting the function.")
        elif not names.qualifier.isdigit():
            raise invalid_parameter("Deletion of aliases is not currently supported.")
        else:
            self._delete_version(function, names.qualifier)
        return {"StatusCode": 204}

    def _delete_version(self, function: Function, number: str) -> None:
        aliases = function.aliases_of(number)
        if aliases:
            raise conflict("Unable to delete version because the following aliases reference it: [" + ", ".join(aliases) + "]")
        _check_replicas(function, [int(number)])
        # A version that is not there is deleted already (floci-io/floci#2824).
        function.versions.pop(int(number), None)
        function.policies.pop(number, None)
        function.provisioned.pop(number, None)
        function.invoke_configs.pop(number, None)

    def _code(self, code: Params, package_type: str) -> tuple[Settings, dict[str, Any]]:
        """What the code adds to the settings, and where GetFunction says it lies.

        A function keeps its package type for life; AWS's sentences are in umihico/pythonista-chromeless#19 and
        appleboy/lambda-action#28.
        """
        if "ImageUri" in code and package_type == "Zip":
            raise invalid_parameter("Please don't provide ImageUri when updating a function with packageType Zip.")
        if "ImageUri" not in code and package_type == "Image":
            raise invalid_parameter("Please provide ImageUri when updating a function with packageType Image.")
        if package_type == "Image":
            uri: str = code["ImageUri"]
            repository, _, digest = uri.partition("@")
            digest = digest.removeprefix("sha256:") or hashlib.sha256(uri.encode()).hexdigest()
            resolved = f"{repository.rsplit(':', 1)[0] if ':' in repository else repository}@sha256:{digest}"
            location = {"RepositoryType": "ECR", "ImageUri": uri, "ResolvedImageUri": resolved}
            return {"CodeSha256": digest, "CodeSize": 0}, location
        content = code["ZipFile"] if "ZipFile" in code else self._object(code)
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        url = f"https://awslambda-{self._store.region}-tasks.s3.{self._store.region}.amazonaws.com/{digest}"
        return {"CodeSha256": digest, "CodeSize": len(content)}, {"RepositoryType": "S3", "Location": url}

    def _object(self, code: Params) -> bytes:
        if "S3Bucket" not in code or "S3Key" not in code:
            raise invalid_parameter("Please provide a source for function code.")
        content = self._objects(code["S3Bucket"], code["S3Key"], code.get("S3ObjectVersion"))
        if content is None:
            raise invalid_parameter(
                "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist."
            )
        return content

    def shown(self, function: Function, version: Version, qualifier: str | None, listed: bool = False) -> Answer:
        """A FunctionConfiguration. The ARN carries the qualifier of the call; lists leave the states out."""
        answer: Answer = {
            **version.settings,
            "FunctionName": function.name,
            "FunctionArn": self._store.arn(function.name, qualifier),
            "Version": version.number,
            "RevisionId": version.revision,
            "LastModified": aws_time(version.last_modified),
        }
        if listed:
            return answer
        answer["State"] = version.state
        if version.state != "Active":
            answer["StateReason"] = version.state_reason or ""
            answer["StateReasonCode"] = _reason_code(version.state)
        if version.update is not None:
            answer["LastUpdateStatus"] = version.update
            if version.update != "Successful":
                answer["LastUpdateStatusReason"] = version.update_reason or ""
                answer["LastUpdateStatusReasonCode"] = _reason_code(version.update)
        return answer


def _check_replicas(function: Function, numbers: Iterable[int]) -> None:
    """Neither a replicated version nor its function can be deleted; the sentence is AWS's own
    (claygregory/serverless-prune-plugin#10, aws-samples/cloudfront-authorization-at-edge#246)."""
    for number in sorted(function.replicated.intersection(numbers)):
        raise invalid_parameter(
            f"Lambda was unable to delete {function.arn}:{number} because it is a replicated function."
            " Please see our documentation for Deleting Lambda@Edge Functions and Replicas."
        )


def _reason_code(state: str) -> str:
    return {"Pending": _CREATING[1], "InProgress": _CREATING[1], "Inactive": "Idle"}.get(state, "InternalError")
