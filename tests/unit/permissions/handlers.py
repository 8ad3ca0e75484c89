"""The handlers, by the states of the state machine and what rules call, and their roles, by template.yaml and the definition."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from .template import ROOT, Template, of_type

Definition = Mapping[str, Any]


def load_definition() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((ROOT / "src/statemachine/operation.asl.json").read_text(encoding="utf-8"))
    return read


def functions_of_states(template: Template, definition: Definition) -> dict[str, str]:
    """State -> the function it calls, both by their names."""
    (machine,) = of_type(template, "AWS::Serverless::StateMachine").values()
    substitutions = machine["Properties"]["DefinitionSubstitutions"]
    called = {}
    for state, does in definition["States"].items():
        if does["Type"] == "Task":
            (placeholder,) = re.findall(r"^\$\{(\w+)\}$", does["Arguments"]["FunctionName"])
            called[state] = str(substitutions[placeholder]["GetAtt"]).removesuffix(".Arn")
    return called


def roles_of_functions(template: Template) -> dict[str, str]:
    """Function -> its role. Raises KeyError where the template leaves it to SAM to make one, since that is not written here."""
    functions = of_type(template, "AWS::Serverless::Function", "AWS::Lambda::Function")
    return {name: str(each["Properties"]["Role"]["GetAtt"]).removesuffix(".Arn") for name, each in functions.items()}


def functions_of_rules(template: Template) -> dict[str, str]:
    """What EventBridge calls, named as states are -> the function."""
    rules = of_type(template, "AWS::Events::Rule").values()
    called = [str(target["Arn"]["GetAtt"]).removesuffix(".Arn") for rule in rules for target in rule["Properties"]["Targets"]]
    return {function.removesuffix("Function"): function for function in called}


def functions_of_exports(template: Template) -> dict[str, str]:
    """What other templates call, by the name they import, named as states are -> the function."""
    exported = [str(output["Value"].get("GetAtt", "")) for output in template["Outputs"].values() if "Export" in output]
    called = [path.removesuffix(".Arn") for path in exported if path.endswith("Function.Arn")]
    return {function.removesuffix("Function"): function for function in called}


def roles_of_handlers(template: Template, definition: Definition) -> dict[str, str]:
    """State, or what a rule or another template calls -> the role of its handler."""
    roles = roles_of_functions(template)
    handlers = {
        **functions_of_states(template, definition),
        **functions_of_rules(template),
        **functions_of_exports(template),
    }
    return {state: roles[function] for state, function in handlers.items()}
