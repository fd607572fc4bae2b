"""Where the layers meet: settings in, a running service out. Only `cli` imports this."""

import asyncio
import os
import resource
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import imageio_ffmpeg
import msgspec
import uvicorn
import uvloop

from jobreel import __version__, logs
from jobreel.api.app import ApiOptions, create_app
from jobreel.api.health import HealthReport
from jobreel.api.protocol import JsonProtocol
from jobreel.core.artifact import Links
from jobreel.core.envelope import Deployment
from jobreel.core.errors import DiskFull, JobreelError
from jobreel.core.ids import new_id
from jobreel.core.job_type import Catalogue
from jobreel.core.keys import Keyring
from jobreel.core.service import Toolkit
from jobreel.core.waiters import Waiters
from jobreel.jobs import registry
from jobreel.settings import Settings
from jobreel.store.artifacts import FolderStore
from jobreel.store.ledger import SqlLedger
from jobreel.store.sqlite import SqliteEngine
from jobreel.tools.fence import Fence
from jobreel.tools.net import Door
from jobreel.workers import loops, processes
from jobreel.workers.attempt import Limits, Surroundings
from jobreel.workers.janitor import Janitor
from jobreel.workers.messages import FetchRules
from jobreel.workers.processes import Isolation
from jobreel.workers.slot import Slot
from jobreel.workers.webhooks import Letter, Sender
from jobreel.workers.worker import Worker

MAX_INLINE_RESULT_BYTES = 8 * 1024 * 1024
ROOM_SEEN_FOR_SECONDS = 1.0
HTTP_GRACE_SECONDS = 5
SENDER_GRACE_SECONDS = 3.0
BACKLOG = 2048
MAX_DESCRIPTORS = 65_536


def serve(settings: Settings, host: str, port: int, *, work: bool = True) -> int:
    """Run the service until it is told to stop; returns the exit status."""
    logs.configure(settings.log_format)
    processes.hide_memory()
    _allow_many_connections()
    try:
        listener = socket.create_server((host, port), backlog=BACKLOG, reuse_port=False)
    except OSError as error:
        print(f"jobreel: cannot listen on {host}:{port}: {error.strerror}.", file=sys.stderr)  # noqa: T201
        return 1
    try:
        node = Node.open(settings, settings.public_url_at(host, listener.getsockname()[1]), work=work)
    except JobreelError as error:
        print(f"jobreel: {error.message} {error.hint or ''}", file=sys.stderr)  # noqa: T201
        return 1
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(node.run(listener))
        except JobreelError as error:
            print(f"jobreel: {error.message} {error.hint or ''}", file=sys.stderr)  # noqa: T201
            return 1
    return 0


@dataclass(frozen=True, slots=True)
class Folders:
    """The data directory's parts. All on one disk: results are linked, not copied."""

    data: Path

    @property
    def ledger(self) -> Path:
        return self.data / "ledger"

    @property
    def artifacts(self) -> Path:
        return self.data / "artifacts"

    @property
    def scratch(self) -> Path:
        return self.data / "scratch"

    def make(self) -> None:
        """Nobody else may look in; children of another user may pass through to their scratch folders."""
        passage = 0o711 if os.geteuid() == 0 else 0o700
        for folder in (self.data, self.ledger, self.artifacts, self.scratch):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(passage if folder in {self.data, self.scratch} else 0o700)
        for folder in (self.data, self.data.parent):  # so that the new entries outlive a power cut
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            os.fsync(descriptor)
            os.close(descriptor)


class Room:
    """The disk guard: refuses new work before the disk is full."""

    def __init__(self, folder: Path, floor_bytes: int) -> None:
        self._folder, self._floor = folder, floor_bytes
        self._looked_at, self._free = 0.0, 0

    def check(self) -> None:
        """Raises `DiskFull`. The disk is looked at once a second at most."""
        now = time.monotonic()
        if now - self._looked_at > ROOM_SEEN_FOR_SECONDS:
            try:
                self._free = shutil.disk_usage(self._folder).free
            except OSError:
                return  # the folder is away: the ledger says so, in its own words
            self._looked_at = now
        if self._free < self._floor:
            raise DiskFull(
                "The server's disk is nearly full; it takes no new work.",
                step="submit",
                hint="Free some space on the server, or lower JOBREEL_DISK_FLOOR.",
            )


