"""The server's own guard: the layer is for one version of ministack."""

from __future__ import annotations

from stagekeeper.embedded.server import MINISTACK_VERSION, version_refusal


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
