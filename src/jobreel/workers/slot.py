"""A slot: one long-lived child that takes one attempt at a time, and is replaced when it dies or grows old."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog

from jobreel.core.errors import ChildDied
from jobreel.tools.fence import Fence
from jobreel.workers import messages, processes
from jobreel.workers.messages import FromChild, Run, Said
from jobreel.workers.processes import Isolation
from jobreel.workers.scratch import folder_id

START_SECONDS = 30.0
MAX_ATTEMPTS = 200  # then a fresh child: what libraries leak ends with it
MAX_IDLE_BYTES = 400 * 1024 * 1024  # a child that stays this big between attempts is replaced
STDERR_CHUNK = 64 * 1024
STDERR_SECONDS = 1.0
CHILD = "jobreel.workers.child"
log = structlog.get_logger("jobreel.worker")

Hear = Callable[[FromChild], Awaitable[Said | None]]  # answers a message of the attempt, where one is due
HearText = Callable[[str], None]


class Slot:
    """See the module."""

    def __init__(self, isolation: Isolation, fence: Fence, scratch: Path, mark: str, *, light: bool) -> None:
        self.light = light
        self.confined_to: tuple[int, int] | None = None  # the scratch folder that its child can see
        self._isolation, self._scratch, self._mark = isolation, scratch, mark
        self._arguments = ["-m", CHILD, msgspec.json.encode(fence).decode(), str(scratch)]
        self._process: asyncio.subprocess.Process | None = None
        self._stderr: asyncio.Task[None] | None = None
        self._hear_text: HearText | None = None
        self._quiet = asyncio.Event()
        self._attempts = self._idle_bytes = 0

    @property
    def pid(self) -> int | None:
        """The head of the child's processes; None while there is no child."""
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start a child and wait until it listens. Raises `ChildDied`."""
        self.confined_to = folder_id(self._scratch)
        self._process = await processes.spawn(self._isolation, self._arguments, self._mark)
        self._attempts = 0
        self._stderr = asyncio.create_task(self._read_stderr(self._process))
        try:
            async with asyncio.timeout(START_SECONDS):
                said = await self._next()
        except (TimeoutError, ChildDied):
            await self.end()
            raise ChildDied("A child process could not be started.", step="run") from None
        assert isinstance(said, messages.Ready), said

    async def run(self, run: Run, hear: Hear, hear_text: HearText) -> messages.Succeeded | messages.Failed:
        """One attempt. Messages on the way go to `hear`, what is written to stderr to `hear_text`.

        Raises `ChildDied` where the child ends before its answer.
        """
        self._hear_text = hear_text
        self._quiet.clear()
        self._attempts += 1
        try:
            await self._say(run)
            while True:
                said = await self._next()
                if isinstance(said, messages.Succeeded | messages.Failed):
                    self._idle_bytes = said.idle_bytes
                    await self._hear_the_rest()
                    return said
                if (answer := await hear(said)) is not None:
                    await self._say(answer)
        finally:
            self._hear_text = None

    def settle(self) -> bool:
        """After an attempt: end what it left behind. Says whether the child is fit for another one."""
        if self._process is None or not self.alive:
            return False
        if not self._isolation.pid_namespace:  # else the child, which heads one, has seen to it
            processes.end_descendants(self._process.pid)
        return self._attempts < MAX_ATTEMPTS and self._idle_bytes < MAX_IDLE_BYTES

    def kill(self) -> None:
        """End the child and everything it started, now; `run` then raises `ChildDied`."""
        if self._process is not None and self._process.returncode is None:
            processes.end_tree(self._process.pid)

    async def renew(self) -> None:
        """A fresh child in place of this one. Raises `ChildDied`, OSError."""
        await self.end()
        await self.start()

    async def end(self) -> None:
        """Kill the child and wait until it is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            processes.end_tree(process.pid)
        await process.wait()
        if self._stderr is not None:
            self._stderr.cancel()
            with suppress(asyncio.CancelledError):
                await self._stderr

    async def _hear_the_rest(self) -> None:
        """What it wrote to stderr is on its way in another pipe, up to a mark: none of it may fall to the next."""
        if self._quiet.is_set():
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(STDERR_SECONDS):
                await self._quiet.wait()

    async def _say(self, message: Said) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(messages.line(message))
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise await self._died() from None

    async def _next(self) -> FromChild:
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            text = await self._process.stdout.readline()
        except ValueError:  # a line over the limit: no honest child sends one
            raise await self._died() from None
        if not text:
            raise await self._died()
        try:
            return messages.to_worker.decode(text)
        except msgspec.DecodeError:
            raise await self._died() from None

    async def _died(self) -> ChildDied:
        """Why the conversation ended; the child is dead when this returns."""
        assert self._process is not None
        self.kill()
        status = await self._process.wait()
        how = f"was killed (signal {-status})" if status < 0 else f"ended with status {status}"
        return ChildDied(f"The process that ran the job {how} before it was done.", step="run")

    async def _read_stderr(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        rest = b""
        while chunk := await process.stderr.read(STDERR_CHUNK):
            *ended, rest = (rest + chunk).split(messages.END_OF_STDERR)
            for text in ended:
                self._told_text(process, text)
                self._quiet.set()
            rest = self._told_all_but_half_a_mark(process, rest)

    def _told_all_but_half_a_mark(self, process: asyncio.subprocess.Process, text: bytes) -> bytes:
        mark = messages.END_OF_STDERR
        half = next((n for n in range(len(mark) - 1, 0, -1) if text.endswith(mark[:n])), 0)
        self._told_text(process, text[: len(text) - half])
        return text[len(text) - half :]

    def _told_text(self, process: asyncio.subprocess.Process, data: bytes) -> None:
        if not data:
            return
        text = data.decode(errors="replace")
        if self._hear_text is not None:
            self._hear_text(text)
        else:
            log.warning("a child said", pid=process.pid, text=text[-2000:])
