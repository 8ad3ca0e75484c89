"""What a stage serves or a release contains, and the commit it was deployed from, as a comparison needs it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stagekeeper.aws.table import MalformedItem
from stagekeeper.cli.sides import ReadSide, named, read
from stagekeeper.domain.model import Content, Provenance, ReleaseNumber, StageName, TemplateRef
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.refusal import Code, Refusal

from .books import JANE, ORDERS, Books, content, keeping, movement, stage


@pytest.mark.parametrize(
    ("text", "stage_or_release"),
    [
        ("prod", StageName("prod")),
        ("r12", ReleaseNumber(12)),
        ("stage:r12", StageName("r12")),
        ("stage:prod", StageName("prod")),
        ("r0", StageName("r0")),
        ("r012", StageName("r012")),
        ("r1-2", StageName("r1-2")),
        ("R12", StageName("R12")),
        ("release", StageName("release")),
    ],
)
def test_what_is_meant_by_a_name(text: str, stage_or_release: StageName | ReleaseNumber) -> None:
    found = named(text)

    assert (found, type(found)) == (stage_or_release, type(stage_or_release))


def side(books: Books, text: str) -> ReadSide:
    found = read(books.store, ORDERS, named(text))
    assert isinstance(found, ReadSide)
    return found


def contents(of: ReadSide) -> dict[str, tuple[Content | None, str, bool]]:
    """By function what it carries, its version and whether it is kept."""
    return {part.function: (part.content, str(part.version), part.kept) for part in of.side.parts}


# What is served.


def test_a_release_is_what_it_contains(books: Books) -> None:
    books.release(3, TemplateRef("k", "d"), Api="one", Worker="two/big")

    found = side(books, "r3")

    assert contents(found) == {"Api": (content("one"), "None", False), "Worker": (content("two/big"), "None", False)}
    assert (found.name, found.stage, found.release, found.side.template) == ("r3", None, 3, TemplateRef("k", "d"))


def test_a_stage_is_its_release_with_its_versions(books: Books) -> None:
    books.release(3, TemplateRef("k", "d"), Api="one", Worker="two")
    books.stage(stage("prod", 3, Api=7, Worker=9))

    found = side(books, "prod")

    assert contents(found) == {"Api": (content("one"), "7", False), "Worker": (content("two"), "9", False)}
    assert (found.name, found.release, found.side.template) == ("prod", 3, TemplateRef("k", "d"))


def test_a_function_of_the_release_that_the_stage_does_not_have_is_not_served(books: Books) -> None:
    books.release(3, Api="one", Worker="two")
    books.stage(stage("prod", 3, Api=7))

    assert contents(side(books, "prod")).keys() == {"Api"}


def test_a_kept_function_is_what_its_version_carries(books: Books) -> None:
    books.release(3, Api="one")
    books.version("Old", 5, "old")
    books.stage(keeping(stage("prod", 3, Api=7, Old=5), "Old"))

    assert contents(side(books, "prod"))["Old"] == (content("old"), "5", True)


def test_a_kept_function_is_not_what_the_release_says_of_another_of_its_name(books: Books) -> None:
    """After a rollback to a release in which the logical name stood for another function."""
    books.release(3, Api="one")
    books.version("Api", 8, "newer")
    books.stage(keeping(stage("prod", 3, Api=8), "Api"))

    assert contents(side(books, "prod"))["Api"] == (content("newer"), "8", True)


def test_a_mixed_stage_is_what_its_versions_carry(books: Books) -> None:
    books.release(3, Api="one", Worker="two")
    books.version("Api", 8, "newer")
    books.version("Worker", 9, "two")
    books.stage(replace(stage("prod", 3, Api=8, Worker=9), mixed=True))

    assert contents(side(books, "prod")) == {"Api": (content("newer"), "8", False), "Worker": (content("two"), "9", False)}


def test_a_stage_that_became_mixed_while_it_was_made_has_no_release(books: Books) -> None:
    books.version("Api", 8, "newer")
    books.stage(replace(stage("prod", None, Api=8), mixed=True))

    found = side(books, "prod")

    assert (found.release, found.source, contents(found)) == (None, None, {"Api": (content("newer"), "8", False)})


def test_what_a_version_carries_that_is_not_on_record_is_not_known(books: Books) -> None:
    books.release(3)
    books.stage(keeping(stage("prod", 3, Old=5), "Old"))

    assert contents(side(books, "prod")) == {"Old": (None, "5", True)}


# What is not there.


@pytest.mark.parametrize(("text", "code"), [("nope", Code.STAGE_NOT_FOUND), ("r9", Code.RELEASE_NOT_FOUND)])
def test_what_is_not_there_is_refused_by_its_code(books: Books, text: str, code: Code) -> None:
    found = read(books.store, ORDERS, named(text))

    assert isinstance(found, Refusal)
    assert found.code is code
    assert text in found.message


def test_a_release_that_is_served_but_not_there_is_malformed_and_not_absent(books: Books) -> None:
    books.stage(stage("prod", 3, Api=7))

    with pytest.raises(MalformedItem, match="r3"):
        read(books.store, ORDERS, named("prod"))


# Where it came from.

BOB = Provenance("bob", commit="b0b", branch="main")
LAPTOP = Provenance("eve", commit="e5e", branch="whatever")


@pytest.fixture
def made(books: Books) -> Books:
    """r3 was made by a deploy of Jane's, and prod serves it."""
    books.operation("maker", provenance=JANE)
    books.release(3, Api="one")
    books.stage(stage("prod", 3, Api=7))
    return books


def commit(books: Books, text: str) -> str | None:
    source = side(books, text).source
    return None if source is None else source.commit


def test_a_release_comes_from_where_it_was_made(made: Books) -> None:
    assert commit(made, "r3") == JANE.commit


def test_a_stage_comes_from_its_newest_deploy_of_what_it_serves(made: Books) -> None:
    made.moved(
        movement("prod", 1, None, 3, provenance=JANE),
        movement("prod", 2, 3, 4, provenance=LAPTOP),
        movement("prod", 3, 4, 3, provenance=BOB),
    )

    assert commit(made, "prod") == "b0b"


@pytest.mark.parametrize("operation", ["rollback", "reset", "clone", "adopt"])
def test_where_somebody_was_who_moved_the_stage_is_not_where_it_comes_from(made: Books, operation: str) -> None:
    made.moved(movement("prod", 1, None, 3, provenance=BOB), movement("prod", 2, 4, 3, operation=operation, provenance=LAPTOP))

    assert commit(made, "prod") == "b0b"


def test_a_stage_that_was_never_deployed_to_comes_from_where_its_release_was_made(made: Books) -> None:
    made.moved(movement("prod", 1, None, 3, operation="reset", provenance=LAPTOP))

    assert commit(made, "prod") == JANE.commit


def test_a_deploy_that_told_no_commit_does_not_count(made: Books) -> None:
    made.moved(movement("prod", 1, None, 3, provenance=BOB), movement("prod", 2, 3, 3, provenance=Provenance("jane")))

    assert commit(made, "prod") == "b0b"


def test_where_an_adopted_release_comes_from_is_not_known(made: Books) -> None:
    made.operation("maker", OperationKind.ADOPT, provenance=LAPTOP)

    assert commit(made, "r3") is None


def test_where_a_release_comes_from_whose_operation_is_not_on_record_is_not_known(books: Books) -> None:
    books.release(3, Api="one")

    assert commit(books, "r3") is None
