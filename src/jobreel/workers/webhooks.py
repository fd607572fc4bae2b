"""The sender: posts due webhooks, several receivers in parallel, never on a job's path.

A delivery is a row in the ledger's outbox, written with the job's end. Its body is the job's result
envelope; its headers follow Standard Webhooks 1.0.0 (standardwebhooks.com, "Signature scheme"): `webhook-id`
the same at every try, and a signature where a secret is set.
"""

import asyncio
import base64
import hashlib
import hmac
import random
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import msgspec
import structlog

from jobreel.core import envelope, retry
from jobreel.core.artifact import Links
from jobreel.core.delivery import Delivery, DeliveryStatus, DeliveryTried
from jobreel.core.envelope import Deployment
from jobreel.core.errors import Blocked, JobreelError
from jobreel.core.ledger import Ledger
from jobreel.tools.net import Answer, Door
from jobreel.workers import loops

MAX_SENDING = 32  # at once, over all receivers
MAX_PER_HOST = 8  # more are not begun while so many are under way: one slow receiver holds up nobody
POLL_SECONDS = 1.0
LOOK_EVERY_SECONDS = 0.025  # at most: when jobs end by the hundreds, one look serves many
log = structlog.get_logger("jobreel.webhooks")


@dataclass(frozen=True, slots=True)
class Letter:
    """Everything that makes a delivery's request."""

    links: Links
    here: Deployment
    key: bytes | None  # signs; None: unsigned

    def headers(self, delivery_id: str, body: bytes, now: float) -> dict[str, str]:
        timestamp = str(int(now))
        headers = {"content-type": "application/json", "webhook-id": delivery_id, "webhook-timestamp": timestamp}
        if self.key is not None:
            signed = f"{delivery_id}.{timestamp}.".encode() + body
            digest = hmac.digest(self.key, signed, hashlib.sha256)
            headers["webhook-signature"] = "v1," + base64.b64encode(digest).decode()
        return headers


class Sender:
    """See the module. `start`, then `stop`."""

    def __init__(self, name: str, ledger: Ledger, door: Door, letter: Letter) -> None:
        self._name, self._ledger, self._door, self._letter = name, ledger, door, letter
        self._wake = ledger.subscribe()
        self._tasks: set[asyncio.Task[None]] = set()
        self._hosts: Counter[str] = Counter()
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._loop = loops.begin("webhooks", self._send_due)

    async def stop(self, grace_seconds: float) -> None:
        """Let what is being sent come to its end, for a while; the rest is due again later."""
        if self._loop is not None:
            self._loop.cancel()
            with suppress(asyncio.CancelledError):
                await self._loop
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_seconds)
        for task in list(self._tasks):
            task.cancel()

    async def _send_due(self) -> None:
        """Begin to send what is due, then wait for more: until the next is, or a job ends."""
        self._wake.clear()
        wait: float | None = None
        with suppress(JobreelError):  # the ledger is away: look again in a moment
            wait = await self._ledger.seconds_until_next_delivery(self._busy_hosts())
            room = min(MAX_SENDING - len(self._tasks), MAX_PER_HOST)
            if wait is not None and wait <= 0 and room > 0:
                for delivery in await self._ledger.due_deliveries(self._name, room, self._busy_hosts()):
                    self._begin(delivery)
                return
        await asyncio.sleep(LOOK_EVERY_SECONDS)
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS if wait is None else min(wait, POLL_SECONDS)):
                await self._wake.wait()

    def _busy_hosts(self) -> list[str]:
        return [host for host, sending in self._hosts.items() if sending >= MAX_PER_HOST]

    def _begin(self, delivery: Delivery) -> None:
        self._hosts[delivery.host] += 1
        task = asyncio.create_task(self._send(delivery))
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, delivery.host))

    def _ended(self, host: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._hosts[host] -= 1
        if not self._hosts[host]:
            del self._hosts[host]
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a webhook could not be handled", why=repr(error))

    async def _send(self, delivery: Delivery) -> None:
        """One try, and its record."""
        tried = await self._try(delivery)
        fields = {"delivery": delivery.delivery_id, "job": delivery.job_id, "tries": delivery.tries + 1}
        log.info("webhook", **fields, status=tried.status.value, answer=tried.http_status, note=tried.note)
        while True:
            try:
                await self._ledger.record_delivery(self._name, delivery, tried)
            except JobreelError:
                await asyncio.sleep(POLL_SECONDS)
                continue
            return

    async def _try(self, delivery: Delivery) -> DeliveryTried:
        try:
            answer = await self._post(delivery)
        except Blocked as refusal:
            return DeliveryTried(DeliveryStatus.BLOCKED, None, refusal.message)
        except JobreelError as trouble:  # no answer came, or the ledger is away
            return self._again(delivery, None, None, trouble.message)
        if 200 <= answer.status < 300:
            return DeliveryTried(DeliveryStatus.DELIVERED, answer.status, answer.note)
        return self._again(delivery, answer.status, answer.retry_after_seconds, answer.note)

    async def _post(self, delivery: Delivery) -> Answer:
        job = await self._ledger.job(delivery.job_id, None)
        if job is None:
            raise Blocked("Its job was deleted.")
        body = msgspec.json.encode(envelope.result(job, self._letter.here, self._letter.links))
        headers = self._letter.headers(delivery.delivery_id, body, time.time())
        return await self._door.post(delivery.url, body, headers)

    def _again(self, delivery: Delivery, status: int | None, retry_after: float | None, note: str) -> DeliveryTried:
        now = time.time()
        first = delivery.first_try_at or now
        jitter = random.random()  # noqa: S311 - spreads tries, guards nothing
        wait = retry.next_delivery_after(delivery.tries + 1, first, now, status, retry_after, jitter)
        to = DeliveryStatus.FAILED if wait is None else DeliveryStatus.PENDING
        return DeliveryTried(to, status, note, wait)
