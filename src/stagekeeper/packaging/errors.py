"""Why a checkout could not be packaged."""

from __future__ import annotations


class PackagingFailed(Exception):
    """``str()`` of it is the sentence to show: what, to what, and what to do now."""


class NothingThere(PackagingFailed):
    """A path leads to nothing. What to do about it depends on who makes what should be there, so the sentence does not say it."""
