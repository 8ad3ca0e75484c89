"""The ARN by which a function was called, also where a service or a queue calls it: it ends in the alias that was named.

"The Amazon Resource Name (ARN) that's used to invoke the function. Indicates if the invoker specified a version number or
alias." (Developer Guide, the context object in Python.) ministack does so for Invoke; API Gateway, EventBridge, SNS, S3, Step
Functions and the pollers of queues give the version's own ARN. (The pollers of streams still do.)
"""

from __future__ import annotations

from typing import Any

from stagekeeper.embedded.fidelity import lambda_model
from stagekeeper.embedded.fidelity.patching import wrap


def install(lambda_svc: Any) -> None:
    def referring(original: Any) -> Any:
        def _get_func_record_for_ref(function_ref: str) -> Any:
            record, config, name = original(function_ref)
            _, alias = lambda_model.split_reference(function_ref)
            if record is None or config is None or not _is_alias(alias):
                return record, config, name
            called = _called_as(config, f"{_unqualified(config)}:{alias}")
            return {**record, "config": called}, called, name

        return _get_func_record_for_ref

    def polling(original: Any) -> Any:
        def _run_sqs_batch(mapping: Any, record: Any, *more: Any) -> Any:
            if _is_alias(mapping.get("Qualifier")):
                record = {**record, "config": _called_as(record["config"], mapping["FunctionArn"])}
            return original(mapping, record, *more)

        return _run_sqs_batch

    wrap(lambda_svc, "_get_func_record_for_ref", referring)
    wrap(lambda_svc, "_run_sqs_batch", polling)


def _is_alias(qualifier: str | None) -> bool:
    return qualifier not in (None, "", "$LATEST") and not str(qualifier).isdigit()


def _unqualified(config: dict[str, Any]) -> str:
    return ":".join(str(config["FunctionArn"]).split(":")[:7])


def _called_as(config: dict[str, Any], arn: str) -> dict[str, Any]:
    return {**config, "FunctionArn": arn}
