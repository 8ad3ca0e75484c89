"""`deploy` from a checkout: build, package, upload, and the request that names what was uploaded.

How things are packaged is the package packaging's; what the stage is and how it is followed, operating.py's. A dry run does the
same up to the start, since the control plane reads code from S3.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from stagekeeper.cli import operating, requests
from stagekeeper.cli.endings import CommandFailed, misuse
from stagekeeper.cli.live import Beside
from stagekeeper.cli.operating import At
from stagekeeper.cli.options import How, StageAsk
from stagekeeper.cli.project import NAME, Project, ProjectFunction
from stagekeeper.cli.requests import Content, Request
from stagekeeper.cli.session import Session
from stagekeeper.domain.model import LogicalName
from stagekeeper.packaging.build import build
from stagekeeper.packaging.package import Packaged, package_functions, package_template
from stagekeeper.packaging.upload import total_work, upload, upload_client


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options of `deploy` said, but for those that say which stage."""

    service: str | None = None
    template: Path | None = None
    build: bool = True
    functions: Sequence[str] = ()
    partial: bool = False
    parameters: Sequence[str] = ()
    variables: Sequence[str] = ()
    allow_shared: Sequence[str] = ()
    release_only: bool = False
    on_drift: str | None = None
    accept_unqualified_callers: bool = False
    if_release: str | None = None


@dataclass(frozen=True, slots=True)
class TemplateSource:
    """A template is to be deployed. ``build`` is the command that makes it, run in ``folder``; empty without one."""

    folder: Path
    template: Path
    build: tuple[str, ...] = ()

    def package(self, service: str, bucket: str, scratch: Path) -> Packaged:
        return package_template(self.template, service=service, bucket=bucket, scratch=scratch, built=bool(self.build))

    def content(self, place: Mapping[str, str], parameters: Mapping[str, str], allow_shared: Sequence[str]) -> Content:
        return Content(template=place, parameters=parameters, allow_shared=allow_shared)


@dataclass(frozen=True, slots=True)
class FunctionsSource:
    """Functions are: as a request has them, but that ``code`` may be a path. ``build`` is the command that makes their code."""

    folder: Path
    functions: Mapping[str, Mapping[str, Any]]
    build: tuple[str, ...] = ()

    def package(self, service: str, bucket: str, scratch: Path) -> Packaged:
        return package_functions(
            self.functions, self.folder, service=service, bucket=bucket, scratch=scratch, built=bool(self.build)
        )

    def content(self, place: Mapping[str, str], parameters: Mapping[str, str], allow_shared: Sequence[str]) -> Content:
        return Content(functions=place, parameters=parameters, allow_shared=allow_shared)


Source = TemplateSource | FunctionsSource


def deploy(session: Session, how: How, ask: StageAsk, asked: Asked) -> None:
    """Raises typer.Exit with the operation's exit code, CommandFailed and PackagingFailed where it is not even started."""
    # As it is before a connection is settled: a build may need the person's own credentials, also for the embedded AWS.
    environ = dict(os.environ)
    source = source_of(operating.project_of(session, asked.service), asked)
    at = _at(session, how, ask, asked)
    # Whatever is wrong with names and values is told before anything is built.
    operating.check(_request(session, asked, at, source, _PLACE), _draft(source))
    bucket = session.plane.bucket
    if source.build:
        session.note(f"Building in {source.folder}: {' '.join(source.build)}")
        build(source.build, source.folder, environ, quiet=session.as_json)
    with tempfile.TemporaryDirectory(prefix="stagekeeper-") as scratch:
        packaged = source.package(at.head.service or "", bucket, Path(scratch))
        request = _request(session, asked, at, source, packaged.place)
        document = packaged.document.source.path.read_bytes()
        operating.check(request, document)
        _upload(session, packaged)
    operating.run(session, how, request, document, Beside(_outputs(session, how, asked, at, source), _files(source, packaged)))


def _files(source: Source, packaged: Packaged) -> dict[str, str]:
    """The template here by its address: refusals name the address, and people mend the file."""
    if not isinstance(source, TemplateSource):
        return {}
    place = packaged.place
    return {f"s3://{place['s3_bucket']}/{place['s3_key']}": _from_here(source.template)}


