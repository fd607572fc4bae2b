"""The child: runs one attempt at a time, and talks to its worker over a pipe.

It has no database, no settings, no keys and no storage credentials. It imports nothing heavy at start; a
handler imports what it needs when it first runs.
"""

import errno
import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, get_type_hints

import msgspec

from jobreel.core.errors import ErrorReport, Internal, JobFailed, JobreelError, OutOfMemory, ScratchFull, TooLarge
from jobreel.core.workspace import Published, Workspace
from jobreel.tools import fence
from jobreel.workers import messages
from jobreel.workers.messages import FetchRules, Place, Run, Said

REPORT_EVERY_SECONDS = 1.0
MAX_LOG_LINE = 4096


class Pipe:
    """The child's end of the conversation."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source, self._sink = source, sink

    def say(self, message: Said) -> None:
        self._sink.write(messages.line(message))
        self._sink.flush()

    def hear(self) -> messages.FromWorker:
        """The next message. Raises EOFError when the worker is gone."""
        text = self._source.readline()
        if not text:
            raise EOFError
        return messages.to_child.decode(text)


class ChildWorkspace(Workspace):
    """A workspace whose every effect on the outside is a message."""

    def __init__(self, run: Run, pipe: Pipe) -> None:
        self._run, self._pipe = run, pipe
        self._folder = Path(run.folder)
        self._files = 0
        self._reported_at = 0.0

    @property
    def job_id(self) -> str:
        return self._run.job_id

    @property
    def folder(self) -> Path:
        return self._folder

    def path(self, name: str) -> Path:
        self._files += 1
        return self._folder / f"{self._files}-{name}"

    def fetch(self, url: str, headers: Mapping[str, str] | None = None) -> Path:
        url = str(url)  # a plain one: a request's addresses are of a type of their own
        self._pipe.say(messages.Asked(url))
        match self._pipe.hear():
            case messages.Local(name=name):
                return self._folder / name
            case messages.Remote():
                return _fetch(url, self.path("source"), self._run.fetch, headers, self.report)
            case messages.Refused(error=error):
                raise Told(error)
            case other:
                raise Internal(f"unexpected answer {type(other).__name__}")

    def publish(self, path: Path, name: str, content_type: str | None = None) -> Published:
        self._files += 1
        token = f"{self._files}"
        relative = str(path.relative_to(self._folder))
        self._pipe.say(messages.Publish(token, relative, name, content_type))
        match self._pipe.hear():
            case messages.Kept():
                return Published(token, name)
            case messages.Refused(error=error):
                raise Told(error)
            case other:
                raise Internal(f"unexpected answer {type(other).__name__}")

    def report(self, fraction: float | None, stage: str = "") -> None:
        now = time.monotonic()
        if now - self._reported_at >= REPORT_EVERY_SECONDS:
            self._reported_at = now
            self._pipe.say(messages.Report(fraction, stage))

    def log(self, line: str) -> None:
        self._pipe.say(messages.Log(line[:MAX_LOG_LINE]))


class Told(JobFailed):
    """A failure that the worker found and reported; it goes back as it came."""

    def __init__(self, error: ErrorReport) -> None:
        super().__init__(error.message)
        self._error = error

    def report(self) -> ErrorReport:
        return self._error


def _fetch(
    url: str,
    into: Path,
    rules: FetchRules,
    headers: Mapping[str, str] | None,
    report: Callable[[float | None, str], None],
) -> Path:
    import asyncio

    from jobreel.tools.net import Door, FetchLimits

    def progress(received: int, announced: int | None) -> None:
        report(received / announced if announced else None, "fetch")

    async def fetch() -> Path:
        door = Door(rules.allow_networks)
        limits = FetchLimits(
            max_bytes=rules.max_bytes,
            connect_seconds=rules.connect_seconds,
            read_seconds=rules.read_seconds,
            total_seconds=rules.total_seconds,
            free_disk_floor_bytes=rules.free_disk_floor_bytes,
        )
        try:
            return (await door.fetch(url, into, limits, headers, progress)).path
        finally:
            await door.close()

    return asyncio.run(fetch())


def run_attempt(run: Run, pipe: Pipe) -> messages.Succeeded | messages.Failed:
    """Run the handler to its end, whatever that is. One of the two doors that catch everything."""
    work = ChildWorkspace(run, pipe)
    try:
        handler = _handler(run.handler)
        request = get_type_hints(handler)["request"].decoded(run.request)
        return _answer(handler(request, work), run.max_inline_bytes)
    except JobreelError as error:
        return messages.Failed(error.report())
    except MemoryError:
        return messages.Failed(_out_of_memory().report())
    except Exception as error:  # noqa: BLE001 - a mistake of ours must end as an answer, with its traceback kept
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return messages.Failed(ScratchFull("The disk is full.", hint="Free some space.").report())
        for line in traceback.format_exc().splitlines():
            work.log(line)
        return messages.Failed(_internal(error).report())


def _out_of_memory() -> OutOfMemory:
    return OutOfMemory("The job needed more memory than it may have.", hint="The limit is JOBREEL_MEMORY.")


def _internal(error: Exception) -> Internal:
    return Internal(
        f"The job ended with an unexpected {type(error).__name__}.",
        step="run",
        hint="This is a defect of Jobreel: the job's log has the details.",
    )


def _handler(reference: str) -> Callable[[Any, Workspace], Any]:
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]


def _answer(value: Any, max_bytes: int) -> messages.Succeeded:
    """The handler's value as JSON, with null and a place wherever a published file stands."""
    places: list[Place] = []
    response = msgspec.json.encode(_without_files(value, "", places), enc_hook=str)
    if len(response) > max_bytes:
        raise TooLarge(
            f"The result is larger than {max_bytes // 2**20} MiB.",
            step="run",
            hint="Ask for the result as files instead of inline.",
        )
    return messages.Succeeded(response.decode(), tuple(places))


