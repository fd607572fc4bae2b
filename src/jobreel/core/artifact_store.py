"""The contract of the artifact store: where produced and uploaded files are kept."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from pathlib import Path
from typing import Protocol

from jobreel.core.artifact import Artifact

KnownKeys = Callable[[Collection[str]], Awaitable[set[str]]]


class ArtifactStore(Protocol):
    """Files by key. What it returned is on disk, folder entries included, before it returned."""

    async def keep(
        self, source: Path, *, job_id: str, attempt: int, name: str, content_type: str | None, caller: str
    ) -> Artifact:
        """Keep a finished scratch file of an attempt. Nobody sees it until the ledger refers to it.

        Raises `TooLarge`, `ScratchFull`, `UnsupportedMedia` where `source` is no plain file.
        """
        ...

    async def receive(
        self,
        chunks: AsyncIterator[bytes],
        *,
        name: str,
        content_type: str | None,
        caller: str,
        max_bytes: int,
    ) -> Artifact:
        """Keep an upload, streamed. Raises `BodyTooLarge`, `DiskFull`; then nothing is left behind."""
        ...

    def path(self, artifact: Artifact) -> Path:
        """Where its bytes are. Raises `NotFound` where they are gone."""
        ...

    async def discard(self, artifact: Artifact) -> None:
        """Remove a file that will never be referred to."""
        ...

    async def sweep(self, known_keys: KnownKeys) -> int:
        """Remove files that the ledger does not refer to: left by a process that died. Returns how many."""
        ...
