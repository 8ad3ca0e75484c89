"""What differs between two stages or releases, as people and scripts read it. Decides nothing: see domain/comparison.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from stagekeeper.cli.commits import Between, Commits, NotHere, shown
from stagekeeper.cli.configurations import Differences
from stagekeeper.cli.paper import clean, counted, lay, named, table
from stagekeeper.cli.sides import ReadSide
from stagekeeper.domain.comparison import Compared, Comparison, ConfigurationDifference, Difference, Part
from stagekeeper.domain.model import ServiceName


@dataclass(frozen=True, slots=True)
class Diff:
    """``commits`` is None where the record does not tell both commits, or there is no checkout to look into."""

    service: ServiceName
    a: ReadSide
    b: ReadSide
    comparison: Comparison
    configurations: Differences = field(default_factory=dict)
    commits: Between | NotHere | None = None


def as_json(diff: Diff) -> dict[str, Any]:
    return {
        "service": diff.service,
        "a": _side_as_json(diff.a),
        "b": _side_as_json(diff.b),
        "differs": diff.comparison.differs,
        "functions": [_compared_as_json(each, diff.configurations) for each in diff.comparison.functions],
        "template": None if diff.comparison.template is None else diff.comparison.template.value,
        "commits": _commits_as_json(diff.commits),
    }


def _side_as_json(side: ReadSide) -> dict[str, Any]:
    return {
        "stage": None if side.stage is None else side.stage.name,
        "release": side.release,
        "mixed": side.stage is not None and side.stage.mixed,
        "commit": None if side.source is None else side.source.commit,
        "branch": None if side.source is None else side.source.branch,
    }


def _compared_as_json(compared: Compared, configurations: Differences) -> dict[str, Any]:
    told = configurations.get(compared.arn)
    return {
        "function": compared.function,
        "function_arn": compared.arn,
        "difference": compared.difference.value,
        "a": _part_as_json(compared.a),
        "b": _part_as_json(compared.b),
        "configuration": _configuration_as_json(told) if isinstance(told, ConfigurationDifference) else None,
        "configuration_unknown": told if isinstance(told, str) else None,
    }


def _part_as_json(part: Part | None) -> dict[str, Any] | None:
    if part is None:
        return None
    return {"version": None if part.version is None else str(part.version), "kept": part.kept}


def _configuration_as_json(told: ConfigurationDifference) -> dict[str, Any]:
    variables = told.variables
    names = ((), (), ()) if variables is None else (variables.only_a, variables.only_b, variables.changed)
    return {
        "members": [{"member": each.name, "a": each.a, "b": each.b} for each in told.members],
        "variables": dict(zip(("only_a", "only_b", "changed"), map(list, names), strict=True)),
    }


def _commits_as_json(commits: Between | NotHere | None) -> dict[str, Any] | None:
    if not isinstance(commits, Between):
        return None
    return {"only_a": _some_as_json(commits.only_a), "only_b": _some_as_json(commits.only_b)}


def _some_as_json(commits: Commits) -> dict[str, Any]:
    return {"count": commits.count, "newest": [{"commit": each.hash, "subject": each.subject} for each in commits.shown]}


def show(diff: Diff, console: Console) -> None:
    lay(console, lambda _width: render(diff))


def render(diff: Diff) -> RenderableType:
    """The differences, a line that counts what is the same, and what was committed in between."""
    differing = [each for each in diff.comparison.functions if each.difference is not Difference.SAME]
    same = len(diff.comparison.functions) - len(differing)
    told: list[RenderableType] = [Text.assemble(_title(diff.a), " and ", _title(diff.b), f" of service {diff.service}")]
    if differing:
        told += ["", _table(diff, differing), ""]
    told.append(Text(f"{counted(same, 'function')} the same." if differing else _all_the_same(same)))
    if (template := _template(diff)) is not None:
        told.append(Text(template))
    # A long subject is cut at a terminal's edge, as git cuts it; a file gets it whole.
    return Group(*told, *(Text(line, no_wrap=line.startswith("  "), overflow="ellipsis") for line in _history(diff)))


def _title(side: ReadSide) -> Text:
    if side.stage is None:
        return Text(side.name, style="bold")
    mixed = ", MIXED: what is really served is compared" if side.stage.mixed else ""
    return Text.assemble((side.name, "bold"), f" ({named(side.release)}{mixed})")


def _all_the_same(count: int) -> str:
    return f"No difference: {counted(count, 'function')}, all the same." if count else "Neither has any function."


def _table(diff: Diff, differing: Sequence[Compared]) -> RenderableType:
    stages = [side for side in (diff.a, diff.b) if side.stage is not None]
    # Two homes under one name are told apart by the functions' own names.
    names = Counter(each.function for each in diff.comparison.functions)
    laid = table("function", "differs", *(side.name for side in stages))
    for each in differing:
        name = Text(each.function, style="bold")
        if names[each.function] > 1:
            name.append(f" ({each.arn.rpartition(':')[2]})", style="dim")
        versions = [_version(part) for part, side in ((each.a, diff.a), (each.b, diff.b)) if side.stage is not None]
        laid.add_row(name, _told(diff, each), *versions)
    return laid


def _version(part: Part | None) -> str:
    return "-" if part is None else f"{part.version} (kept)" if part.kept else f"{part.version}"


_STYLES = {Difference.ONLY_A: "red", Difference.ONLY_B: "green", Difference.UNKNOWN: "red"}


def _told(diff: Diff, compared: Compared) -> Text:
    words: Mapping[Difference, str] = {
        Difference.CODE: "code",
        Difference.CONFIGURATION: "configuration",
        Difference.CODE_AND_CONFIGURATION: "code and configuration",
        Difference.ONLY_A: f"only in {diff.a.name}",
        Difference.ONLY_B: f"only in {diff.b.name}",
        Difference.UNKNOWN: "not known: what a version carries is not on record",
    }
    members = _members(diff.configurations.get(compared.arn), diff.a.name, diff.b.name)
    told = Text(words[compared.difference], style=_STYLES.get(compared.difference, "yellow"))
    return Text("\n").join([told, *(Text(f"  {line}") for line in members)])


def _members(told: ConfigurationDifference | str | None, a: str, b: str) -> list[str]:
    match told:
        case None:
            return []
        case str():
            return [f"what differs is not known: {clean(told)}"]
        case ConfigurationDifference(members=members, variables=variables):
            lines = [f"{each.name}: {_value(each.a)} → {_value(each.b)}" for each in members]
            if variables is not None:
                told_of = ((f"only {a}", variables.only_a), (f"only {b}", variables.only_b), ("other value", variables.changed))
                lines.append("Environment: " + "; ".join(f"{of}: {_names(names)}" for of, names in told_of if names))
            return lines
    return []


def _names(names: Sequence[str]) -> str:
    return ", ".join(map(clean, names))


def _value(value: str | None) -> str:
    return "none" if value is None else clean(value)


def _template(diff: Diff) -> str | None:
    match diff.comparison.template:
        case None:
            return None
        case Difference.SAME:
            return "The template declares the same."
        case Difference.ONLY_A:
            return f"Only {diff.a.name} is from a template."
        case Difference.ONLY_B:
            return f"Only {diff.b.name} is from a template."
        case _:
            return "What the template declares differs."


def _history(diff: Diff) -> list[str]:
    """What was committed in between; why that is not known, where somebody could wonder."""
    unknown = [side.name for side in (diff.a, diff.b) if side.source is None]
    if unknown:
        return ["", f"From which commit {' and '.join(unknown)} came is not on record."]
    match diff.commits:
        case Between(only_a=only_a, only_b=only_b):
            if not (only_a.count or only_b.count):
                return ["", f"Both are from commit {_commit(diff.a)}."] if _commit(diff.a) == _commit(diff.b) else _from(diff)
            return [*_listed(diff.a, only_a), *_listed(diff.b, only_b)]
        case NotHere():
            return [*_from(diff), "This checkout does not have both; `git fetch` may bring what is missing."]
        case None:
            return _from(diff)


def _from(diff: Diff) -> list[str]:
    return ["", f"{diff.a.name} is from commit {_commit(diff.a)}, {diff.b.name} from {_commit(diff.b)}."]


def _commit(side: ReadSide) -> str:
    commit = None if side.source is None else side.source.commit
    return "-" if commit is None else shown(commit)


def _listed(side: ReadSide, commits: Commits) -> list[str]:
    if not commits.count:
        return []
    more = commits.count - len(commits.shown)
    lines = [f"  {each.hash} {clean(each.subject)}" for each in commits.shown]
    return ["", f"{counted(commits.count, 'commit')} only in {side.name}:", *lines, *([f"  and {more} more"] if more else [])]
