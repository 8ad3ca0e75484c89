"""CloudFormation's change sets, and what it does with the resources of a stack.

Written from AWS's API reference (DescribeChangeSet, ExecuteChangeSet, ListChangeSets: StackName is "the name or the Amazon
Resource Name (ARN)"), from what it does with outputs (aws/aws-cdk#2029: where only outputs differ, the change set can be executed
and has no changes), and from its user guide: a name that something has already is a failure ("already exists in stack"), a bucket
that is deleted with its stack must be empty (DeletionPolicy), a service role needs iam:PassRole of the caller, and a template in
S3 is read with the caller's permissions (CreateChangeSet, TemplateURL).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from stagekeeper.embedded.fidelity.patching import Answer, PatchError, wrap

_BY_STACK = ("DescribeChangeSet", "ExecuteChangeSet", "ListChangeSets")
#: Types whose name can be given once in an account and Region, and the property that gives it.
_NAMED = {
    "AWS::DynamoDB::Table": "TableName",
    "AWS::Events::Rule": "Name",
    "AWS::IAM::Role": "RoleName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::SSM::Parameter": "Name",
    "AWS::Scheduler::Schedule": "Name",
    "AWS::StepFunctions::StateMachine": "StateMachineName",
}
#: What ministack does not know to be changed in place: the properties that replace, as the types' schemas have them
#: (createOnlyProperties). A log group's class is not among them: CloudWatch Logs refuses another, in the same group.
_REPLACING = {
    "AWS::Logs::LogGroup": ("LogGroupName",),
    "AWS::S3::Bucket": ("BucketName", "BucketNamePrefix", "BucketNamespace"),
}
_NOT_EMPTY = "The bucket you tried to delete is not empty (Service: S3, Status Code: 409)"


def install(
    cloudformation: Any, helpers: Any, stacks: Any, provisioners: Any, s3: Any, lambda_svc: Any, iam_evaluator: Any
) -> None:
    handlers = cloudformation._ACTION_HANDLERS
    for action in _BY_STACK:
        _replace(handlers, action, lambda original: _by_name(original, cloudformation, helpers))
    _replace(handlers, "CreateChangeSet", lambda original: _with_outputs(original, cloudformation))
    _add(provisioners, "_REPLACING_PROPERTIES", _REPLACING)
    wrap(stacks, "_provision_resource", lambda original: _once(original, cloudformation))
    _replace(provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"], "delete", lambda original: _only_empty(original, s3))
    wrap(cloudformation, "handle_request", lambda original: _allowed(original, helpers, lambda_svc, iam_evaluator))


def _replace(table: dict[str, Any], name: str, make: Callable[[Any], Any]) -> None:
    if name not in table:
        raise PatchError(f"ministack has no {name}: this is not the one that the layer was written for.")
    table[name] = make(table[name])


def _add(owner: Any, name: str, more: Mapping[str, tuple[str, ...]]) -> None:
    table = getattr(owner, name, None)
    if not isinstance(table, dict) or table.keys() & more.keys():
        raise PatchError(f"ministack's {name} is not the one that the layer was written for.")
    table |= more


def _by_name(original: Any, cloudformation: Any, helpers: Any) -> Any:
    """ministack finds a change set by its stack's name alone."""

    def handle(params: dict[str, Any]) -> Answer:
        given = helpers._p(params, "StackName")
        for stack in cloudformation._stacks.values():
            if given == stack["StackId"]:
                params = {**params, "StackName": [stack["StackName"]]}
        answered: Answer = original(params)
        return answered

    return handle


def _with_outputs(original: Any, cloudformation: Any) -> Any:
    """ministack looks at resources alone."""

    def handle(params: dict[str, Any]) -> Answer:
        known = set(cloudformation._change_sets)
        answered: Answer = original(params)
        for change_set_id, change_set in cloudformation._change_sets.items():
            if change_set_id not in known and change_set["Status"] == "FAILED" and not change_set["_resources_to_import"]:
                stack = cloudformation._stacks[change_set["StackName"]]
                if change_set["_template"].get("Outputs", {}) != (stack.get("_template") or {}).get("Outputs", {}):
                    change_set |= {"Status": "CREATE_COMPLETE", "ExecutionStatus": "AVAILABLE", "StatusReason": ""}
        return answered

    return handle


def _once(original: Any, cloudformation: Any) -> Any:
    """ministack takes over what has the name already, and deletes it with the stack that came second."""

    def provision(resource_type: str, logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        name = props.get(_NAMED.get(resource_type, "")) if isinstance(props, dict) else None
        if isinstance(name, str):
            for stack in cloudformation._stacks.values():
                for owned, resource in stack.get("_resources", {}).items():
                    itself = (stack["StackName"], owned) == (stack_name, logical_id)
                    if not itself and resource.get("ResourceType") == resource_type and _is_called(resource, name):
                        raise ValueError(f"{name} already exists in stack {stack['StackId']}")
        return original(resource_type, logical_id, props, stack_name)

    return provision


def _is_called(resource: Mapping[str, Any], name: str) -> bool:
    """The physical id is the name, or an ARN or a URL that ends with it."""
    physical = str(resource.get("PhysicalResourceId", ""))
    return physical == name or physical.endswith((f":{name}", f"/{name}"))


def _only_empty(original: Any, s3: Any) -> Any:
    def delete(physical_id: str, props: dict[str, Any]) -> Any:
        if s3._buckets.get(physical_id, {}).get("objects"):
            raise ValueError(_NOT_EMPTY)
        return original(physical_id, props)

    return delete


def _allowed(original: Any, helpers: Any, lambda_svc: Any, iam_evaluator: Any) -> Any:
    """What CloudFormation asks its caller to be allowed besides its own actions."""

    async def handle_request(method: str, path: str, headers: Any, body: bytes, query_params: Any) -> Any:
        form = parse_qs(body.decode(errors="replace")) if method == "POST" and body else {}
        caller = lambda_svc.extract_access_key_id(headers, query_params or {})
        for needed, arn, context, told in _also_needed({name: values[0] for name, values in form.items()}):
            region = lambda_svc.get_region()
            if (
                iam_evaluator.enforce(caller, needed, "cloudformation", region, resource_arn=arn, service_context=context)
                is not None
            ):
                return helpers._error(*told)
        return await original(method, path, headers, body, query_params)

    return handle_request


def _also_needed(form: Mapping[str, str]) -> Iterator[tuple[str, str, dict[str, Any], tuple[str, str, int]]]:
    """Action, ARN, condition keys, and the error for who is not allowed."""
    role = form.get("RoleARN")
    if role:
        told = f"User is not authorized to perform: iam:PassRole on resource: {role}"
        yield "iam:PassRole", role, {"iam:PassedToService": "cloudformation.amazonaws.com"}, ("AccessDenied", told, 403)
    where = urlsplit(form.get("TemplateURL", "")).path.lstrip("/")
    if where:
        yield "s3:GetObject", f"arn:aws:s3:::{where}", {}, ("ValidationError", "S3 error: Access Denied", 400)
