"""Creating and updating a function: the window in which it is in progress, its revisions, dry runs, code from S3.

AWS's rules (recorded: test_function_lifecycle, TestLambdaRevisions, test_publish_with_update):
- an update leaves State Active and shows LastUpdateStatus InProgress; only a new function or version is Pending;
- while either lasts, UpdateFunctionCode, UpdateFunctionConfiguration and PublishVersion are 409; UpdateAlias works;
- when it ends $LATEST has yet another RevisionId, so the one in the update's own answer is stale by then.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from stagekeeper.embedded.fidelity import answers
from stagekeeper.embedded.fidelity.door import Call, Door
from stagekeeper.embedded.fidelity.patching import Answer, later, wrap

_CREATING = {"StateReason": "The function is being created.", "StateReasonCode": "Creating"}
_UPDATING = {
    "LastUpdateStatusReason": "The function is being created.",
    "LastUpdateStatusReasonCode": "Creating",
}


def install(door: Door, lambda_svc: Any, in_progress_seconds: float) -> None:
    rules = _Updates(lambda_svc, in_progress_seconds)
    wrap(lambda_svc, "_schedule_state_transition", lambda _original: rules.settle_later)
    wrap(lambda_svc, "_check_revision", lambda _original: check_revision)
    wrap(lambda_svc, "_update_code", rules.updating)
    wrap(lambda_svc, "_update_config", rules.updating)
    door.refuse(rules.refuse_missing_code, "CreateFunction", "UpdateFunctionCode")
    door.refuse(rules.answer_dry_run, "UpdateFunctionCode")
    door.refuse(rules.refuse_while_in_progress, "UpdateFunctionCode", "UpdateFunctionConfiguration", "PublishVersion")
    door.refuse(rules.refuse_while_pending, "Invoke", "InvokeWithResponseStream")


def check_revision(current: dict[str, Any], data: dict[str, Any]) -> Answer | None:
    """412 for a RevisionId that is not the current one."""
    if data.get("RevisionId") is not None and data["RevisionId"] != current.get("RevisionId"):
        return answers.error(412, "PreconditionFailedException", answers.STALE_REVISION)
    return None


def settle_version(config: dict[str, Any], seconds: float) -> None:
    """A version that is still being made, until `seconds` from now. ministack itself decides when SnapStart is ready."""
    if (config.get("SnapStart") or {}).get("OptimizationStatus") == "On":
        return
    _mark_pending(config)
    later(seconds, lambda: _make_active(config))


class _Updates:
    def __init__(self, lambda_svc: Any, in_progress_seconds: float) -> None:
        self._lambda = lambda_svc
        self._seconds = in_progress_seconds

    def settle_later(self, name: str, _delay: float) -> None:
        """ministack schedules the end of every creation and update through this."""
        function = self._lambda._functions[name]
        _take_image_digest(function["config"])
        token = function["update_token"] = self._lambda.new_uuid()
        if function["config"].get("State") == "Pending" and not function["versions"]:
            _mark_pending(function["config"])

        def settle() -> None:
            # The same record, and no later update: that one settles by itself.
            if self._lambda._functions.get(name) is function and function["update_token"] == token:
                self._settle(function["config"])

        later(self._seconds, settle)

    def _settle(self, config: dict[str, Any]) -> None:
        if config.get("State") == "Pending" or config.get("LastUpdateStatus") == "InProgress":
            # In this order: who sees the update as Successful must see its last revision.
            config["RevisionId"] = self._lambda.new_uuid()
            _make_active(config)

    def updating(self, original: Any) -> Any:
        """Around _update_code and _update_config, CloudFormation's calls too."""

        def update(name: str, data: dict[str, Any]) -> Answer:
            before = self._lambda._functions.get(name)
            was_pending = before is not None and before["config"].get("State") == "Pending"
            answered: Answer = original(name, {key: data[key] for key in data if key != "Publish"})
            if answered[0] >= 300:
                return answered
            config = self._lambda._functions[name]["config"]
            if not was_pending:
                config.update(State="Active", StateReason="", StateReasonCode="")
            config.update(LastUpdateStatus="InProgress", **_UPDATING)
            # Instead of what ministack has scheduled, which may have been done before it was in progress.
            self.settle_later(name, self._seconds)
            return answers.ok(answers.configuration(config))

        return update

    def refuse_while_in_progress(self, call: Call) -> Answer | None:
        function = self._lambda._functions.get(call.name)
        if function is None:
            return None
        config = function["config"]
        if config.get("State") == "Pending":
            return answers.conflict(_in_state("Pending"))
        if config.get("LastUpdateStatus") == "InProgress":
            return answers.conflict(
                f"The operation cannot be performed at this time. An update is in progress for resource: {config['FunctionArn']}"
            )
        return None

    def refuse_while_pending(self, call: Call) -> Answer | None:
        """A function or version that is not Active yet cannot be invoked."""
        _record, config = self._lambda._get_func_record_for_qualifier(call.name, call.qualifier)
        return answers.conflict(_in_state("Pending")) if config and config.get("State") == "Pending" else None

    def refuse_missing_code(self, call: Call) -> Answer | None:
        code = call.data.get("Code") or call.data
        if not (code.get("S3Bucket") and code.get("S3Key")):
            return None
        if self._fetch(code) is not None:
            return None
        return answers.invalid(
            "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist."
        )

    def answer_dry_run(self, call: Call) -> Answer | None:
        """UpdateFunctionCode(DryRun=True) checks everything and changes nothing."""
        function = self._lambda._functions.get(call.name)
        if not call.data.get("DryRun") or function is None:
            return None
        stale = check_revision(function["config"], call.data)
        if stale is not None:
            return stale
        shown = answers.configuration(function["config"])
        code = self._fetch(call.data)
        if code is not None:
            shown.update(CodeSize=len(code), CodeSha256=base64.b64encode(hashlib.sha256(code).digest()).decode())
        return answers.ok(shown)

    def _fetch(self, code: dict[str, Any]) -> bytes | None:
        if code.get("ZipFile"):
            return base64.b64decode(code["ZipFile"])
        if code.get("S3Bucket") and code.get("S3Key"):
            fetched: bytes | None = self._lambda._fetch_code_from_s3(
                code["S3Bucket"], code["S3Key"], version_id=code.get("S3ObjectVersion")
            )
            return fetched
        return None


def _take_image_digest(config: dict[str, Any]) -> None:
    """The code digest of an image is the image's own, in hexadecimal (API reference, FunctionConfiguration)."""
    _, found, digest = str(config.get("ImageUri", "")).partition("@sha256:")
    if found:
        config["CodeSha256"] = digest


def _mark_pending(config: dict[str, Any]) -> None:
    for key in ("LastUpdateStatus", "LastUpdateStatusReason", "LastUpdateStatusReasonCode"):
        config.pop(key, None)
    config.update(State="Pending", **_CREATING)


def _make_active(config: dict[str, Any]) -> None:
    config.update(State="Active", StateReason="", StateReasonCode="")
    config.update(LastUpdateStatus="Successful", LastUpdateStatusReason="", LastUpdateStatusReasonCode="")


def _in_state(state: str) -> str:
    return f"The operation cannot be performed at this time. The function is currently in the following state: {state}"
