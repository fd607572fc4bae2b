"""The artifact store as a local folder. A file is there whole, on disk, or not at all.

Keys are `jobs/<job id>/<attempt>/<name>` and `uploads/<artifact id>/<name>`. A produced file is linked from
the scratch folder (same disk: no copy) and fsynced with its folders before the ledger refers to it;
obstore's local store does not fsync, so the local put is ours.
"""

import asyncio
import errno
import mimetypes
import os
import re
import shutil
import stat
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from jobreel.core.artifact import Artifact
from jobreel.core.artifact_store import KnownKeys
from jobreel.core.errors import (
    BodyTooLarge,
    DiskFull,
    NotFound,
    ScratchFull,
    TooLarge,
    Unavailable,
    UnsupportedMedia,
)
from jobreel.core.ids import new_id

MAX_NAME_BYTES = 200
UPLOAD_GRACE_SECONDS = 600.0  # an upload is linked a moment before the ledger knows it
SWEEP_BATCH = 500
LOOK_AT_DISK_EVERY = 16 * 1024 * 1024  # bytes of an upload
_UNFIT = re.compile(r"[\x00-\x1f\x7f/\\]+")
_TYPES = {  # where the platform's table knows less, or other words
    ".mp4": "video/mp4", ".mkv": "video/x-matroska", ".webm": "video/webm", ".mov": "video/quicktime",
    ".m4a": "audio/mp4", ".aac": "audio/aac", ".flac": "audio/flac", ".ogg": "audio/ogg", ".opus": "audio/ogg",
    ".wav": "audio/wav", ".mp3": "audio/mpeg", ".avi": "video/x-msvideo", ".gif": "image/gif",
    ".srt": "text/plain; charset=utf-8", ".ass": "text/plain; charset=utf-8", ".vtt": "text/vtt; charset=utf-8",
    ".txt": "text/plain; charset=utf-8", ".json": "application/json",
}  # fmt: skip


