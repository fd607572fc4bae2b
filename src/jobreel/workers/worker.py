"""The worker: claims jobs for its free slots, runs their attempts in children, and tells the ledger their ends.

One event loop task starts each attempt; a heartbeat on its own thread says which attempts are really held,
so that neither a busy loop can fake death nor a forgotten attempt can fake life.
"""

import asyncio
import itertools
import random
import shutil
import threading
from collections.abc import Mapping
from contextlib import suppress

import structlog

from jobreel.core import retry
from jobreel.core.errors import ChildDied, DiskFull, Internal, JobreelError, LeaseLost, Unavailable
from jobreel.core.job import Conclusion, Failure, Lease, Success
from jobreel.core.job_type import Catalogue
from jobreel.core.ledger import Ledger
from jobreel.workers import loops, processes
from jobreel.workers.attempt import Attempt, Stopped, Surroundings
from jobreel.workers.slot import Slot

TICK_SECONDS = 1.0
POLL_SECONDS = 1.0  # the net under the ledger's signals, and how late a due job may be
AWAY_SECONDS = 0.5  # between tries while the ledger is away
GIVE_BACK_SECONDS = 10.0
UNSTORABLE_AFTER = 20  # tries to store an outcome in a ledger that is there; then a plain failure instead
log = structlog.get_logger("jobreel.worker")


