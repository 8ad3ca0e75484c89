"""Why a checkout could not be packaged."""

from __future__ import annotations


class PackagingFailed(Exception):
    """``str()`` of it is the sentence to show: what, to what, and what to do now."""
