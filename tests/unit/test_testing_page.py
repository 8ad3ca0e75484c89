"""What docs/testing.md names is there: the tests that hold each guard, and the commands."""

from __future__ import annotations

import re

from .pages import ROOT, codes, text

PAGE = ROOT / "docs/testing.md"


def test_every_test_that_the_page_names_exists() -> None:
    named = {code for code in codes(text(PAGE)) if re.fullmatch(r"test_\w+", code)}
    written = [text(path) for path in (ROOT / "tests").rglob("test_*.py")]
    defined = {name for source in written for name in re.findall(r"^def (test_\w+)", source, re.MULTILINE)}
    assert named
    assert named <= defined, f"there are no tests {sorted(named - defined)}"


def test_every_command_that_the_page_names_exists() -> None:
    named = {code.removeprefix("make ") for code in codes(text(PAGE)) if re.fullmatch(r"make [a-z-]+", code)}
    targets = set(" ".join(re.findall(r"^([a-z- ]+):", text(ROOT / "Makefile"), re.MULTILINE)).split())
    assert named
    assert named <= targets, f"there are no targets {sorted(named - targets)}"
