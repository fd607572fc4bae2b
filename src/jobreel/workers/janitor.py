"""The janitor: removes what dead processes left behind, at start and once an hour."""

import asyncio
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from jobreel.core.artifact_store import ArtifactStore
from jobreel.core.errors import JobreelError
from jobreel.core.ledger import Ledger
from jobreel.workers import loops

EVERY_SECONDS = 3600.0
log = structlog.get_logger("jobreel.janitor")


class Janitor:
    """See the module. `scratch` holds one folder per worker; `lives` says whose owner is alive."""

    def __init__(self, ledger: Ledger, store: ArtifactStore, scratch: Path, lives: Callable[[str], bool]) -> None:
        self._ledger, self._store, self._scratch, self._lives = ledger, store, scratch, lives
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin a round at once, so that a restart after a crash ends clean. Call it after the rescue: until
        then, files of a dead worker's attempts may still be waited for.
        """
        self._loop = loops.begin("janitor", self._rounds)

    def stop(self) -> None:
        if self._loop is not None:
            self._loop.cancel()

    async def round(self) -> None:
        with suppress(JobreelError, OSError):
            folders = await asyncio.to_thread(self._sweep_scratch)
            files = await self._store.sweep(self._ledger.known_keys)
            if folders or files:
                log.info("swept", scratch_folders=folders, files=files)

    async def _rounds(self) -> None:
        await self.round()
        await asyncio.sleep(EVERY_SECONDS)

    def _sweep_scratch(self) -> int:
        dead = [folder for folder in self._scratch.iterdir() if not self._lives(folder.name)]
        for folder in dead:
            shutil.rmtree(folder, ignore_errors=True)
        return len(dead)
