"""The answers of the Toolkit API: pure functions from jobs to the documented shapes.

Source of the shapes: the public contract of the reference toolkit (queued 202, result, queue full 429).
The result envelope is a function of the finished job alone (and of the link renderer), so that an HTTP
answer, a status call and every try of a webhook say the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from jobreel.core.artifact import Link, Links
from jobreel.core.errors import ErrorReport, QueueFull
from jobreel.core.ids import new_id
from jobreel.core.job import Accepted, Job, Status


@dataclass(frozen=True, slots=True)
class Deployment:
    """What every answer says about who answered."""

    pid: int
    queue_id: int
    build_number: str
    max_queue_length: int  # 0: unlimited


def queued(accepted: Accepted, label: str | None, here: Deployment, warnings: list[str]) -> dict[str, Any]:
    """202: the job is accepted."""
    answer = {
        "code": 202,
        "id": label,
        "job_id": accepted.job_id,
        "message": "processing",
        "pid": here.pid,
        "queue_id": here.queue_id,
        "max_queue_length": here.max_queue_length or "unlimited",
        "queue_length": accepted.queue_length,
        "build_number": here.build_number,
    }
    return {**answer, "warnings": warnings} if warnings else answer


def queue_full(refusal: QueueFull, label: str | None, here: Deployment) -> dict[str, Any]:
    """429: nothing was stored; the job id is minted for the shape's sake and leads nowhere."""
    return {
        "code": 429,
        "id": label,
        "job_id": new_id(),
        "message": refusal.message,
        "pid": here.pid,
        "queue_id": here.queue_id,
        "queue_length": refusal.queue_length,
        "build_number": here.build_number,
        "error": error_object(refusal.report()),
    }


def plain_result(
    endpoint: str,
    response: Any,
    here: Deployment,
    *,
    code: int = 200,
    message: str = "success",
    job_id: str | None,
    label: str | None = None,
    run_time: float = 0.0,
    queue_length: int = 0,
) -> dict[str, Any]:
    """The result envelope of a call that is no job (status, authenticate, test). Times in seconds."""
    return {
        "endpoint": endpoint,
        "code": code,
        "id": label,
        "job_id": job_id,
        "response": response,
        "message": message,
        "pid": here.pid,
        "queue_id": here.queue_id,
        "run_time": round(run_time, 3),
        "queue_time": 0,
        "total_time": round(run_time, 3),
        "queue_length": queue_length,
        "build_number": here.build_number,
    }


def refused_result(
    endpoint: str, error: ErrorReport, here: Deployment, *, job_id: str | None, run_time: float
) -> dict[str, Any]:
    """The result envelope of such a call that came to nothing."""
    envelope = plain_result(
        endpoint, None, here, code=error.code, message=error.message, job_id=job_id, run_time=run_time
    )
    return {**envelope, "error": error_object(error)}


def result(job: Job, here: Deployment, links: Links) -> dict[str, Any]:
    """The result envelope of a finished job."""
    if job.status is not Status.DONE or job.finished_at is None:
        raise ValueError(f"{job.job_id} is {job.status}: it has no result yet")
    started_at = job.started_at or job.finished_at
    envelope = {
        "endpoint": f"/v1/{job.job_type}",
        "code": job.code,
        "id": job.label,
        "job_id": job.job_id,
        "response": None if job.error else rendered(job, links),
        "message": job.error.message if job.error else "success",
        "pid": job.process_id or here.pid,
        "queue_id": here.queue_id,
        "run_time": round(job.finished_at - started_at, 3),
        "queue_time": round(started_at - job.created_at, 3),
        "total_time": round(job.finished_at - job.created_at, 3),
        "queue_length": job.queue_length,
        "build_number": here.build_number,
        "job_status": Status.DONE.value,
        "status": job.public_status,
    }
    return {**envelope, "error": error_object(job.error)} if job.error else envelope


def record(job: Job, here: Deployment, links: Links) -> dict[str, Any]:
    """The five documented keys of a job's record."""
    return {
        "job_status": job.status.value,
        "job_id": job.job_id,
        "queue_id": here.queue_id,
        "process_id": job.process_id or here.pid,
        "response": result(job, here, links) if job.status is Status.DONE else None,
    }


def error_object(error: ErrorReport) -> dict[str, Any]:
    """`error`, as it stands beside `message` in every failed job and refused request."""
    return {"type": error.type, "step": error.step, "retryable": error.retryable, "hint": error.hint}


def rendered(job: Job, links: Links) -> Any:
    """The job's response with the addresses of its artifacts in their places."""
    return None if job.response is None else placed(job.response, job.links, links)


def placed(response: str, places: Iterable[Link], links: Links) -> Any:
    """A response from its JSON, with an address at each place.

    Raises LookupError, TypeError or ValueError where this is no JSON or a place is not in it.
    """
    value = msgspec.json.decode(response)
    for place in places:
        value = _with_address(value, place, links.url(place.artifact_id, place.name))
    return value


def _with_address(response: Any, link: Link, address: str) -> Any:
    """Set `address` where the link's JSON pointer (RFC 6901) says."""
    if link.pointer == "":
        return address
    *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in link.pointer[1:].split("/")]
    holder = response
    for part in parents:
        holder = holder[int(part)] if isinstance(holder, list) else holder[part]
    holder[int(last) if isinstance(holder, list) else last] = address
    return response
