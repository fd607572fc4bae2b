"""The write operations of the ledger: functions of a transaction, each one promise of the contract.

A refusal is raised before anything but the stamp is written (see `store/writer.py`). All of an operation's
facts (state, books, event, delivery, artifacts) are written together or not at all.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Update

from jobreel.core.artifact import Artifact
from jobreel.core.delivery import Delivery, DeliveryStatus, DeliveryTried
from jobreel.core.errors import Conflict, JobreelError, LeaseLost, QueueFull, WorkerLost
from jobreel.core.ids import new_id
from jobreel.core.job import (
    MAX_LOSSES,
    Accepted,
    Conclusion,
    Draft,
    Failure,
    IdempotencyKey,
    Lease,
    Outcome,
    Progress,
    Success,
)
from jobreel.store import rows, statements
from jobreel.store.writer import Transaction

KEEP_KEYS_SECONDS = 24 * 3600.0


# -- submitting -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Admission:
    """Lets drafts in, together. `limit` 0: as many as come."""

    dialect: str
    limit: int

    def __call__(self, tx: Transaction, drafts: Sequence[Draft]) -> list[Accepted | JobreelError]:
        """An answer per draft, in order: accepted, the earlier job of its key, or a refusal."""
        if self.dialect != "sqlite":  # which has let nobody else in since BEGIN IMMEDIATE
            tx.run(statements.LOCK_GATE)
        waiting = int(tx.run(statements.QUEUE_LENGTH)[0][0])
        known = self._known(tx, drafts)
        answers: list[Accepted | JobreelError] = []
        admitted: list[Draft] = []
        for draft in drafts:
            answer = self._answer(draft, known, waiting + len(admitted))
            answers.append(answer)
            if isinstance(answer, Accepted) and not answer.repeated:
                admitted.append(draft)
        if admitted:
            self._add(tx, admitted)
        return answers

    def _known(self, tx: Transaction, drafts: Sequence[Draft]) -> dict[tuple[str, str], tuple[str, str]]:
        """Request digest and job by caller and key; filled up with the drafts' own as they are admitted."""
        keys = [(draft.caller, draft.idempotency.key) for draft in drafts if draft.idempotency]
        if not keys:
            return {}
        found = tx.connection.execute(statements.KNOWN_KEYS, {"keys": keys})
        return {(row.caller, row.key): (row.request_digest, row.job_id) for row in found}

    def _answer(
        self, draft: Draft, known: dict[tuple[str, str], tuple[str, str]], waiting: int
    ) -> Accepted | JobreelError:
        if (key := draft.idempotency) is not None:
            earlier = known.get((draft.caller, key.key))
            if earlier is not None:
                return _repeat(key, *earlier, waiting)
        if self.limit and waiting >= self.limit:
            return QueueFull(self.limit, waiting)
        if key is not None:
            known[draft.caller, key.key] = (key.request_digest, draft.job_id)
        return Accepted(draft.job_id, waiting + 1)

    def _add(self, tx: Transaction, drafts: Sequence[Draft]) -> None:
        change, now = tx.stamp
        lanes = Counter((draft.caller, draft.job_type) for draft in drafts)
        tx.run_many(
            statements.count_accepted(self.dialect),
            [{"caller": caller, "type": job_type, "n": n} for (caller, job_type), n in sorted(lanes.items())],
        )
        tx.run_many(statements.ADD_JOBS, [rows.new_row(draft, change, now) for draft in drafts])
        _add_events(tx, "submitted", [(draft.job_id, 0) for draft in drafts])
        keys = [_key_row(draft, draft.idempotency, now) for draft in drafts if draft.idempotency]
        if keys:
            tx.run_many(statements.add_key(self.dialect), keys)


def _repeat(key: IdempotencyKey, digest: str, job_id: str, waiting: int) -> Accepted | JobreelError:
    if digest != key.request_digest:
        return Conflict(
            "This idempotency key was used for another request.", hint="Use a new key for a new request."
        )
    return Accepted(job_id, waiting, repeated=True)


