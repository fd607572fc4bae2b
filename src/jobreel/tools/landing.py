"""Landing: the final answer to a fetch becomes a file, or the reason why there is none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpcore2

from jobreel.core.errors import SourceBroken, SourceForbidden, SourceNotMedia, SourceUnreachable
from jobreel.tools.incoming import STEP, FetchLimits, Incoming, Unpacked
from jobreel.tools.messages import header, suggested_name
from jobreel.tools.sources import SHARE_A_FILE, site_hint, what_came
from jobreel.tools.urls import HttpUrl

FORBIDDEN = frozenset({401, 403, 407, 451})
PASSING = frozenset({202, 408, 425, 429})  # beside 5xx: the same request may succeed later

Progress = Callable[[int, int | None], None]  # bytes received, bytes announced


@dataclass(frozen=True, slots=True)
class Fetched:
    """A source on disk. `name` is what its server calls it: good for guessing an extension, no more."""

    path: Path
    size_bytes: int
    content_type: str | None
    name: str | None


@dataclass(frozen=True, slots=True)
class Errand:
    """What one fetch was sent out for."""

    into: Path
    limits: FetchLimits
    progress: Progress | None


async def land(response: httpcore2.Response, trail: Sequence[HttpUrl], errand: Errand) -> Fetched:
    """Write the body of a final answer to disk. `trail`: the addresses from the asked one to this one."""
    source, content_type = trail[0].shown, header(response, "content-type")
    _check_status(response.status, trail)

    def look(head: bytes) -> None:
        if came := what_came(head, content_type, reversed(trail)):
            raise SourceNotMedia(f"At {source} there is {came.what}, not a media file.", step=STEP, hint=came.hint)

    unpacked = Unpacked((header(response, "content-encoding") or "").strip().lower(), source)
    announced = _announced(response)
    with Incoming(errand.into, source, errand.limits, look) as file:
        file.expect(announced or 0)
        async for data in response.aiter_stream():
            for piece in unpacked.pieces(data):
                file.take(piece)
            if errand.progress is not None:
                errand.progress(file.size_bytes, None if unpacked.grows else announced)
        unpacked.finish()
        file.finish()
    return Fetched(errand.into, file.size_bytes, content_type, suggested_name(response, trail))


def _check_status(status: int, trail: Sequence[HttpUrl]) -> None:
    """Raise what an answer means that is not the file."""
    if status in {200, 203, 204, 206}:
        return
    source, hint = trail[0].shown, site_hint(reversed(trail)) or SHARE_A_FILE
    if status in FORBIDDEN:
        raise SourceForbidden(
            f"{source} is not open to us: the server answered {status}.",
            step=STEP,
            hint=f"{hint} A protected source needs its request headers, and a pre-signed link may have expired.",
        )
    if status in {404, 410}:
        raise SourceBroken(f"There is no file at {source}: the server answered {status}.", step=STEP, hint=hint)
    kind = SourceUnreachable if status >= 500 or status in PASSING else SourceBroken
    raise kind(f"{source} could not be fetched: the server answered {status}.", step=STEP)


def _announced(response: httpcore2.Response) -> int | None:
    """How many bytes the server says it will send. h11 has checked that it is a number."""
    length = header(response, "content-length")
    return None if length is None or header(response, "transfer-encoding") else int(length)
