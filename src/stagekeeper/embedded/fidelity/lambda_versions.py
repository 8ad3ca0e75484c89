"""Publishing, reading and deleting versions.

AWS's rules (recorded: TestLambdaVersions, TestLambdaRevisions, test_alias_lifecycle; measured and told in public:
floci-io/floci#2824, #2825, karl-cardenas-coding/go-lambda-cleanup#45):
- publishing without an update since the last version answers with that version, whatever the new description says;
  an update counts even when it changed nothing (getmoto/moto#8379, verified against AWS);
- publishing gives $LATEST a new RevisionId, and takes RevisionId and CodeSha256 as preconditions;
- UpdateFunctionCode(Publish=True) answers with the new version, its ARN qualified;
- deleting a number that is not there answers 204; an aliased version is 409; $LATEST cannot be deleted alone;
- a version that a CloudFront distribution names is replicated, and neither it nor its function can be deleted
  (claygregory/serverless-prune-plugin#10, aws-samples/cloudfront-authorization-at-edge#246);
- numbers are not used again, "even after you delete and recreate a function" (Developer Guide, Manage versions).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stagekeeper.embedded.fidelity import answers, lambda_leftovers, lambda_updates
from stagekeeper.embedded.fidelity.door import Call, Door
from stagekeeper.embedded.fidelity.patching import Answer, wrap

_PAGE = 50


def install(door: Door, lambda_svc: Any, cloudfront: Any, in_progress_seconds: float) -> None:
    rules = _Versions(lambda_svc, cloudfront, in_progress_seconds)
    wrap(lambda_svc, "_publish_version", rules.publishing)
    wrap(lambda_svc, "get_state", rules.saving)
    wrap(lambda_svc, "_restore_state", rules.restoring)
    # ministack would give the first version $LATEST's ARN and revision: it is published below instead.
    wrap(lambda_svc, "_create_function", lambda original: lambda data: original({**data, "Publish": False}))
    door.amend(rules.publish_after_update, "UpdateFunctionCode")
    door.amend(rules.publish_after_create, "CreateFunction")
    door.amend(rules.show_created, "CreateFunction")
    door.adjust(at_most_a_page, "ListVersionsByFunction", "ListFunctions")
    door.refuse(rules.refuse_unknown, "GetFunction", "GetFunctionConfiguration")
    door.amend(rules.show_function, "GetFunction")
    door.amend(rules.show_configuration, "GetFunctionConfiguration")
    door.amend(rules.show_versions, "ListVersionsByFunction")
    door.amend(rules.show_functions, "ListFunctions")
    door.refuse(rules.answer_delete, "DeleteFunction")


def at_most_a_page(call: Call) -> None:
    """Both lists give at most 50, whatever MaxItems says."""
    call.query["MaxItems"] = str(min(int(call.request.parameter("MaxItems") or _PAGE), _PAGE))


class _Versions:
    def __init__(self, lambda_svc: Any, cloudfront: Any, in_progress_seconds: float) -> None:
        self._lambda = lambda_svc
        self._cloudfront = cloudfront
        self._seconds = in_progress_seconds
        # The highest number ever given, by the function's ARN: it outlives the function.
        self._highest: dict[str, int] = {}

    def saving(self, original: Any) -> Any:
        return lambda: {**original(), "highest_versions": dict(self._highest)}

    def restoring(self, original: Any) -> Any:
        def restore(data: Any) -> None:
            original(data)
            self._highest.update((data or {}).get("highest_versions", {}))

        return restore

    def publishing(self, original: Any) -> Any:
        """Around _publish_version. ministack takes the revision for what has changed, but that moves by itself too."""

        def publish(name: str, data: dict[str, Any]) -> Answer:
            function = self._lambda._functions.get(name)
            if function is None:
                return answers.not_found(f"Function not found: {self._lambda._func_arn(name)}")
            config = function["config"]
            stale = lambda_updates.check_revision(config, data)
            if stale is not None:
                return stale
            wanted = data.get("CodeSha256")
            if wanted is not None and wanted != config["CodeSha256"]:
                return answers.invalid(
                    f"CodeSHA256 ({wanted}) is different from current CodeSHA256 in $LATEST "
                    f"({config['CodeSha256']}). Please try again with the CodeSHA256 in $LATEST."
                )
            update = function.get("update_token", "")
            newest = max(function["versions"], key=int, default=None)
            if newest is not None:
                unchanged = function["versions"][newest].get("published_update") == update
                function["versions"][newest]["function_revision"] = config["RevisionId"] if unchanged else ""
            arn = self._lambda._func_arn(name)
            function["next_version"] = max(function["next_version"], self._highest.get(arn, 0) + 1)
            answered: Answer = original(name, data)
            published = answers.parsed(answered)
            self._highest[arn] = function["next_version"] - 1
            version = function["versions"][published["Version"]]
            if published["Version"] != newest:
                version["published_update"] = update
                config["RevisionId"] = self._lambda.new_uuid()
            return answers.ok(answers.configuration(version["config"]), answered[0])

        return publish

    def publish_after_create(self, call: Call, answered: Answer) -> Answer:
        if answered[0] >= 300 or not call.data.get("Publish"):
            return answered
        function = self._lambda._functions[call.name]
        latest = answers.configuration(function["config"])
        number = answers.parsed(self._lambda._publish_version(call.name, {}))["Version"]
        lambda_updates.settle_version(function["versions"][number]["config"], self._seconds)
        # The answer is $LATEST's but for the number (recorded: test_publish_version_on_create).
        return answers.ok({**latest, "Version": number}, 201)

    def publish_after_update(self, call: Call, answered: Answer) -> Answer:
        if answered[0] >= 300 or not call.data.get("Publish"):
            return answered
        function = self._lambda._functions[call.name]
        newest = max(function["versions"], key=int, default=None)
        number = answers.parsed(self._lambda._publish_version(call.name, {}))["Version"]
        config = function["versions"][number]["config"]
        if number != newest:
            lambda_updates.settle_version(config, self._seconds)
        return answers.ok(answers.configuration(config))

    def show_created(self, _call: Call, answered: Answer) -> Answer:
        # A function that is being created has no update yet (recorded: create_response has no LastUpdateStatus).
        return answers.edited(
            answered,
            lambda body: {
                key: value for key, value in answers.configuration(body).items() if not key.startswith("LastUpdateStatus")
            },
        )

    def refuse_unknown(self, call: Call) -> Answer | None:
        _record, config = self._lambda._get_func_record_for_qualifier(call.name, call.qualifier)
        if config is not None:
            return None
        suffix = f":{call.qualifier}" if call.qualifier else ""
        return answers.not_found(f"Function not found: {self._lambda._func_arn(call.name)}{suffix}")

    def show_function(self, call: Call, answered: Answer) -> Answer:
        def show(body: dict[str, Any]) -> dict[str, Any]:
            return {**body, "Configuration": answers.configuration(body["Configuration"], call.qualifier)}

        return answers.edited(answered, show)

    def show_configuration(self, call: Call, answered: Answer) -> Answer:
        return answers.edited(answered, lambda body: answers.configuration(body, call.qualifier))

    def show_versions(self, _call: Call, answered: Answer) -> Answer:
        def show(body: dict[str, Any]) -> dict[str, Any]:
            return {**body, "Versions": [answers.listed(config, config["Version"]) for config in body["Versions"]]}

        return answers.edited(answered, show)

    def show_functions(self, _call: Call, answered: Answer) -> Answer:
        def show(body: dict[str, Any]) -> dict[str, Any]:
            return {**body, "Functions": [answers.listed(config) for config in body["Functions"]]}

        return answers.edited(answered, show)

    def answer_delete(self, call: Call) -> Answer | None:
        """Every refusal, and the 204 for a version that is not there; what may go is left to ministack."""
        function = self._lambda._functions.get(call.name)
        qualifier = call.qualifier
        if function is None:
            return answers.not_found(f"Function not found: {self._lambda._func_arn(call.name)}")
        if qualifier is None:
            replicated = self._refuse_replicated(call.name, function["versions"])
            if replicated is None:
                lambda_leftovers.forget_function(self._lambda, call.name)
            return replicated
        if qualifier == "$LATEST":
            return answers.invalid("$LATEST version cannot be deleted without deleting the function.")
        if not qualifier.isdigit():
            return answers.invalid("Deletion of aliases is not currently supported.")
        if qualifier not in function["versions"]:
            return 204, {}, b""
        referencing = sorted(
            name for name, alias in function["aliases"].items() if qualifier in (alias["FunctionVersion"], *_weights(alias))
        )
        if referencing:
            return answers.conflict(
                f"Unable to delete version because the following aliases reference it: [{', '.join(referencing)}]"
            )
        replicated = self._refuse_replicated(call.name, (qualifier,))
        if replicated is None:
            lambda_leftovers.forget_qualifier(self._lambda, call.name, qualifier)
        return replicated

    def _refuse_replicated(self, name: str, numbers: Iterable[str]) -> Answer | None:
        """Lambda@Edge: a version that a distribution runs has replicas, which go hours after their last association."""
        distributions = [record["config_xml"] for record in self._cloudfront._distributions.values()]
        for number in numbers:
            arn = f"{self._lambda._func_arn(name)}:{number}"
            if any(f">{arn}<" in config for config in distributions):
                return answers.invalid(
                    f"Lambda was unable to delete {arn} because it is a replicated function. Please see our "
                    "documentation for Deleting Lambda@Edge Functions and Replicas."
                )
        return None


def _weights(alias: dict[str, Any]) -> dict[str, float]:
    return (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
