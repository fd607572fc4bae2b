"""Scratch: the folder of one attempt, and the last lines of its log.

The child owns what is in the folder and may have been taken over by what it read, so the folder is held by a
descriptor and nothing in it is followed: a link in place of a file, or of the folder, leads nowhere.
"""

import errno
import os
import shutil
import stat
from pathlib import Path

from jobreel.core.errors import Internal, JobFailed, ScratchFull

LOG_TAIL_BYTES = 64 * 1024


class Scratch:
    """See the module. `owner` is the user id that gets what is in it; None: ours."""

    def __init__(self, path: Path, owner: int | None) -> None:
        self.path, self._owner = path, owner
        self._descriptor: int | None = None
        self._given = 0

    def make(self) -> None:
        """Raises FileNotFoundError where the worker's folder is gone, `ScratchFull`."""
        try:
            self.path.mkdir(mode=0o700)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise disk_trouble(error) from error
        if self._owner is not None:
            os.chown(self.path, self._owner, self._owner, follow_symlinks=False)

    def _held(self) -> int:
        """A descriptor of the folder, from its first use on. Raises OSError where a link stands in its place."""
        if self._descriptor is None:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(self.path, flags)
        return self._descriptor

    def give(self, source: Path) -> str:
        """Copy a file in; returns its name there. A copy, since the child may write to what it gets."""
        self._given += 1
        name = f"given-{self._given}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, 0o600, dir_fd=self._held())
        with source.open("rb") as whole, os.fdopen(descriptor, "wb") as copy:
            _copy(whole.fileno(), copy.fileno())
            if self._owner is not None:
                os.fchown(copy.fileno(), self._owner, self._owner)
        return name

    def produced(self, name: str) -> Path:
        """A path to what the child calls by this name, which leads into this folder and nowhere else.

        Raises `Internal` for a name that is more than a name.
        """
        if not name or "/" in name or "\0" in name or name in {".", ".."}:
            raise Internal("The job handed over a file that is not its own.", step="store")
        return Path(f"/proc/self/fd/{self._held()}") / name

    def remove(self) -> None:
        """Everything in it, whatever it is. May take a while."""
        self._let_go()
        shutil.rmtree(self.path, ignore_errors=True)

    def remove_if_empty(self) -> bool:
        """At once, where nothing is in it: most quick jobs leave it so, and a thread would cost more than this."""
        try:
            self.path.rmdir()
        except OSError:
            return False
        self._let_go()
        return True

    def _let_go(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _copy(source: int, into: int) -> None:
    """By the kernel; file systems that can share the blocks (reflink) do so."""
    while os.copy_file_range(source, into, 1 << 30):
        pass


class LogTail:
    """The last 64 KiB of what an attempt wrote."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self.total_bytes = 0

    def add(self, text: str) -> None:
        data = text.encode(errors="replace")
        self.total_bytes += len(data)
        self._kept += data
        if len(self._kept) > LOG_TAIL_BYTES:
            del self._kept[:-LOG_TAIL_BYTES]

    def __str__(self) -> str:
        return self._kept.decode(errors="replace").replace("\0", "")


def folder_id(path: Path) -> tuple[int, int] | None:
    """What tells this folder from another at the same path; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None


def disk_trouble(error: OSError) -> JobFailed:
    """What an error of the file system means for a job."""
    if error.errno == errno.ENOSPC:
        return ScratchFull("The disk is full.", step="store", hint="Free some space on the server.")
    return Internal(f"The file store could not be used: {error.strerror}.", step="store")
