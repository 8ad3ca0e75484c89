"""Teardowns: of a stage with what only it reached, of a whole service; what holds them up, and what they leave to others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .conftest import NewService
from .evidence import everything, refused
from .plane import unique
from .service import Service, zip_of

Lines = list[tuple[str, str, str | None, str | None]]


def lines(output: dict[str, Any]) -> Lines:
    return [(line["function"], line["action"], line["before"], line["after"]) for line in output["changes"]]


def entries(output: dict[str, Any], which: str) -> dict[str, str]:
    """The versions of a service of one function that a sweep deleted or kept, each with the reason."""
    return {entry["version"]: entry["reason"] for entry in output["sweep"][which]}


def publish_as_stranger(service: Service, logical: str, text: str) -> str:
    """Somebody else publishes a version; its number."""
    updated = service.plane.client("lambda").update_function_code(
        FunctionName=service.functions[logical], ZipFile=zip_of(text), Publish=True
    )
    return str(updated["Version"])


# A stage.


def test_a_stage_goes_with_the_versions_that_only_it_reached(new_service: NewService) -> None:
    """dev had r1 to r4, qa once had r3, prod serves r1. Grace and keep would keep everything: they do not count here."""
    service = new_service("a")
    for text in ("one", "two", "three", "four"):
        service.deploy_text("dev", text)
    service.does("clone", "prod", from_={"stage": "dev"})
    service.does("reset", "prod", to={"release": 1})
    service.does("reset", "qa" if service.record("qa") else "prod", to={"release": 1})
    service.deploy_text("qa", "three")
    service.deploy_text("qa", "one")
    planned = service.does("teardown", "dev", dry_run=True)

    output = service.does("teardown", "dev", reason="no longer needed", actor="jane")

    assert (output["outcome"], output["operation"], output["stage"]) == ("succeeded", "teardown", "dev")
    assert (output["release"], output["previous_release"]) == (None, 4)
