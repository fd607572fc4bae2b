"""ffmpeg: the one way to run it. Arguments are built elsewhere, by pure functions; this starts and follows it.

ffmpeg never opens an address, and it runs behind the fence (docs/adr/0005).
"""

import os
import re
import selectors
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from jobreel.core.errors import NotInstalled, ToolFailed
from jobreel.core.workspace import Workspace
from jobreel.tools import demuxers, fence
from jobreel.tools.ffmpeg_errors import failure

ALWAYS = ("-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info", "-progress", "pipe:1")
TAIL_LINES = 40
LOGGED_BYTES = 32 * 1024  # a damaged file can make ffmpeg complain about each of its frames
MAX_LINE_BYTES = 8 * 1024
READ_BYTES = 64 * 1024
_LEVEL = re.compile(r"^(?:\[[^\]]* @ 0x[0-9a-f]+\] )*\[[a-z]+\] ")

Listener = Callable[[str], None]


class _InUse:
    program: Path | None = None


def use(program: Path) -> None:
    """From now on, run this ffmpeg instead of the one that came with the package."""
    _InUse.program = program.absolute()


def program() -> Path:
    """The ffmpeg that is run. Raises `NotInstalled`."""
    if _InUse.program is None:
        import imageio_ffmpeg

        try:
            _InUse.program = Path(imageio_ffmpeg.get_ffmpeg_exe()).absolute()
        except RuntimeError:
            raise _not_installed() from None
    return _InUse.program


def _not_installed() -> NotInstalled:
    way_out = "Install the package imageio-ffmpeg again, or ffmpeg itself."
    return NotInstalled("ffmpeg is not installed.", step="run", hint=way_out)


def source(path: Path, *options: str) -> list[str]:
    """Arguments that open a downloaded file, and nothing it refers to. `options` are for this input only.

    `path` has no extension: by `.jpg` ffmpeg would take it for an image sequence, which is refused.
    """
    return [
        *("-protocol_whitelist", demuxers.PROTOCOLS),
        *("-format_whitelist", demuxers.ALLOWED),
        *("-max_pixels", str(fence.in_use().max_pixels)),
        *options,
        *("-i", local(path)),
    ]


def local(path: Path) -> str:
    """A path that ffmpeg takes for a path, whatever is in its name."""
    return f"file:{path}"


def run(
    arguments: Sequence[str],
    work: Workspace,
    *,
    duration: float | None = None,
    stage: str = "encode",
    hear: Listener | None = None,
) -> str:
    """Run ffmpeg in the job's scratch folder and answer with the last lines it wrote.

    Progress is reported as `stage`: the output's time over `duration` (seconds), or without a fraction
    where that is None. `hear` gets each line of the log, without its prefix. Raises `ToolFailed`, and
    where the cause is known `UnsupportedMedia`, `TooLarge`, `ScratchFull` or `OutOfMemory`.
    """
    log = _Log(work, hear)
    work.report(None if duration is None else 0.0, stage)
    with _started([str(program()), *ALWAYS, *arguments], work.folder) as process:
        for source_of_line, line in _lines(process):
            if source_of_line == "log":
                log.add(line)
            elif (fraction := _fraction(line, duration)) is not None:
                work.report(fraction, stage)
        exit_code = process.wait()
    if exit_code != 0:
        raise failure(exit_code, log.tail)
    return "\n".join(log.tail)


@contextmanager
def _started(command: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A fenced process, gone when the context ends, however it ends."""
    try:
        process = fence.start(command, inside=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except FileNotFoundError as error:
        raise _not_installed() from error
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolFailed("ffmpeg could not be started.", step="run") from error
    with process:
        try:
            yield process
        finally:
            process.kill()


def _lines(process: subprocess.Popen[bytes]) -> Iterator[tuple[str, str]]:
    """Each line of both its outputs as it comes, with "progress" or "log" before it."""
    assert process.stdout is not None
    assert process.stderr is not None
    with selectors.DefaultSelector() as selector:
        for name, stream in (("progress", process.stdout), ("log", process.stderr)):
            selector.register(stream, selectors.EVENT_READ, (name, bytearray()))
        while selector.get_map():
            for key, _ in selector.select():
                name, pending = key.data
                piece = os.read(key.fd, READ_BYTES)
                yield from ((name, line) for line in _cut(pending, piece or b"\n"))
                if not piece:
                    selector.unregister(key.fileobj)


def _cut(pending: bytearray, piece: bytes) -> list[str]:
    """The lines that `piece` completes; `pending` keeps the rest, of an endless line only its end."""
    *whole, rest = re.split(rb"[\r\n]+", pending + piece)
    pending[:] = rest[-MAX_LINE_BYTES:]
    return [line.decode(errors="replace") for line in whole if line]


def _fraction(line: str, duration: float | None) -> float | None:
    """How far a line of `-progress` says it is, of 1. None: it does not say, or of what is not known."""
    name, _, value = line.partition("=")
    if name != "out_time_us" or not duration or not value.lstrip("-").isdigit():
        return None
    return min(max(int(value) / 1_000_000 / duration, 0.0), 1.0)


class _Log:
    """What ffmpeg says: kept in part, handed on in part, without paths of this machine."""

    def __init__(self, work: Workspace, hear: Listener | None) -> None:
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._work, self._hear, self._room = work, hear, LOGGED_BYTES
        self._folder = f"{work.folder}/"

    def add(self, line: str) -> None:
        line = line.replace(self._folder, "").replace("file:", "")
        self.tail.append(line)
        if self._hear:
            self._hear(_LEVEL.sub("", line))
        if self._room > 0:
            self._room -= len(line)
            self._work.log(line if self._room > 0 else "ffmpeg had more to say; only its last words are looked at.")
