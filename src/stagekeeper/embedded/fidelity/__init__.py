"""The fidelity layer: patches laid over ministack at start-up so that it answers as AWS does.

Runs only inside the embedded AWS's process. It wraps ministack's functions and copies none of its code; each module
holds one idea and says which of AWS's answers it is written from. It must not know the product.

Closed here, for every path of the product and of its tests: Lambda's versions, aliases, revisions, preconditions,
policies, pages, in-progress windows, weighted routing, ARNs called by, handler errors, logs' names and IAM; CloudWatch
Logs' FilterLogEvents; Step Functions' names, stopping, time-outs, payload limit, throttled tasks and definitions;
CloudFormation's stacks by a resource's physical id, change sets of outputs and by a stack's ARN, names that something has
already, buckets that are not empty, iam:PassRole.

Deliberately not closed, because nothing of the product meets them. The first ones are strict expected failures of the
contract suite (`wrong_on`), each with its reason:
- Lambda: calling a function of an image, and whether its image exists; ListFunctions of all versions; a version's own
  `Code.Location`.
- Step Functions: a missing JSONPath becomes null and succeeds; no redrive; no MaxDelaySeconds; the machine's role.
- The permission of a rule and the role of a schedule (the static tests compare them with what they call).
- CloudFormation acts with no principal's permissions, deletes no custom resource whose creation failed, and changes stacks
  that it should only delete; its change sets are made at once; the routes of an AWS::Serverless::HttpApi; a REST API's
  stage variables; metrics by alias.
These have no case, because no call of a client could show them:
- version states Inactive and Failed; the limit on the number of aliases, which AWS does not publish; a replica that
  outlives its distribution; the 25,000 events of an execution; budgets of Step Functions' own API.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """How strict to be. AWS's real windows last longer, and its real budgets are always on.

    in_progress_seconds: how long a function is Pending after its creation, or InProgress after an update.
    throttle: whether Lambda's control-plane budgets are enforced.
    """

    in_progress_seconds: float = 0.2
    throttle: bool = False


def install(settings: Settings) -> None:
    """Lay every patch over ministack's modules; called once, before the first request."""
    # By name, because only the tool environment has ministack: the checkout's own checks run without.
    iam_actions = import_module("ministack.core.iam_actions")
    iam_evaluator = import_module("ministack.core.iam_evaluator")
    lambda_runtime = import_module("ministack.core.lambda_runtime")
    lambda_svc = import_module("ministack.services.lambda_svc")
    stepfunctions = import_module("ministack.services.stepfunctions")
    provisioners = import_module("ministack.services.cloudformation.provisioners")
    app = import_module("ministack.app")

    from stagekeeper.embedded.fidelity import (
        custom_resources,
        lambda_account,
        lambda_aliases,
        lambda_concurrency,
        lambda_form,
        lambda_handlers,
        lambda_iam,
        lambda_invoked_arn,
        lambda_logs,
        lambda_mappings,
        lambda_policies,
        lambda_routing,
        lambda_throttle,
        lambda_updates,
        lambda_urls,
        lambda_versions,
        log_filter,
        s3_rules,
        secure_transport,
        shared_code,
        stack_changes,
        stack_resources,
        stepfunctions_definitions,
        stepfunctions_executions,
        stepfunctions_lambda,
        stepfunctions_succeed,
    )
    from stagekeeper.embedded.fidelity.door import Door

    secure_transport.install(app)
    custom_resources.install(import_module("ministack.services.cloudformation.custom_resource"))
    cloudformation = import_module("ministack.services.cloudformation")
    stack_resources.install(cloudformation, import_module("ministack.services.cloudformation.helpers"))
    s3 = import_module("ministack.services.s3")
    s3_rules.install(s3, iam_evaluator, import_module("ministack.core.router"))
    stack_changes.install(
        cloudformation,
        import_module("ministack.services.cloudformation.helpers"),
        import_module("ministack.services.cloudformation.stacks"),
        provisioners,
        s3,
        lambda_svc,
        iam_evaluator,
    )
    door = Door()
    if settings.throttle:
        lambda_throttle.install(door, lambda_svc)
    lambda_form.install(door, lambda_svc)
    lambda_iam.install(door, iam_actions, iam_evaluator, lambda_svc)
    lambda_updates.install(door, lambda_svc, settings.in_progress_seconds)
    cloudfront = import_module("ministack.services.cloudfront")
    lambda_versions.install(door, lambda_svc, cloudfront, settings.in_progress_seconds)
    lambda_aliases.install(door, lambda_svc)
    lambda_policies.install(door, lambda_svc)
    lambda_concurrency.install(door, lambda_svc, settings.in_progress_seconds)
    lambda_urls.install(door, lambda_svc)
    lambda_mappings.install(door, lambda_svc, settings.in_progress_seconds)
    lambda_account.install(door, lambda_svc)
    lambda_routing.install(lambda_svc)
    lambda_invoked_arn.install(lambda_svc)
    lambda_handlers.install(lambda_svc, lambda_runtime, Path(tempfile.gettempdir()) / "runtime")
    logs = import_module("ministack.services.cloudwatch_logs")
    log_filter.install(logs)
    lambda_logs.install(lambda_svc, lambda_runtime, logs)
    shared_code.install(lambda_runtime, Path(tempfile.gettempdir()) / "code")
    door.open_on(lambda_svc)
    stepfunctions_executions.install(stepfunctions)
    stepfunctions_lambda.install(stepfunctions, lambda_svc)
    stepfunctions_succeed.install(stepfunctions)
    stepfunctions_definitions.install(stepfunctions, provisioners)
