"""Which IAM action and resource a Lambda request is authorised as.

AWS checks every operation under its own action, named as the operation but for the few in `_OTHER_NAMES` (Service
Authorization Reference, "Actions, resources, and condition keys for AWS Lambda"), and since 2022 a call with a
Qualifier against the qualified ARN: a policy on `function:NAME` alone denies it. Calls that name an alias in their
path (`/aliases/{Name}`) are authorised against the function's ARN.

A mapping's calls carry the function they are about as lambda:FunctionArn (Developer Guide, identity-based policies,
"DevelopEventSourceMappings").

Also what Lambda checks on the caller's behalf: iam:PassRole for a role, s3:GetObject for code, lambda:GetLayerVersion
for layers, ec2:Describe* for a network (Developer Guide, configuration-vpc; aws/aws-sdk-ruby#1192), a customer's key
(configuration-envvars: kms:CreateGrant and kms:Encrypt to set it, kms:Decrypt to see the variables). An image needs
nothing of its caller where the repository's own policy lets Lambda pull (awsdocs/aws-lambda-developer-guide#286).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stagekeeper.embedded.fidelity import answers, lambda_model
from stagekeeper.embedded.fidelity.door import Call, Door
from stagekeeper.embedded.fidelity.patching import Answer, wrap

_OTHER_NAMES = {
    "Invoke": "InvokeFunction",
    "InvokeWithResponseStream": "InvokeFunction",
    "GetLayerVersionByArn": "GetLayerVersion",
}

# Lambda's own sentences for what it is denied on its caller's behalf, by service; others are IAM's.
_DENIALS = {
    "s3": "Your access has been denied by S3, please make sure your request credentials have permission to GetObject for "
    "{object}. S3 Error Code: AccessDenied. S3 Error Message: Access Denied",
    "ec2": "Your access has been denied by EC2, please make sure your request credentials have permission to {action} for "
    "{network}. EC2 Error Code: UnauthorizedOperation. EC2 Error Message: You are not authorized to perform this operation.",
}
_UNDECRYPTED = (
    "Lambda was unable to decrypt your environment variables because the KMS access was denied. Please check your KMS "
    "permissions. KMS Exception: AccessDeniedException"
)
_FUNCTION_ARN = "lambda:FunctionArn"


def action(request: lambda_model.Request) -> str:
    """The action's name without `lambda:`."""
    return _OTHER_NAMES.get(request.operation, request.operation)


def resource(request: lambda_model.Request, region: str, account: str, created: str | None = None) -> str:
    """The ARN a request is authorised against; `created` is the name of a function that is to be made."""
    prefix = f"arn:aws:lambda:{region}:{account}:"
    path = request.path
    if request.operation == "CreateFunction" and created:
        return f"{prefix}function:{lambda_model.split_reference(created)[0]}"
    if request.function is not None:
        name = request.function[0]
        return f"{prefix}function:{name}:{request.qualifier}" if request.qualifier else f"{prefix}function:{name}"
    if "UUID" in path:
        return f"{prefix}event-source-mapping:{path['UUID']}"
    if "LayerName" in path and "VersionNumber" in path:
        return f"{prefix}layer:{path['LayerName']}:{path['VersionNumber']}"
    # ListLayerVersions has no resource type of its own.
    if "LayerName" in path and request.operation != "ListLayerVersions":
        return f"{prefix}layer:{path['LayerName']}"
    for member in ("Resource", "ResourceArn", "CodeSigningConfigArn", "DurableExecutionArn"):
        if member in path:
            return path[member]
    return request.parameter("Arn") or "*"


