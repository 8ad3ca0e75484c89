"""Which resources all stages share and which each stage has of its own, each with its reason; what cannot be either is refused.

Shared is every function, layer and what says so, with all that they need. A stage's is what invokes a function, what speaks of
the stage and what says so, with all that needs it. What is neither is shared.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from stagekeeper.domain.intrinsics import Reference
from stagekeeper.domain.split_calls import ASSUMED, CALLS, Meaning, is_stages, meaning, qualifier
from stagekeeper.domain.split_graph import Graph, named_with_line
from stagekeeper.domain.split_model import Kind, Problem, ReportLine
from stagekeeper.domain.split_triggers import CANNOT, DEAD_LETTERS, OWNED, QUEUE, UNSEEN, matches, needs_of, place, trigger_of

_SHARED_TYPES = frozenset({"AWS::Lambda::Function", "AWS::Lambda::LayerVersion"})

# What is in them is not in another stage's.
_WITH_CONTENT = frozenset({"AWS::Cognito::UserPool", "AWS::S3::Bucket", "AWS::SNS::Topic"})


@dataclass(slots=True)
class Scopes:
    """``stage``: the resources of the stage half, each with why. ``calls``: what each reference to a function means."""

    stage: dict[str, str] = field(default_factory=dict)
    contested: set[str] = field(default_factory=set)
    lines: list[ReportLine] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def say(self, logical_id: str, kind: Kind, sentence: str) -> None:
        self.lines.append(ReportLine(logical_id, kind, sentence))


def scopes_of(graph: Graph) -> Scopes:
    return _Judge(graph).judge()


class _Judge:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._users = graph.users()
        self._said: dict[str, str] = {}
        self._result = Scopes()
        # Why each of them must be the stage's, and, for those that follow from another one, which.
        self._roots: dict[str, str] = {}
        # For each resource that must be shared, the one that needs it; None for those that say so, or are, themselves.
        self._shared: dict[str, str | None] = {}

    def judge(self) -> Scopes:
        for logical_id in sorted(self._graph.resources):
            self._declared(logical_id)
        for logical_id in sorted(self._graph.resources):
            self._calls(logical_id)
        self._share()
        self._stage()
        self._sources()
        self._conflicts()
        return self._result

    # --- what a resource says and does

    def _declared(self, logical_id: str) -> None:
        metadata = self._graph.resources[logical_id].get("Metadata")
        if not isinstance(metadata, Mapping):
            return
        for member in sorted(metadata.keys() - {"Stagekeeper"}, key=str):
            if _letters(member) == "stagekeeper":
                self._refuse(logical_id, f"has a Metadata.{member}, which nobody reads. Write Metadata.Stagekeeper.", member)
        if "Stagekeeper" not in metadata:
            return
        said = metadata["Stagekeeper"]
        if not isinstance(said, Mapping):
            self._refuse(logical_id, "has a Metadata.Stagekeeper that is no mapping. Write Scope: stage or Scope: service in it.")
            return
        for member in sorted(said):
            if member != "Scope":
                advice = "Write Scope." if _letters(member) == "scope" else "Only Scope is. Delete it."
                self._refuse(logical_id, f"says Metadata.Stagekeeper.{member}, which is not known here. {advice}")
        if "Scope" not in said:
            return
        scope = said["Scope"]
        if scope not in ("stage", "service"):
            self._refuse(logical_id, f"says Scope: {scope}. Write stage or service.")
        elif scope == "stage" and self._graph.kind(logical_id) in _SHARED_TYPES:
            kind = "function" if logical_id in self._graph.functions else "layer"
            self._refuse(logical_id, f"is a {kind} and says Scope: stage, but all stages share it. Delete Scope, or say service.")
        else:
            self._said[logical_id] = scope

    def _refuse(self, logical_id: str, sentence: str, member: str = "Stagekeeper") -> None:
        expanded = self._graph.expanded
        origin = expanded.origin(logical_id)
        problem = Problem(f"{origin} {sentence}", origin, expanded.line(logical_id, "Metadata", member))
        if problem not in self._result.problems:
            self._result.problems.append(problem)

    def _calls(self, logical_id: str) -> None:
        """Notes whether, and how, a resource invokes functions."""
        graph, result = self._graph, self._result
        kind = graph.kind(logical_id)
        called: set[str] = set()
        assumed: set[str] = set()
        for reference in graph.uses[logical_id]:
            if reference.target not in graph.functions or reference.target == logical_id:
                continue
            match meaning(kind, reference):
                case Meaning.CANNOT:
                    self._problem(
                        logical_id, reference, f"calls {reference.target} and cannot follow an alias. {CANNOT[kind][1]}"
                    )
                case Meaning.OWN if not is_stages(qualifier(reference) or ""):
                    self._problem(
                        logical_id,
                        reference,
                        f"puts :{qualifier(reference)} after {reference.target}. Stagekeeper puts the alias there: delete it.",
                    )
                case Meaning.BARE:
                    self._bare(logical_id, reference)
                case Meaning.MENTION if not _is_name(reference):
                    sentence = (
                        f"{logical_id} names {reference.target} without an alias; whoever calls it by that name reaches $LATEST. "
                        f"Use the ARN ({reference.target}.Arn) where it is called."
                    )
                    result.say(logical_id, Kind.CANNOT_FOLLOW, sentence)
                case Meaning.ASSUMED | Meaning.ASSUMED_NAMED if self._says(logical_id) == "service" and trigger_of(kind) is None:
                    sentence = (
                        f"{logical_id} says Scope: service and keeps the ARN of {reference.target} as it is: "
                        "if it calls the function, it calls $LATEST, which every deploy of any stage overwrites."
                    )
                    result.say(logical_id, Kind.CANNOT_FOLLOW, sentence)
                case Meaning.BESIDE if (own := self._own_qualifier(logical_id)) is not None:
                    sentence = f"says {own} beside {reference.target}. Stagekeeper puts the alias there: delete it."
                    self._problem(logical_id, reference, sentence)
                case found if found in CALLS:
                    (assumed if found in ASSUMED else called).add(reference.target)
                case _:
                    pass
        if logical_id in graph.functions:
            self._from_function(logical_id)
        self._unseen(logical_id)
        if called or assumed:
            self._root(logical_id, f"it invokes {_and(called | assumed)}")
            if self._said.get(logical_id) == "service" and graph.expanded.origin(logical_id) in graph.functions:
                # A function's events take its Metadata along; what it says there is about the function.
                del self._said[logical_id]
        if called:
            own = " Each stage has one of its own." if kind in _WITH_CONTENT else ""
            sentence = f"{logical_id} invokes {_and(called)}: it is the stage's and points at the alias.{own}"
            result.say(logical_id, Kind.FOLLOWS, sentence)
        if assumed - called:
            sentence = (
                f"{logical_id} ({kind}) uses the ARN of {_and(assumed - called)}, which is taken as a call: "
                "it is the stage's and gets the alias's ARN. If it calls nothing, say Scope: service in its Metadata.Stagekeeper."
            )
            result.say(logical_id, Kind.ASSUMED, sentence)

    def _own_qualifier(self, logical_id: str) -> str | None:
        """What stands where the alias belongs, if that is neither the stage's name nor what it is without."""
        trigger = trigger_of(self._graph.kind(logical_id))
        properties = self._graph.resources[logical_id].get("Properties", {})
        if trigger is None or trigger.qualifier is None:
            return None
        value = properties.get(trigger.qualifier, "$LATEST")
        return None if value == "$LATEST" or self._graph.differs(value) else f"{trigger.qualifier}: {value}"

    def _says(self, logical_id: str) -> str | None:
        return self._said.get(logical_id)

    def _bare(self, logical_id: str, reference: Reference) -> None:
        kind = self._graph.kind(logical_id)
        if self._says(logical_id) is None:
            self._problem(
                logical_id,
                reference,
                f"({kind}) uses the bare name of {reference.target}, and it is not known here whether it calls it. "
                f"Use {reference.target}.Arn, which can follow the alias, or keep it by a Scope in its Metadata.Stagekeeper.",
            )
            return
        sentence = (
            f"{logical_id} says Scope: {self._says(logical_id)} and keeps the bare name of {reference.target}: "
            "if it calls the function, it calls $LATEST, which every deploy of any stage overwrites."
        )
        self._result.say(logical_id, Kind.CANNOT_FOLLOW, sentence)

    def _from_function(self, logical_id: str) -> None:
        others = {
            reference.target
            for reference in self._graph.uses[logical_id]
            if reference.target in self._graph.functions - {logical_id} and place(reference.path)[:1] == ("Environment",)
        }
        if others:
            sentence = (
                f"{logical_id} has {_and(others)} in its environment. A call by that name or ARN reaches $LATEST, which every "
                "deploy of any stage overwrites: append the own alias, in which the context's invoked_function_arn ends."
            )
            self._result.say(logical_id, Kind.CANNOT_FOLLOW, sentence)

    def _unseen(self, logical_id: str) -> None:
        kind = self._graph.kind(logical_id)
        properties = self._graph.resources[logical_id].get("Properties")
        member = UNSEEN.get(kind)
        if member is None or not isinstance(properties, Mapping) or member not in properties:
            return
        sentence = (
            f"{logical_id} has a {member}, which is not read here: functions that it has, or calls by itself, have no alias."
        )
        self._result.say(logical_id, Kind.CANNOT_FOLLOW, sentence)

    def _problem(self, logical_id: str, reference: Reference, sentence: str) -> None:
        expanded = self._graph.expanded
        line = expanded.line(logical_id, *reference.path)
        self._result.problems.append(Problem(f"{logical_id} {sentence}", expanded.origin(logical_id), line))

    # --- what must be whose

    def _root(self, logical_id: str, reason: str) -> None:
        self._roots.setdefault(logical_id, reason)

    def _targets(self, logical_id: str, patterns: tuple[tuple[str, ...], ...]) -> Iterator[str]:
        for reference in self._graph.uses[logical_id]:
            if reference.target in self._graph.resources and matches(patterns, place(reference.path)):
                yield reference.target

    def _share(self) -> None:
        graph = self._graph
        first = [
            logical_id
            for logical_id in sorted(graph.resources)
            if graph.kind(logical_id) in _SHARED_TYPES or self._says(logical_id) == "service"
        ]
        waiting = deque(first)
        self._shared.update(dict.fromkeys(first))
        while waiting:
            user = waiting.popleft()
            for target in graph.edges[user]:
                if target not in self._shared:
                    self._shared[target] = user
                    waiting.append(target)

    def _stage(self) -> None:
        graph = self._graph
        for logical_id in sorted(graph.resources):
            if self._says(logical_id) == "stage":
                self._root(logical_id, "it says Scope: stage")
            if graph.differs(_without_metadata(graph.resources[logical_id])):
                self._root(logical_id, "it depends on the stage's name")
        for logical_id in sorted(self._roots):
            self._take(logical_id, self._roots[logical_id])

    def _take(self, first: str, reason: str) -> None:
        """Gives a resource to the stage, with all that needs it and what it has for itself alone."""
        waiting = deque([(first, reason)])
        while waiting:
            logical_id, why = waiting.popleft()
            if logical_id in self._result.stage:
                continue
            self._result.stage[logical_id] = why
            waiting.extend((user, f"it needs {logical_id}, which is the stage's") for user in self._users[logical_id])
            for target in self._targets(logical_id, needs_of(self._graph.kind(logical_id))):
                # An API has one method of a path, and a listener one rule of a number.
                self._root(target, f"{logical_id}, which is the stage's, is a part of it")
                waiting.append((target, self._roots[target]))
            waiting.extend(self._own(logical_id))

    def _own(self, logical_id: str) -> Iterator[tuple[str, str]]:
        """What a stage's resource draws after it, where nothing shared needs that."""
        kind = self._graph.kind(logical_id)
        if kind == "AWS::Lambda::EventSourceMapping":
            yield from self._queues(logical_id)
        if kind == QUEUE:
            for target in self._targets(logical_id, (DEAD_LETTERS, (*DEAD_LETTERS[:1], "**"))):
                if target not in self._shared and target not in self._result.stage:
                    why = f"it takes the messages that {logical_id}, which is the stage's, gives up"
                    self._moved(target, why)
                    yield target, why
        patterns, what = OWNED.get(kind, ((), ""))
        for target in self._targets(logical_id, patterns):
            if target in self._result.stage:
                continue
            if target in self._shared:
                self._fought_over(
                    target,
                    f"{logical_id} is the stage's and sets the {what} of {target}, which is shared: "
                    "the stages would overwrite one another's",
                )
            else:
                why = f"its {what}, {logical_id}, is the stage's"
                self._moved(target, why)
                yield target, why

    def _queues(self, logical_id: str) -> Iterator[tuple[str, str]]:
        for target in self._targets(logical_id, (("EventSourceArn",),)):
            if self._graph.kind(target) != QUEUE or target in self._result.stage:
                continue
            if target in self._shared:
                who = self._needed_by(target)
                self._fought_over(
                    target,
                    f"{logical_id} is the stage's and reads from {target}, which is shared ({who}): "
                    "the stages would take one another's messages",
                )
            else:
                why = f"{logical_id}, which is the stage's, takes its messages"
                self._moved(target, why)
                yield target, why

    def _sources(self) -> None:
        """Says what triggers of all stages read from. (A queue is more than that, and said above.)"""
        graph = self._graph
        for logical_id in sorted(self._result.stage):
            trigger = trigger_of(graph.kind(logical_id))
            for target in sorted(set(self._targets(logical_id, trigger.sources if trigger else ()))):
                if target in self._result.stage or graph.kind(target) == QUEUE:
                    continue
                sentence = f"{target} is shared, and {logical_id} reads from it in each stage: all get all that is in it."
                if graph.kind(logical_id) == "AWS::Logs::SubscriptionFilter":
                    sentence += " A log group takes two subscription filters, so no third stage can have one."
                self._result.say(target, Kind.SHARED_SOURCE, sentence)

    def _needed_by(self, logical_id: str) -> str:
        user = self._shared[logical_id]
        if user is None:
            return "it says Scope: service"
        if self._graph.kind(user) == "AWS::IAM::Role":
            return f"{user} allows something on it; SAM permits the reading by itself, without SQSPollerPolicy"
        return f"{user} needs it"

    def _moved(self, logical_id: str, why: str) -> None:
        self._result.say(logical_id, Kind.MOVED, f"{logical_id} is the stage's: {why}, and nothing shared needs it.")

    def _fought_over(self, target: str, what: str) -> None:
        if self._says(target) == "service":
            self._result.say(target, Kind.SHARED_SOURCE, f"{what}. {target} says Scope: service, so this is taken as meant.")
            return
        self._result.contested.add(target)
        advice = "Say Scope: stage in its Metadata.Stagekeeper and read its address at run time, or Scope: service if meant"
        self._result.say(target, Kind.CONTESTED, f"{what}. {advice}.")

    # --- both at once

    def _conflicts(self) -> None:
        mistaken = self._refused()
        for logical_id in sorted(self._roots):
            if self._graph.expanded.origin(logical_id) in mistaken:
                # What was made for it has its Metadata, and would say the same once more.
                continue
            if logical_id in self._shared and logical_id not in self._refused():
                self._result.problems.append(self._conflict(logical_id))

    def _refused(self) -> set[str]:
        """Resources whose own words are refused already: one sentence a mistake."""
        return {problem.logical_id for problem in self._result.problems if problem.logical_id is not None}

    def _conflict(self, root: str) -> Problem:
        graph, expanded = self._graph, self._graph.expanded
        chain = [root]
        while (user := self._shared[chain[0]]) is not None:
            chain.insert(0, user)
        reason = self._roots[root]
        if len(chain) == 1:
            what = "is a function" if root in graph.functions else "says Scope: service"
            origin = expanded.origin(root)
            sentence = (
                f"{named_with_line(expanded, root)} {what}, so all stages share it, but {reason}. {self._advice(root, chain)}"
            )
            return Problem(sentence, origin, expanded.line(root, "Metadata", "Stagekeeper"))
        way = " → ".join(named_with_line(expanded, member) for member in chain)
        sentence = (
            f"{chain[0]} is shared by all stages and needs {root}, which is the stage's, since {reason}: {way}. "
            f"{self._advice(root, chain)}"
        )
        return Problem(sentence, expanded.origin(chain[-2]), self._line_of_edge(chain[-2], root))

    def _line_of_edge(self, user: str, target: str) -> int | None:
        paths = (reference.path for reference in self._graph.uses[user] if reference.target == target)
        return self._graph.expanded.line(user, *next(paths, ("DependsOn",)))

    def _advice(self, root: str, chain: list[str]) -> str:
        if len(chain) == 1:
            return "Take what is the stage's out of it." if root in self._graph.functions else "Delete Scope: service from it."
        return (
            f"Take the reference out: read {root}'s address at run time from the SSM parameter "
            f"/stagekeeper/<service>/<stage>/{root}, and give permissions on it by an AWS::IAM::Policy of its own "
            "that says Scope: stage in its Metadata.Stagekeeper."
        )


def _without_metadata(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in resource.items() if key != "Metadata"}


def _letters(member: object) -> str:
    """A member's name, however it is spelled."""
    return "".join(letter for letter in str(member).lower() if letter.isalnum())


def _is_name(reference: Reference) -> bool:
    """Whether the function's name is only a part of another name."""
    return any(step.endswith("Name") and step != "FunctionName" for step in place(reference.path)[-1:])


def _and(names: set[str]) -> str:
    ordered = sorted(names)
    return ordered[0] if len(ordered) == 1 else f"{', '.join(ordered[:-1])} and {ordered[-1]}"
