"""A table of the fake of DynamoDB and its items, and what an update makes of one. Must not know requests.

AWS's rules (developer guide, Constraints; API reference, UpdateItem): a key is two texts that are not empty, and never
updated; an item has at most 400 KB; paths that overlap are not updated at once; a path into a map that is not there cannot be
set.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from .attribute_values import Attributes, Value, plain, size_of, typed
from .errors import validation
from .expressions import Change, Given

ITEM_LIMIT = 400 * 1024

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Item:
    """Never changed, so it is held by whoever wants to: another takes its place."""

    attributes: Attributes
    size: int


@dataclass
class Table:
    """``partitions``: the items of each partition key by their sort keys."""

    name: str
    partition: str
    sort: str
    partitions: dict[str, dict[str, Item]] = field(default_factory=dict)

    def key(self, attributes: Attributes) -> Key:
        """Of an item, or of what names one. Raises AwsError."""
        key = []
        for name in (self.partition, self.sort):
            if name not in attributes:
                raise validation(f"One or more parameter values were invalid: Missing the key {name} in the item")
            value = attributes[name]
            if "S" not in value:
                raise validation(f"One or more parameter values were invalid: Type mismatch for key {name} expected: S")
            if not value["S"]:
                raise validation(
                    "One or more parameter values are not valid. A key attribute cannot contain an empty string value."
                )
            key.append(str(value["S"]))
        return key[0], key[1]

    def key_only(self, attributes: Attributes) -> Key:
        key = self.key(attributes)
        if len(attributes) != len(key):
            raise validation("The provided key element does not match the schema")
        return key

    def get(self, key: Key) -> Item | None:
        return self.partitions.get(key[0], {}).get(key[1])

    def put(self, key: Key, item: Item | None) -> None:
        """None: take it away."""
        if item is not None:
            self.partitions.setdefault(key[0], {})[key[1]] = item
        elif self.get(key) is not None:
            del self.partitions[key[0]][key[1]]

    def in_order(self, partition: str) -> list[Item]:
        """By sort key, which is ordered by its bytes."""
        items = self.partitions.get(partition, {})
        return [items[sort] for sort in sorted(items, key=str.encode)]

    def __iter__(self) -> Iterator[Item]:
        for items in self.partitions.values():
            yield from items.values()


def item_of(attributes: Attributes) -> Item:
    """Raises AwsError for one that is too big."""
    size = sum(len(name.encode()) + size_of(value) for name, value in attributes.items())
    if size > ITEM_LIMIT:
        raise validation("Item size has exceeded the maximum allowed size")
    return Item(attributes, size)


def updated(table: Table, attributes: Attributes, changes: Sequence[Change], given: Given) -> Item:
    """Raises AwsError where there is no such path, or where it may not be changed."""
    paths = [given.path(change.path) for change in changes]
    for position, path in enumerate(paths):
        if path[0] in (table.partition, table.sort):
            raise validation(f"Cannot update attribute {path[0]}. This attribute is part of the key")
        if any(path[: len(other)] == other or other[: len(path)] == path for other in paths[:position]):
            raise validation("Invalid UpdateExpression: Two document paths overlap with each other")
    changed: Value = {"M": attributes}
    for path, change in zip(paths, changes, strict=True):
        value = None if change.operand is None else given.values[change.operand]
        if change.adds:
            assert value is not None
            value = _sum(given.found(change.path, attributes), value)
        changed = _with(changed, path, value)
    return item_of(changed["M"])


def _with(value: Value, path: Sequence[str], new: Value | None) -> Value:
    """A map with another value (or, None, without one) at a path."""
    if "M" not in value:
        raise validation("The document path provided in the update expression is invalid for update")
    members = dict(value["M"])
    if len(path) > 1:
        members[path[0]] = _with(members.get(path[0], {}), path[1:], new)
    elif new is None:
        members.pop(path[0], None)
    else:
        members[path[0]] = new
    return {"M": members}


def _sum(before: Value | None, value: Value) -> Value:
    if "N" not in value or (before is not None and "N" not in before):
        raise validation("Invalid UpdateExpression: Incorrect operand type for operator or function; operator: ADD")
    return value if before is None else typed(plain(before) + plain(value))
