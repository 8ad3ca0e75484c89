"""What the account really holds: AWS as the fake has it, and the state table's items as they are stored.

Reads behind the product's back, through no client of its. Must not know what ought to be there.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table

from tests.unit.engine.execution import Execution
from tests.unit.engine.world import REGION, SERVICE, World, lambda_name

#: What a version freezes, as far as these histories change it: the code's digest and the memory.
Content = tuple[str, int]
Item = dict[str, Any]


class Account(World):
    """A world in which a stopped execution may have a worker that goes on."""

    def cut(self, execution: Execution) -> None:
        """A stopped execution enters no state any more, whatever a worker of it still answered."""
        execution._walk.state = None


def code_digest(name: str, text: str) -> str:
    """Of the code that ``World.upload`` puts into S3."""
    return base64.b64encode(hashlib.sha256(f"{name}: {text}".encode()).digest()).decode()


@dataclass(frozen=True)
class Aws:
    """A snapshot. ``aliases``: (stage, function) -> version."""

    latest: dict[str, Content]
    versions: dict[str, dict[int, Content]]
    aliases: dict[tuple[str, str], int]

    @classmethod
    def of(cls, world: World) -> Aws:
        state = world.fake.state()
        functions = {name: state[lambda_name(name)] for name in world.names}
        return cls(
            {name: _content(each["latest"]) for name, each in functions.items()},
            {name: {n: _content(v) for n, v in each["versions"].items()} for name, each in functions.items()},
            {(alias, name): int(each["aliases"][alias][0]) for name, each in functions.items() for alias in each["aliases"]},
        )

    def content(self, name: str, version: int | None) -> Content | None:
        return None if version is None else self.versions[name].get(version)

    def having(self, name: str, content: Content) -> list[int]:
        """The versions that have this content."""
        return [number for number, found in self.versions[name].items() if found == content]


def _content(settings: dict[str, Any]) -> Content:
    return settings["CodeSha256"], settings["MemorySize"]


@dataclass(frozen=True)
class Record:
    """The items of the service's table."""

    world: World

    def _table(self) -> Table:
        # Straight from moto's own table: by the API this would take longer than all that the product does.
        return dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].get_table(self.world.table)

    def _get(self, partition: str, sort: str) -> Item | None:
        found = self._table().get_item(DynamoType({"S": partition}), DynamoType({"S": sort}))
        return None if found is None else found.to_regular_json()

    def stage(self, name: str) -> Item | None:
        return self._get(f"SERVICE#{SERVICE}", f"STAGE#{name}")

    def served(self, stage: Item) -> dict[str, int]:
        return {alias["function"]: int(alias["version"]) for alias in stage["functions"].values()}

    def operation(self, name: str) -> Item | None:
        return self._get(f"OPERATION#{name}", "OPERATION")

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
