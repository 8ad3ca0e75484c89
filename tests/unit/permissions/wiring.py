"""What can be wrong with the principals that no double checks: the state machine's role, rules, schedules, and wildcards.

Each function looks at a template and gives the sentences of what is wrong with it, none for a good one. Must not know what
the project's own template should hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from .handlers import Definition
from .policies import Grant, grants, listed
from .template import Stack, of_type

_INVOKE: Final = "arn:aws:states:::lambda:invoke"
#: What it takes to start a target, by the service in its ARN.
_STARTING: Final[Mapping[str, str]] = {"lambda": "lambda:InvokeFunction", "states": "states:StartExecution"}


def of_machine(stack: Stack, definition: Definition) -> Iterator[str]:
    """Each resource that a state calls has one grant in the machine's role, and the role invokes nothing else."""
    for name, machine in of_type(stack.template, "AWS::Serverless::StateMachine").items():
        properties = machine["Properties"]
        role = str(properties["Role"]["GetAtt"]).removesuffix(".Arn")
        substitutions = {f"${{{key}}}": stack.value(value) for key, value in properties["DefinitionSubstitutions"].items()}
        called = set()
        for state, does in _tasks(definition):
            if does["Resource"] != _INVOKE:
                yield f"state {state} calls {does['Resource']}: write down what that needs"
                continue
            called.add(substitutions[does["Arguments"]["FunctionName"]])
        yield from _unlike(f"the role of {name}", called, [g for g in grants(stack) if _invokes(g) and g.holder == role])


def _tasks(definition: Definition) -> Iterator[tuple[str, Mapping[str, Any]]]:
    return ((name, does) for name, does in definition["States"].items() if does["Type"] == "Task")


def _invokes(grant: Grant) -> bool:
    return grant.action in _STARTING.values()


def _unlike(holder: str, called: set[str], granted: list[Grant]) -> Iterator[str]:
    """One grant for each target, by its very ARN, and no other."""
    for target in sorted(called):
        found = sum(grant.resource == target for grant in granted)
        if found != 1:
            yield f"{holder} has {found} grants to start {target}, not one"
    for grant in granted:
        if grant.resource not in called:
            yield f"{holder} may start {grant.resource}, which nothing of it calls"


def of_rules(stack: Stack) -> Iterator[str]:
    """Each target of an EventBridge rule lets this rule in, and no other caller; a machine is started with a role for it."""
    for name, rule in of_type(stack.template, "AWS::Events::Rule").items():
        source = stack.arn(name)
        for target in rule["Properties"].get("Targets", []):
            arn = stack.value(target["Arn"])
            if _service(arn) == "lambda":
                if not any(_lets_in(stack, permission, arn, source) for permission in _permissions(stack)):
                    yield f"rule {name} calls {arn}, but no AWS::Lambda::Permission with its SourceArn lets it"
            else:
                yield from _of_target(stack, f"rule {name}", target, "events.amazonaws.com")
    for name, permission in of_type(stack.template, "AWS::Lambda::Permission").items():
        if "SourceArn" not in permission["Properties"]:
            yield f"permission {name} has no SourceArn: it lets in whatever that service is told to call by anybody"


def of_schedules(stack: Stack) -> Iterator[str]:
    """Each schedule has a role that EventBridge Scheduler may take and that names the schedule's target."""
    for name, schedule in of_type(stack.template, "AWS::Scheduler::Schedule").items():
        yield from _of_target(stack, f"schedule {name}", schedule["Properties"]["Target"], "scheduler.amazonaws.com")


def of_events(stack: Stack) -> Iterator[str]:
    """SAM makes permissions and roles for ``Events`` by itself, and what is not in the template cannot be checked here."""
    for name in of_type(stack.template, "AWS::Serverless::Function", "AWS::Serverless::StateMachine"):
        if "Events" in stack.template["Resources"][name]["Properties"]:
            yield f"{name} has Events: write the rule, the schedule and their permissions out"


def of_wildcards(stack: Stack, reasons: Mapping[str, str]) -> Iterator[str]:
    """Every grant on ``*`` has its reason, and every reason a grant."""
    everywhere = [grant for grant in grants(stack) if grant.resource == "*"]
    for grant in everywhere:
        if grant.action not in reasons:
            yield f"{grant}: name its resources"
    for action in sorted(reasons.keys() - {grant.action for grant in everywhere}):
        yield f"{action} is not granted on * any more: take it out of the table"


def of_handlers(stack: Stack) -> Iterator[str]:
    """Each function has a role of its own, which only Lambda may take, and writes its own log and no other."""
    owners: dict[str, str] = {}
    for name, function in of_type(stack.template, "AWS::Serverless::Function", "AWS::Lambda::Function").items():
        properties = function["Properties"]
        if "Policies" in properties or "Role" not in properties:
            yield f"{name} has no role of its own in the template"
            continue
        role = str(properties["Role"]["GetAtt"]).removesuffix(".Arn")
        if role in owners:
            yield f"{name} and {owners[role]} share {role}"
        owners[role] = name
        yield from _trusting(stack, name, role, "lambda.amazonaws.com")
        log = stack.arn(str(properties["LoggingConfig"]["LogGroup"]["Ref"]))
        written = {grant.resource for grant in grants(stack) if grant.holder == role and grant.action.startswith("logs:")}
        if written != {log}:
            yield f"{name} may write {', '.join(sorted(written)) or 'no log'}, its log is {log}"


def _of_target(stack: Stack, what: str, target: Mapping[str, Any], principal: str) -> Iterator[str]:
    arn = str(stack.value(target["Arn"]))
    if "RoleArn" not in target:
        yield f"{what} has no role to start {arn} with"
        return
    role = str(target["RoleArn"]["GetAtt"]).removesuffix(".Arn")
    yield from _trusting(stack, what, role, principal)
    needed = _STARTING[_service(arn)]
    named = [grant for grant in grants(stack) if grant.holder == role and grant.action == needed]
    yield from _unlike(f"{role}, the role of {what},", {arn}, named)


def _trusting(stack: Stack, what: str, role: str, principal: str) -> Iterator[str]:
    trusted = [
        stack.value(statement["Principal"])
        for statement in stack.template["Resources"][role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    ]
    if trusted != [{"Service": principal}]:
        yield f"{role}, the role of {what}, may be taken by {trusted}, not by {principal} alone"


def _service(arn: str) -> str:
    return arn.split(":")[2]


def _permissions(stack: Stack) -> list[Mapping[str, Any]]:
    return [permission["Properties"] for permission in of_type(stack.template, "AWS::Lambda::Permission").values()]


def _lets_in(stack: Stack, permission: Mapping[str, Any], function: str, source: str) -> bool:
    """The permission is given on the function by its ARN or its name, to EventBridge, for this rule."""
    on = stack.value(permission["FunctionName"])
    return (
        on in (function, function.rpartition(":")[2])
        and permission["Principal"] == "events.amazonaws.com"
        and listed(permission["Action"]) == ["lambda:InvokeFunction"]
        and "SourceArn" in permission
        and stack.value(permission["SourceArn"]) == source
    )
