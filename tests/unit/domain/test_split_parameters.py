"""Values that CloudFormation would not take are refused before it is asked; where that is not certain, it is left to it."""

from __future__ import annotations

from typing import Any

import pytest

from stagekeeper.domain.split_model import Path
from stagekeeper.domain.split_parameters import is_reference, value_problems

LINES: dict[Path, int] = {("Parameters", "A"): 4}


def problem(declared: dict[str, Any], *given: str) -> str | None:
    found = value_problems({"Parameters": {"A": declared}}, LINES, dict.fromkeys(["A"], given[0]) if given else {})
    assert all(each.line == 4 for each in found)
    return found[0].sentence if found else None


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"Type": "Number"}, "abc", "is no number"),
    ({"Type": "Number"}, "", "is no number"),
    ({"Type": "Number"}, "nan", "is no number"),
    ({"Type": "List<Number>"}, "1, b", "is not a list of numbers"),
    ({"Type": "Number", "MinValue": 3}, "2", "is less than its MinValue, 3"),
    ({"Type": "Number", "MaxValue": "3"}, "3.5", "is more than its MaxValue, 3"),
    ({"Type": "String", "AllowedValues": ["dev", "prod"]}, "qa", "is not among its AllowedValues: dev, prod"),
    ({"Type": "String", "AllowedValues": [True, False]}, "maybe", "is not among its AllowedValues"),
    ({"Type": "Number", "AllowedValues": [7, 14]}, "8", "is not among its AllowedValues: 7, 14"),
    ({"Type": "CommaDelimitedList", "AllowedValues": ["a", "b"]}, "a,c", "is not among its AllowedValues: a, b"),
    ({"Type": "String", "AllowedPattern": "[a-z]+"}, "ab1", "does not match its AllowedPattern: [a-z]+"),
    ({"Type": "String", "AllowedPattern": r"\d+"}, "٣", "does not match its AllowedPattern"),
    ({"Type": "CommaDelimitedList", "AllowedPattern": "[a-z]+"}, "a, 1", "does not match its AllowedPattern"),
    ({"Type": "String", "MinLength": 2}, "a", "is less than its MinLength, 2 characters"),
    ({"Type": "String", "MaxLength": "2"}, "abc", "is more than its MaxLength, 2 characters"),
    ({"Type": "Number", "ConstraintDescription": "a number of days"}, "x", "is no number (a number of days)"),
]


@pytest.mark.parametrize(("declared", "value", "words"), REFUSED, ids=str)
def test_what_cloudformation_would_not_take_is_refused(declared: dict[str, Any], value: str, words: str) -> None:
    sentence = problem(declared, value)

    assert sentence is not None
    assert sentence.startswith(f"The value of the parameter A, {value}, {words}")


TAKEN: list[tuple[dict[str, Any], str]] = [
    ({"Type": "Number"}, "-1.5e3"),
    ({"Type": "List<Number>", "MaxValue": 3}, "1, 2,3"),
    ({"Type": "Number", "MinValue": 1, "MaxValue": 3}, "3"),
    ({"Type": "Number", "AllowedValues": [7, 14]}, "7.0"),
    ({"Type": "String", "AllowedValues": ["dev", "prod"]}, "dev"),
    ({"Type": "String", "AllowedValues": [True, False]}, "true"),
    ({"Type": "String", "AllowedValues": [511]}, "0777"),
    ({"Type": "CommaDelimitedList", "AllowedValues": ["a", "b"]}, "a, b"),
    ({"Type": "String", "AllowedPattern": "[a-z]*"}, ""),
    ({"Type": "String", "MinLength": 1, "MaxLength": 1}, "a"),
    # Java reads these in another way than Python, or Python not at all.
    ({"Type": "String", "AllowedPattern": "[a-z&&[^b]]"}, "b"),
    ({"Type": "String", "AllowedPattern": r"\p{Upper}"}, "b"),
    ({"Type": "String", "AllowedPattern": "(?<name>a)"}, "b"),
    ({"Type": "String", "AllowedPattern": "[0--9]"}, "b"),
    # What stands for another value is not judged by its own.
    ({"Type": "AWS::SSM::Parameter::Value<String>", "AllowedValues": ["b"], "MaxLength": 1}, "/a/key"),
    ({"Type": "String", "MaxLength": 5}, "{{resolve:ssm:name}}"),
]


@pytest.mark.parametrize(("declared", "value"), TAKEN, ids=str)
def test_what_it_takes_or_may_take_is_left_to_it(declared: dict[str, Any], value: str) -> None:
    assert problem(declared, value) is None


@pytest.mark.parametrize(
    ("default", "wrong"), [("abc", True), ("7", False), (7, False), (99, True), ({"Ref": "B"}, False), (["7"], False)]
)
def test_a_default_counts_where_no_value_is_given(default: Any, wrong: bool) -> None:
    declared = {"Type": "Number", "MaxValue": 30, "Default": default}

    sentence = problem(declared)

    assert (sentence is not None) is wrong
    assert sentence is None or sentence.startswith(f"The Default of the parameter A, {default}, ")
    assert problem(declared, "8") is None


@pytest.mark.parametrize("flag", [True, "true"])
def test_a_secret_is_not_repeated(flag: Any) -> None:
    sentence = problem({"Type": "String", "NoEcho": flag, "MinLength": 20}, "hunter2")

    assert sentence is not None
    assert sentence.startswith("The value of the parameter A is less than its MinLength")


def test_what_stagekeeper_fills_is_not_judged() -> None:
    declared = {"StagekeeperStage": {"Type": "String", "Default": "local", "AllowedValues": ["dev"]}}

    assert value_problems({"Parameters": declared}, {}, {}) == ()


@pytest.mark.parametrize(
    ("value", "whole"),
    [
        ("{{resolve:secretsmanager:arn:aws:secretsmanager:eu-central-1:123456789012:secret:a-AbCdEf:SecretString:key}}", True),
        ("{{resolve:ssm-secure:/a/b:1}}", True),
        ("{{resolve:ssm:name}}", True),
        ("{{resolve:ssm:name}}hunter2", False),
        ("hunter2{{resolve:ssm:name}}", False),
        ("{{resolve:ssm:a}}{{resolve:ssm:b}}", False),
        ("{{resolve:other:name}}", False),
        ("{{resolve:ssm:}}", False),
        ("{{resolve:hunter2", False),
    ],
)
def test_a_reference_is_the_whole_value(value: str, whole: bool) -> None:
    assert is_reference(value) is whole
