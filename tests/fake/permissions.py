"""Resource policies: one for each qualifier, each with its own revision.

Recorded from AWS 2025-11-25, localstack snapshots TestLambdaPermissions::*. In 2022 a policy shared its function's
RevisionId; since then it has one of its own, which the sentence "Call the GetPolicy API" tells.
"""

from __future__ import annotations

import json
import re
from typing import Any

from .errors import AwsError, conflict, invalid_parameter, not_found, precondition_failed, resource_not_found
from .store import LATEST, Policy, Store
from .wire import Answer, Params

POLICY_LIMIT = 20_480

_SERVICE = re.compile(r"[a-z0-9.-]+\.(amazonaws\.com(\.cn)?|amazon\.com)")


class Permissions:
    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, params: Params) -> Answer:
        names = self._store.parse(params["FunctionName"], params.get("Qualifier"))
        if names.qualifier == LATEST:
            raise invalid_parameter("We currently do not support adding policies for $LATEST.")
        principal = _principal(params["Principal"])
        function, qualifier = self._store.qualified(params["FunctionName"], params.get("Qualifier"))
        policy = function.policies.get(qualifier)
        if "RevisionId" in params and (policy is None or policy.revision != params["RevisionId"]):
            raise precondition_failed("GetPolicy")
        statements = policy.statements if policy else []
        sid = params["StatementId"]
        if any(statement["Sid"] == sid for statement in statements):
            raise conflict(
                f"The statement id ({sid}) provided already exists."
                " Please provide a new statement id, or remove the existing statement."
            )
        statement = {
            "Sid": sid,
            "Effect": "Allow",
            "Principal": principal,
            "Action": params["Action"],
            "Resource": self._store.arn(function.name, qualifier),
        }
        if condition := _condition(params):
            statement["Condition"] = condition
        size = len(_document([*statements, statement]))
        if size > POLICY_LIMIT:
            raise AwsError(
                "PolicyLengthExceededException",
                f"The final policy size ({size}) is bigger than the limit ({POLICY_LIMIT}).",
            )
        function.policies[qualifier] = Policy([*statements, statement], self._store.revision())
        return {"Statement": json.dumps(statement, separators=(",", ":"))}

    def remove(self, params: Params) -> Answer:
        names = self._store.parse(params["FunctionName"], params.get("Qualifier"))
        if names.name not in self._store.functions:
            raise not_found(f"No policy found for: {self._store.arn(names.name, names.qualifier)}")
        function, qualifier = self._store.qualified(params["FunctionName"], params.get("Qualifier"))
        policy = function.policies.get(qualifier)
        if policy is None:
            raise not_found("No policy is associated with the given resource.")
        sid = params["StatementId"]
        left = [statement for statement in policy.statements if statement["Sid"] != sid]
        if len(left) == len(policy.statements):
            raise not_found(f"Statement {sid} is not found in resource policy.")
        if params.get("RevisionId", policy.revision) != policy.revision:
            raise precondition_failed("GetPolicy")
        if left:
            function.policies[qualifier] = Policy(left, self._store.revision())
        else:
            del function.policies[qualifier]
        return {}

    def get(self, params: Params) -> Answer:
        names = self._store.parse(params["FunctionName"], params.get("Qualifier"))
        function = self._store.functions.get(names.name)
        policy = function.policies.get(names.qualifier or "") if function else None
        if policy is None:
            raise resource_not_found()
        return {"Policy": _document(policy.statements), "RevisionId": policy.revision}


def _document(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Id": "default", "Statement": statements}, separators=(",", ":"))


def _principal(given: str) -> str | dict[str, str]:
    if given == "*":
        return "*"
    if re.fullmatch(r"\d{12}", given):
        return {"AWS": f"arn:aws:iam::{given}:root"}
    if given.startswith("arn:"):
        return {"AWS": given}
    if _SERVICE.fullmatch(given):
        return {"Service": given}
    raise invalid_parameter("The provided principal was invalid. Please check the principal and try again.")


def _condition(params: Params) -> dict[str, dict[str, str]]:
    equals = {
        "AWS:SourceAccount": params.get("SourceAccount"),
        "lambda:FunctionUrlAuthType": params.get("FunctionUrlAuthType"),
        "aws:PrincipalOrgID": params.get("PrincipalOrgID"),
        "lambda:EventSourceToken": params.get("EventSourceToken"),
    }
    condition: dict[str, dict[str, str]] = {}
    if told := {key: value for key, value in equals.items() if value is not None}:
        condition["StringEquals"] = told
    if "SourceArn" in params:
        condition["ArnLike"] = {"AWS:SourceArn": params["SourceArn"]}
    if "InvokedViaFunctionUrl" in params:
        condition["Bool"] = {"lambda:InvokedViaFunctionUrl": str(params["InvokedViaFunctionUrl"]).lower()}
    return condition
