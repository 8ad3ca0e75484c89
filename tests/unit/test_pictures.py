"""The pictures in docs/: they need nothing from another host, and show what the command line shows today.

`.venv/bin/python docs/picture.py` makes them anew.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from stagekeeper.cli.progress import started, steps
from tests.unit.cli.looking import DEPLOY

from .pages import ROOT

PICTURES = sorted((ROOT / "docs").glob("*.svg"))
LIVE, DONE = ROOT / "docs" / "deploy-live.svg", ROOT / "docs" / "deploy-done.svg"

SVG = "http://www.w3.org/2000/svg"


def shown(picture: Path) -> str:
    """Everything that is to be read in it, one space between words."""
    texts = ElementTree.parse(picture).getroot().iter(f"{{{SVG}}}text")  # noqa: S314 - our own file
    return " ".join(" ".join("".join(text.itertext()) for text in texts).split())


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.name)
def test_a_picture_names_no_other_host_and_runs_nothing(picture: Path) -> None:
    drawn = picture.read_text()

    assert set(re.findall(r"[\w+.-]+://[^\s\"'<>)]+", drawn)) == {SVG}
    assert set(re.findall(r"url\(([^)])", drawn)) <= {"#"}
    assert not re.search(r"@import|@font-face|<script|<image|<foreignObject|\bon\w+=|xlink|\bhref=", drawn)


@pytest.mark.parametrize("picture", [LIVE, DONE], ids=lambda path: path.name)
def test_the_pictures_of_a_deploy_have_its_steps_as_they_are_called_today(picture: Path) -> None:
    told = shown(picture)

    assert "$ stagekeeper deploy --stage prod" in told
    assert [step.name for step in steps(started(DEPLOY, 0.0), 0.0) if step.name not in told] == []


def test_the_one_was_made_in_the_middle_and_the_other_at_the_end() -> None:
    assert "Ctrl-C leaves it running." in shown(LIVE)
    assert "Succeeded" not in shown(LIVE)
    assert "Succeeded" in shown(DONE)
