"""How a function of the example finds out its stage: by the end of the ARN that was called."""

from __future__ import annotations

import importlib.util
from types import ModuleType, SimpleNamespace

import pytest

from .shop import EXAMPLE

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:shop-Orders-1A2B3C"


@pytest.fixture(scope="module")
def stage_values() -> ModuleType:
    """The module from the folder that is zipped, which is no package."""
    spec = importlib.util.spec_from_file_location("stage_values", EXAMPLE / "src" / "stage_values.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("called", "stage"),
    [
        (f"{ARN}:prod", "prod"),
        (f"{ARN}:Jane_s-2", "Jane_s-2"),
        (ARN, "local"),
        (f"{ARN}:$LATEST", "local"),
        (f"{ARN}:17", "local"),
    ],
)
def test_the_stage_is_the_alias_and_without_one_the_default(
    stage_values: ModuleType, monkeypatch: pytest.MonkeyPatch, called: str, stage: str
) -> None:
    monkeypatch.setenv("DEFAULT_STAGE", "local")

    assert stage_values.stage_of(SimpleNamespace(invoked_function_arn=called)) == stage
