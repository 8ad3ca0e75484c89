"""docs/state.md against what is really written: every item that the journal writes, its keys and its attributes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from stagekeeper.aws.items import end_attributes
from stagekeeper.aws.journal import Journal, VersionRecord
from stagekeeper.aws.stack_journal import StackJournal
from stagekeeper.aws.store import ObjectHashes
from stagekeeper.aws.table import SCHEMA, Key, Put, Table, Update, Write
from stagekeeper.domain.lock import PUBLISH
from stagekeeper.domain.model import (
    Claim,
    Content,
    FunctionArn,
    LatestWrite,
    LogicalName,
    Movement,
    Release,
    ReleaseFunction,
    ReleaseNumber,
    ServedAlias,
    Service,
    ServiceName,
    Stage,
    StageName,
    TemplateRef,
    VersionNumber,
)
from stagekeeper.domain.operation import ALLOWED
from stagekeeper.domain.plan import Published
from stagekeeper.domain.record import Failed, Succeeded
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.domain.stack_plan import AppliedStack, StackMark, Stand
from stagekeeper.domain.stack_work import StackProgress, StackRecord
from tests.adapters.records import RECORD

from .pages import ROOT, codes, section, tables, text
from .test_asl import TEMPLATE

PAGE = ROOT / "docs" / "state.md"
ITEMS = [row for table in tables(text(PAGE)) for row in table if len(row) == 4]

ARN = FunctionArn("arn:aws:lambda:us-east-1:000000000000:function:orders-api")
API = LogicalName("Api")
ORDERS, PROD, OPERATION = ServiceName("orders"), StageName("prod"), RECORD.operation_id
CONTENT = Content("code", "configuration")
RELEASE = Release(ReleaseNumber(7), {API: ReleaseFunction(ARN, CONTENT)}, TemplateRef("templates/x.json", "d1g"))
#: Keys of maps that are data, not names of attributes.
DATA = {ARN, API, OPERATION, 0, "0"}

Attributes = dict[Key, set[str]]


class Frozen:
    """A clock that stands still."""

    def now(self) -> float:
        return 1_800_000_000.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nothing to wait {seconds} s for")


class Notebook(Table):
    """A table that is empty, and remembers which attributes were written under which key."""

    def __init__(self) -> None:
        self.attributes: Attributes = {}

    def get(self, key: Key) -> dict[str, Any] | None:  # noqa: ARG002 - nothing is there
        return None

    def transact(self, writes: Sequence[Write]) -> None:
        for write in writes:
            match write:
                case Put(key=key, item=attributes) | Update(key=key, attributes=attributes):
                    self.attributes.setdefault(key, set()).update(attributes)
                    self._note_inner(key, list(attributes.values()))

    def put(self, put: Put) -> None:
        self.transact([put])

    def _note_inner(self, key: Key, values: Sequence[Any]) -> None:
        for value in values:
            if isinstance(value, Mapping):
                self.attributes[key] |= {str(name) for name in value if name not in DATA}
                self._note_inner(key, list(value.values()))
            elif isinstance(value, list):
                self._note_inner(key, value)


@pytest.fixture(scope="module")
def written() -> Attributes:
    """Everything that the journal can write, once."""
    notebook = Notebook()
    journal = Journal(notebook, Frozen())
    stage = Stage(PROD, ReleaseNumber(7), (), {ARN: ServedAlias(API, VersionNumber(31), None)})
    movement = Movement(PROD, 12, OPERATION, "deploy", None, ReleaseNumber(7), "", displaced={ARN: VersionNumber(30)})
    published = {ARN: Published(VersionNumber(31), True)}

    journal.open(RECORD)
    journal.ask_for_lock(RECORD, frozenset({PUBLISH}))
    converging = journal.record_intent(RECORD, "plans/x.json", Service(ORDERS, RELEASE.number))
    journal.join(converging, ORDERS, {ARN: Claim(ORDERS, API, frozenset(), LatestWrite(OPERATION, CONTENT, CONTENT))})
    journal.record_versions(converging, [VersionRecord(ARN, CONTENT, published[ARN])])
    journal.record_release(converging, RELEASE, new=True, published=published, give_back=frozenset())
    journal.record_moved(converging, {ARN: "revision"})
    journal.record_progress(converging, "plans/y.json")
    journal.take_over(converging, "recover-op-2")
    journal.note_failed_recovery(converging)
    journal.note_look(converging)
    journal.record_failure(converging, Refusal(Code.DRIFTED, ""), calls_ended=True, moved={})
    journal.commit(converging, stage, movement, None)
    mark = StackMark(Stand.REACHED, StackProgress("arn:stack", ("prepare",), 1, 1))
    seen = StackRecord("arn:stack", "d1g", "")
    stack = AppliedStack("orders--prod", "stacks/x.json", seen, PROD)
    StackJournal(notebook, Frozen()).record_applied(converging, 0, mark, stack)
    for end in (Succeeded({}), Failed("Locked", {})):
        notebook.transact([Put(Key(f"OPERATION#{OPERATION}", "OPERATION"), end_attributes(end, ""))])
    ObjectHashes(notebook, read_only=False).remember("bucket/key#version#etag", "")
    return notebook.attributes


def row_of(key: Key) -> list[str] | None:
    """The row of the page whose key patterns fit; `…` and `<…>` stand for anything."""
    found = [row for row in ITEMS if _fits(row[1], key.pk) and _fits(row[2], key.sk)]
    return found[0] if len(found) == 1 else None


def _fits(cell: str, key: str) -> bool:
    pattern = re.sub(r"<[^>]*>|…", "\0", codes(cell)[0])
    return re.fullmatch(re.escape(pattern).replace("\0", ".*").replace(re.escape("\0"), ".*"), key) is not None


def test_every_item_that_is_written_is_on_the_page_and_every_item_on_the_page_is_written(written: Attributes) -> None:
    rows = {key: row_of(key) for key in written}

    assert [key for key, row in rows.items() if row is None] == []
    assert {row[0] for row in rows.values() if row is not None} == {row[0] for row in ITEMS}


def test_every_attribute_is_on_the_page_and_every_attribute_on_the_page_is_written(written: Attributes) -> None:
    inner_of_operation = {"output", "error", "cause"}
    for key, attributes in written.items():
        row = row_of(key)
        assert row is not None
        assert set(codes(row[3])) - inner_of_operation == attributes - {"schema"} - inner_of_operation, row[0]


def test_the_schema_is_the_one_that_is_written() -> None:
    assert f"`schema`, {SCHEMA} today" in text(PAGE)


def test_the_life_of_an_operation_is_as_the_rules_have_it() -> None:
    (life,) = tables(section(PAGE, "An operation's life"))

    drawn = {codes(row[0])[0]: set(codes(row[1])) for row in life}
    assert drawn == {str(a): {str(b) for b in following} for a, following in ALLOWED.items() if following}


def test_how_long_bodies_are_kept_is_as_the_template_has_it() -> None:
    (kept,) = tables(section(PAGE, "What lies in the artifact bucket"))
    rules = TEMPLATE["Resources"]["ArtifactBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]

    said = {codes(row[0])[0]: row[2] for row in kept if row[2].endswith("days")}
    assert said == {rule["Prefix"]: f"{rule['ExpirationInDays']} days" for rule in rules if "ExpirationInDays" in rule}
