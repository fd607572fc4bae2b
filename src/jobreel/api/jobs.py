"""Submissions: one handler per job type, the same for all of them."""

import asyncio
from collections.abc import Iterator
from contextlib import nullcontext

from starlette.requests import Request
from starlette.responses import Response

from jobreel.api.answers import JsonAnswer
from jobreel.api.auth import Gate
from jobreel.api.bodies import json_body
from jobreel.api.preferences import preferred_wait
from jobreel.api.problems import retry_after
from jobreel.api.routes import Route
from jobreel.core import envelope
from jobreel.core.errors import QueueFull
from jobreel.core.job import Job
from jobreel.core.job_type import Catalogue, JobType
from jobreel.core.keys import Caller
from jobreel.core.request import JobRequest
from jobreel.core.service import Submitted, Toolkit

POLL_AFTER_SECONDS = 2


def submission_routes(
    catalogue: Catalogue, toolkit: Toolkit, gate: Gate, max_body: int, wait_seconds: float
) -> Iterator[Route]:
    """Every path of every job type. Answers carry the canonical one, whichever was called."""
    for job_type in catalogue.values():
        submission = Submission(job_type, toolkit, max_body, wait_seconds)
        for path in job_type.paths:
            yield Route(path, {"POST": gate.keyed(submission.handle)})


class Submission:
    """Makes requests for one job type into jobs, and waits for their end where the client wants to."""

    def __init__(self, job_type: JobType, toolkit: Toolkit, max_body: int, wait_seconds: float) -> None:
        self._job_type, self._toolkit = job_type, toolkit
        self._max_body, self._wait_seconds = max_body, wait_seconds

    async def handle(self, request: Request, caller: Caller) -> Response:
        asked = self._job_type.request.parse(await json_body(request, self._max_body))
        wait = self._wanted_wait(request, asked)
        with self._toolkit.place_to_wait() if wait > 0 else nullcontext(False) as waits:
            try:
                submitted = await self._toolkit.submit(caller, self._job_type, asked, awaited=waits)
            except QueueFull as refusal:
                body = envelope.queue_full(refusal, asked.id, self._toolkit.here)
                return JsonAnswer(body, 429, retry_after(refusal))
            job = await self._outcome(request, submitted, wait) if waits else None
        return self._accepted(request, submitted, asked) if job is None else self._result(job)

    def _wanted_wait(self, request: Request, asked: JobRequest) -> float:
        """Seconds to hold the connection: 0 with a webhook, or as the client prefers."""
        if asked.webhook_url:
            return 0.0
        return preferred_wait(request.headers.getlist("prefer"), self._wait_seconds)

    async def _outcome(self, request: Request, submitted: Submitted, wait: float) -> Job | None:
        """The job, if it is done in time. A client that hangs up frees its place; its job goes on."""
        done = asyncio.ensure_future(self._toolkit.done(submitted.accepted.job_id, wait))
        gone = asyncio.ensure_future(_hung_up(request))
        try:
            await asyncio.wait({done, gone}, return_when=asyncio.FIRST_COMPLETED)
            return done.result() if done.done() else None
        finally:
            done.cancel()
            gone.cancel()

    def _result(self, job: Job) -> Response:
        return JsonAnswer(envelope.result(job, self._toolkit.here, self._toolkit.links), job.code or 200)

    def _accepted(self, request: Request, submitted: Submitted, asked: JobRequest) -> Response:
        accepted = submitted.accepted
        body = envelope.queued(accepted, asked.id, self._toolkit.here, submitted.warnings)
        where = f"{request.scope.get('root_path', '')}/v1/toolkit/job/status/{accepted.job_id}"
        return JsonAnswer(body, 202, {"location": where, "retry-after": str(POLL_AFTER_SECONDS)})


async def _hung_up(request: Request) -> None:
    """Returns when the client is gone. Its body was read to the end before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
