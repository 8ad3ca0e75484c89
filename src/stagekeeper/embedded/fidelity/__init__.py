"""The fidelity layer: patches laid over ministack at start-up so that it answers as AWS does.

Runs only inside the embedded AWS's process. It wraps ministack's functions and copies none of its code; each module
holds one idea and says which of AWS's answers it is written from. It must not know the product.

Closed here, for every path of the product and of its tests: Lambda's versions, aliases, revisions, preconditions,
policies, in-progress windows, weighted routing, handler errors and IAM; Step Functions' names, stopping, time-outs,
payload limit and definitions.

Deliberately not closed (nothing of the product meets them, or no test could tell):
- Lambda: the limit on the number of aliases; replicated (Lambda@Edge) versions; version states Inactive and Failed;
  `Code.Location` of a version, which serves $LATEST's zip; ListFunctions of all versions; condition keys such as
  lambda:FunctionArn; ecr permissions for images; a function whose name begins with `url` (ministack takes its path for
  that of a function URL); Architectures, which never matter here.
- Step Functions: a missing JSONPath becomes null and succeeds (the machine is JSONata); no redrive; retries know
  neither MaxDelaySeconds nor jitter; the 25,000 events; the role of the machine is not checked (see the static tests).
- The permission of a rule and the role of a schedule are not checked (see the static tests).
- CloudFormation acts with no principal's permissions and asks for no CAPABILITY_IAM.
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
        lambda_aliases,
        lambda_concurrency,
        lambda_handlers,
        lambda_iam,
        lambda_policies,
        lambda_routing,
        lambda_throttle,
        lambda_updates,
        lambda_urls,
        lambda_versions,
        s3_rules,
        secure_transport,
        stepfunctions_definitions,
        stepfunctions_executions,
        stepfunctions_succeed,
    )
    from stagekeeper.embedded.fidelity.door import Door

    secure_transport.install(app)
    s3_rules.install(import_module("ministack.services.s3"), iam_evaluator, import_module("ministack.core.router"))
    door = Door()
    if settings.throttle:
        lambda_throttle.install(door, lambda_svc)
    lambda_iam.install(door, iam_actions, iam_evaluator, lambda_svc)
    lambda_updates.install(door, lambda_svc, settings.in_progress_seconds)
    lambda_versions.install(door, lambda_svc)
    lambda_aliases.install(door, lambda_svc)
    lambda_policies.install(door, lambda_svc)
    lambda_concurrency.install(door, lambda_svc, settings.in_progress_seconds)
    lambda_urls.install(door, lambda_svc)
    lambda_routing.install(lambda_svc)
    lambda_handlers.install(lambda_svc, lambda_runtime, Path(tempfile.gettempdir()) / "runtime")
    door.open_on(lambda_svc)
    stepfunctions_executions.install(stepfunctions)
    stepfunctions_succeed.install(stepfunctions)
    stepfunctions_definitions.install(stepfunctions, provisioners)