def install(door: Door, iam_actions: Any, iam_evaluator: Any, lambda_svc: Any) -> None:
    def naming(original: Any) -> Any:
        def _lambda_action(method: str, path: str) -> str | None:
            request = lambda_model.parse(method, path, {})
            found: str | None = original(method, path) if request is None else action(request)
            return found

        return _lambda_action

    def naming_with_query(original: Any) -> Any:
        # Two routes differ by their query alone, which `_lambda_action` never gets to see.
        def extract_iam_action(service: str, method: str, path: str, headers: Any, body: bytes, query_params: Any) -> str | None:
            request = lambda_model.parse(method, path, query_params or {}) if service == "lambda" else None
            if request is not None:
                return f"lambda:{action(request)}"
            found: str | None = original(service, method, path, headers, body, query_params)
            return found

        return extract_iam_action

    def resources(original: Any) -> Any:
        def extract_resource_arn(
            service: str,
            method: str,
            path: str,
            headers: Any,
            body: bytes,
            query_params: Any,
            region: str,
            account: str,
        ) -> str:
            request = lambda_model.parse(method, path, query_params or {}) if service == "lambda" else None
            if request is not None:
                created = None
                if request.operation == "CreateFunction":
                    created = iam_actions._safe_json_field(body, "FunctionName")
                return resource(request, region, account, created)
            found: str = original(service, method, path, headers, body, query_params, region, account)
            return found

        return extract_resource_arn

    def denial(original: Any) -> Any:
        # AWS names the resource in a denial of Lambda's; ministack only where it knows that a service does.
        def access_denied_response(service: str, action_: str, principal_arn: str, request_id: str, **more: Any) -> Any:
            if service == "lambda" and not more.get("error_code") and not more.get("message"):
                more["message"] = iam_actions.identity_denial_message(
                    action_, principal_arn, more.get("resource_arn", "*"), more.get("explicit_deny", False)
                )
            return original(service, action_, principal_arn, request_id, **more)

        return access_denied_response

    def keys_of_body(original: Any) -> Any:
        # ministack asks this of every request for the condition keys that come with it.
        def request_tag_context(service: str, iam_action: str, body: bytes, params: Any) -> dict[str, Any]:
            found: dict[str, Any] = original(service, iam_action, body, params)
            if iam_action != "lambda:CreateEventSourceMapping":
                return found
            return {**found, _FUNCTION_ARN: _arn_of(lambda_svc, iam_actions._safe_json_field(body, "FunctionName") or "")}

        return request_tag_context

    def keys_of_mapping(original: Any) -> Any:
        def enforce(
            access_key_id: str, iam_action: str, service: str, region: str, resource_arn: str = "*", service_context: Any = None
        ) -> Any:
            _, found, uuid = resource_arn.partition(":event-source-mapping:")
            esm = lambda_svc._esms.get(uuid) if found else None
            if esm is not None:
                service_context = {**(service_context or {}), _FUNCTION_ARN: esm["FunctionArn"]}
            return original(access_key_id, iam_action, service, region, resource_arn, service_context)

        return enforce

    wrap(iam_actions, "_lambda_action", naming)
    wrap(iam_actions, "extract_iam_action", naming_with_query)
    wrap(iam_actions, "extract_resource_arn", resources)
    wrap(iam_actions, "access_denied_response", denial)
    wrap(iam_actions, "request_tag_context", keys_of_body)
    wrap(iam_evaluator, "enforce", keys_of_mapping)

    def denied(call: Call, needed: str, arn: str, context: dict[str, Any]) -> Any:
        caller = lambda_svc.extract_access_key_id(call.headers, dict(call.request.query))
        return iam_evaluator.enforce(caller, needed, "lambda", lambda_svc.get_region(), resource_arn=arn, service_context=context)

    def may_use_what_it_names(call: Call) -> Answer | None:
        for needed, arn, context in _also_needed(call.data):
            refusal = denied(call, needed, arn, context)
            if refusal is None:
                continue
            message = _DENIALS.get(needed.partition(":")[0], "")
            if message:
                return answers.error(403, "AccessDeniedException", message.format(**_named(call.data, needed)))
            principal = getattr(refusal, "principal_arn", "")
            explicit = getattr(refusal, "decision", "") == "Deny"
            message = iam_actions.identity_denial_message(needed, principal, arn, explicit)
            return answers.error(403, "AccessDeniedException", message)
        return None

    def hide_variables(call: Call, answered: Answer) -> Answer:
        """Variables under a customer's key are shown to those who may decrypt with it (EnvironmentResponse, Error)."""

        def hide(body: dict[str, Any]) -> dict[str, Any]:
            shown = body.get("Configuration", body)
            key = shown.get("KMSKeyArn")
            if key and "Environment" in shown and denied(call, "kms:Decrypt", key, {}) is not None:
                shown["Environment"] = {"Error": {"ErrorCode": "AccessDeniedException", "Message": _UNDECRYPTED}}
            return body

        return answers.edited(answered, hide)

    door.refuse(may_use_what_it_names, "CreateFunction", "UpdateFunctionCode", "UpdateFunctionConfiguration")
    door.amend(hide_variables, "GetFunction", "GetFunctionConfiguration")


def _also_needed(data: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Action, ARN and condition keys of what the caller must also be allowed."""
    if data.get("Role"):
        yield "iam:PassRole", data["Role"], {"iam:PassedToService": "lambda.amazonaws.com"}
    code = data.get("Code") or data
    if code.get("S3Bucket") and code.get("S3Key"):
        reading = "s3:GetObjectVersion" if code.get("S3ObjectVersion") else "s3:GetObject"
        yield reading, f"arn:aws:s3:::{code['S3Bucket']}/{code['S3Key']}", {}
    for layer in data.get("Layers") or ():
        if isinstance(layer, str):
            yield "lambda:GetLayerVersion", layer, {}
    network = data.get("VpcConfig") or {}
    if network.get("SubnetIds") or network.get("SecurityGroupIds"):
        for what in ("SecurityGroups", "Subnets", "Vpcs"):
            yield f"ec2:Describe{what}", "*", {}
    if data.get("KMSKeyArn"):
        for needed in ("kms:CreateGrant", "kms:Encrypt"):
            yield needed, data["KMSKeyArn"], {}


def _named(data: Mapping[str, Any], needed: str) -> dict[str, str]:
    """What the sentences of `_DENIALS` name."""
    code = data.get("Code") or data
    network = data.get("VpcConfig") or {}
    return {
        "action": needed.partition(":")[2],
        "object": f"{code.get('S3Bucket')}/{code.get('S3Key')}",
        "network": ", ".join((*network.get("SecurityGroupIds", ()), *network.get("SubnetIds", ()))),
    }


def _arn_of(lambda_svc: Any, reference: str) -> str:
    name, qualifier = lambda_model.split_reference(reference)
    return f"{lambda_svc._func_arn(name)}:{qualifier}" if qualifier else str(lambda_svc._func_arn(name))