@dataclass(frozen=True, slots=True)
class Node:
    """All parts of one running service, made but not started."""

    settings: Settings
    public_url: str
    ledger: SqlLedger
    store: FolderStore
    door: Door
    waiters: Waiters
    toolkit: Toolkit
    catalogue: Catalogue
    janitor: Janitor
    sender: Sender | None
    worker: Worker | None
    isolation: Isolation | None
    fence: Fence | None

    @classmethod
    def open(cls, settings: Settings, public_url: str, *, work: bool) -> "Node":
        """Raises `LedgerGone`, `LedgerBroken`."""
        folders = Folders(settings.data_dir)
        engine = SqliteEngine(folders.ledger)  # first: where a ledger is missing, nothing else is made
        folders.make()
        isolation = processes.probe(folders.scratch) if work else None
        fence = _fence(settings) if work else None
        ledger = SqlLedger(engine, max_queue_length=settings.max_queue_length)
        store = FolderStore(
            folders.artifacts, max_output_bytes=settings.max_output, floor_bytes=settings.disk_floor
        )
        store.prepare()
        door = Door([str(network) for network in settings.allow_networks])
        links = Links(public_url, ledger.identity.link_secret)
        here = Deployment(os.getpid(), ledger.identity.queue_id, __version__, max(0, settings.max_queue_length))
        waiters = Waiters(ledger, settings.max_waiters)
        room = Room(settings.data_dir, settings.disk_floor)
        name, catalogue = new_id(), registry.load()
        sender = Sender(name, ledger, door, Letter(links, here, settings.webhook_key)) if work else None
        worker = None
        if isolation is not None and fence is not None:
            around = _surroundings(settings, ledger, store, links, folders.scratch / name, isolation)
            mark = processes.mark_of(ledger.identity.ledger_id, name)
            slots = [  # the usual ones, and one beyond them for quick questions
                Slot(isolation, fence, around.scratch, mark, light=light)
                for light in [False] * settings.slots + [True]
            ]
            worker = Worker(name, catalogue, around, slots, settings.lease_seconds)
        return cls(
            settings=settings,
            public_url=public_url,
            ledger=ledger,
            store=store,
            door=door,
            waiters=waiters,
            toolkit=Toolkit(ledger, store, waiters, links, here, door.warning_for, room.check),
            catalogue=catalogue,
            janitor=Janitor(ledger, store, folders.scratch, ledger.lives),
            sender=sender,
            worker=worker,
            isolation=isolation,
            fence=fence,
        )

    async def run(self, listener: socket.socket) -> None:
        """Start everything, serve until told to stop, stop everything in the order that loses nothing."""
        server = self._server()
        server.listen_for_signals()
        self.ledger.watch()
        telling = loops.begin("waiters", self.waiters.turn)
        try:
            if self.worker is not None:
                await self.worker.start()
            self.janitor.start()
            if self.sender is not None:
                self.sender.start()
            stopping = asyncio.create_task(self._stop_when_told(server))
            await server.serve([listener])
            self._stop_waiting(server)
            if self.worker is not None:
                await stopping
        finally:
            telling.cancel()
            self.janitor.stop()
            if self.sender is not None:
                await self.sender.stop(SENDER_GRACE_SECONDS)
            await self.door.close()
            self.ledger.close()

    async def _stop_when_told(self, server: "Server") -> None:
        """Drain the worker while the last requests are answered; waiting ones get their 202 at once."""
        await server.told_to_stop.wait()
        self._stop_waiting(server)
        if self.worker is not None:
            await self.worker.stop(self.settings.drain_seconds)

    def _stop_waiting(self, server: "Server") -> None:
        server.told_to_stop.set()
        self.waiters.stop()

    def _server(self) -> "Server":
        options = ApiOptions(
            max_body=self.settings.max_body,
            max_upload=self.settings.max_upload,
            wait_seconds=self.settings.wait_seconds,
            cors_origins=self.settings.cors_origins,
        )
        assert self.settings.api_key, "the command line makes one where none is set"
        keyring = Keyring(self.settings.api_key, dict(self.settings.api_keys))
        app = create_app(self.toolkit, self.catalogue, keyring, options, self.health, self.store.path)
        config = uvicorn.Config(
            app,
            http=JsonProtocol,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            proxy_headers=True,
            forwarded_allow_ips=",".join(self.settings.trusted_proxies),
            timeout_keep_alive=60,
            timeout_graceful_shutdown=HTTP_GRACE_SECONDS,
            backlog=BACKLOG,
            root_path=urlsplit(self.public_url).path.rstrip("/"),  # behind a proxy that serves us on a sub-path
        )
        return Server(config, self.public_url)

    async def health(self) -> HealthReport:
        """For `/health`: can this node take work, and what does the host allow?"""
        facts: dict[str, object] = {}
        try:
            facts["queue_length"] = await self.ledger.queue_length()
            facts["ledger"] = "ok"
        except JobreelError as error:
            facts["ledger"] = error.message
        if self.worker is not None:
            facts["worker"] = dict(self.worker.facts)
        if self.isolation is not None and self.fence is not None:
            facts["isolation"] = {
                "pid_namespace": self.isolation.pid_namespace,
                "other_user": self.isolation.other_user,
                "landlock": self.fence.landlock_abi > 0,
                "network_namespace": self.fence.network.value != "host",
                "notes": [*self.isolation.notes, *self.fence.missing],
            }
        return HealthReport(facts["ledger"] == "ok", facts)


