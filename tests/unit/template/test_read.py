"""The text of a template to what it says, and where."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from stagekeeper.domain.split_model import Source
from stagekeeper.template.read import read


def parsed(text: str) -> Source:
    source = read(text)
    assert isinstance(source, Source), source
    return source


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("!Ref A", {"Ref": "A"}),
        ("!GetAtt A.B", {"Fn::GetAtt": ["A", "B"]}),
        ("!GetAtt A.B.C", {"Fn::GetAtt": ["A", "B.C"]}),
        ("!GetAtt [A, B]", {"Fn::GetAtt": ["A", "B"]}),
        ("!Sub a${B}", {"Fn::Sub": "a${B}"}),
        ("!Sub ['a${B}', {B: !Ref C}]", {"Fn::Sub": ["a${B}", {"B": {"Ref": "C"}}]}),
        ("!If [A, !Ref B, !GetAtt C.D]", {"Fn::If": ["A", {"Ref": "B"}, {"Fn::GetAtt": ["C", "D"]}]}),
        ("!Condition A", {"Condition": "A"}),
        ("!Base64 {Fn::Sub: a}", {"Fn::Base64": {"Fn::Sub": "a"}}),
        ("2012-10-17", "2012-10-17"),
        ("1", 1),
        ("1.5", 1.5),
        ("true", True),
        ("'true'", "true"),
        ("~", None),
        ("|\n  a\n  b", "a\nb\n"),
    ],
)
def test_values(text: str, value: Any) -> None:
    assert parsed(f"A: {text}\n").body == {"A": value}


def test_keys_are_text_as_they_are_written() -> None:
    assert parsed("123456789012: a\nOFF: b\n2012-10-17: c\n").body == {"123456789012": "a", "OFF": "b", "2012-10-17": "c"}


def test_each_member_has_its_line() -> None:
    lines = parsed("Resources:\n  A:\n    Type: X\n    Properties:\n      Of:\n        - !Ref B\n        - !Sub c\n").lines
    assert lines[("Resources",)] == 1
    assert lines[("Resources", "A")] == 2
    assert lines[("Resources", "A", "Type")] == 3
    assert lines[("Resources", "A", "Properties", "Of", "1")] == 7


def test_json_is_read_by_its_own_rules_and_has_lines_too() -> None:
    source = parsed('{\n\t"A": "\\ud83d\\ude80\\/",\n\t"B": {"C": 1}\n}')
    assert source.body == {"A": "🚀/", "B": {"C": 1}}
    assert source.lines[("B", "C")] == 3


def test_yaml_that_begins_like_json_is_yaml() -> None:
    assert parsed("{A: !Ref B}").body == {"A": {"Ref": "B"}}


def test_a_byte_order_mark_is_no_part_of_it() -> None:
    assert parsed("\ufeff{}").body == {}
    assert parsed("\ufeffA: 1").body == {"A": 1}


def test_anchors_and_merged_keys_are_resolved() -> None:
    assert parsed("A: &a {B: 1}\nC:\n  <<: *a\n  D: *a\n").body == {"A": {"B": 1}, "C": {"B": 1, "D": {"B": 1}}}


def test_the_loaders_of_others_stay_as_they_are() -> None:
    parsed("A: !Ref B")
    with pytest.raises(yaml.constructor.ConstructorError):
        yaml.safe_load("A: !Ref B")
