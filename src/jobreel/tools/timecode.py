"""Positions in media as people write them, and as we answer them."""

import math
import re

_CLOCK = re.compile(r"(?:(?:(?P<hours>[0-9]+):)?(?P<minutes>[0-9]+):)?(?P<seconds>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")


def seconds(position: str | float) -> float:
    """Seconds from `H:M:S[.f]`, `M:S[.f]`, or plain seconds as text or number. Raises ValueError in plain words."""
    if isinstance(position, str):
        found = _CLOCK.fullmatch(position.strip())
        if found is None:
            raise _not_a_time(position)
        position = int(found["hours"] or 0) * 3600 + int(found["minutes"] or 0) * 60 + float(found["seconds"])
    if not math.isfinite(position) or position < 0:
        raise _not_a_time(position)
    return float(position)


def clock(position: float, decimals: int = 3) -> str:
    """`HH:MM:SS.mmm`, rounded once, so that 59.9996 s is a minute and never 60 seconds."""
    whole, fraction = divmod(round(position * 10**decimals), 10**decimals)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}.{fraction:0{decimals}}"


def _not_a_time(position: object) -> ValueError:
    return ValueError(f"must be a time like 00:01:02.500, 1:02.5 or 62.5, not {str(position)[:40]!r}")