class Worker:
    """See the module. `start`, then `stop`; both once, in the main thread's loop."""

    def __init__(
        self, name: str, catalogue: Catalogue, around: Surroundings, slots: list[Slot], lease_seconds: float
    ) -> None:
        self.name = name
        self._catalogue, self._around, self._ledger = catalogue, around, around.ledger
        self._slots, self._free = slots, list(slots)
        self._light_types = frozenset(name for name, one in catalogue.items() if one.light)
        self._known_types = frozenset(catalogue)
        self._heart = Heart(self._ledger, self, lease_seconds)
        self._held: dict[tuple[str, int], Attempt] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._claiming: asyncio.Task[None] | None = None
        self._loops: list[asyncio.Task[None]] = []
        self._wake = self._ledger.subscribe()
        self._draining = False

    @property
    def held(self) -> list[tuple[str, int]]:
        return list(self._held)

    @property
    def facts(self) -> Mapping[str, int]:
        """For `/health`: slots and how many of them are busy."""
        return {"slots": len(self._slots), "busy": len(self._slots) - len(self._free)}

    async def start(self) -> None:
        self._ledger.worker_started(self.name, {})
        # What dead workers left, jobs and processes, is seen to at once.
        await asyncio.to_thread(self._ledger.heartbeat, self.name, [], 0.0)
        await asyncio.to_thread(processes.end_leftovers, self._ledger.identity.ledger_id, self._ledger.lives)
        self._around.scratch.mkdir(mode=0o711)
        await asyncio.gather(*(slot.start() for slot in self._slots))
        self._heart.start()
        self._claiming = asyncio.create_task(self._claim_until_drained())
        self._loops = [loops.begin("due jobs", self._promote), loops.begin("watch", self._watch)]
        self._wake.set()

    async def stop(self, grace_seconds: float) -> None:
        """Claim nothing more; let attempts finish within the grace time; give the rest back, nothing spent."""
        self._draining = True
        self._wake.set()
        if self._claiming is not None:
            await self._claiming  # a claim under way is let come to its end: its jobs are ours
        if self._tasks:
            log.info("draining", attempts=len(self._tasks), seconds=grace_seconds)
            await asyncio.wait(self._tasks, timeout=grace_seconds)
        for attempt in list(self._held.values()):
            attempt.end(Stopped())
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=GIVE_BACK_SECONDS)
        for task in [*self._tasks, *self._loops]:  # what the ledger could not be told by now is rescued later
            task.cancel()
        await asyncio.gather(*(slot.end() for slot in self._slots))
        self._heart.stop()
        with suppress(JobreelError):
            await asyncio.to_thread(self._ledger.worker_stopped, self.name)
        await asyncio.to_thread(shutil.rmtree, self._around.scratch, ignore_errors=True)

    # -- claiming -----------------------------------------------------------------------------------------

    async def _claim_until_drained(self) -> None:
        while not self._draining:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._claim()
            except Exception as error:  # noqa: BLE001 - claiming must go on, whatever one turn met
                log.warning("cannot claim", why=repr(error))
                await asyncio.sleep(AWAY_SECONDS)

    async def _claim(self) -> None:
        """A lease for every free slot that can have one. Light types first try the light slot."""
        light = sum(slot.light for slot in self._free)
        usual = len(self._free) - light
        if light and self._light_types:
            for lease in await self._ledger.claim(self.name, light, self._light_types):
                self._begin(lease, self._take_slot(light=True))
        if usual and not self._draining:
            for lease in await self._ledger.claim(self.name, usual, self._known_types):
                self._begin(lease, self._take_slot(light=False))

    def _take_slot(self, *, light: bool) -> Slot:
        slot = next(slot for slot in self._free if slot.light == light)
        self._free.remove(slot)
        return slot

    def _begin(self, lease: Lease, slot: Slot) -> None:
        attempt = Attempt(lease, self._catalogue[lease.job_type], self._around)
        self._held[lease.job_id, lease.attempt] = attempt
        task = asyncio.create_task(self._run(attempt, slot))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- one attempt --------------------------------------------------------------------------------------

    async def _run(self, attempt: Attempt, slot: Slot) -> None:
        conclusion = await self._conclusion(attempt, slot)
        # In one turn of the loop, so that telling the end and claiming the next share a commit.
        telling = asyncio.create_task(self._settle(attempt, conclusion))
        if not attempt.broken and slot.settle():
            self._release(slot)
        else:
            await self._renew(slot)
        await telling
        self._held.pop((attempt.lease.job_id, attempt.lease.attempt), None)
        await attempt.clean_up()

    async def _conclusion(self, attempt: Attempt, slot: Slot) -> Conclusion | None:
        """How the attempt ended; None: it is to be given back. Never raises: a slot would be lost with it."""
        try:
            if not slot.alive:  # its child ended between two jobs; this one need not pay for it
                await slot.renew()
            return await attempt.run(slot)
        except Stopped:
            why = "stopped"
        except (JobreelError, OSError) as error:  # no child, or no ledger in the middle of the conversation
            attempt.broken, why = True, str(error)
        except Exception:
            attempt.broken = True
            log.exception("an attempt went wrong", job=attempt.lease.job_id)
            return Failure(Internal("The job ended unexpectedly.", step="run").report())
        log.info("attempt given back", job=attempt.lease.job_id, why=why)
        await asyncio.sleep(0 if self._draining else AWAY_SECONDS)
        return None

    def _release(self, slot: Slot) -> None:
        self._free.append(slot)
        self._wake.set()

    async def _renew(self, slot: Slot) -> None:
        """Give the slot a fresh child, for as long as it takes."""
        while not self._draining:
            try:
                await slot.renew()
            except (ChildDied, OSError) as error:
                log.warning("cannot start a child", why=str(error))
                await asyncio.sleep(TICK_SECONDS)
            else:
                break
        self._release(slot)

    async def _settle(self, attempt: Attempt, conclusion: Conclusion | None) -> None:
        """Tell the ledger, for as long as it takes: it may be away. None: given back, nothing spent."""
        for tries in itertools.count(1):
            try:
                await self._tell(attempt, conclusion)
            except LeaseLost as lost:
                log.warning("lease lost", why=str(lost))
                await attempt.discard_kept()
            except Exception as error:  # noqa: BLE001 - an end that is not told is a job that runs for ever
                log.warning("cannot store an outcome yet", job=attempt.lease.job_id, why=repr(error))
                if tries == UNSTORABLE_AFTER and not isinstance(error, Unavailable | DiskFull):
                    conclusion = Failure(Internal("The job's outcome could not be stored.", step="store").report())
                await asyncio.sleep(AWAY_SECONDS)
                continue
            return

    async def _tell(self, attempt: Attempt, conclusion: Conclusion | None) -> None:
        lease = attempt.lease
        await attempt.tell_progress()
        if conclusion is None:
            await self._ledger.give_back(lease)
        elif isinstance(conclusion, Failure) and (wait := _wait_before_retry(lease, conclusion)) is not None:
            await self._ledger.retry(lease, conclusion.error, wait)
        else:
            await self._ledger.finish(lease, conclusion)
        if not isinstance(conclusion, Success):
            await attempt.discard_kept()  # now that the ledger no longer counts them among the running attempt's

    # -- by the clock -------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Once a second: memory and progress of the attempts that have lasted that long."""
        before = list(self._held.values())
        await asyncio.sleep(TICK_SECONDS)
        lasting = [attempt for attempt in before if attempt.pid is not None]
        if not lasting:
            return
        used = processes.memory_bytes_of({attempt.pid for attempt in lasting if attempt.pid is not None})
        for attempt in lasting:
            attempt.check_memory(used.get(attempt.pid or 0, 0))
            try:
                await attempt.tell_progress()
            except LeaseLost as lost:
                attempt.end(lost)
            except JobreelError as error:
                log.warning("cannot store progress", why=str(error))

    async def _promote(self) -> None:
        """Make jobs claimable when their time has come; and look for jobs that no signal told of."""
        self._wake.set()
        wait: float | None = None
        with suppress(JobreelError):
            wait = await self._ledger.promote()
        await asyncio.sleep(POLL_SECONDS if wait is None else min(max(wait, 0.01), POLL_SECONDS))


def _wait_before_retry(lease: Lease, failure: Failure) -> float | None:
    return retry.next_attempt_after(lease, failure.error, random.random())  # noqa: S311 - jitter


class Heart(threading.Thread):
    """The heartbeat: four times a lease, on its own thread, whatever the event loop is doing."""

    def __init__(self, ledger: Ledger, worker: Worker, lease_seconds: float) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._ledger, self._worker, self._lease_seconds = ledger, worker, lease_seconds
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(self._lease_seconds / 4):
            try:
                self._ledger.heartbeat(self._worker.name, self._worker.held, self._lease_seconds)
            except Exception as error:  # noqa: BLE001 - a heart that stops is a worker that is rescued from
                log.warning("no heartbeat", why=repr(error))

    def stop(self) -> None:
        self._stopped.set()
        self.join()
