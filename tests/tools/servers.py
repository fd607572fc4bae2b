"""Servers on loopback that say exactly what a test tells them to, byte for byte."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

CERTIFICATE = Path(__file__).parent / "media_test.pem"  # for media.test; made for these tests, worth nothing


@dataclass(frozen=True)
class Request:
    line: str
    headers: dict[str, str]
    body: bytes


Reply = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    host: str
    port: int
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)  # a client left while we were answering

    def url(self, target: str = "/clip.mp4", *, host: str | None = None, scheme: str = "http") -> str:
        return f"{scheme}://{host or self.host}:{self.port}{target}"


def answer(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """A well-formed answer; `content_length="..."` and the like replace what is there."""
    fields = {"content-length": str(len(body))} | {name.replace("_", "-"): text for name, text in headers.items()}
    head = "".join(f"{name}: {text}\r\n" for name, text in fields.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    return answer(status=status, location=location)


def saying(*replies: bytes) -> Reply:
    """Answers each request with the next of these, the last one for ever."""
    left = list(replies)

    async def reply(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])

    return reply


def dripping(head: bytes, drop: bytes, every_seconds: float = 0.02) -> Reply:
    """Sends `head`, then `drop` again and again until the client leaves."""

    async def reply(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(every_seconds)

    return reply


async def silent(_: Request, __: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def serving(
    reply: Reply, host: str = "127.0.0.2", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        server.connections += 1
        try:
            request = await _read(reader)
            server.requests.append(request)
            await reply(request, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            server.hung_up.set()
        except asyncio.CancelledError:
            pass  # the test is over; to end cancelled would only fill its log
        finally:
            writer.close()
            talks.discard(task)

    listening = await asyncio.start_server(talk, host, 0, ssl=tls)
    server = Server(host, listening.sockets[0].getsockname()[1])
    try:
        yield server
    finally:
        listening.close()
        for _ in range(5):  # what was accepted this instant gets its task, so that it can be ended
            await asyncio.sleep(0)
        for task in list(talks):
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *fields = head.removesuffix("\r\n\r\n").split("\r\n")
    headers = {name.lower(): text.strip() for name, _, text in (one.partition(":") for one in fields)}
    return Request(line, headers, await reader.readexactly(int(headers.get("content-length", 0))))
