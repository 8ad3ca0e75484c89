"""A moment as somebody types it: so long ago (``10m``), or a date and time. Must not know what the moment is of."""

from __future__ import annotations

import re
from datetime import datetime

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_AGO = re.compile(rf"(\d{{1,9}})([{''.join(_SECONDS)}])")

FORMS = (
    "10m, 2h or 3d for so long ago, or a date and time such as 2026-11-20T10:00 (as the clock here has it) or 2026-11-20T09:00Z"
)


def moment(text: str, now: float) -> float:
    """Epoch seconds. Raises ValueError with a sentence."""
    ago = _AGO.fullmatch(text.strip())
    if ago is not None:
        return max(0.0, now - int(ago[1]) * _SECONDS[ago[2]])
    try:
        # Without an offset it is the time on the wall here.
        seconds = datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text} is no moment. Say {FORMS}.") from None
    if seconds < 0:
        raise ValueError(f"{text} is before 1970, when computers' time begins.")
    return seconds
