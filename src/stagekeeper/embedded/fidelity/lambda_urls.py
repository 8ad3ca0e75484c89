"""Function URLs: of a function or of an alias, whose ARN they carry (recorded: TestLambdaUrl)."""

from __future__ import annotations

from typing import Any

from stagekeeper.embedded.fidelity import answers, paging
from stagekeeper.embedded.fidelity.door import Call, Door
from stagekeeper.embedded.fidelity.patching import Answer

_PAGE = 50
_OPERATIONS = ("CreateFunctionUrlConfig", "GetFunctionUrlConfig", "UpdateFunctionUrlConfig", "DeleteFunctionUrlConfig")


def install(door: Door, lambda_svc: Any) -> None:
    def refuse_version(call: Call) -> Answer | None:
        qualifier = call.qualifier
        if qualifier is None or not (qualifier.isdigit() or qualifier == "$LATEST"):
            return None
        pattern = r"Member must satisfy regular expression pattern: ((?!^\d+$)^[0-9a-zA-Z-_]+$)"
        return answers.malformed(qualifier, "qualifier", pattern)

    def qualified(call: Call, answered: Answer) -> Answer:
        suffix = f":{call.qualifier}" if call.qualifier else ""
        arn = f"{lambda_svc._func_arn(call.name)}{suffix}"
        return answers.edited(answered, lambda body: {**body, "FunctionArn": arn})

    def listing(call: Call) -> Answer:
        function = lambda_svc._functions.get(call.name)
        arn = lambda_svc._func_arn(call.name)
        if function is None:
            return answers.not_found(f"Function not found: {arn}")
        configs = {}
        for qualifier in (None, *function["aliases"]):
            config = lambda_svc._function_urls.get(lambda_svc._url_config_key(call.name, qualifier))
            if config is not None:
                configs[qualifier or ""] = {**config, "FunctionArn": f"{arn}:{qualifier}" if qualifier else arn}
        return paging.answer(call, "FunctionUrlConfigs", configs, _PAGE)

    door.refuse(refuse_version, *_OPERATIONS)
    door.amend(qualified, *(operation for operation in _OPERATIONS if operation != "DeleteFunctionUrlConfig"))
    door.answer(listing, "ListFunctionUrlConfigs")
