"""The way from a template's text to its halves, for tests: each step that refuses fails the test, or is what it asks for."""

from __future__ import annotations

from pathlib import Path

from stagekeeper.domain.split import split
from stagekeeper.domain.split_model import Expanded, Problem, Split, Unsplittable
from stagekeeper.template.expand import expand
from stagekeeper.template.read import read

TEMPLATES = Path(__file__).parents[2] / "templates"
REGION = "eu-west-1"


def expanded(text: str, **parameters: str) -> Expanded:
    source = read(text)
    assert not isinstance(source, Unsplittable), source.problems
    result = expand(source, parameters, REGION)
    assert not isinstance(result, Unsplittable), result.problems
    return result


def halves(text: str, **parameters: str) -> Split:
    result = split(expanded(text, **parameters))
    assert not isinstance(result, Unsplittable), result.problems
    return result


def problems(text: str, **parameters: str) -> tuple[Problem, ...]:
    """Those of the first step that finds any."""
    source = read(text)
    if isinstance(source, Unsplittable):
        return source.problems
    plain = expand(source, parameters, REGION)
    if isinstance(plain, Unsplittable):
        return plain.problems
    result = split(plain)
    assert isinstance(result, Unsplittable), "nothing was wrong with it"
    return result.problems
