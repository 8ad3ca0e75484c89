"""How views of the record reach paper: a terminal of some width, or a file, where nothing is cut or wrapped and nothing coloured.

Must not know what is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO

from rich import box
from rich.console import Console, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

#: Columns of a "terminal" that is a file or a pipe.
_WIDE = 4000
#: Of those at most a rule has so many.
_RULE = 80

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def lay(console: Console, render: Callable[[int | None], RenderableType]) -> None:
    """Print what ``render`` makes for a terminal of so many columns, or (None) for a place where nothing is cut or wrapped."""
    if console.is_terminal:
        console.print(render(console.width))
    else:
        plain = Console(file=StringIO(), width=_WIDE, color_system=None)
        with plain.capture() as captured:
            plain.print(render(None))
        console.file.writelines(f"{_bare(line)}\n" for line in captured.get().splitlines())


def _bare(line: str) -> str:
    """A line without what only pads it; a rule as long as the longest need be."""
    bare = line.rstrip()
    return bare[:_RULE] if set(bare) == {"\N{BOX DRAWINGS LIGHT HORIZONTAL}"} else bare


def clean(text: str) -> str:
    """What somebody else wrote, on one line and without what a terminal would obey."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in " ".join(text.split()))


#: Everything but tab and line end that a terminal obeys instead of showing it.
_OBEYED = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}


def harmless(text: str) -> str:
    """What somebody else wrote on several lines, what a terminal would obey spelled out."""
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_OBEYED)


def link(url: str | None) -> Style:
    """A terminal that can shows it as a link. Nothing but web addresses: others wrote it."""
    good = url is not None and url.startswith(("https://", "http://")) and url.isascii() and url.isprintable() and " " not in url
    return Style(link=url) if good else Style()


def table(*titles: str) -> Table:
    """An open table, whose cells may be broken over lines where the terminal is narrow."""
    laid = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="bold")
    for title in titles:
        laid.add_column(title, overflow="fold")
    return laid


def counted(number: int, thing: str) -> str:
    """``1 function``, ``2 functions``."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def named(release: int | None) -> str:
    """``r7``, or a dash for none."""
    return "-" if release is None else f"r{release}"


def lines(*parts: Text | str | None, width: int | None) -> Text:
    """The parts that are there: in a terminal one below the other, else on one line."""
    told = [part for part in (Text(part) if isinstance(part, str) else part for part in parts) if part]
    return Text("\n" if width is not None else "; ").join(told)


def local(moment: float) -> str:
    """Epoch seconds as the clock on the wall here showed them."""
    return datetime.fromtimestamp(moment, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def for_how_long(seconds: float) -> str:
    """A span in one or two units: ``42 s``, ``3 min``, ``2 h 5 min``, ``4 d``."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < _DAY:
        minutes = whole % _HOUR // _MINUTE
        return f"{whole // _HOUR} h" + (f" {minutes} min" if minutes else "")
    return f"{whole // _DAY} d"