def _key_row(draft: Draft, key: IdempotencyKey, now: float) -> dict[str, Any]:
    return {
        "caller": draft.caller,
        "key": key.key,
        "request_digest": key.request_digest,
        "job_id": draft.job_id,
        "expires_at": now + KEEP_KEYS_SECONDS,
    }


# -- working ----------------------------------------------------------------------------------------------


def claim(tx: Transaction, worker: str, process_id: int, count: int, only: frozenset[str] | None) -> list[Lease]:
    leases: list[Lease] = []
    while len(leases) < count:
        lanes = tx.run(statements.open_lane(only))
        if not lanes:
            break
        row = _claim_head(tx, lanes[0], worker, process_id)
        if row is None:  # another node took it meanwhile (row locks): its lane may be empty now
            break
        leases.append(rows.lease_of(row, worker))
    if leases:
        _add_events(tx, "claimed", [(lease.job_id, lease.attempt) for lease in leases])
    return leases


def _claim_head(tx: Transaction, lane: rows.AnyRow, worker: str, process_id: int) -> rows.AnyRow | None:
    change, now = tx.stamp
    of_lane = {"of_caller": lane.caller, "of_type": lane.type}
    taken = {"by_worker": worker, "by_process": process_id, "at": now, "stamp": change}
    claimed = tx.run(statements.CLAIM_HEAD, of_lane | taken)
    if not claimed:
        return None
    tx.run(statements.COUNT_CLAIMED, of_lane)
    return claimed[0]


def set_progress(tx: Transaction, dialect: str, lease: Lease, progress: Progress) -> None:
    if not tx.run(statements.IS_HELD, _fence(lease)):
        raise _lost(lease)
    values = {
        "job_id": lease.job_id,
        "attempt": lease.attempt,
        "fraction": progress.fraction,
        "stage": progress.stage,
        "log_tail": progress.log_tail,
        "at": tx.run(statements.NOW)[0][0],
    }
    tx.run(statements.set_progress(dialect), values)


def finish(tx: Transaction, lease: Lease, conclusion: Conclusion) -> None:
    """Telling the same end twice is no mistake: the first answer may have been lost."""
    change, now = tx.stamp
    values = rows.outcome_values(conclusion)
    try:
        row = _written(tx, lease, statements.FINISH, values | {"at": now, "stamp": change})
    except LeaseLost:
        if _already_told(tx, lease, values):
            return
        raise
    succeeded = isinstance(conclusion, Success)
    outcome = Outcome.SUCCEEDED if succeeded else Outcome.FAILED
    tx.run(statements.COUNT_FINISHED[outcome], {"of_caller": row.caller, "of_type": row.type})
    note = None if isinstance(conclusion, Success) else conclusion.error.type
    _add_events(tx, outcome.value, [(lease.job_id, lease.attempt)], note)
    if isinstance(conclusion, Success) and conclusion.artifacts:
        add_artifacts(tx, conclusion.artifacts)
    if row.webhook_url:
        tx.run_many(statements.ADD_DELIVERY, [_delivery_row(lease.job_id, row.webhook_url, now)])


def requeue(
    tx: Transaction,
    lease: Lease,
    event: str,
    *,
    note: str | None = None,
    after_seconds: float = 0.0,
    failed: int = 0,
    lost: int = 0,
) -> None:
    """Back into the queue, with what was spent; nothing for a worker that is stopping."""
    change, now = tx.stamp
    values = {
        "is_ready": int(after_seconds <= 0),
        "due_at": now + after_seconds,
        "failed": failed,
        "lost": lost,
        "stamp": change,
    }
    row = _written(tx, lease, statements.REQUEUE, values)
    tx.run(statements.COUNT_REQUEUED, {"of_caller": row.caller, "of_type": row.type})
    tx.run(statements.FORGET_PROGRESS_FRACTION, {"job": lease.job_id})
    _add_events(tx, event, [(lease.job_id, lease.attempt)], note)


def _already_told(tx: Transaction, lease: Lease, values: dict[str, Any]) -> bool:
    told = tx.run(statements.ALREADY_TOLD, _fence(lease))
    return bool(told) and told[0]._asdict() == values


