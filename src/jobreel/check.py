"""What `jobreel check` looks at: whether this machine and these settings can run the service."""

import errno
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psutil

from jobreel.settings import Settings, misspelt
from jobreel.variable import shown_size

SAFE_SQLITE = (3, 51, 3)  # 3.7.0 to 3.51.2 have the WAL-reset bug, which can damage a ledger
NETWORK_FILE_SYSTEMS = ("nfs", "cifs", "smb", "9p", "fuse")  # their locks do not hold: beginnings of names
FFMPEG_ANSWERS_WITHIN_SECONDS = 20.0


class Verdict(StrEnum):
    """What a finding means for the start."""

    FINE = "fine"
    WARNING = "warning"  # starts, but something will be worse than it could be
    STOP = "stop"  # must not start like this


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at, in words for whoever runs the service."""

    subject: str
    verdict: Verdict
    words: str


def findings(settings: Settings, host: str, port: int) -> Iterator[Finding]:
    """Everything that can stop a start, most important first. Changes nothing."""
    yield from data_directory(settings.data_dir)
    yield disk(settings.data_dir, settings.disk_floor)
    yield sqlite()
    yield ffmpeg()
    yield from address(settings, host, port)


def misspellings(environ: Mapping[str, str]) -> Iterator[Finding]:
    return (Finding("settings", Verdict.WARNING, sentence) for sentence in misspelt(environ))


def data_directory(folder: Path) -> Iterator[Finding]:
    """Can it be written, and does its file system keep what a ledger needs?"""
    yield _writable(folder)
    yield ledger_on(file_system(folder), folder)


def ledger_on(kind: str, folder: Path) -> Finding:
    """What it means to keep the ledger on this kind of file system."""
    if kind.startswith(NETWORK_FILE_SYSTEMS):
        words = f"{folder} is on {kind}, whose locks do not protect a ledger. Set JOBREEL_DATA_DIR to a local disk."
        return Finding("file system", Verdict.STOP, words)
    if kind in {"tmpfs", "ramfs"} or folder.is_relative_to("/tmp"):  # noqa: S108 - looked at, not used
        words = f"{folder} ({kind}) may be emptied by a restart. Set JOBREEL_DATA_DIR to a folder that stays."
        return Finding("file system", Verdict.WARNING, words)
    return Finding("file system", Verdict.FINE, kind)


def _writable(folder: Path) -> Finding:
    place = _existing(folder)
    if not place.is_dir():
        return Finding("data directory", Verdict.STOP, f"{place} is not a folder. Set JOBREEL_DATA_DIR to one.")
    if not os.access(place, os.W_OK | os.X_OK):
        return Finding(
            "data directory",
            Verdict.STOP,
            f"user {os.geteuid()} may not write to {place}. Give it to them (chown), or set JOBREEL_DATA_DIR.",
        )
    return Finding("data directory", Verdict.FINE, f"{folder}" if place == folder else f"{folder} will be made")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def file_system(folder: Path) -> str:
    """The kind of file system a path is on, by the kernel's name: ext4, tmpfs, nfs4, fuse.sshfs..."""
    place = _existing(folder).resolve()
    mounts = {Path(mount.mountpoint): mount.fstype for mount in psutil.disk_partitions(all=True)}
    return next((mounts[path] for path in (place, *place.parents) if path in mounts), "unknown")


def disk(folder: Path, floor: int) -> Finding:
    free = shutil.disk_usage(_existing(folder)).free
    words = f"{free / (1 << 30):.1f} GiB free, {shown_size(floor)} is the least to accept work"
    return Finding("disk", Verdict.FINE if free > floor else Verdict.WARNING, words)


def sqlite() -> Finding:
    """The SQLite in use: our own package's where it has a wheel (x86-64), else Python's."""
    from jobreel.store.sqlite import SQLITE_VERSION

    if tuple(int(part) for part in SQLITE_VERSION.split(".")) >= SAFE_SQLITE:
        return Finding("sqlite", Verdict.FINE, SQLITE_VERSION)
    safe = ".".join(map(str, SAFE_SQLITE))
    words = f"{SQLITE_VERSION} has a rare bug that can damage a ledger. Use a Python that brings {safe} or newer."
    return Finding("sqlite", Verdict.WARNING, words)


def ffmpeg() -> Finding:
    """Whether the shipped ffmpeg runs here."""
    import imageio_ffmpeg

    try:
        program = imageio_ffmpeg.get_ffmpeg_exe()
        answer = subprocess.run(
            [program, "-version"], capture_output=True, text=True, check=True, timeout=FFMPEG_ANSWERS_WITHIN_SECONDS
        )
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        return Finding("ffmpeg", Verdict.STOP, f"does not run here: {error}")
    return Finding("ffmpeg", Verdict.FINE, answer.stdout.partition("\n")[0].split(" Copyright")[0])


def address(settings: Settings, host: str, port: int) -> Iterator[Finding]:
    """Can the port be had, and will links lead back to it?"""
    yield _port(host, port)
    links = settings.public_url_at(host, port)
    everywhere = host in {"0.0.0.0", "::", ""}  # noqa: S104 - a name, not a bind
    if everywhere and not settings.public_url:
        words = f"links begin with {links}, which only this machine can open. Set JOBREEL_PUBLIC_URL."
        yield Finding("links", Verdict.WARNING, words)
    else:
        yield Finding("links", Verdict.FINE, f"begin with {links}")


def _port(host: str, port: int) -> Finding:
    try:
        family, kind, _, _, where = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except (OSError, OverflowError) as error:
        return Finding("port", Verdict.STOP, f"{host}:{port} cannot be listened on: {_reason(error)}")
    return Finding("port", Verdict.FINE, f"{host}:{port} is free")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return "another program has it. Choose another one with --port."
    return str(error)


def isolation(data_dir: Path) -> Iterator[Finding]:
    """What this machine allows to keep jobs apart. A refusal costs safety and stops nothing."""
    import imageio_ffmpeg

    from jobreel.tools.fence import Fence
    from jobreel.workers import processes

    place = _existing(data_dir)
    usable = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    with tempfile.TemporaryDirectory(prefix=".jobreel-", dir=place if usable else None) as scratch:
        Path(scratch).chmod(0o711)  # as the service's own: children of another user may pass through
        children = processes.probe(Path(scratch))
    refusals = [*children.notes, *Fence.probe((imageio_ffmpeg.get_ffmpeg_exe(), "-version")).missing]
    for sentence in refusals:
        yield Finding("isolation", Verdict.WARNING, sentence)
    if not refusals:
        yield Finding("isolation", Verdict.FINE, "PID namespaces, network namespaces and Landlock are in use")
