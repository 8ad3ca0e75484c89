"""What can go wrong with an embedded AWS, in words for whoever asked for it. Knows nothing of how one is run."""

from __future__ import annotations


class EmbeddedError(Exception):
    """Something a person can act on; `str()` of it is the sentence to show them."""


class PortBusy(EmbeddedError):
    """The port is taken, by whomever."""


class KeptStateUnusable(EmbeddedError):
    """The kept state was written by another version, or is damaged."""
