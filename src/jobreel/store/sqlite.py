"""SQLite as the ledger's engine: one file, WAL, FULL (a commit survives power loss).

What is special here, each found by experiment:

* SQLite goes on writing into a file that was moved or unlinked. The path's device and inode are compared
  with the open file's before and after each write; while they differ the ledger is gone, and it is never
  created anew where one existed.
* A worker lives as long as it holds the lock on its file in `workers/`: never a clock.
* Nothing but SQLite opens the database file: closing any other descriptor would drop its locks.
* When the disk is full even deleting needs room: a reserve file is given up so that jobs can finish.
"""

import fcntl
import os
import shutil
import sqlite3 as stdlib_sqlite
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event, exc

from jobreel.core.errors import DiskFull, JobreelError, LedgerBroken, LedgerGone, Unavailable
from jobreel.store import migrations, statements

try:  # Debian 12's SQLite has the WAL-reset bug (3.7.0 to 3.51.2); this package brings a newer one
    import pysqlite3 as sqlite
except ImportError:  # pragma: no cover - platforms without the wheel; `jobreel check` names the version
    sqlite = stdlib_sqlite

SQLITE_VERSION: str = sqlite.sqlite_version
FILE_NAME = "jobreel.sqlite3"
MARKER_NAME = "ledger.id"  # says that a ledger was made here, even when its file is missing
RESERVE_NAME = "reserve"
OPENING_NAME = "opening.lock"
RESERVE_BYTES = 8 * 1024 * 1024
BUSY_SECONDS = 10.0
GONE_HINT = "The data directory was removed or its volume is not mounted. Put it back; no restart is needed."


