"""The checkout that this package runs from: the embedded AWS builds and deploys its template. Knows nothing of what is in it."""

from __future__ import annotations

from pathlib import Path

from stagekeeper.embedded.errors import EmbeddedError


def checkout() -> Path:
    """Its root. Raises EmbeddedError for an installed copy, which has no template to deploy."""
    found = checkout_or_none()
    if found is None:
        raise EmbeddedError("`stagekeeper local` works in a checkout of Stagekeeper only; this is an installed copy.")
    return found


def checkout_or_none() -> Path | None:
    root = Path(__file__).resolve().parents[3]
    return root if (root / "src" / "stagekeeper").is_dir() and (root / "template.yaml").exists() else None
