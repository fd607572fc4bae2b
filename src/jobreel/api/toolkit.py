"""The Toolkit's own calls: what are my jobs doing, is my key right, does the storage work."""

import re
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from jobreel.api.answers import JsonAnswer
from jobreel.api.auth import Gate
from jobreel.api.bodies import optional_object
from jobreel.api.problems import headers_of
from jobreel.api.routes import Route
from jobreel.core import envelope
from jobreel.core.errors import ErrorReport, InvalidRequest, JobreelError, LedgerGone, NotFound, Unauthorized
from jobreel.core.ids import new_id, parse_id
from jobreel.core.job import Job
from jobreel.core.keys import Caller
from jobreel.core.request import json_word
from jobreel.core.service import Toolkit

log = structlog.get_logger()

JOBS_STATUS = "/v1/toolkit/jobs/status"
JOB_STATUS = "/v1/toolkit/job/status"
AUTHENTICATE = "/authenticate"  # what the reference puts into `endpoint`, whichever path was called
TEST = "/v1/toolkit/test"

DEFAULT_WINDOW_SECONDS = 600.0
EVERYTHING_SECONDS = 1e10  # 300 years: longer than any ledger, and safe in any engine's arithmetic
MAX_TEST_BYTES = 1024

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")


class ToolkitCalls:
    """Status, authenticate and test. None of them is a job, and none but `test` stores anything."""

    def __init__(self, toolkit: Toolkit, gate: Gate, max_body: int) -> None:
        self._toolkit, self._gate, self._max_body = toolkit, gate, max_body

    def routes(self) -> Iterator[Route]:
        jobs, job = self._gate.keyed(self.jobs_status), self._gate.keyed(self.job_status)
        test = self._gate.keyed(self.test)
        for path in (JOBS_STATUS, "/paid/get/all/jobs/id/status"):
            yield Route(path, {"GET": jobs, "POST": jobs})
        for path in (JOB_STATUS, "/paid/get/job/status"):
            yield Route(path, {"GET": job, "POST": job})
        yield Route(f"{JOB_STATUS}/{{job_id}}", {"GET": job})
        for path in ("/v1/toolkit/authenticate", "/authenticate"):
            yield Route(path, {"GET": self.authenticate, "POST": self.authenticate})
        yield Route(TEST, {"GET": test, "POST": test})

    async def jobs_status(self, request: Request, caller: Caller) -> Response:
        """The monitor: job id to `queued`, `running` or `done`, for one window of time."""
        started = time.perf_counter()
        seconds = window_seconds((await self._arguments(request)).get("since_seconds"))
        try:
            window = await self._toolkit.window(caller, seconds)
        except JobreelError as error:
            report = _status_failure(error, "Failed to retrieve job statuses")
            return self._refusal(JOBS_STATUS, report, new_id(), started)
        answer = envelope.plain_result(
            JOBS_STATUS,
            msgspec.Raw(window.jobs),
            self._toolkit.here,
            job_id=new_id(),
            run_time=time.perf_counter() - started,
            queue_length=window.queue_length,
        )
        return JsonAnswer(answer)

    async def job_status(self, request: Request, caller: Caller) -> Response:
        """One job's record. The envelope's `job_id` is the asked job's id."""
        started = time.perf_counter()
        asked = (await self._arguments(request)).get("job_id")
        if asked is None:
            raise InvalidRequest("Invalid payload: `job_id` is required.")
        try:
            job, waiting = await self._toolkit.job(caller, asked), await self._toolkit.queue_length()
        except JobreelError as error:
            report = _status_failure(error, "Failed to retrieve job status")
            return self._refusal(JOB_STATUS, report, parse_id(asked), started)
        return JsonAnswer(self._record(job, waiting, time.perf_counter() - started))

    async def authenticate(self, request: Request) -> Response:
        started = time.perf_counter()
        try:
            self._gate.caller(request)
        except Unauthorized as error:
            answer = self._refusal(AUTHENTICATE, error.report(), new_id(), started)
            answer.headers.update(headers_of(error))
            return answer
        return self._success(AUTHENTICATE, "Authorized", started)

    async def test(self, _request: Request, caller: Caller) -> Response:
        """Store a small file and answer its address: proof that storage works."""
        started = time.perf_counter()
        artifact = await self._toolkit.keep(
            caller, _success_text(), name="success.txt", content_type="text/plain", max_bytes=MAX_TEST_BYTES
        )
        return self._success(TEST, self._toolkit.links.url(artifact.artifact_id, artifact.name), started)

    async def _arguments(self, request: Request) -> dict[str, Any]:
        """What was asked, wherever it stands: in the body, the query or the path."""
        named = {name: value for name, value in request.query_params.items() if value}
        arguments: dict[str, Any] = {**named, **request.path_params}
        if request.method == "POST":
            arguments |= await optional_object(request, self._max_body)
        return arguments

    def _record(self, job: Job, waiting: int, run_time: float) -> dict[str, Any]:
        here = self._toolkit.here
        record = envelope.record(job, here, self._toolkit.links)
        answer = envelope.plain_result(
            JOB_STATUS, record, here, job_id=job.job_id, run_time=run_time, queue_length=waiting
        )
        progress = {"fraction": job.progress.fraction, "stage": job.progress.stage}
        return {**answer, "job_status": job.status.value, "status": job.public_status, "progress": progress}

    def _success(self, endpoint: str, response: str, started: float) -> JsonAnswer:
        run_time = time.perf_counter() - started
        here = self._toolkit.here
        return JsonAnswer(envelope.plain_result(endpoint, response, here, job_id=new_id(), run_time=run_time))

    def _refusal(self, endpoint: str, report: ErrorReport, job_id: str | None, started: float) -> JsonAnswer:
        run_time = time.perf_counter() - started
        body = envelope.refused_result(endpoint, report, self._toolkit.here, job_id=job_id, run_time=run_time)
        return JsonAnswer(body, report.code)


def window_seconds(asked: object) -> float:
    """The monitor's window; 600 seconds where nothing is asked, everything where it is huge.

    Raises `InvalidRequest` for what is no number of seconds.
    """
    match asked:
        case None:
            return DEFAULT_WINDOW_SECONDS
        case str() if _NUMBER.fullmatch(asked.strip()):
            seconds: float = float(asked)
        case int() | float() if not isinstance(asked, bool):
            seconds = asked
        case _:
            raise _no_window(json_word(asked))
    if seconds < 0:
        raise _no_window("a negative one")
    return float(min(seconds, EVERYTHING_SECONDS))


def _no_window(what_came: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid payload: `since_seconds` must be a number of seconds, 0 or more, not {what_came}.",
        hint=f"Without it the last {DEFAULT_WINDOW_SECONDS:.0f} seconds are listed.",
    )


def _status_failure(error: JobreelError, what_failed: str) -> ErrorReport:
    """What a status call says: nothing there is 404, a ledger that is gone too, anything else 500."""
    if isinstance(error, NotFound):
        return error.report()
    if isinstance(error, LedgerGone):
        hint = "The data directory was removed or is not mounted. The service recovers when it is back."
        return ErrorReport(404, "not_found", "Jobs directory not found", retryable=True, hint=hint)
    log.error("status call failed", reason=error.message)
    return ErrorReport(
        500, "internal", f"{what_failed}: {error.message}", retryable=error.retryable, hint=error.hint
    )


async def _success_text() -> AsyncIterator[bytes]:
    yield b"This file was stored and read back: success.\n"