class FolderStore:
    """See the module. `folder` and the scratch folder must be on one disk."""

    def __init__(self, folder: Path, *, max_output_bytes: int, floor_bytes: int = 0) -> None:
        self._folder, self._max_output, self._floor = folder, max_output_bytes, floor_bytes
        self._incoming = folder / ".incoming"

    def prepare(self) -> None:
        self._incoming.mkdir(parents=True, exist_ok=True)

    async def keep(
        self, source: Path, *, job_id: str, attempt: int, name: str, content_type: str | None, caller: str
    ) -> Artifact:
        name = fit_name(name)
        artifact_id = new_id()
        key = f"jobs/{job_id}/{attempt}/{artifact_id}/{name}"
        size = await asyncio.to_thread(self._link, source, key)
        return Artifact(artifact_id, key, name, content_type or type_of(name), size, caller, job_id)

    async def receive(
        self, chunks: AsyncIterator[bytes], *, name: str, content_type: str | None, caller: str, max_bytes: int
    ) -> Artifact:
        name, artifact_id = fit_name(name), new_id()
        key = f"uploads/{artifact_id}/{name}"
        partial = self._incoming / artifact_id
        try:
            self._must_be_here()
            size = await _write_all(self._while_there_is_room(chunks), partial, max_bytes)
            await asyncio.to_thread(self._link, partial, key)
        except OSError as error:
            raise _as_refusal(error) from error
        except ScratchFull as error:
            raise DiskFull(error.message, step="store", hint=error.hint) from error
        finally:
            partial.unlink(missing_ok=True)
        return Artifact(artifact_id, key, name, content_type or type_of(name), size, caller)

    async def _while_there_is_room(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The disk's floor is for everybody else: an upload stops before it."""
        since_look = 0
        async for chunk in chunks:
            since_look += len(chunk)
            if since_look > LOOK_AT_DISK_EVERY:
                since_look = 0
                if shutil.disk_usage(self._folder).free < self._floor:
                    raise DiskFull("The server's disk is nearly full.", step="store", hint="Free some space.")
            yield chunk

    def path(self, artifact: Artifact) -> Path:
        path = self._folder / artifact.key
        if not path.is_file():
            raise NotFound("File not found", hint="Its volume is not mounted, or it was removed.")
        return path

    async def discard(self, artifact: Artifact) -> None:
        await asyncio.to_thread(self._remove, artifact.key)

    async def sweep(self, known_keys: KnownKeys) -> int:
        removed = 0
        keys = await asyncio.to_thread(self._settled_keys)
        for start in range(0, len(keys), SWEEP_BATCH):
            batch = keys[start : start + SWEEP_BATCH]
            known = await known_keys(batch)
            for key in batch:
                if key not in known:
                    await asyncio.to_thread(self._remove, key)
                    removed += 1
        return removed

    def _settled_keys(self) -> list[str]:
        """All keys but those of uploads that are being recorded just now."""
        jobs = [path for path in self._folder.glob("jobs/*/*/*/*") if path.is_file()]
        before = time.time() - UPLOAD_GRACE_SECONDS
        uploads = [path for path in self._folder.glob("uploads/*/*") if path.lstat().st_mtime < before]
        for path in self._incoming.glob("*"):
            if path.lstat().st_mtime < before:
                path.unlink(missing_ok=True)
        return [str(path.relative_to(self._folder)) for path in jobs + uploads]

    def _link(self, source: Path, key: str) -> int:
        """Put a file under its key without copying it, durably. Returns its size in bytes."""
        target = self._folder / key
        self._must_be_here()
        try:
            size = _sync_plain_file(source, self._max_output)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(source, target, follow_symlinks=False)
            _sync_folders(target.parent, self._folder)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise ScratchFull("The disk is full.", step="store", hint="Free some space.") from error
            raise
        return size

    def _must_be_here(self) -> None:
        """A data directory that was taken away is not made anew: its return would find us beside it."""
        if not self._incoming.is_dir():
            raise Unavailable("The file store is not there.", step="store", hint="Put the data directory back.")

    def _remove(self, key: str) -> None:
        path = self._folder / key
        path.unlink(missing_ok=True)
        for folder in path.parents:
            if self._folder in {folder, folder.parent}:
                break
            with suppress(OSError):  # not empty: other files of the same job
                folder.rmdir()


async def _write_all(chunks: AsyncIterator[bytes], into: Path, max_bytes: int) -> int:
    size = 0
    with into.open("xb") as file:
        async for chunk in chunks:
            size += len(chunk)
            if size > max_bytes:
                raise BodyTooLarge(
                    f"The file is larger than {max_bytes:,} bytes.",
                    step="store",
                    hint="The limit is the setting JOBREEL_MAX_UPLOAD.",
                )
            if len(chunk) < 256 * 1024:
                file.write(chunk)
            else:
                await asyncio.to_thread(file.write, chunk)
    return size


def _sync_plain_file(source: Path, max_bytes: int) -> int:
    """Bring a finished file to disk; ours from now on. Refuses what is no plain file: a child made it."""
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO, errno.ENOENT}:
            raise UnsupportedMedia("The job handed over something that is no plain file.", step="store") from error
        raise
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise UnsupportedMedia("The job handed over something that is no plain file.", step="store")
        if facts.st_size > max_bytes:
            raise TooLarge(
                f"The result is larger than {max_bytes:,} bytes.",
                step="store",
                hint="The limit is the setting JOBREEL_MAX_OUTPUT.",
            )
        if facts.st_uid != os.geteuid() and os.geteuid() == 0:
            os.fchown(descriptor, 0, 0)
        os.fchmod(descriptor, 0o600)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return facts.st_size


def _sync_folders(folder: Path, top: Path) -> None:
    """Fsync each new entry's folder, up to and including `top`."""
    while True:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if folder == top:
            return
        folder = folder.parent


def fit_name(name: str) -> str:
    """A file name that every file system takes: the last part, no control characters, not too long."""
    last = _UNFIT.sub("_", name.replace("\\", "/").rstrip("/").rpartition("/")[2]).strip(" .")
    stem, dot, extension = last.rpartition(".")
    while len(last.encode()) > MAX_NAME_BYTES and (stem or extension):
        stem, extension = (stem[:-1], extension) if stem else ("", extension[:-1])
        last = stem + dot + extension
    return last or "file"


def type_of(name: str) -> str:
    """The content type that a name's extension says; bytes where it says nothing."""
    extension = os.path.splitext(name)[1].lower()  # noqa: PTH122 - Path() would not keep odd names
    return _TYPES.get(extension) or mimetypes.guess_type(name)[0] or "application/octet-stream"


def _as_refusal(error: OSError) -> Exception:
    if error.errno == errno.ENOSPC:
        return DiskFull("The disk is full.", step="store", hint="Free some space and send the file again.")
    return error