def _from_here(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _outputs(session: Session, how: How, asked: Asked, at: At, source: Source) -> str | None:
    """Where the addresses are that a template made."""
    if how.dry_run or at.head.stage is None or not isinstance(source, TemplateSource):
        return None
    service = () if asked.service is None else ("--service", asked.service)
    return f"Outputs: {session.again('outputs', '--stage', at.stage, *service)}"


#: Stands in the request until it is known where things lie.
_PLACE = {"s3_bucket": "not-known-yet", "s3_key": "not-known-yet"}


def _draft(source: Source) -> bytes:
    """The document of functions without the code that is not packaged yet, for a look at its form."""
    if isinstance(source, TemplateSource):
        return b"{}"
    paths = {name for name, function in source.functions.items() if isinstance(function.get("code"), str)}
    known = {
        name: {key: value for key, value in function.items() if not (key == "code" and name in paths)}
        for name, function in source.functions.items()
    }
    return json.dumps(known).encode()


def source_of(project: Project | None, asked: Asked) -> Source:
    """What is to be deployed: what was named, else the project's. Raises CommandFailed where nothing is."""
    if asked.template is not None:
        if asked.functions:
            raise misuse("--function and --template do not go together: a template is the whole service.")
        template = asked.template.absolute()
        return TemplateSource(template.parent, template)
    if project is None:
        of_service = f" of service {asked.service}" if asked.service else ""
        raise CommandFailed(
            f"There is nothing to deploy: no {NAME}{of_service} here or in a folder above. Write one with `stagekeeper init`, "
            "name it with --project, or say --service and --template."
        )
    command = project.build if asked.build else ()
    if project.built_template is not None:
        if asked.functions:
            raise misuse(f"--function goes with functions; {project.path} has a template, which is the whole service.")
        return TemplateSource(project.folder, project.built_template, command)
    functions = _chosen(project, project.functions or {}, asked.functions)
    return FunctionsSource(project.folder, {name: _wish(each) for name, each in functions.items()}, command)


def _chosen(
    project: Project, functions: Mapping[LogicalName, ProjectFunction], named: Sequence[str]
) -> Mapping[LogicalName, ProjectFunction]:
    unknown = [name for name in named if name not in functions]
    if unknown:
        raise misuse(f"{project.path} has no function {unknown[0]}. It has {', '.join(functions)}.")
    return {name: each for name, each in functions.items() if not named or name in named}


def _wish(function: ProjectFunction) -> dict[str, Any]:
    wish: dict[str, Any] = {"function_name": function.function_name}
    code = function.image if function.code is None else str(function.code)
    if code is not None:
        wish["code"] = code
    if function.configuration is not None:
        wish["configuration"] = function.configuration
    return wish


def _at(session: Session, how: How, ask: StageAsk, asked: Asked) -> At:
    if not asked.release_only:
        at = operating.at_chosen(session, how, asked.service, ask, named_in_ci=False, if_release=asked.if_release)
    else:
        of_a_stage = {
            "--stage": ask.stage is not None,
            "--from-branch": ask.from_branch,
            "--if-release": asked.if_release is not None,
            "--variable": bool(asked.variables),
            "--function": bool(asked.functions),
            "--partial": asked.partial,
        }
        for option, is_there in of_a_stage.items():
            requests.one_of({"--release-only": True, option: is_there})
        at = operating.at_service(session, how, session.service(asked.service), ask)
    origin = operating.origin_of(at.checkout, deployed=True)
    if origin.commit != at.checkout.commit:
        session.note(f"The checkout is not as committed; the ledger will say {origin.commit}.")
    return replace(at, head=replace(at.head, origin=origin))


def _request(session: Session, asked: Asked, at: At, source: Source, place: Mapping[str, str]) -> Request:
    variables = None
    if at.head.stage is not None:
        variables = requests.variables_of(operating.project_variables(session, at), asked.variables)
    parameters = {**operating.project_parameters(session, at), **requests.pairs("--parameter", asked.parameters)}
    return requests.deploy(
        at.head,
        source.content(place, parameters, asked.allow_shared),
        variables=variables,
        partial=asked.partial or bool(asked.functions),
        on_drift=asked.on_drift,
        accept_unqualified_callers=asked.accept_unqualified_callers,
    )


# Uploading.


def _upload(session: Session, packaged: Packaged) -> None:
    with _bar(session, total_work(packaged.artifacts)) as advance:
        uploaded = upload(upload_client(), packaged.bucket, packaged.artifacts, advance)
    if not uploaded.sent:
        session.note(f"Nothing to upload: {_counted(len(uploaded.there))} there already.")
        return
    there = f", {_counted(len(uploaded.there))} there already" if uploaded.there else ""
    session.note(f"Uploaded {_counted(len(uploaded.sent))} ({_size(uploaded.size)}){there}.")


def _counted(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _size(count: int) -> str:
    """Bytes as people read them."""
    size = float(count)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{count} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


@contextmanager
def _bar(session: Session, total: int) -> Iterator[Callable[[int], None]]:
    """What is told of each piece that is zipped or sent: a bar in a terminal, on stderr; nothing elsewhere."""
    console = Console(stderr=True)
    if session.as_json or not console.is_terminal or console.is_dumb_terminal:
        yield lambda _: None
        return
    columns = (TextColumn("Uploading"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda size: progress.advance(task, size)
