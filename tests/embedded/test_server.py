"""The server's own guards: the layer is for one version of ministack, and why a port cannot be had."""

from __future__ import annotations

import errno

import pytest

from stagekeeper.embedded.server import EXIT_PORT_BUSY, EXIT_PORT_REFUSED, MINISTACK_VERSION, port_exit, version_refusal


def test_the_version_it_was_written_for_is_accepted() -> None:
    assert version_refusal(MINISTACK_VERSION) is None


def test_another_version_is_refused_naming_both() -> None:
    refusal = version_refusal("1.5.34")

    assert refusal is not None
    assert MINISTACK_VERSION in refusal
    assert "1.5.34" in refusal


def test_no_ministack_at_all_is_refused() -> None:
    refusal = version_refusal(None)

    assert refusal is not None
    assert "no ministack" in refusal


@pytest.mark.parametrize(("reason", "code"), [(errno.EADDRINUSE, EXIT_PORT_BUSY), (errno.EACCES, EXIT_PORT_REFUSED)])
def test_a_port_that_is_not_for_us_is_not_called_busy(reason: int, code: int) -> None:
    assert port_exit(OSError(reason, "no")) == code
