"""Prints docs/permissions.md from template.yaml: `.venv/bin/python docs/permissions.py > docs/permissions.md`.

A test compares the two, so the page says what is deployed. What a grant is for is written down here, by its Sid.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

# Run as a script, it finds nothing of the checkout by itself. The page and the tests read the template the same way.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.unit.permissions.policies import documents, listed
from tests.unit.permissions.template import load

INTRODUCTION = """\
# Permissions

Each handler has a role of its own, written right below it in [template.yaml](../template.yaml). The embedded AWS enforces
them, so the tests and `make demo` run with exactly these. This page is printed from the template by
[permissions.py](permissions.py); a test compares them.

How to read the column *on*: names are those of the template's resources. `ArtifactBucket/plans/*` are the objects below
`plans/` in that bucket. `FunctionNamePattern` and `CodeBucketPattern` are the functions and the buckets that the parameters
of that name match, in this account (functions: and Region); `FunctionNamePattern:*` are their versions and aliases. Without a
`CodeBucketPattern` there are no such buckets. `role/PassRolePattern` are this account's roles that the parameter of that name
matches; without it that policy does not exist. `layer:*` are the layers of this Region, of any account, and `repository/*` the
repositories in Amazon ECR of this account and Region.

No handler can delete a function (`lambda:DeleteFunction` is granted on versions alone, `FunctionNamePattern:*`) or touch IAM,
and without a `PassRolePattern` none can give a function another role. Stacks of services from templates are CloudFormation's
work, with `StackRole`, which has what the parameter `StackPolicyArns` says. What Lambda asks of whoever sets a member of a
function's configuration is in [configuration.md](configuration.md).
"""

PURPOSE = {
    "StateTable": "the record: see [state.md](state.md)",
    "Log": "the function's own log",
    "Trace": "X-Ray, which has no resources to name",
    "InvokeHandlers": "run the states",
    "DeliverLogs": "the state machine's log; AWS offers only the wildcard for these actions",
    "WriteRequests": "keep the request for the states that follow",
    "ReadFunctionsDocument": "`functions` that lie in S3",
    "TellMissingCodeFromForbidden": "without it S3 answers 403 for a key that is not there, which must not count as missing",
    "ReadFunctions": "what $LATEST, versions and aliases are now",
    "ReadPolicies": "who calls a function without an alias",
    "ReadPoliciesAndVersions": "who calls a function without an alias; the highest version number before publishing",
    "ListMappings": "event source mappings without an alias; lists have no resource to name",
    "ReadCode": "the identity of the code that a request names; Lambda checks it against the caller when code is updated",
    "WritePlansAndReports": "the plan, and what stacks are to be made of; the report of an operation that had nothing to do",
    "FindImages": "whether the container image that a request names is there; reads no layer",
    "PublishVersions": "make versions",
    "UseLayers": "Lambda asks it of whoever gives a function layers",
    "SeeNetworks": "Lambda asks it of whoever puts a function into a network; EC2 offers only the wildcard for these actions",
    "PassRoles": "give functions these roles, and give them to Lambda alone",
    "MoveAliases": "make and move the stage's aliases",
    "SeeProvisionedConcurrency": "tell weights that AWS itself sets while it moves provisioned concurrency from somebody else's",
    "AskWhetherOthersLive": "whether the executions of operations in the way, or to be recovered, are still running",
    "BeginRecoveries": "start an execution for an operation that lost its own",
    "SeeWhereAliasesAre": "whether an operation that died midway had done all its moves; what a teardown that stops leaves",
    "PutAliasesBack": "put back what was moved; find the versions that a worker made before it died",
    "DeleteAliases": "the aliases of functions that the service no longer has",
    "SeeWhatHoldsVersions": "what holds a version: aliases, function URLs, provisioned concurrency; which versions there are",
    "SeeWhoseItIs": "which stack made a function: its tags, which GetFunction shows only to who may list them",
    "SeeItsStack": "whether that stack is at rest",
    "SeeWhoseAliasesAre": "whether a stack owns an alias that is to be adopted; it is asked before any stack is known",
    "SeeWhatStacksHave": "the same of a stack with more than 100 resources",
    "SeeHowMuchCodeIsStored": "how much code the account has; it is about the account, AWS offers only the wildcard",
    "StartSweeps": "start the scheduled sweep",
    "DeleteVersions": "delete versions that nothing needs; never a function, which would be the unqualified ARN",
    "Bodies": "read the plan, write what was done of it",
    "WriteReports": "the report",
    "ReadPlans": "which versions the operations under way work with",
    "ReadBodies": "read the plan, and what stacks are made of; CloudFormation reads a template as whoever has the stack changed",
    "WriteBodies": "the report; what a stack is to be made of",
    "ChangeStacks": "make, change and delete the stacks of services from templates; their tags say which are ours",
    "LetCloudFormationAct": "have CloudFormation act with a role of its own",
    "RunOperations": "start operations",
    "FollowOperations": "wait for them",
    "FindOutputs": "find the state machine, the table and the bucket by the stack's name",
    "UploadCode": "upload code, templates and functions documents",
    "SkipWhatIsUploaded": "see what is there and need not be uploaded, below `code/` alone",
    "ReadReports": "the whole report, where the output is cut",
    "SeeWhatIsWhere": "the stage board",
}


def page(template: dict[str, Any]) -> str:
    """The whole page. Raises KeyError for a grant whose purpose is not written down above."""
    lines = [INTRODUCTION]
    for name, document in documents(template):
        lines += [f"## {name}", "", "| grant | actions | on | for |", "|---|---|---|---|"]
        for statement in document["Statement"]:
            actions = ", ".join(f"`{action}`" for action in listed(statement["Action"]))
            resources = ", ".join(f"`{_spelled(resource)}`" for resource in listed(statement["Resource"]))
            lines.append(f"| {statement['Sid']} | {actions} | {resources} | {PURPOSE[statement['Sid']]} |")
        lines.append("")
    return "\n".join(lines)


def _spelled(resource: Any) -> str:
    """An ARN of the template by the names that people know."""
    if isinstance(resource, str):
        return resource
    ((function, value),) = resource.items()
    if function == "If":
        return _spelled(value[1])
    if function == "GetAtt":
        return str(value).removesuffix(".Arn")
    if function == "Ref":
        return str(value)
    # The machine's name, written out where a reference would go round in a circle.
    text = str(value).replace("${AWS::StackName}-operation", "${Operation.Name}")
    if text.endswith(":stateMachine:${Operation.Name}"):
        return "Operation"
    text = re.sub(r"\$\{(\w+)\.Arn\}", r"\1", text)
    text = re.sub(r"^arn:.*:(execution:)", r"\1", text)
    text = re.sub(r"^arn:\$\{AWS::Partition\}:[a-z0-9]+:(\$\{AWS::Region\})?:(\$\{AWS::AccountId\}|\*)?:(function:)?", "", text)
    return re.sub(r"\$\{([\w.:]+)\}", r"\1", text)


if __name__ == "__main__":
    sys.stdout.write(page(load()))
