"""A receiver of webhooks that takes everything, says nothing and costs next to nothing."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import cast

import uvloop

from bench.service import HOST

TAKEN = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"


class _Taking(asyncio.Protocol):
    """One webhook on one connection, as the sender sends them: the answer follows the end of its body."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own kind
        self._came = b""

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, end, body = self._came.partition(b"\r\n\r\n")
        if end and len(body) >= int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]):
            self._transport.write(TAKEN)
            self._transport.close()


@contextmanager
def receiver() -> Iterator[str]:
    """The address of a receiver that listens while the block runs."""
    loop = uvloop.new_event_loop()
    listener = socket.create_server((HOST, 0), backlog=256)
    server = loop.run_until_complete(loop.create_server(_Taking, sock=listener))
    thread = Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"http://{HOST}:{listener.getsockname()[1]}/done"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.close()
