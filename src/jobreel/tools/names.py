"""Names: which addresses a host name stands for, asked of the system's resolver."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future

LOOKUPS_AT_ONCE = 64

Resolve = Callable[[str, int], Awaitable[list[str]]]

_room = threading.BoundedSemaphore(LOOKUPS_AT_ONCE)


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of `host`, the system's favourite first. Raises `socket.gaierror` where there are none.

    Each lookup has a daemon thread of its own: the resolver cannot be interrupted, and one that hangs
    must hold up neither another lookup nor the end of this process.
    """
    if not _room.acquire(blocking=False):
        raise socket.gaierror(socket.EAI_AGAIN, "too many lookups at once")
    answer: Future[list[str]] = Future()
    answer.set_running_or_notify_cancel()  # whoever gives up waiting cannot cancel it under the thread
    threading.Thread(target=_look_up, args=(host, port, answer), name="lookup", daemon=True).start()
    return await asyncio.wrap_future(answer)


def _look_up(host: str, port: int, answer: Future[list[str]]) -> None:
    try:
        try:
            # Bytes, because for text Python would apply its own, older rules for international names.
            found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
        finally:
            _room.release()  # before the answer: whoever gets it may look up the next name at once
    except OSError as error:
        answer.set_exception(error)
    else:
        answer.set_result(list(dict.fromkeys(str(entry[4][0]) for entry in found)))
