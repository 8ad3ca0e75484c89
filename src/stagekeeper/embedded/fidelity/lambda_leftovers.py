"""What hangs on a qualifier and goes with it: its policy, URL, asynchronous configuration, provisioned concurrency.

Deleting an alias deletes all of these on AWS; ministack leaves them, so that an alias made again would find them.
Event source mappings stay: they outlive their function and their alias on AWS too.
"""

from __future__ import annotations

from typing import Any


def forget_qualifier(lambda_svc: Any, name: str, qualifier: str) -> None:
    """Remove everything that hangs on `name:qualifier`."""
    function = lambda_svc._functions[name]
    arn = lambda_svc._policy_resource_arn(name, qualifier)
    policy = function["policy"]
    policy["Statement"] = [statement for statement in policy["Statement"] if statement.get("Resource") != arn]
    function.get("policy_revisions", {}).pop(arn, None)
    (function.get("event_invoke_configs") or {}).pop(qualifier, None)
    function.get("provisioned_concurrency", {}).pop(qualifier, None)
    lambda_svc._function_urls.pop(lambda_svc._url_config_key(name, qualifier), None)


def forget_function(lambda_svc: Any, name: str) -> None:
    """Remove what ministack keeps beside the function's record."""
    for qualifier in (None, *lambda_svc._functions[name]["aliases"]):
        lambda_svc._function_urls.pop(lambda_svc._url_config_key(name, qualifier), None)
