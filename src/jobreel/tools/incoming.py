"""An incoming file: counted against its limits, looked at, and written. It stays only if it came whole."""

import contextlib
import errno
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from jobreel.core.errors import ScratchFull, SourceBroken, SourceNotMedia, SourceUnreachable, TooLarge
from jobreel.tools.sources import SHARE_A_FILE, SNIFF_BYTES

PIECE_BYTES = 256 * 1024  # what one step of decompression may produce
LOOK_AT_DISK_EVERY = 16 * 1024 * 1024  # bytes
STEP = "fetch"


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """What one fetch may take. Connecting, each silence, and the whole have their own time limit."""

    max_bytes: int
    connect_seconds: float
    read_seconds: float
    total_seconds: float
    free_disk_floor_bytes: int  # kept free for everybody else


class Incoming:
    """A context: the file at `path` grows while it is open, and is removed unless the context ends well.

    `source` names the origin in messages; `look` gets the first bytes once and raises where they are not
    what was wanted. Raises `TooLarge`, `ScratchFull`, `SourceNotMedia`.
    """

    def __init__(self, path: Path, source: str, limits: FetchLimits, look: Callable[[bytes], None]) -> None:
        self._path, self._source, self._limits, self._look = path, source, limits, look
        self._head: bytes | None = b""  # None: looked at
        self._look_at_disk_at = LOOK_AT_DISK_EVERY
        self.size_bytes = 0

    def __enter__(self) -> Self:
        self._file = self._path.open("wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._full_disk_told():
                self._file.close()  # writes what is left in the buffer
        except BaseException:
            self._path.unlink(missing_ok=True)
            raise
        if error is not None:
            self._path.unlink(missing_ok=True)

    def expect(self, announced: int) -> None:
        """Say no before the first byte, where the announced length already tells."""
        if announced > self._limits.max_bytes:
            raise self._too_large()
        self._keep_floor(announced)

    def take(self, data: bytes) -> None:
        """Write what came."""
        self.size_bytes += len(data)
        if self.size_bytes > self._limits.max_bytes:
            raise self._too_large()
        if self.size_bytes >= self._look_at_disk_at:
            self._look_at_disk_at = self.size_bytes + LOOK_AT_DISK_EVERY
            self._keep_floor(0)
        if self._head is not None:
            self._head += data[:SNIFF_BYTES]
            if len(self._head) >= SNIFF_BYTES:
                self._look_now()
        with self._full_disk_told():
            self._file.write(data)

    def finish(self) -> None:
        """Nothing more will come."""
        if self.size_bytes == 0:
            raise SourceNotMedia(f"The file at {self._source} is empty.", step=STEP, hint=SHARE_A_FILE)
        self._look_now()

    def _look_now(self) -> None:
        head, self._head = self._head, None
        if head is not None:
            self._look(head)

    def _keep_floor(self, more_bytes: int) -> None:
        disk = os.statvfs(self._path.parent)
        if disk.f_bavail * disk.f_frsize - more_bytes < self._limits.free_disk_floor_bytes:
            raise self._scratch_full()

    @contextlib.contextmanager
    def _full_disk_told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise self._scratch_full() from error
            raise

    def _too_large(self) -> TooLarge:
        limit = self._limits.max_bytes
        return TooLarge(
            f"The file at {self._source} is larger than {limit:,} bytes.",
            step=STEP,
            hint="Send a smaller file, or ask whoever runs this service to raise the limit.",
        )

    def _scratch_full(self) -> ScratchFull:
        return ScratchFull(f"There is not enough room on the disk for {self._source}.", step=STEP)


class Unpacked:
    """Undoes a Content-Encoding that nobody asked for, in bounded pieces (RFC 9110, section 8.4.1).

    Raises `SourceBroken` for what it cannot undo.
    """

    def __init__(self, encoding: str, source: str) -> None:
        self._source = source
        if encoding not in {"", "identity", "gzip", "x-gzip", "deflate"}:
            raise SourceBroken(f"{source} comes compressed in a way that is not read here.", step=STEP)
        self._inflate = None if encoding in {"", "identity"} else _decompressor()

    @property
    def grows(self) -> bool:
        """Whether more bytes come out than went in: the announced length says nothing about the file's."""
        return self._inflate is not None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """The unpacked bytes of one chunk, at most `PIECE_BYTES` at a time."""
        if self._inflate is None:
            yield data
            return
        while data:
            try:
                piece = self._inflate.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                raise SourceBroken(f"{self._source} says it is compressed, but is not.", step=STEP) from error
            yield piece
            data = self._inflate.unconsumed_tail or self._inflate.unused_data
            if self._inflate.eof and data:
                self._inflate = _decompressor()  # gzip members may follow each other (RFC 1952, 2.2)

    def finish(self) -> None:
        """Raises `SourceUnreachable` where the end is missing."""
        if self._inflate is not None and not self._inflate.eof:
            raise SourceUnreachable(f"{self._source} ended too early.", step=STEP)


def _decompressor() -> "zlib._Decompress":
    return zlib.decompressobj(zlib.MAX_WBITS | 32)  # + 32: gzip and zlib headers are both understood
