"""The grants that no recorded call shows, and those that name no resource: each with the reason why it is there.

A table of exceptions, kept honest by the tests: an entry that the template does not need any more fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .handlers import roles_of_functions
from .template import Template

_MISSING_CODE: Final = "without it S3 answers 403 for a key that is not there, which would not be taken for missing code"
_LOG: Final = "Lambda writes the function's log with the function's role"
_TRACES: Final = "Lambda's runtime sends traces with the function's role"
_TAGS: Final = "GetFunction shows tags only to who may list them; nobody asks for them alone"
_MACHINE_LOG: Final = "Step Functions sets up and keeps up the delivery of the machine's log with the machine's role"
_MACHINE_TRACES: Final = "Step Functions sends traces, and asks which to send, with the machine's role"
_CI: Final = "what CI does, not a handler: tests/e2e/test_operator.py does it all as a user with this policy alone"

#: Grants of others than handlers, and those that a service uses by itself: (holder, action) -> who needs it.
_UNSEEN: Final[Mapping[tuple[str, str], str]] = {
    **{(role, "s3:ListBucket"): _MISSING_CODE for role in ("AcceptRole", "DryRunRole", "PlanRole")},
    **{
        (role, "lambda:ListTags"): _TAGS
        for role in ("CollectRole", "DryRunRole", "InspectRole", "OrphanedVersionsRole", "PlanRole")
    },
    ("TearDownRole", "lambda:ListTags"): _TAGS,
    ("ScheduledSweepRole", "states:StartExecution"): "the schedule starts the machine: test_wiring.py compares role and target",
    ("OperationRole", "lambda:InvokeFunction"): "the states call the handlers: test_wiring.py compares them one by one",
    **{
        ("OperationRole", f"logs:{action}"): _MACHINE_LOG
        for action in (
            "CreateLogDelivery",
            "CreateLogStream",
            "DeleteLogDelivery",
            "DescribeLogGroups",
            "DescribeResourcePolicies",
            "GetLogDelivery",
            "ListLogDeliveries",
            "PutLogEvents",
            "PutResourcePolicy",
            "UpdateLogDelivery",
        )
    },
    **{
        ("OperationRole", f"xray:{action}"): _MACHINE_TRACES
        for action in ("GetSamplingRules", "GetSamplingTargets", "PutTelemetryRecords", "PutTraceSegments")
    },
    **{
        ("OperatorPolicy", action): _CI
        for action in (
            "cloudformation:DescribeStacks",
            "dynamodb:GetItem",
            "dynamodb:Query",
            "s3:GetObject",
            "s3:ListBucket",
            "s3:PutObject",
            "states:DescribeExecution",
            "states:DescribeStateMachine",
            "states:StartExecution",
        )
    },
}


def unseen(template: Template) -> dict[tuple[str, str], str]:
    """(holder, action) -> why no recorded call shows the grant."""
    own = {"logs:CreateLogStream": _LOG, "logs:PutLogEvents": _LOG}
    own |= {"xray:PutTelemetryRecords": _TRACES, "xray:PutTraceSegments": _TRACES}
    of_handlers = {(role, action): why for role in roles_of_functions(template).values() for action, why in own.items()}
    return {**_UNSEEN, **of_handlers}


_NO_LOG_RESOURCES: Final = "log delivery is about the account: AWS offers only the wildcard"
_NO_XRAY_RESOURCES: Final = "X-Ray has no resources to name"
_NO_NETWORK_RESOURCES: Final = "EC2 has no resources to name for looking; it only reads"

#: Actions that are granted on ``*`` -> why nothing narrower can be named.
WITHOUT_RESOURCES: Final[Mapping[str, str]] = {
    **{action: _NO_LOG_RESOURCES for (holder, action) in _UNSEEN if holder == "OperationRole" and action.startswith("logs:")},
    **{action: _NO_XRAY_RESOURCES for (holder, action) in _UNSEEN if holder == "OperationRole" and action.startswith("xray:")},
    **{f"ec2:Describe{what}": _NO_NETWORK_RESOURCES for what in ("SecurityGroups", "Subnets", "Vpcs")},
    "cloudformation:DescribeStackResources": "asked by a resource's physical id, before it is known which stack has it, if any",
    "lambda:GetAccountSettings": "it is about the account: AWS offers only the wildcard",
    "lambda:ListEventSourceMappings": "AWS offers only the wildcard; the product matches each mapping by its function's ARN",
}
