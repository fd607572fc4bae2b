"""A fence around outside programs: which files they see, whom they reach, how much they use, how long they live.

Linux only, and made of what the kernel gives every process: Landlock, an empty network namespace, resource
limits and PDEATHSIG. Limits and PDEATHSIG always hold; the other two where the host allows them, which
`Fence.probe` finds out (docs/adr/0005).
"""

import os
import resource
import signal
import struct
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import IntFlag, StrEnum
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

import msgspec

if TYPE_CHECKING:
    import ctypes

GIB = 1 << 30
TRIAL_SECONDS = 20.0  # a cold ffmpeg takes 0.4
MARK_VARIABLE = "JOBREEL_MARK"  # tells whose processes these are; handed on so that a sweep finds leftovers

# Programs, their libraries and fonts. No home, no data directory, no /proc, no /etc but what is named here.
READABLE = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
    "/etc/fonts",
    "/usr/share/fonts",
    "/usr/share/fontconfig",
    "/usr/local/share/fonts",
    "/var/cache/fontconfig",
    "/dev/null",
    "/dev/urandom",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
)


class Network(StrEnum):
    """Which network a fenced program has."""

    HOST = "host"  # the host's own: the kernel refuses anything less
    EMPTY = "empty"  # a namespace of its own with nothing in it, within a user namespace: needs no privilege
    EMPTY_AS_ROOT = "empty_as_root"  # the same without a user namespace, where those are switched off


class Fence(msgspec.Struct, frozen=True):
    """What this host allows and how much a program may use. A plain value: it survives JSON."""

    landlock_abi: int = 0  # 0: no Landlock
    network: Network = Network.HOST
    missing: tuple[str, ...] = ()  # a sentence for each thing this host refuses
    memory_bytes: int = 2 * GIB
    output_bytes: int = 4 * GIB  # of each file it writes
    max_pixels: int = 64_000_000  # of one picture or frame; 8K video has 33 million

    @classmethod
    def probe(cls, trial: Sequence[str] = ("/bin/true",)) -> Self:
        """The tightest fence in which `trial` still runs here. Call it once, before threads are started.

        `trial` begins with an absolute path; give the program that will be fenced.
        """
        landlock_abi, no_landlock = _landlock_here(trial)
        network, no_network = _network_here(trial)
        return cls(landlock_abi, network, tuple(each for each in (no_landlock, no_network) if each))


class _InUse:
    fence = Fence()


def use(fence: Fence) -> None:
    """From now on, programs of this process start inside `fence`."""
    _InUse.fence = fence


def in_use() -> Fence:
    return _InUse.fence


def confine(readable: Sequence[Path], workable: Sequence[Path]) -> None:
    """From now on, this process and all it starts see these paths and no others. The network stays.

    For a child of the worker, which shares a user with the ledger's file. Does nothing where there is no
    Landlock. Raises OSError.
    """
    kernel, abi = _kernel(), in_use().landlock_abi
    if not abi:
        return
    ruleset = kernel.ruleset(abi, readable, workable, alone=False)
    try:
        kernel.restrict(ruleset)
    finally:
        os.close(ruleset)


