import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.workers.faults.fetches import FetchRequest

from jobreel.core.artifact import Links
from jobreel.core.ids import new_id
from jobreel.core.job import Draft, Job
from jobreel.core.job_type import JobType
from jobreel.core.request import JobRequest
from jobreel.core.waiters import Waiters
from jobreel.store.artifacts import FolderStore
from jobreel.store.ledger import SqlLedger
from jobreel.store.sqlite import SqliteEngine
from jobreel.tools.fence import Fence
from jobreel.workers import loops, processes
from jobreel.workers.attempt import Limits, Surroundings
from jobreel.workers.messages import FetchRules
from jobreel.workers.processes import Isolation
from jobreel.workers.slot import Slot
from jobreel.workers.worker import Worker

PROJECT = Path(__file__).parents[2]
MIB = 1024 * 1024
FAULTS = sorted(path.stem for path in (PROJECT / "tests" / "workers" / "faults").glob("[a-z]*.py"))


class WithTests(Isolation):
    """The host's isolation; children find the fault handlers too."""

    @property
    def wrapper(self) -> list[str]:
        return [*Isolation.wrapper.fget(self), "env", f"PYTHONPATH={PROJECT}"]  # type: ignore[attr-defined]


def fault_type(name: str, seconds: float) -> JobType:
    return JobType(
        name=f"faults/{name}",
        handler=f"tests.workers.faults.{name}:run",
        request=FetchRequest if name == "fetches" else JobRequest,
        summary="",
        description="",
        example={},
        example_response=None,
        time_limit=timedelta(seconds=seconds),
    )


@dataclass
class Bench:
    """A real worker with real children over a real ledger, in a folder of its own."""

    data: Path
    isolation: Isolation
    slots: int = 1
    time_limit_seconds: float = 60.0
    limits: Limits = field(default_factory=lambda: Limits(256 * MIB, 1 * MIB, 8 * MIB, 0.0))
    allow_networks: tuple[str, ...] = ("127.0.0.1/32",)
    fence: Fence = field(default_factory=Fence.probe)
    workers: list[Worker] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = SqlLedger(SqliteEngine(self.data / "ledger"))
        self.store = FolderStore(self.data / "artifacts", max_output_bytes=MIB)
        self.store.prepare()
        (self.data / "scratch").mkdir()
        self.links = Links("http://127.0.0.1:1", self.ledger.identity.link_secret)
        self.waiters = Waiters(self.ledger, 100)

    async def start(self) -> Worker:
        name = new_id()
        around = Surroundings(
            self.ledger,
            self.store,
            self.links,
            FetchRules(self.allow_networks, MIB, 5, 5, 20, 0),
            self.limits,
            self.data / "scratch" / name,
            self.isolation.other_user,
        )
        mark = processes.mark_of(self.ledger.identity.ledger_id, name)
        slots = [Slot(self.isolation, self.fence, around.scratch, mark, light=False) for _ in range(self.slots)]
        catalogue = {
            job_type.name: job_type for job_type in (fault_type(name, self.time_limit_seconds) for name in FAULTS)
        }
        worker = Worker(name, catalogue, around, slots, 10.0)
        await worker.start()
        self.workers.append(worker)
        return worker

    async def submit(self, fault: str, **options: Any) -> str:
        request = msgspec.json.encode(options.pop("request", {})).decode()
        draft = Draft(new_id(), "owner", f"faults/{fault}", request, **options)
        return (await self.ledger.submit(draft)).job_id

    async def done(self, job_id: str) -> Job:
        job = await self.waiters.done(job_id, 60)
        assert job is not None, "the job did not end within a minute"
        return job

    async def ended(self, fault: str, **options: Any) -> Job:
        return await self.done(await self.submit(fault, **options))

    async def job(self, job_id: str) -> Job:
        job = await self.ledger.job(job_id, None)
        assert job is not None
        return job

    def strays(self) -> list[Path]:
        """Files that should not be there once nothing runs."""
        walked = os.walk(self.data / "artifacts")  # which does not mind what is removed meanwhile
        kept = [Path(folder) / name for folder, _, names in walked for name in names]
        return [*kept, *(self.data / "scratch").glob("*/*")]


@pytest.fixture(scope="session")
def isolation(tmp_path_factory: pytest.TempPathFactory) -> Isolation:
    """What this host allows."""
    found = processes.probe(tmp_path_factory.mktemp("probe"))
    return WithTests(found.pid_namespace, found.other_user, found.notes)


@pytest.fixture(scope="session")
def bare() -> Isolation:
    """What a host that allows nothing would leave."""
    return WithTests(pid_namespace=False, other_user=False)


@pytest.fixture
async def bench(tmp_path: Path, isolation: Isolation) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path, isolation)
    bench.ledger.watch()
    telling = loops.begin("waiters", bench.waiters.turn)
    yield bench
    for worker in bench.workers:
        await worker.stop(0)
    telling.cancel()
    bench.ledger.close()