class SqliteEngine:
    """Connections to one ledger file, guarded; and the locks that say who lives."""

    dialect = "sqlite"

    def __init__(self, folder: Path) -> None:
        """Open the ledger in `folder`, or make one where there never was one.

        Raises `LedgerGone` where one existed and its file is missing, `LedgerBroken` where it cannot be used.
        """
        self.folder = folder
        self._path = folder / FILE_NAME
        self._locks: dict[str, int] = {}
        self._reopening = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self._writes, self._reads = self._new_engine("IMMEDIATE"), self._new_engine("DEFERRED")
        self._writing: Connection | None = None
        self._writing_to: tuple[int, int] | None = None
        self._watch: Any = None
        try:
            with _alone(folder):
                _prepare(folder)
                migrations.upgrade(self._writes)
            self._opened, self._ledger_id = _file_id(self._path), self._read_ledger_id()
        except exc.DatabaseError as error:
            raise self.as_ours(error) from error
        (folder / MARKER_NAME).write_bytes(self._ledger_id)
        self.keep_reserve()

    # -- reading ------------------------------------------------------------------------------------------

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading. Raises `LedgerGone`, `LedgerBroken`."""
        self._must_be_here()
        try:
            with self._reads.connect() as connection, connection.begin():
                yield connection
        except (exc.DatabaseError, sqlite.Error) as error:
            raise self.as_ours(error) from error

    def data_version(self) -> int:
        """A number that moves when another connection commits; 4 us, no I/O while nothing happens."""
        if self._watch is None:
            self._must_be_here()
            self._watch = sqlite.connect(_uri(self._path), uri=True, isolation_level=None)
        try:
            return int(self._watch.execute("PRAGMA data_version").fetchone()[0])
        except sqlite.Error as error:
            raise self.as_ours(error) from error

    # -- writing (the writer's thread only) ---------------------------------------------------------------

    def begin(self) -> Connection:
        """The one connection that writes, inside a new transaction."""
        self._must_be_here()
        if self._writing_to != self._opened:
            self._drop_writing()
        if self._writing is None:
            self._writing, self._writing_to = self._writes.connect(), self._opened
        try:
            self._writing.begin()
        except BaseException:
            self._drop_writing()
            raise
        return self._writing

    def commit(self, connection: Connection) -> None:
        connection.commit()

    def confirm(self) -> None:
        """After a commit: raises `LedgerGone` where the file was moved away under it, so that nobody is told
        that something is kept which may not be.
        """
        if _file_id(self._path) != self._writing_to:
            raise LedgerGone("The ledger was moved away while it was written.", step="store", hint=GONE_HINT)

    def rollback(self, connection: Connection) -> None:
        with suppress(exc.DatabaseError):  # SQLITE_FULL has rolled back already
            connection.rollback()
        self._drop_writing()

    def _drop_writing(self) -> None:
        """After trouble, the next transaction begins on a connection that nothing has happened to."""
        connection, self._writing = self._writing, None
        if connection is not None:
            with suppress(exc.DatabaseError):
                connection.close()

    def as_ours(self, error: Exception) -> Exception:
        """A database error in our words; `JobreelError`s pass."""
        if isinstance(error, JobreelError):
            return error
        cause = getattr(error, "orig", None) or error
        name = getattr(cause, "sqlite_errorname", "")
        if name == "SQLITE_FULL":
            return DiskFull("The disk is full.", step="store", hint="Free some space; waiting jobs go on then.")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return Unavailable("The ledger is busy.", step="store", hint="Try again in a moment.")
        if name.startswith("SQLITE_CANTOPEN"):
            return LedgerGone("The ledger is not there.", step="store", hint=GONE_HINT)
        return LedgerBroken(f"{cause}", step="store", hint="Run `jobreel check` on the server.")

    def release_reserve(self) -> bool:
        """Give up the reserve file, so that jobs can finish on a full disk. False: it is gone already."""
        try:
            (self.folder / RESERVE_NAME).unlink()
        except OSError:
            return False
        return True

    def keep_reserve(self) -> None:
        """Make the reserve file where there is none and room enough."""
        if (self.folder / RESERVE_NAME).exists() or shutil.disk_usage(self.folder).free < 4 * RESERVE_BYTES:
            return
        with suppress(OSError), (self.folder / RESERVE_NAME).open("ab") as reserve:
            os.posix_fallocate(reserve.fileno(), 0, RESERVE_BYTES)

    # -- who lives ----------------------------------------------------------------------------------------

    def hold(self, worker: str) -> None:
        """Take the lock that says this worker lives; the kernel drops it with the process."""
        (self.folder / "workers").mkdir(exist_ok=True)
        descriptor = os.open(self._lock_path(worker), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._locks[worker] = descriptor

    def let_go(self, worker: str) -> None:
        if (descriptor := self._locks.pop(worker, None)) is not None:
            with suppress(FileNotFoundError):
                self._lock_path(worker).unlink()
            os.close(descriptor)

    def lives(self, worker: str) -> bool:
        """Whether some process holds this worker's lock. A dead one's file is removed."""
        if worker in self._locks:
            return True
        try:
            descriptor = os.open(self._lock_path(worker), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            self._lock_path(worker).unlink(missing_ok=True)
            return False
        finally:
            os.close(descriptor)

    def _lock_path(self, worker: str) -> Path:
        return self.folder / "workers" / f"{worker}.lock"

    def close(self) -> None:
        for worker in list(self._locks):
            self.let_go(worker)
        if self._watch is not None:
            self._watch.close()
        self._drop_writing()
        self._reads.dispose()
        self._writes.dispose()

    # -- is it still the same file? -----------------------------------------------------------------------

    def _must_be_here(self) -> None:
        if _file_id(self._path) != self._opened:
            self._reopen()

    def _reopen(self) -> None:
        """The path leads elsewhere: accept it only where the same ledger has been put back (from a copy)."""
        with self._reopening:
            found = _file_id(self._path)
            if found == self._opened:
                return
            if found is None or _ledger_id_in(self._path) != self._ledger_id:
                raise LedgerGone("The ledger is not there.", step="store", hint=GONE_HINT)
            self._reads.dispose()
            self._writes.dispose()
            self._watch = None  # the writer's own connection is dropped by its own thread, at its next turn
            self._opened = found

    def _read_ledger_id(self) -> bytes:
        with self._reads.connect() as connection:
            return bytes({row.name: row.value for row in connection.execute(statements.READ_META)}["ledger_id"])

    def _new_engine(self, begin: str) -> Engine:
        engine = create_engine(
            "sqlite://",
            creator=lambda: sqlite.connect(
                _uri(self._path), uri=True, isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False
            ),
            module=sqlite,
            poolclass=QueuePool,  # "sqlite://" alone would mean in memory, and one connection a thread
            pool_size=4,
            max_overflow=0,
            pool_reset_on_return=None,
        )
        event.listen(engine, "connect", _set_pragmas)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(f"BEGIN {begin}"))
        return engine


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Processes that start at once make the ledger one after the other: WAL mode is set without waiting."""
    descriptor = os.open(folder / OPENING_NAME, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _prepare(folder: Path) -> None:
    """Make an empty file, once; where a marker says that a ledger was here, never."""
    path = folder / FILE_NAME
    if path.exists():
        return
    if (folder / MARKER_NAME).exists():
        raise LedgerGone(
            f"A ledger was made in {folder}, but its file {FILE_NAME} is missing.",
            hint=f"Put it back from a backup. To start anew on purpose, remove {folder / MARKER_NAME}.",
        )
    sqlite.connect(_uri(path, "rwc"), uri=True).close()


def _uri(path: Path, mode: str = "rw") -> str:
    """mode=rw: a missing file is an error, never an empty ledger. Source: sqlite.org/uri.html."""
    return f"file:{quote(str(path))}?mode={mode}"


def _set_pragmas(connection: Any, _record: Any) -> None:
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "temp_store=MEMORY",
        "cache_size=-16000",
        "journal_size_limit=67108864",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _file_id(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _ledger_id_in(path: Path) -> bytes | None:
    """The id of the ledger at this path; None where there is none. Reads through SQLite."""
    try:
        connection = sqlite.connect(_uri(path), uri=True)
        try:
            row = connection.execute("SELECT value FROM meta WHERE name = 'ledger_id'").fetchone()
        finally:
            connection.close()
    except sqlite.Error:
        return None
    return bytes(row[0]) if row else None
