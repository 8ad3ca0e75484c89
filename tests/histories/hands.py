"""What somebody does by hand, behind the product's back: done on AWS, and told to the story.

Must not know what the product makes of it.
"""

from __future__ import annotations

from dataclasses import replace

from tests.unit.engine.world import lambda_name

from .play import Play
from .reality import MAPPING, PERMISSION, PROVISIONED, Place, Version

_SOURCE = "arn:aws:sqs:eu-central-1:123456789012:by-hand"
_SID = "by-hand"


class Hands:
    """One for each history."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self._story = play.story
        self._fake = play.world.fake

    # Aliases.

    def point(self, place: Place, number: int) -> None:
        """An alias on one version, all of its traffic; it is made if it is not there."""
        alias, function = place
        self._fake.alias(lambda_name(function), alias, str(number))
        self._story.weights.pop(place, None)
        self._note(place, number)

    def delete_alias(self, place: Place) -> None:
        alias, function = place
        self._fake.quietly("DeleteAlias", FunctionName=lambda_name(function), Name=alias)
        self._story.weights.pop(place, None)
        # All that hangs on an alias goes with it, but for event source mappings.
        self._story.users.get(place, set()).discard(PERMISSION)
        self._note(place, None)

    def touch(self, place: Place) -> None:
        """Another RevisionId, and nothing else."""
        alias, function = place
        self._fake.quietly("UpdateAlias", FunctionName=lambda_name(function), Name=alias, Description="touched")
        self._play.log.append(f"by hand {function}:{alias} is touched")

    def weigh(self, place: Place, number: int | None) -> None:
        """Give some of an alias's traffic to another version, or none any more."""
        alias, function = place
        weights = {} if number is None else {str(number): 0.1}
        routing = {"AdditionalVersionWeights": weights}
        self._fake.quietly("UpdateAlias", FunctionName=lambda_name(function), Name=alias, RoutingConfig=routing)
        if number is None:
            self._story.weights.pop(place, None)
        else:
            self._story.weights[place] = number
        self._play.log.append(f"by hand {function}:{alias} has weight on {number}")
        self._disturb(place, self._play.aws().aliases[place])

    def _note(self, place: Place, number: int | None) -> None:
        alias, function = place
        self._play.log.append(f"by hand {function}:{alias} -> {number}")
        if number is None:
            self._story.aliases.pop(place, None)
        else:
            self._story.aliases[place] = number
        self._disturb(place, number)

    def _disturb(self, place: Place, number: int | None) -> None:
        """Whoever is under way on the stage finds the alias another one than it was when it planned."""
        stage, function = place
        for operation in self._play.open():
            if operation.stage == stage and operation.intent is not None:
                operation.hand[function] = number
                if operation.intent.tries:
                    operation.intent = replace(operation.intent, outcomes=operation.intent.outcomes | {"succeeded"})

    # What hangs on versions and aliases.

    def hang(self, what: str, function: str, qualifier: str) -> None:
        """Something on a version's number, or on an alias, where it is not there yet."""
        if what in self._hung(function, qualifier):
            return
        name = lambda_name(function)
        if what == MAPPING:
            self._fake.quietly("CreateEventSourceMapping", FunctionName=f"{name}:{qualifier}", EventSourceArn=_SOURCE)
        elif what == PERMISSION:
            allowed = {"Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com", "StatementId": _SID}
            self._fake.quietly("AddPermission", FunctionName=name, Qualifier=qualifier, **allowed)
        else:
            one = {"ProvisionedConcurrentExecutions": 1}
            self._fake.quietly("PutProvisionedConcurrencyConfig", FunctionName=name, Qualifier=qualifier, **one)
        self._hung(function, qualifier).add(what)
        self._play.log.append(f"by hand {what} on {function}:{qualifier}")

    def take_off(self, what: str, function: str, qualifier: str) -> None:
        name = lambda_name(function)
        if what == MAPPING:
            arn = f"{self._play.world.arn(function)}:{qualifier}"
            mappings = self._fake.held().mappings
            uuid = next(uuid for uuid, each in mappings.items() if each["FunctionArn"] == arn)
            self._fake.quietly("DeleteEventSourceMapping", UUID=uuid)
        elif what == PERMISSION:
            self._fake.quietly("RemovePermission", FunctionName=name, Qualifier=qualifier, StatementId=_SID)
        else:
            self._fake.quietly("DeleteProvisionedConcurrencyConfig", FunctionName=name, Qualifier=qualifier)
        self._hung(function, qualifier).discard(what)
        if qualifier.isdigit() and not self._hung(function, qualifier):
            del self._story.hanging[function, int(qualifier)]
        self._play.log.append(f"by hand no {what} on {function}:{qualifier} any more")

    def _hung(self, function: str, qualifier: str) -> set[str]:
        if qualifier.isdigit():
            return self._story.hanging.setdefault((function, int(qualifier)), set())
        return self._story.users.setdefault((qualifier, function), set())

    # Versions and $LATEST.

    def publish(self, function: str) -> None:
        self._play.log.append(f"by hand {function} is published")
        number = int(self._fake.publish(lambda_name(function)))
        place: Version = (function, number)
        if place in self._story.published_at:
            return  # AWS made none, since nothing had changed
        self._story.published_at[place] = self._play.world.moments.now
        self._story.strangers.add(place)
        content = self._play.aws().content(*place)
        for operation in self._play.open():
            if operation.kind == "deploy" and operation.intent is not None and operation.intent.content.get(function) == content:
                self._story.doubtful.add(place)

    def change_latest(self, function: str, text: str) -> None:
        self._play.log.append(f"by hand {function}:$LATEST is {text}")
        self._fake.update(lambda_name(function), text.encode())
        self._play.note_latest()
        self._story.writers.setdefault(function, {})["code"] = None
        deploys = [each for each in self._play.open() if each.intent is not None and each.kind == "deploy"]
        self._story.interrupted[function] = {operation.name for operation in deploys}
        for operation in deploys:
            operation.disturbed.add("latest")


#: What may hang on a version; and on an alias, where provisioned concurrency would be shifted with each move.
ON_VERSIONS = (MAPPING, PERMISSION, PROVISIONED)
ON_ALIASES = (MAPPING, PERMISSION)
