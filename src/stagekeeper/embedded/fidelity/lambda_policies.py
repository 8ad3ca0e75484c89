"""Resource policies: one document, with a revision of its own, for the function and for each of its qualifiers.

Recorded: TestLambdaPermissions, of 2025 where years differ (since then a policy's revision is no longer the
function's). ministack keeps the statements of all qualifiers in one list, told apart by their Resource; these rules
show each caller, and the IAM evaluation, the part that belongs to the ARN in question.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stagekeeper.embedded.fidelity import answers, lambda_model
from stagekeeper.embedded.fidelity.door import Call, Door
from stagekeeper.embedded.fidelity.patching import Answer, wrap

_LARGEST = 20480
_STATEMENT_ID = re.compile(r"[a-zA-Z0-9-_]{1,100}")
_PRINCIPAL = re.compile(r"\*|\d{12}|arn:.+|[a-z0-9.-]+\.(amazonaws\.com|amazon\.com|aws\.internal)")


def install(door: Door, lambda_svc: Any) -> None:
    rules = _Policies(lambda_svc)
    wrap(lambda_svc, "_add_permission", rules.adding)
    wrap(lambda_svc, "_remove_permission", rules.removing)
    wrap(lambda_svc, "function_policy_for_arn", lambda _original: rules.for_arn)
    door.refuse(rules.refuse_add, "AddPermission")
    door.refuse(rules.refuse_remove, "RemovePermission")
    door.answer(rules.get, "GetPolicy")


class _Policies:
    def __init__(self, lambda_svc: Any) -> None:
        self._lambda = lambda_svc
        # CloudFormation's threads add permissions too.
        self._lock = threading.RLock()

    @contextmanager
    def _only(self, function: dict[str, Any], arn: str) -> Iterator[None]:
        """Within, the function's policy holds the statements of `arn` alone; the others are put back after it."""
        with self._lock:
            everything = function["policy"]["Statement"]
            others = [statement for statement in everything if statement.get("Resource") != arn]
            function["policy"]["Statement"] = [s for s in everything if s.get("Resource") == arn]
            try:
                yield
            finally:
                function["policy"]["Statement"] = others + function["policy"]["Statement"]

    def adding(self, original: Any) -> Any:
        def add(name: str, data: dict[str, Any], query_params: Any = None, path_qualifier: str | None = None) -> Answer:
            qualifier = self._lambda._qualifier_from_path_or_query(path_qualifier, query_params)
            function = self._lambda._functions.get(name)
            if function is None:
                answered: Answer = original(name, data, query_params, path_qualifier)
                return answered
            arn = self._lambda._policy_resource_arn(name, qualifier)
            principal = str(data.get("Principal", ""))
            if principal.isdigit():
                # An account stands for its root (recorded: add_permission_principal_account).
                data = {**data, "Principal": f"arn:aws:iam::{principal}:root"}
            with self._only(function, arn):
                answered = original(name, data, query_params, path_qualifier)
                size = len(json.dumps(function["policy"]))
                if answered[0] < 300 and size > _LARGEST:
                    function["policy"]["Statement"].pop()
                    message = f"The final policy size ({size}) is bigger than the limit ({_LARGEST})."
                    return answers.error(400, "PolicyLengthExceededException", message)
            if answered[0] < 300:
                self._new_revision(function, arn)
            return answered

        return add

    def removing(self, original: Any) -> Any:
        def remove(name: str, sid: str, query_params: Any, path_qualifier: str | None = None) -> Answer:
            qualifier = self._lambda._qualifier_from_path_or_query(path_qualifier, query_params)
            function = self._lambda._functions.get(name)
            if function is None:
                answered: Answer = original(name, sid, query_params, path_qualifier)
                return answered
            arn = self._lambda._policy_resource_arn(name, qualifier)
            with self._only(function, arn):
                answered = original(name, sid, query_params, path_qualifier)
            if answered[0] < 300:
                self._new_revision(function, arn)
            return answered

        return remove

    def refuse_add(self, call: Call) -> Answer | None:
        sid, principal = str(call.data.get("StatementId", "")), str(call.data.get("Principal", ""))
        if not _STATEMENT_ID.fullmatch(sid):
            pattern = "Member must satisfy regular expression pattern: ([a-zA-Z0-9-_]+)"
            return answers.malformed(sid, "statementId", pattern)
        if not _PRINCIPAL.fullmatch(principal):
            return answers.invalid("The provided principal was invalid. Please check the principal and try again.")
        function = self._lambda._functions.get(call.name)
        refusal = self._refuse_qualifier(call, function)
        if refusal is not None or function is None:
            return refusal
        if call.qualifier == "$LATEST":
            return answers.invalid("We currently do not support adding policies for $LATEST.")
        return self._stale(function, call, call.data.get("RevisionId"))

    def refuse_remove(self, call: Call) -> Answer | None:
        function = self._lambda._functions.get(call.name)
        if function is None:
            return answers.not_found(f"No policy found for: {self._lambda._func_arn(call.name)}")
        refusal = self._refuse_qualifier(call, function)
        if refusal is not None:
            return refusal
        sids = [statement["Sid"] for statement in self._statements(function, self._arn(call))]
        if not sids:
            return answers.not_found("No policy is associated with the given resource.")
        if call.request.path["StatementId"] not in sids:
            return answers.not_found(f"Statement {call.request.path['StatementId']} is not found in resource policy.")
        return self._stale(function, call, call.request.parameter("RevisionId"))

    def get(self, call: Call) -> Answer:
        function = self._lambda._functions.get(call.name)
        statements = self._statements(function, self._arn(call)) if function is not None else []
        if function is None or not statements:
            return answers.not_found("The resource you requested does not exist.")
        policy = {"Version": "2012-10-17", "Id": "default", "Statement": statements}
        return answers.ok({"Policy": json.dumps(policy), "RevisionId": self._revision(function, self._arn(call))})

    def for_arn(self, resource_arn: str) -> tuple[dict[str, Any], str] | None:
        """For IAM: the policy of exactly this ARN, and the account that owns it."""
        _, found, reference = resource_arn.partition(":function:")
        function = self._lambda._functions.get(lambda_model.split_reference(reference)[0]) if found else None
        if function is None:
            return None
        return {"Version": "2012-10-17", "Statement": self._statements(function, resource_arn)}, (self._lambda.get_account_id())

    def _refuse_qualifier(self, call: Call, function: dict[str, Any] | None) -> Answer | None:
        qualifier = call.qualifier
        if qualifier in (None, "$LATEST") or self._lambda._function_qualifier_exists(function, qualifier):
            return None
        arn = self._arn(call)
        if function is not None and not str(qualifier).isdigit() and "$" not in str(qualifier):
            return answers.not_found(f"Cannot find alias arn: {arn}")
        return answers.not_found(f"Function not found: {arn}")

    def _stale(self, function: dict[str, Any], call: Call, given: str | None) -> Answer | None:
        if given is None or given == self._revision(function, self._arn(call)):
            return None
        return answers.error(412, "PreconditionFailedException", answers.STALE_POLICY_REVISION)

    def _arn(self, call: Call) -> str:
        arn: str = self._lambda._policy_resource_arn(call.name, call.qualifier)
        return arn

    def _statements(self, function: dict[str, Any], arn: str) -> list[dict[str, Any]]:
        with self._lock:
            return [s for s in function["policy"]["Statement"] if s.get("Resource") == arn]

    def _revision(self, function: dict[str, Any], arn: str) -> str:
        revision = function.setdefault("policy_revisions", {}).get(arn)
        return revision if isinstance(revision, str) else self._new_revision(function, arn)

    def _new_revision(self, function: dict[str, Any], arn: str) -> str:
        revision: str = self._lambda.new_uuid()
        function.setdefault("policy_revisions", {})[arn] = revision
        return revision
