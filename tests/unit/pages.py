"""The project's documentation as data: its pages, their tables, code blocks, links and anchors. Knows markdown, no subject."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def section(page: Path, heading: str) -> str:
    """What stands under a heading (of any level), up to the next heading of the same or a higher level."""
    found = re.search(rf"^(#+) {re.escape(heading)}\n", text(page), re.MULTILINE)
    assert found is not None, f"{page.name} has no heading {heading!r}"
    rest = text(page)[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest if end is None else rest[: end.start()]


def tables(markdown: str) -> list[list[list[str]]]:
    """Every table: its rows without the head, each a list of cells."""
    found: list[list[list[str]]] = []
    previous = ""
    for line in markdown.splitlines():
        if re.fullmatch(r"\|(---\|)+", line):
            found.append([])
        elif line.startswith("|") and found and previous.startswith("|"):
            found[-1].append([cell.strip() for cell in line.strip("|").split(" | ")])
        previous = line
    return found


def blocks(markdown: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", markdown, re.MULTILINE | re.DOTALL)


def codes(markdown: str) -> list[str]:
    """What stands in `backticks`, outside of blocks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", markdown, flags=re.MULTILINE | re.DOTALL))


def links(markdown: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", markdown)


def anchors(page: Path) -> set[str]:
    """The names that headings are linked by, as GitHub makes them."""
    outside = re.sub(r"^```.*?^```$", "", text(page), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", outside, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(pages: list[Path]) -> Iterator[str]:
    """Every line of every shell block, and every piece of code in running text."""
    for page in pages:
        for block in blocks(text(page), "bash"):
            yield from block.splitlines()
        yield from codes(text(page))