def start(
    arguments: Sequence[str],
    *,
    inside: Path,
    stdout: int | IO[bytes],
    stderr: int | IO[bytes],
    fence: Fence | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program (its absolute path first) that may write below `inside` only, which is its folder.

    It gets no input and next to no environment, and dies with the thread that called this: call it from a
    thread that outlives the program. Raises OSError or `subprocess.SubprocessError`.
    """
    with _entrance(fence or in_use(), Path(arguments[0]), inside) as enter, warnings.catch_warnings():
        # From 3.12 on, Python warns of a fork beside threads. `enter` makes system calls and nothing else.
        warnings.filterwarnings("ignore", message=".*multi-threaded.*fork", category=DeprecationWarning)
        return subprocess.Popen(
            arguments,
            cwd=inside,
            env=_environment(inside),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            preexec_fn=enter,  # noqa: PLW1509 - see `_entrance`
        )


def _environment(inside: Path) -> Mapping[str, str]:
    mark = {name: os.environ[name] for name in (MARK_VARIABLE,) if name in os.environ}
    return {"HOME": str(inside), "TMPDIR": str(inside), "LC_ALL": "C.UTF-8", **mark}


@contextmanager
def _entrance(fence: Fence, program: Path, inside: Path) -> Iterator[Callable[[], None]]:
    """What the new process calls between fork and exec to put itself behind the fence.

    All that can be prepared is prepared here, so that the forked copy only makes system calls: no import,
    no lock, nothing that another thread of ours may have held at the moment of the fork.
    """
    kernel, parent, limits = _kernel(), os.getpid(), _limits(fence)
    readable = (program, *map(Path, READABLE))
    ruleset = kernel.ruleset(fence.landlock_abi, readable, [inside]) if fence.landlock_abi else None

    def enter() -> None:
        try:
            for limit, most in limits:
                resource.setrlimit(limit, (most, most))
            kernel.leave_network(fence.network)
            kernel.restrict(ruleset)
            # Last: a change of credentials, as a new user namespace makes, would clear it.
            kernel.die_with_parent()
        except OSError as refusal:
            os.write(2, f"{refusal.strerror}".encode())
            raise
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        yield enter
    finally:
        if ruleset is not None:
            os.close(ruleset)


def _limits(fence: Fence) -> list[tuple[int, int]]:
    """Limits to set, none above what this process may set."""
    wanted = {
        # Address space, of which multi-threaded encoders reserve two to four times what they fill (measured,
        # 1080p and 4K). A net: the worker measures what is really used.
        resource.RLIMIT_AS: 2 * fence.memory_bytes + 2 * GIB,
        resource.RLIMIT_FSIZE: fence.output_bytes,
        resource.RLIMIT_CORE: 0,
    }
    hard = {limit: resource.getrlimit(limit)[1] for limit in wanted}
    return [
        (limit, most if hard[limit] == resource.RLIM_INFINITY else min(most, hard[limit]))
        for limit, most in wanted.items()
    ]


# -- what this host allows --------------------------------------------------------------------------------


def _landlock_here(trial: Sequence[str]) -> tuple[int, str | None]:
    abi = _kernel().landlock_abi()
    if abi == 0:
        return 0, "Landlock: this kernel has none, or it is switched off (Linux 5.13 and later have it)."
    refusal = _refusal(Fence(landlock_abi=abi), trial)
    return (0, f"Landlock: {refusal}.") if refusal else (abi, None)


def _network_here(trial: Sequence[str]) -> tuple[Network, str | None]:
    refusal = _refusal(Fence(network=Network.EMPTY), trial)
    if refusal is None:
        return Network.EMPTY, None
    if _refusal(Fence(network=Network.EMPTY_AS_ROOT), trial) is None:
        return Network.EMPTY_AS_ROOT, None
    return Network.HOST, f"Empty network namespace: {refusal}."


def _refusal(fence: Fence, trial: Sequence[str]) -> str | None:
    """Why `trial` cannot run inside `fence`; None where it can."""
    with tempfile.TemporaryDirectory(prefix="jobreel-") as folder, tempfile.TemporaryFile() as words:
        try:
            process = start(trial, inside=Path(folder), stdout=subprocess.DEVNULL, stderr=words, fence=fence)
            exit_code = process.wait(TRIAL_SECONDS)
        except (OSError, subprocess.SubprocessError) as error:
            return _last_line(words) or str(error).rstrip(".")
        if exit_code == 0:
            return None
        return _last_line(words) or f"{Path(trial[0]).name} ends with {exit_code} inside it"


def _last_line(words: IO[bytes]) -> str:
    words.seek(0)
    return words.read().decode(errors="replace").strip().rpartition("\n")[2].rstrip(".")


# -- system calls -----------------------------------------------------------------------------------------


class FileRight(IntFlag):
    """Landlock's rights over files. Source: linux/landlock.h; the ABI that brought each is in `ALL_RIGHTS`."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_DIR = 1 << 7
    MAKE_REGULAR = 1 << 8
    REFER = 1 << 13
    TRUNCATE = 1 << 14


ALL_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
BIND_AND_CONNECT_TCP = 0b11  # from ABI 4 on
ABSTRACT_SOCKETS_AND_SIGNALS = 0b11  # may not leave the fence, from ABI 6 on
OF_A_FILE = FileRight.EXECUTE | FileRight.WRITE_FILE | FileRight.READ_FILE | FileRight.TRUNCATE
TO_READ = FileRight.EXECUTE | FileRight.READ_FILE | FileRight.READ_DIR
TO_WORK = (
    FileRight.WRITE_FILE
    | FileRight.READ_FILE
    | FileRight.READ_DIR
    | FileRight.REMOVE_DIR
    | FileRight.REMOVE_FILE
    | FileRight.MAKE_DIR
    | FileRight.MAKE_REGULAR
    | FileRight.REFER
    | FileRight.TRUNCATE
)

# Numbers are the same on every architecture: Landlock came after the tables were unified.
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
LANDLOCK_RULE_PATH_BENEATH, LANDLOCK_CREATE_RULESET_VERSION = 1, 1
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
NAMESPACES = {Network.HOST: 0, Network.EMPTY: CLONE_NEWUSER | CLONE_NEWNET, Network.EMPTY_AS_ROOT: CLONE_NEWNET}


@cache
def _kernel() -> "_Kernel":
    import ctypes

    return _Kernel(ctypes.CDLL(None, use_errno=True), ctypes.get_errno)


class _Kernel:
    """The system calls that Python has no function for. Each raises OSError where the kernel says no."""

    def __init__(self, libc: "ctypes.CDLL", get_errno: Callable[[], int]) -> None:
        self._syscall, self._prctl, self._unshare = libc.syscall, libc.prctl, libc.unshare
        self._errno = get_errno

    def landlock_abi(self) -> int:
        """The version this kernel speaks; 0 where it has none."""
        answer = int(self._syscall(LANDLOCK_CREATE_RULESET, None, 0, LANDLOCK_CREATE_RULESET_VERSION))
        return max(answer, 0)

    def ruleset(self, abi: int, readable: Sequence[Path], workable: Sequence[Path], *, alone: bool = True) -> int:
        """A descriptor of the rules. `alone`: no TCP, and no signals or abstract sockets beyond the fence."""
        handled = ALL_RIGHTS[min(abi, max(ALL_RIGHTS))]
        network = BIND_AND_CONNECT_TCP if alone and abi >= 4 else 0
        scope = ABSTRACT_SOCKETS_AND_SIGNALS if alone and abi >= 6 else 0
        # An older kernel takes the longer structure as long as what it does not know is zero.
        attributes = struct.pack("=QQQ", handled, network, scope)
        ruleset = self._checked(self._syscall(LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0))
        try:
            for path in readable:
                self._allow(ruleset, path, TO_READ & handled)
            for path in workable:
                self._allow(ruleset, path, TO_WORK & handled)
        except BaseException:
            os.close(ruleset)
            raise
        return ruleset

    def _allow(self, ruleset: int, path: Path, rights: int) -> None:
        try:
            beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            granted = rights if path.is_dir() else rights & OF_A_FILE
            rule = struct.pack("=Qi", granted, beneath)
            self._checked(self._syscall(LANDLOCK_ADD_RULE, ruleset, LANDLOCK_RULE_PATH_BENEATH, rule, 0))
        finally:
            os.close(beneath)

    def restrict(self, ruleset: int | None) -> None:
        """Enter the rules for good. Without rules, at least no program gains rights by being started."""
        self._checked(self._prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        if ruleset is not None:
            self._checked(self._syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0))

    def leave_network(self, network: Network) -> None:
        if network is not Network.HOST:
            self._checked(self._unshare(NAMESPACES[network]))

    def die_with_parent(self) -> None:
        self._checked(self._prctl(PR_SET_PDEATHSIG, signal.SIGKILL.value, 0, 0, 0))

    def _checked(self, answer: int) -> int:
        if answer < 0:
            code = self._errno()
            raise OSError(code, os.strerror(code))
        return answer
