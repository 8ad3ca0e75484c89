"""What differs between two stages or releases: function by function, and within two configurations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stagekeeper.domain.comparison import (
    ConfigurationDifference,
    Difference,
    Member,
    Part,
    Side,
    Variables,
    compare,
    differing,
)
from stagekeeper.domain.configuration import canonical
from stagekeeper.domain.model import Content, FunctionArn, LogicalName, TemplateRef, VersionNumber

API = FunctionArn("arn:aws:lambda:us-east-1:000000000000:function:orders-api")
MOVED = FunctionArn("arn:aws:lambda:us-east-1:000000000000:function:orders-api-2")


def part(code: str = "one", configuration: str = "small", version: int | None = None, arn: FunctionArn = API) -> Part:
    number = None if version is None else VersionNumber(version)
    return Part(LogicalName("Api"), arn, Content(code, configuration), number)


def unknown(version: int) -> Part:
    return replace(part(version=version), content=None)


def difference(a: Part | None, b: Part | None) -> Difference:
    (compared,) = compare(Side([a] if a else []), Side([b] if b else [])).functions
    assert (compared.a, compared.b) == (a, b)
    return compared.difference


@pytest.mark.parametrize(
    ("a", "b", "differs"),
    [
        (part(), part(), Difference.SAME),
        (part("one"), part("two"), Difference.CODE),
        (part(configuration="small"), part(configuration="big"), Difference.CONFIGURATION),
        (part("one", "small"), part("two", "big"), Difference.CODE_AND_CONFIGURATION),
        (part(), None, Difference.ONLY_A),
        (None, part(), Difference.ONLY_B),
        # Two versions can carry the same: a version that was swept is published anew under another number.
        (part(version=7), part(version=9), Difference.SAME),
        (part("one", version=7), part("two"), Difference.CODE),
        (unknown(7), part(version=9), Difference.UNKNOWN),
        (part(), unknown(9), Difference.UNKNOWN),
        (unknown(7), unknown(9), Difference.UNKNOWN),
        # A version never changes: whatever it carries, it is the same.
        (unknown(7), part(version=7), Difference.SAME),
        (unknown(7), unknown(7), Difference.SAME),
    ],
)
def test_what_differs_of_a_function(a: Part | None, b: Part | None, differs: Difference) -> None:
    assert difference(a, b) is differs


def test_versions_that_are_not_known_are_not_the_same() -> None:
    """Of releases: both have none."""
    assert difference(replace(part(), content=None), replace(part("two"), content=None)) is Difference.UNKNOWN


def test_another_home_under_one_name_is_another_function() -> None:
    compared = compare(Side([part(arn=API)]), Side([part(arn=MOVED)])).functions

    assert [(each.function, each.arn, each.difference) for each in compared] == [
        ("Api", API, Difference.ONLY_A),
        ("Api", MOVED, Difference.ONLY_B),
    ]


def test_functions_are_in_the_order_of_their_names() -> None:
    def named(name: str) -> Part:
        return Part(LogicalName(name), FunctionArn(f"arn:{name}"), Content("", ""))

    compared = compare(Side([named("Worker"), named("Api")]), Side([named("Nightly")]))

    assert [each.function for each in compared.functions] == ["Api", "Nightly", "Worker"]


def test_a_function_that_got_another_name_is_compared_under_that_of_the_first() -> None:
    compared = compare(Side([part()]), Side([replace(part(), function=LogicalName("Backend"))])).functions

    assert [(each.function, each.difference) for each in compared] == [("Api", Difference.SAME)]


ONE, ELSEWHERE, TWO = TemplateRef("k1", "d1"), TemplateRef("k2", "d1"), TemplateRef("k1", "d2")


@pytest.mark.parametrize(
    ("a", "b", "differs"),
    [
        (None, None, None),
        (ONE, ONE, Difference.SAME),
        (ONE, ELSEWHERE, Difference.SAME),
        (ONE, TWO, Difference.DIFFERENT),
        (ONE, None, Difference.ONLY_A),
        (None, ONE, Difference.ONLY_B),
    ],
)
def test_what_differs_of_the_template(a: TemplateRef | None, b: TemplateRef | None, differs: Difference | None) -> None:
    assert compare(Side([], a), Side([], b)).template is differs


@pytest.mark.parametrize(
    ("a", "b", "differs"),
    [
        (Side([]), Side([]), False),
        (Side([part()], ONE), Side([part()], ONE), False),
        (Side([part()]), Side([part("two")]), True),
        (Side([part()], ONE), Side([part()], TWO), True),
        (Side([part()], ONE), Side([part()]), True),
        (Side([unknown(7)]), Side([unknown(8)]), True),
    ],
    ids=["nothing", "the same", "code", "template", "template of one", "not known"],
)
def test_what_is_not_known_to_be_the_same_differs(a: Side, b: Side, differs: bool) -> None:
    assert compare(a, b).differs is differs


# Within configurations.


def configuration(**members: Any) -> dict[str, Any]:
    return canonical({"FunctionName": "orders-api", "Handler": "app.handler", "Runtime": "python3.13", **members})


def variables(**values: str) -> dict[str, Any]:
    return {"Environment": {"Variables": values}}


@pytest.mark.parametrize(
    ("a", "b", "member"),
    [
        ({"Timeout": 3}, {"Timeout": 10}, Member("Timeout", "3", "10")),
        ({}, {"MemorySize": 512}, Member("MemorySize", "128", "512")),
        ({"Handler": "app.old"}, {"Handler": "app.new"}, Member("Handler", "app.old", "app.new")),
        ({}, {"Layers": [{"Arn": "arn:layer:1"}]}, Member("Layers", None, '["arn:layer:1"]')),
        ({"Description": "x"}, {}, Member("Description", "x", None)),
        ({}, {"LoggingConfig": {"LogGroup": "all"}}, Member("LoggingConfig.LogGroup", "/aws/lambda/orders-api", "all")),
        ({"ImageConfigResponse": {"ImageConfig": {"Command": ["a"]}}}, {}, Member("ImageConfig.Command", '["a"]', None)),
    ],
    ids=["number", "default", "text", "list", "none", "of a structure", "of a structure, none"],
)
def test_a_member_that_differs_is_told_with_both_values(a: dict[str, Any], b: dict[str, Any], member: Member) -> None:
    assert differing(configuration(**a), configuration(**b)) == ConfigurationDifference([member], None)


def test_members_that_are_the_same_are_not_told() -> None:
    assert differing(configuration(**variables(A="1")), configuration(**variables(A="1"))) == ConfigurationDifference([], None)


def test_of_variables_the_names_are_told_and_no_value() -> None:
    one = configuration(**variables(OLD="s3cret-old", TABLE="s3cret-one", SAME="s3cret-same"))
    other = configuration(**variables(NEW="s3cret-new", TABLE="s3cret-two", SAME="s3cret-same"))

    told = differing(one, other)

    assert told == ConfigurationDifference([], Variables(only_a=["OLD"], only_b=["NEW"], changed=["TABLE"]))
    assert "s3cret" not in repr(told)


def test_variables_that_only_one_side_has_at_all_are_told() -> None:
    told = differing(configuration(), configuration(**variables(NEW="s3cret")))

    assert told.variables == Variables([], ["NEW"], [])
