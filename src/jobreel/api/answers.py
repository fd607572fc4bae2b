"""Answers: JSON as bytes, encoded once."""

import asyncio
import contextlib
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

LINGER_SECONDS = 10.0
LINGER_BYTES = 64 * 1024 * 1024

_encode = msgspec.json.Encoder().encode


class JsonAnswer(Response):
    """Anything msgspec can encode; `msgspec.Raw` inside it is copied as it is."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return _encode(content)


class LastAnswer(JsonAnswer):
    """An answer to a request that is still being sent, and that nobody will read to its end.

    Most clients send everything before they listen, and a connection closed under them hides the answer.
    So the rest is read and thrown away, within bounds, before the connection is closed (RFC 9112, 9.6).
    """

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        self.headers["connection"] = "close"
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                await _throw_away(receive, LINGER_BYTES)
        await send({"type": "http.response.body", "body": b""})


async def _throw_away(receive: Receive, up_to_bytes: int) -> None:
    while up_to_bytes > 0:
        message = await receive()
        up_to_bytes -= len(message.get("body", b""))
        if not message.get("more_body", False):
            return
