"""The one door from rows to the core's types, and back."""

from typing import Any

import msgspec

from jobreel.core.artifact import Artifact, Link
from jobreel.core.delivery import Delivery
from jobreel.core.errors import ErrorReport
from jobreel.core.job import Conclusion, Draft, Job, Lease, Outcome, Progress, Status, Success

AnyRow = Any  # a row with its columns as attributes, from a prepared statement or from SQLAlchemy

_links = msgspec.json.Decoder(tuple[Link, ...])
_error = msgspec.json.Decoder(ErrorReport)


def rank_of(draft: Draft) -> int:
    """A waiting job's place in its lane, lower first: priority, then whether somebody waits for it."""
    return -(2 * draft.priority + draft.awaited)


def new_row(draft: Draft, change: int, now: float) -> dict[str, Any]:
    return {
        "id": draft.job_id,
        "caller": draft.caller,
        "type": draft.job_type,
        "status": Status.QUEUED.value,
        "request": draft.request,
        "label": draft.label,
        "webhook_url": draft.webhook_url,
        "awaited": int(draft.awaited),
        "priority": draft.priority,
        "rank": rank_of(draft),
        "ready": int(draft.delay_seconds <= 0),
        "run_at": now + max(0.0, draft.delay_seconds),
        "attempt": 0,
        "failures": 0,
        "losses": 0,
        "created_at": now,
        "queue_length": 0,
        "change": change,
    }


def lease_of(row: AnyRow, worker: str) -> Lease:
    return Lease(
        job_id=row.id,
        worker=worker,
        attempt=row.attempt,
        caller=row.caller,
        job_type=row.type,
        request=row.request,
        awaited=bool(row.awaited),
        failures=row.failures,
        losses=row.losses,
    )


def lost_lease_of(row: AnyRow) -> Lease:
    """The lease that a vanished worker had: enough of it to end it."""
    return Lease(
        job_id=row.id,
        worker=row.worker,
        attempt=row.attempt,
        caller=row.caller,
        job_type=row.type,
        request="",
        awaited=False,
        failures=0,
        losses=row.losses,
    )


def outcome_values(conclusion: Conclusion) -> dict[str, Any]:
    """What FINISH stores of an attempt's end."""
    if isinstance(conclusion, Success):
        return {
            "ended": Outcome.SUCCEEDED.value,
            "with_code": 200,
            "answer": conclusion.response,
            "its_links": msgspec.json.encode(conclusion.links).decode() if conclusion.links else None,
            "its_error": None,
        }
    return {
        "ended": Outcome.FAILED.value,
        "with_code": conclusion.error.code,
        "answer": None,
        "its_links": None,
        "its_error": msgspec.json.encode(conclusion.error).decode(),
    }


def job_of(row: AnyRow) -> Job:
    return Job(
        job_id=row.id,
        caller=row.caller,
        job_type=row.type,
        status=Status(row.status),
        outcome=Outcome(row.outcome) if row.outcome else None,
        request=row.request,
        label=row.label,
        webhook_url=row.webhook_url,
        awaited=bool(row.awaited),
        attempt=row.attempt,
        failures=row.failures,
        losses=row.losses,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        worker=row.worker,
        process_id=row.process_id,
        queue_length=row.queue_length,
        response=row.response,
        error=_error.decode(row.error) if row.error else None,
        links=_links.decode(row.links) if row.links else (),
        progress=Progress(row.fraction, row.stage or "", row.log_tail or ""),
    )


def artifact_row(artifact: Artifact, now: float) -> dict[str, Any]:
    return {
        "id": artifact.artifact_id,
        "key": artifact.key,
        "job_id": artifact.job_id,
        "caller": artifact.caller,
        "name": artifact.name,
        "content_type": artifact.content_type,
        "size_bytes": artifact.size_bytes,
        "created_at": now,
    }


def artifact_of(row: AnyRow) -> Artifact:
    return Artifact(
        artifact_id=row.id,
        key=row.key,
        name=row.name,
        content_type=row.content_type,
        size_bytes=row.size_bytes,
        caller=row.caller,
        job_id=row.job_id,
    )


def delivery_of(row: AnyRow) -> Delivery:
    return Delivery(
        delivery_id=row.id,
        job_id=row.job_id,
        url=row.url,
        host=row.host,
        tries=row.tries,
        first_try_at=row.first_try_at,
    )
