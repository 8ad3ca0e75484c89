"""What the account really holds: AWS as the fake has it, and the state table's items as they are stored.

Reads behind the product's back, through no client of its. Must not know what ought to be there.
"""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.fake.store import Version as PublishedVersion
from tests.unit.engine.world import SERVICE, World, lambda_name

#: What a version freezes, as far as these histories change it: the code's digest and the memory.
Content = tuple[str, int]
Item = dict[str, Any]
#: A function, and a number of its versions.
Version = tuple[str, int]
#: An alias, and the function that has it.
Place = tuple[str, str]

#: Of an operation's record.
_MILESTONES = ("status", "plan_key", "progress_key", "publishing_since", "committed_at", "ended_at")

#: Aliases that somebody makes by hand, of names that are no stage.
FOREIGN = ("live", "canary")

#: What somebody may hang on a version by hand, in words.
MAPPING, PERMISSION, PROVISIONED = "an event source mapping", "a permission", "provisioned concurrency"
#: Every kind of thing made by hand that holds a version.
HOLDS = ("a foreign alias", "routing weights", MAPPING, PERMISSION, PROVISIONED)


def code_digest(name: str, text: str) -> str:
    """Of the code that ``World.upload`` puts into S3."""
    return base64.b64encode(hashlib.sha256(f"{name}: {text}".encode()).digest()).decode()


@dataclass(frozen=True)
class Aws:
    """A snapshot. ``aliases``: what they point at; ``weights``: what they give some traffic to beside.

    ``hanging`` is what hangs on a version by its number, ``users`` what hangs on an alias.
    """

    latest: dict[str, Content]
    versions: dict[str, dict[int, Content]]
    aliases: dict[Place, int]
    weights: dict[Place, int]
    hanging: dict[Version, set[str]]
    users: dict[Place, set[str]]

    @classmethod
    def of(cls, world: World) -> Aws:
        store = world.fake.held()
        functions = {name: store.functions[lambda_name(name)] for name in world.names}
        aliases = {(alias.name, name): alias for name, each in functions.items() for alias in each.aliases.values()}
        hanging: dict[Version, set[str]] = defaultdict(set)
        users: dict[Place, set[str]] = defaultdict(set)

        def note(name: str, qualifiers: Iterable[str], what: str) -> None:
            for qualifier in qualifiers:
                if qualifier.isdigit():
                    hanging[name, int(qualifier)].add(what)
                else:
                    users[qualifier, name].add(what)

        for name, function in functions.items():
            note(name, function.policies, PERMISSION)
            note(name, function.provisioned, PROVISIONED)
        for uuid, mapping in store.mappings.items():
            if uuid not in store.mappings_end:
                function_name, qualifier = mapping["FunctionArn"].split(":")[6:]
                note(function_name.removeprefix("orders-"), [qualifier], MAPPING)
        return cls(
            {name: _content(each.latest) for name, each in functions.items()},
            {name: {number: _content(v) for number, v in sorted(each.versions.items())} for name, each in functions.items()},
            {place: int(alias.version) for place, alias in aliases.items()},
            {place: int(number) for place, alias in aliases.items() for number in alias.weights},
            hanging,
            users,
        )

    def content(self, name: str, version: int | None) -> Content | None:
        return None if version is None else self.versions[name].get(version)

    def having(self, name: str, content: Content) -> list[int]:
        """The versions that have this content."""
        return [number for number, found in self.versions[name].items() if found == content]

    def held_by(self, name: str, version: int, but: str | None = None) -> dict[str, str]:
        """Everything on AWS that holds a version, by its kind. The alias ``but`` holds nothing."""
        held: dict[str, str] = {what: f"{what} hangs on it" for what in self.hanging.get((name, version), ())}
        for places, kind, does in ((self.aliases, None, "points at"), (self.weights, "routing weights", "gives weight to")):
            for (alias, function), number in places.items():
                if (function, number) == (name, version) and alias != but:
                    held[kind or ("a foreign alias" if alias in FOREIGN else "a stage's alias")] = f"alias {alias} {does} it"
        return held


def _content(version: PublishedVersion) -> Content:
    return version.settings["CodeSha256"], version.settings["MemorySize"]


@dataclass(frozen=True)
class Record:
    """The items of the service's table."""

    world: World

    def _get(self, partition: str, sort: str) -> Item | None:
        return self.world.tables.item(self.world.table, (partition, sort))

    def stage(self, name: str) -> Item | None:
        return self._get(f"SERVICE#{SERVICE}", f"STAGE#{name}")

    def served(self, stage: Item) -> dict[str, int]:
        return {alias["function"]: int(alias["version"]) for alias in stage["functions"].values()}

    def operation(self, name: str) -> Item | None:
        return self._get(f"OPERATION#{name}", "OPERATION")

    def milestones(self, name: str) -> Mapping[str, Any]:
        """How far an operation is: what of its record changes only when it gets on. Much quicker than all of it."""
        found = self.world.tables.tables[self.world.table].get((f"OPERATION#{name}", "OPERATION"))
        return {} if found is None else {key: found.attributes[key] for key in _MILESTONES if key in found.attributes}

    def movement(self, stage: str, number: int) -> Item | None:
        return self._get(f"SERVICE#{SERVICE}", f"MOVEMENT#{stage}#{number:08d}")

    def movements(self, stage: str) -> list[Item]:
        """Every line of the ledger, oldest first."""
        found: list[Item] = []
        while (line := self.movement(stage, len(found) + 1)) is not None:
            found.append(line)
        return found

    def release(self, number: int) -> Item | None:
        return self._get(f"SERVICE#{SERVICE}", f"RELEASE#{number:08d}")

    def last_release(self) -> int:
        service = self._get(f"SERVICE#{SERVICE}", "SERVICE")
        return 0 if service is None else int(service["last_release"])

    def lock(self) -> tuple[dict[str, set[str]], list[str]]:
        """Who holds which slots, and who waits."""
        lock = self._get(f"SERVICE#{SERVICE}", "LOCK")
        if lock is None:
            return {}, []
        holders = {name: set(entry["slots"]) for name, entry in lock["holders"].items()}
        return holders, [entry["operation_id"] for entry in lock["queue"]]

    def published_by(self, name: str, version: int) -> str | None:
        """The operation that made the version; None if it is not on record, or a stranger's."""
        item = self._get(f"FUNCTION#{self.world.arn(name)}", f"VERSION#{version:08d}")
        return None if item is None or item["published_by"] is None else str(item["published_by"])