class Server(uvicorn.Server):
    """uvicorn, told to stop by our own signals: its own would end the process before jobs are drained."""

    def __init__(self, config: uvicorn.Config, public_url: str) -> None:
        super().__init__(config)
        self.told_to_stop = asyncio.Event()
        self._public_url = public_url

    def listen_for_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Uvicorn's place for its own handlers; ours are in place since before the worker started."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        where = ", ".join(_address(listener) for listener in sockets or [])
        print(f"Jobreel listens on {where} and its docs are at {self._public_url}/docs", flush=True)  # noqa: T201

    def _stop(self) -> None:
        """Once: stop in good order. Twice: do not wait for connections."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self.told_to_stop.set()


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _allow_many_connections() -> None:
    """As many descriptors as this process may have: the usual 1,024 are soon taken by idle clients."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if most == resource.RLIM_INFINITY else min(most, MAX_DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _fence(settings: Settings) -> Fence:
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    probed = Fence.probe((ffmpeg, "-version"))
    return msgspec.structs.replace(
        probed,
        memory_bytes=settings.memory_limit,
        output_bytes=settings.max_output,
        max_pixels=settings.max_pixels,
    )


def _surroundings(
    settings: Settings, ledger: SqlLedger, store: FolderStore, links: Links, scratch: Path, isolation: Isolation
) -> Surroundings:
    fetch = FetchRules(
        allow_networks=tuple(map(str, settings.allow_networks)),
        max_bytes=settings.max_source,
        connect_seconds=settings.fetch_connect_seconds,
        read_seconds=settings.fetch_read_seconds,
        total_seconds=settings.fetch_total_seconds,
        free_disk_floor_bytes=settings.disk_floor,
    )
    limits = Limits(
        memory_bytes=settings.memory_limit,
        log_bytes=settings.log_limit,
        inline_result_bytes=MAX_INLINE_RESULT_BYTES,
        time_limit_seconds=settings.time_limit_seconds,
    )
    return Surroundings(ledger, store, links, fetch, limits, scratch, isolation.other_user)
