"""Values are put into a template's text in place: no line moves, and nothing else changes."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stagekeeper.packaging.rewrite import rewritten

PATH = ("Resources", "F", "CodeUri")
NEW: list[Any] = ["s3://b/k", {"Bucket": "b", "Key": "k"}]

#: What stands for the value of CodeUri, as people write it. Each on its own line or lines, with something after it.
WRITTEN = {
    "plain": "src/",
    "in quotes": "'src/'",
    "in double quotes": '"src/"',
    "with a comment": "src/ # the code",
    "on a line of its own": "\n      src/",
    "folded": ">-\n      src/\n      more",
    "folded, with empty lines after it": ">\n      src/\n\n",
    "literal": "|\n      src/",
    "plain over two lines": "src/\n      more",
    "quoted over two lines": "'src/\n      more' # both",
    "with an anchor": "&code src/",
    "with an anchor on the line before": "&code\n      src/",
    "with a tag": "!!str src/",
    "with both": "&code !!str src/",
    "not in ASCII": "größe/😀",
}


def template(written: str) -> str:
    return f"# größer 😀\nResources:\n  F:\n    CodeUri: {written}\n    Handler: app.handler # 😀\nLast: 'é'\n"


@pytest.mark.parametrize("new", NEW, ids=["text", "map"])
@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_a_value_is_replaced_and_no_line_moves(written: str, new: Any) -> None:
    old = template(written)

    text = rewritten(old, {PATH: new})

    assert yaml.safe_load(text) == {"Resources": {"F": {"CodeUri": new, "Handler": "app.handler"}}, "Last": "é"}
    assert [line for line in text.split("\n") if "Code" not in line][-3:] == old.split("\n")[-3:]
    assert text.count("\n") == old.count("\n")


@pytest.mark.parametrize("new", NEW, ids=["text", "map"])
@pytest.mark.parametrize(
    "old",
    [
        "Resources: {F: {CodeUri: src/, Handler: h}}",
        "Resources: {F: {Handler: h, CodeUri: src/}}",
        "Resources: {F: {'CodeUri': 'src/', Handler: h}} # c",
        "Resources:\n  F: {\n    Handler: h,\n    CodeUri: src/\n  }",
        '{"Resources": {"F": {"CodeUri": "src/", "Handler": "h"}}}',
        '{"Resources": {"F": {"CodeUri":"src/","Handler":"h"}}}',
        '{\n\t"Resources": {\n\t\t"F": {\n\t\t\t"Handler": "h",\n\t\t\t"CodeUri": "src/"\n\t\t}\n\t}\n}',
    ],
)
def test_so_it_is_in_flow_style_and_in_json(old: str, new: Any) -> None:
    text = rewritten(old, {PATH: new})

    said = json.loads(text) if old.startswith("{") else yaml.safe_load(text)
    assert said == {"Resources": {"F": {"CodeUri": new, "Handler": "h"}}}
    assert text.count("\n") == old.count("\n")


def test_jsons_own_escapes_do_not_shift_anything() -> None:
    old = '{"Description": "\\ud83d\\ude00 \\u00e9", "Resources": {"F": {"CodeUri": "src/"}}}'

    assert rewritten(old, {PATH: "new"}) == old.replace("src/", "new")


def test_several_values_are_put_where_each_belongs() -> None:
    old = "Resources:\n  F:\n    CodeUri: a\n  G:\n    CodeUri: a\n    Other: a\n"

    text = rewritten(old, {("Resources", "G", "CodeUri"): "longer than it was", PATH: "x"})

    assert text == 'Resources:\n  F:\n    CodeUri: "x"\n  G:\n    CodeUri: "longer than it was"\n    Other: a\n'


def test_short_forms_and_everything_else_stay_as_they_are_written() -> None:
    before, after = "A: !Sub '${B}'   # why\nB: {Ref:   C}\nResources:\n  F:\n    CodeUri: ", "\n    D: !GetAtt E.Arn\n...\n"

    assert rewritten(before + "src/" + after, {PATH: "x"}) == before + '"x"' + after


@pytest.mark.parametrize("written", ["&code src/", "&code !!str src/", "!!str &code src/", "&code\n      src/"])
def test_an_alias_of_the_value_stands_for_the_new_one(written: str) -> None:
    old = f"Resources:\n  F:\n    CodeUri: {written}\n  G:\n    CodeUri: *code\n"

    text = rewritten(old, {PATH: "x", ("Resources", "G", "CodeUri"): "x"})

    assert yaml.safe_load(text)["Resources"] == {"F": {"CodeUri": "x"}, "G": {"CodeUri": "x"}}


def test_what_an_alias_stands_for_is_replaced_where_it_is_written() -> None:
    old = "Common: &common\n  CodeUri: src/\nResources:\n  F:\n    <<: *common\n    Handler: h\n"

    assert rewritten(old, {PATH: "x"}) == old.replace("src/", '"x"')


def test_of_several_that_are_merged_the_first_counts_and_the_members_own_before_them() -> None:
    merging = "A: &a\n  CodeUri: a\nB: &b\n  CodeUri: b\nResources:\n  F:\n    <<: [*b, *a]\n"

    assert rewritten(merging, {PATH: "x"}) == merging.replace("CodeUri: b", 'CodeUri: "x"')
    own = f"{merging}    CodeUri: own\n"
    assert rewritten(own, {PATH: "x"}) == own.replace("own", '"x"')


def test_a_member_that_is_not_there_is_a_defect() -> None:
    with pytest.raises(LookupError, match=r"Resources\.F\.CodeUri"):
        rewritten("Resources:\n  F:\n    Handler: h\n", {PATH: "x"})


_KEYS = st.text(alphabet="abcXYZ", min_size=1, max_size=4)
_LEAVES = st.one_of(st.text(alphabet="a é漢😀:#-'\"\\n{}[],&*!|>%@`", max_size=30), st.integers(), st.booleans(), st.none())
_BODIES = st.recursive(
    st.dictionaries(_KEYS, _LEAVES, min_size=1, max_size=4),
    lambda inner: st.dictionaries(_KEYS, st.one_of(inner, _LEAVES, st.lists(_LEAVES, max_size=3)), min_size=1, max_size=4),
    max_leaves=20,
)


def _texts_of(body: dict[str, Any], path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, value in body.items():
        if isinstance(value, dict):
            found += _texts_of(value, (*path, name))
        elif isinstance(value, str):
            found.append((*path, name))
    return found


def _with(body: dict[str, Any], path: tuple[str, ...], new: Any) -> dict[str, Any]:
    first, *deeper = path
    return {**body, first: _with(body[first], tuple(deeper), new) if deeper else new}


@given(body=_BODIES, flow=st.sampled_from([None, True, False]), width=st.sampled_from([20, 1000]), data=st.data())
def test_whatever_the_template_only_that_value_changes(
    body: dict[str, Any], flow: bool | None, width: int, data: st.DataObject
) -> None:
    texts = _texts_of(body)
    if not texts:
        return
    path, new = data.draw(st.sampled_from(texts)), data.draw(st.sampled_from(NEW))
    for old in (yaml.safe_dump(body, default_flow_style=flow, width=width, allow_unicode=True), json.dumps(body, indent=2)):
        text = rewritten(old, {path: new})

        assert yaml.safe_load(text) == _with(yaml.safe_load(old), path, new)
        assert text.count("\n") == old.count("\n")
