"""Every request counts as sent over TLS: AWS's endpoints take nothing else, so its templates may deny what is not.

Here the transport is plain HTTP on loopback; without this, a bucket policy that denies aws:SecureTransport "false", as
AWS's own guidance asks for, would deny everything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stagekeeper.embedded.fidelity.patching import wrap


def install(app: Any) -> None:
    """Patch the name that ministack's front door calls for each request."""

    def make(pin: Callable[[str, bool], None]) -> Callable[[str, bool], None]:
        def pin_as_secure(source_ip: str, _secure_transport: bool) -> None:
            pin(source_ip, True)

        return pin_as_secure

    wrap(app, "pin_request_origin", make)
