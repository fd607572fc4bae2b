"""Answers: what a webhook's receiver said, for whoever decides whether to send it again."""

import asyncio
import contextlib
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpcore2

from jobreel.tools.messages import header

DRAIN_BYTES = 64 * 1024  # of a receiver's answer, read only so that it can finish in peace
DRAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a webhook's receiver said. `note` is a plain sentence about it."""

    status: int
    retry_after_seconds: float | None
    note: str


def read_answer(response: httpcore2.Response, now: float) -> Answer:
    """What status and headers say. `now` in seconds since the epoch, for dates in Retry-After."""
    match response.status:
        case status if 200 <= status < 300:
            note = "Delivered."
        case status if 300 <= status < 400:
            note = "The receiver redirects; give the final address."
        case 410:
            note = "The receiver wants no more of these."
        case status:
            note = f"The receiver answered {status}."
    return Answer(response.status, _retry_after(header(response, "retry-after"), now), note)


async def drain(response: httpcore2.Response) -> None:
    """Take a little of the answer: some receivers give up when nobody listens to them. It cannot fail."""
    received = 0
    with contextlib.suppress(
        TimeoutError, httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError
    ):
        async with asyncio.timeout(DRAIN_SECONDS):
            async for data in response.aiter_stream():
                received += len(data)
                if received >= DRAIN_BYTES:
                    return


def _retry_after(text: str | None, now: float) -> float | None:
    """Seconds to wait; the header has either seconds or a date (RFC 9110, section 10.2.3)."""
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return None
