"""Loops that go on: what a worker does for ever must not end in silence because one turn of it went wrong."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

REST_SECONDS = 1.0
log = structlog.get_logger("jobreel.loops")


def begin(name: str, turn: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
    """Take turns until cancelled."""
    return asyncio.create_task(_go_on(name, turn), name=name)


async def _go_on(name: str, turn: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await turn()
        except Exception:
            log.exception("a turn went wrong", loop=name)
            await asyncio.sleep(REST_SECONDS)
