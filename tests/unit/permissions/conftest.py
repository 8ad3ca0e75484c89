"""One recording of all stories, and the stack whose policies it is compared with."""

from __future__ import annotations

import pytest
from moto import mock_aws

from .handlers import load_definition, roles_of_handlers
from .policies import Grant, grants
from .recorder import Call
from .stories import PARAMETERS, needed
from .template import Stack, load


@pytest.fixture(scope="package")
def stack() -> Stack:
    """The project's own template, its parameters bounded as narrowly as the stories allow."""
    return Stack(load(), **PARAMETERS)


@pytest.fixture(scope="package")
def granted(stack: Stack) -> list[Grant]:
    return grants(stack)


@pytest.fixture(scope="package")
def roles(stack: Stack) -> dict[str, str]:
    """State, or what a rule calls -> its handler's role."""
    return roles_of_handlers(stack.template, load_definition())


@pytest.fixture(scope="session")
def calls() -> list[Call]:
    """Everything that the handlers needed, in all stories."""
    with mock_aws():
        return needed()