def _without_files(value: Any, pointer: str, places: list[Place]) -> Any:
    match value:
        case Published():
            places.append(Place(pointer, value.token))
            return None
        case dict():
            return {
                name: _without_files(item, f"{pointer}/{_escaped(str(name))}", places)
                for name, item in value.items()
            }
        case list() | tuple():
            return [_without_files(item, f"{pointer}/{index}", places) for index, item in enumerate(value)]
        case _:
            return value


def _escaped(name: str) -> str:
    """RFC 6901, section 3."""
    return name.replace("~", "~0").replace("/", "~1")


def _end_what_it_started() -> None:
    """As head of a PID namespace: nothing that an attempt started outlives it."""
    if os.getpid() != 1:
        return  # the worker walks the descendants
    with suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with suppress(ChildProcessError):
        while os.waitpid(-1, 0)[0]:
            pass


def _resident_bytes() -> int:
    """proc(5), statm: the second field, in pages."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _take_pipes() -> Pipe:
    """The pipes under other numbers: a library that prints must not break the protocol."""
    source, sink = os.dup(0), os.dup(1)
    quiet = os.open(os.devnull, os.O_RDWR)
    os.dup2(quiet, 0)
    os.dup2(2, 1)
    os.close(quiet)
    return Pipe(os.fdopen(source, "rb"), os.fdopen(sink, "wb"))


def _confine(scratch: Path) -> None:
    """See Python, the system's libraries and this worker's scratch folder; never the ledger or a key."""
    python = {Path(prefix) for prefix in (sys.prefix, sys.base_prefix, *sys.path) if prefix}
    system = map(Path, ("/usr", "/bin", "/lib", "/lib64", "/etc", "/proc", "/sys", "/run/systemd/resolve", "/dev"))
    fence.confine([*python, *system], [scratch, Path(os.devnull)])


def main(arguments: list[str]) -> None:
    """`arguments`: this host's fence as JSON (see `tools/fence.py`), and the worker's scratch folder."""
    pipe = _take_pipes()
    fence.use(msgspec.json.decode(arguments[0], type=fence.Fence))
    _confine(Path(arguments[1]))
    pipe.say(messages.Ready())
    while True:
        try:
            said = pipe.hear()
        except EOFError:
            return
        if isinstance(said, Run):
            answer = run_attempt(said, pipe)
            _end_what_it_started()
            sys.stdout.flush()
            sys.stderr.flush()
            os.write(2, messages.END_OF_STDERR)
            pipe.say(msgspec.structs.replace(answer, idle_bytes=_resident_bytes()))


if __name__ == "__main__":
    main(sys.argv[1:])
