"""A template or a functions map with what it points at on disk, as artifacts, and itself as one that points at those.

Reads, writes one file into the caller's scratch folder, and calls nothing: the same checkout gives the same keys, wherever it is
packaged. Must not know what is in the bucket already, nor what a deploy is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stagekeeper.domain.split_model import Path as Members
from stagekeeper.domain.split_model import Problem, Source, Unsplittable
from stagekeeper.packaging.archive import CodeOnDisk, Content, content_of
from stagekeeper.packaging.artifact import Artifact, artifact
from stagekeeper.packaging.errors import NothingThere, PackagingFailed
from stagekeeper.packaging.local import Form, Kind, Pointer, local
from stagekeeper.packaging.rewrite import rewritten
from stagekeeper.template.macros import macro_problems
from stagekeeper.template.read import read


@dataclass(frozen=True, slots=True)
class Packaged:
    """All that has to be in the bucket, the document (template or functions map) last."""

    bucket: str
    artifacts: tuple[Artifact, ...]

    @property
    def document(self) -> Artifact:
        return self.artifacts[-1]

    @property
    def place(self) -> dict[str, str]:
        """Where the document will be, as ``template`` and ``functions`` of a request name it."""
        return {"s3_bucket": self.bucket, "s3_key": self.document.key}


def package_template(template: Path, *, service: str, bucket: str, scratch: Path, built: bool = False) -> Packaged:
    """The template of that file; its paths are relative to its folder. ``built``: just now. Raises PackagingFailed.

    Every line of the uploaded text stands where it stands in the file, so what is said of a line holds for the file.
    """
    text = _text(template, built=built)
    source = _source(template, text)
    found = local(source)
    problems = (*macro_problems(source), *found.problems)
    if problems:
        raise _refusal(template, problems)
    codes = CodeOnDisk()
    made = {pointer: _pointed_at(pointer, template, source, codes, service, built=built) for pointer in found.pointers}
    values = {pointer.path: _value(pointer.form, bucket, one.key) for pointer, one in made.items()}
    document = scratch / ("template.json" if template.suffix.lower() == ".json" else "template.yaml")
    _write(document, _with(template, text, source, values))
    whole = artifact(f"template {template.name}", service, content_of(document), document.suffix[1:])
    return Packaged(bucket, _each_once((*made.values(), whole)))


def package_functions(
    functions: Mapping[str, Mapping[str, Any]],
    folder: Path,
    *,
    service: str,
    bucket: str,
    scratch: Path,
    built: bool = False,
) -> Packaged:
    """``functions`` as requests have them, but that ``code`` may be a path: of a folder or an archive, relative to ``folder``.

    ``built``: just now. Raises PackagingFailed.
    """
    codes = CodeOnDisk()
    made: list[Artifact] = []
    document: dict[str, Any] = {}
    for name, function in functions.items():
        code = function.get("code")
        document[name] = dict(function)
        if isinstance(code, str):
            with _about(f"code of {name}", "its `code` in the project file", built=built):
                one = artifact(f"code of {name} ({code})", service, codes.of(folder / code), "zip")
            made.append(one)
            document[name]["code"] = {"s3_bucket": bucket, "s3_key": one.key}
            if isinstance(one.source, Content):
                # Of a folder's zip it is not known before it is in the bucket, and there it may be another machine's.
                document[name]["code"]["sha256"] = one.source.sha256.hex()
    path = scratch / "functions.json"
    _write(path, json.dumps(document, sort_keys=True))
    return Packaged(bucket, _each_once((*made, artifact("functions", service, content_of(path), "json"))))


# --- a template


def _text(template: Path, *, built: bool) -> str:
    try:
        return template.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        advice = "The build has run and left none there: mend" if built else "Build first, or mend"
        raise PackagingFailed(f"There is no template {template}. {advice} its path in the project file.") from None
    except OSError as error:
        raise PackagingFailed(f"The template {template} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise PackagingFailed(f"The template {template} is no text in UTF-8: byte {error.start} is none of it.") from None


def _source(template: Path, text: str) -> Source:
    source = read(text)
    if isinstance(source, Unsplittable):
        raise _refusal(template, source.problems)
    return source


def _refusal(template: Path, problems: Iterable[Problem]) -> PackagingFailed:
    said = [
        f"{template}{'' if problem.line is None else f', line {problem.line}'}: {problem.sentence}"
        for problem in sorted(problems, key=lambda problem: problem.line or 0)
    ]
    return PackagingFailed("\n".join(said))


def _pointed_at(pointer: Pointer, template: Path, source: Source, codes: CodeOnDisk, service: str, *, built: bool) -> Artifact:
    member, users = pointer.path[-1], ", ".join(pointer.users)
    path = template.parent / pointer.value
    with _about(f"{template}, line {source.lines.get(pointer.path)}: {member} of {users}", member, built=built):
        if pointer.kind is Kind.ZIP:
            return artifact(f"{member} of {users} ({pointer.value})", service, codes.of(path), "zip")
        if not path.is_file():
            raise PackagingFailed(f"{path} is no file. Mend the path.")
        suffix = "json" if path.suffix.lower() == ".json" else "yaml"
        return artifact(f"{member} of {users} ({pointer.value})", service, content_of(path), suffix)


def _value(form: Form, bucket: str, key: str) -> Any:
    match form:
        case Form.URI:
            return f"s3://{bucket}/{key}"
        case Form.PLACE:
            return {"Bucket": bucket, "Key": key}
        case Form.CODE:
            return {"S3Bucket": bucket, "S3Key": key}


def _with(template: Path, text: str, source: Source, values: Mapping[Members, Any]) -> str:
    """The text with these values, after a look whether it says that and nothing else."""
    changed = rewritten(text, values)
    expected = source.body
    for path, value in values.items():
        expected = _replaced(expected, path, value)
    if _apart_from_metadata(_source(template, changed).body) != _apart_from_metadata(expected):
        raise PackagingFailed(
            f"{template}: a path in it is shared, by a YAML alias, with members that do not hold the same code in the same form. "
            "Write those members out."
        )
    return changed


def _replaced(value: Mapping[str, Any], path: Members, new: Any) -> Mapping[str, Any]:
    first, *deeper = path
    return {**value, first: _replaced(value[first], tuple(deeper), new) if deeper else new}


def _apart_from_metadata(body: Mapping[str, Any]) -> dict[str, Any]:
    """Where people keep what their aliases stand for."""
    return {name: value for name, value in body.items() if name != "Metadata"}


# --- files


@contextmanager
def _about(what: str, member: str, *, built: bool) -> Iterator[None]:
    try:
        yield
    except NothingThere as failure:
        advice = f"The build has run and made nothing there: mend {member}." if built else f"Build first, or mend {member}."
        raise PackagingFailed(f"{what}: {failure} {advice}") from None
    except PackagingFailed as failure:
        raise PackagingFailed(f"{what}: {failure}") from None


def _write(path: Path, text: str) -> None:
    # The same bytes on every system.
    path.write_text(text, encoding="utf-8", newline="\n")


def _each_once(artifacts: Iterable[Artifact]) -> tuple[Artifact, ...]:
    """Of those with the same content the first; the last stays the last."""
    found: dict[str, Artifact] = {}
    for each in artifacts:
        found.setdefault(each.key, each)
    return tuple(found.values())