def _written(tx: Transaction, lease: Lease, statement: Update, values: dict[str, Any]) -> rows.AnyRow:
    """The job's row after a fenced update. Raises `LeaseLost`: then nothing was written but a stamp."""
    written = tx.run(statement, _fence(lease) | values)
    if not written:
        raise _lost(lease)
    return written[0]


def rescue(tx: Transaction, lost: Sequence[Lease]) -> list[Lease]:
    """Queue again what nobody works on; give up what loses its worker each time. Returns what it rescued."""
    rescued: list[Lease] = []
    for lease in lost:
        if not tx.run(statements.IS_HELD, _fence(lease)):
            continue  # it ended, or another worker rescued it, since we looked
        if is_given_up(lease):
            finish(tx, lease, Failure(_gave_up(lease).report()))
        else:
            requeue(tx, lease, "rescued", lost=1)
        rescued.append(lease)
    return rescued


def is_given_up(lease: Lease) -> bool:
    return lease.losses + 1 >= MAX_LOSSES


def _gave_up(lease: Lease) -> WorkerLost:
    return WorkerLost(
        f"The worker vanished with this job {lease.losses + 1} times; it was not tried again.",
        step="run",
        hint="It may need more memory than this machine has. See `jobreel check` and the server's log.",
    )


def promote(tx: Transaction) -> int:
    return int(tx.connection.execute(statements.PROMOTE, {"stamp": tx.stamp.change}).rowcount)


def _fence(lease: Lease) -> dict[str, Any]:
    return {"job": lease.job_id, "of_attempt": lease.attempt, "by_worker": lease.worker}


def _lost(lease: Lease) -> LeaseLost:
    return LeaseLost(f"attempt {lease.attempt} of job {lease.job_id} was taken over")


def _add_events(tx: Transaction, kind: str, attempts: Sequence[tuple[str, int]], note: str | None = None) -> None:
    change, now = tx.stamp
    tx.run_many(
        statements.ADD_EVENTS,
        [
            {"job_id": job_id, "change": change, "kind": kind, "attempt": attempt, "at": now, "note": note}
            for job_id, attempt in attempts
        ],
    )


# -- webhooks and artifacts -------------------------------------------------------------------------------


def _delivery_row(job_id: str, url: str, now: float) -> dict[str, Any]:
    return {
        "id": f"msg_{new_id()}",
        "job_id": job_id,
        "url": url,
        "host": urlsplit(url).netloc.rpartition("@")[2].lower(),
        "status": DeliveryStatus.PENDING.value,
        "tries": 0,
        "next_at": now,
        "created_at": now,
        "updated_at": now,
    }


def take_deliveries(tx: Transaction, sender: str, count: int, busy_hosts: Sequence[str]) -> list[Delivery]:
    wanted = {"by_sender": sender, "count": count, "busy": list(busy_hosts)}
    taken = tx.connection.execute(statements.TAKE_DELIVERIES, wanted)
    return [rows.delivery_of(row) for row in taken]


def record_delivery(tx: Transaction, sender: str, delivery: Delivery, tried: DeliveryTried) -> None:
    """Does nothing where the delivery was taken over meanwhile."""
    values = {
        "delivery": delivery.delivery_id,
        "by_sender": sender,
        "to_status": tried.status.value,
        "wait": tried.next_in_seconds or 0.0,
        "answered": tried.http_status,
        "said": tried.note,
    }
    tx.run(statements.RECORD_DELIVERY, values)


def release_deliveries(tx: Transaction, dead_senders: Sequence[str]) -> None:
    tx.connection.execute(statements.RELEASE_DELIVERIES, {"dead": list(dead_senders)})


def add_artifacts(tx: Transaction, artifacts: Sequence[Artifact]) -> None:
    now = tx.stamp.now
    tx.run_many(statements.ADD_ARTIFACTS, [rows.artifact_row(artifact, now) for artifact in artifacts])


def add_worker(tx: Transaction, row: dict[str, Any]) -> None:
    tx.connection.execute(statements.ADD_WORKER, row | {"started_at": tx.stamp.now})


def forget_worker(tx: Transaction, worker: str) -> None:
    tx.connection.execute(statements.FORGET_WORKER, {"worker": worker})
