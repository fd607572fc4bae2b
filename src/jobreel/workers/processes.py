"""Starting, measuring and ending the processes of attempts, by what this host allows.

Best: each child is the head of its own PID namespace, so that its end is the end of everything it started,
grandchildren that called setsid included. Elsewhere: the death signal of the parent, the process group, and
a walk over the descendants. Sources: pid_namespaces(7), prctl(2) PR_SET_PDEATHSIG, unshare(1), setpriv(1).
"""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from jobreel.tools.fence import MARK_VARIABLE
from jobreel.workers.messages import MAX_LINE_BYTES

NOBODY = 65534
PR_SET_DUMPABLE = 4
PROBE_SECONDS = 10
PYTHON_OPTIONS = ("-P", "-s")  # nothing is imported from the working directory or a user's folder
# A Python whose own library cannot be read finds another one on the system and half works: told by its prefix.
PROBE = (
    "import msgspec, pathlib, sys; assert sys.base_prefix == sys.argv[2]; pathlib.Path(sys.argv[1], 'x').touch()"
)
_DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")
_OWN_PIDS = ("unshare", "--map-root-user", "--pid", "--mount-proc", "--fork", "--kill-child")


@dataclass(frozen=True, slots=True)
class Isolation:
    """How children are kept apart on this host."""

    pid_namespace: bool
    other_user: bool  # children run as nobody: only where we are root and nobody can reach the scratch folder
    notes: tuple[str, ...] = ()  # what the host refused, in a sentence each

    @property
    def wrapper(self) -> list[str]:
        """The command before the child's own."""
        drop = ["--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"] if self.other_user else []
        return [*_DIE_WITH_PARENT, *drop, *(_OWN_PIDS if self.pid_namespace else ())]


def probe(scratch: Path) -> Isolation:
    """Try once what this host allows; never raises."""
    notes = []
    other_user = False
    if os.geteuid() == 0:
        other_user = _can_write(Isolation(pid_namespace=False, other_user=True), scratch)
        if not other_user:
            notes.append("Children run as root: another user cannot reach Python or the data directory.")
    pid_namespace = _can_write(Isolation(pid_namespace=True, other_user=other_user), scratch)
    if not pid_namespace:
        notes.append("No PID namespaces here: what a job starts is found and ended by walking its descendants.")
    return Isolation(pid_namespace, other_user, tuple(notes))


def _can_write(isolation: Isolation, scratch: Path) -> bool:
    """Whether a Python so wrapped starts and can write into the scratch folder."""
    folder = scratch / f"probe-{os.getpid()}"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if isolation.other_user:
            os.chown(folder, NOBODY, NOBODY)
        command = [*isolation.wrapper, sys.executable, *PYTHON_OPTIONS, "-c", PROBE, str(folder), sys.base_prefix]
        done = subprocess.run(
            command, capture_output=True, timeout=PROBE_SECONDS, check=False, env=child_environment("probe")
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    else:
        return done.returncode == 0
    finally:
        (folder / "x").unlink(missing_ok=True)
        folder.rmdir()


def child_environment(mark: str) -> dict[str, str]:
    """All that a child gets: no secrets, and the mark by which leftovers are found."""
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "HOME": "/nonexistent",
        "TMPDIR": "/nonexistent",
        MARK_VARIABLE: mark,
    }


async def spawn(isolation: Isolation, arguments: list[str], mark: str) -> asyncio.subprocess.Process:
    """A child with pipes. Only from the main thread: the death signal follows the *thread* that forked."""
    assert threading.current_thread() is threading.main_thread(), "children are spawned from the main thread"
    return await asyncio.create_subprocess_exec(
        *isolation.wrapper,
        sys.executable,
        *PYTHON_OPTIONS,
        *arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=child_environment(mark),
        start_new_session=True,
        limit=MAX_LINE_BYTES,
    )


def end_tree(pid: int) -> None:
    """Kill a process and everything it started."""
    victims = list(_tree(pid))
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    for process in victims:
        with suppress(psutil.Error):
            process.kill()


def end_descendants(pid: int) -> None:
    """Kill what a process started, and not itself."""
    for process in list(_tree(pid))[1:]:
        with suppress(psutil.Error):
            process.kill()


def memory_bytes_of(heads: Collection[int]) -> dict[int, int]:
    """Resident memory of each head and its descendants, by one look at all processes.

    Shared pages count for each process: an upper bound.
    """
    parents = {process.pid: process.info["ppid"] for process in psutil.process_iter(["ppid"])}
    used = dict.fromkeys(heads, 0)
    for pid in parents:
        head = _head_of(pid, parents, used)
        if head is not None:
            with suppress(psutil.Error):
                used[head] += psutil.Process(pid).memory_info().rss
    return used


def _head_of(pid: int, parents: Mapping[int, int], heads: Collection[int]) -> int | None:
    """The head whose tree this process is in."""
    seen = set()
    while pid not in heads:
        seen.add(pid)
        pid = parents.get(pid, 0)
        if not pid or pid in seen:
            return None
    return pid


def mark_of(ledger_id: str, worker: str) -> str:
    """What the processes of a worker's attempts carry in their environment."""
    return f"{ledger_id}/{worker}"


def end_leftovers(ledger_id: str, lives: Callable[[str], bool]) -> int:
    """Kill processes of this ledger's attempts whose worker is dead. Returns how many."""
    ended = 0
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            ledger, _, worker = process.environ().get(MARK_VARIABLE, "").partition("/")
            if ledger == ledger_id and not lives(worker):
                process.kill()
                ended += 1
    return ended


def hide_memory() -> None:
    """Make this process undumpable: a child of the same user reads neither its memory nor its environment."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def _tree(pid: int) -> Iterator[psutil.Process]:
    try:
        head = psutil.Process(pid)
        descendants = head.children(recursive=True)
    except psutil.Error:
        return
    yield head
    yield from descendants
