"""Problems: the one table from errors to HTTP. Every refusal is `{"message", "code", "error"}` (docs/errors.md)."""

from collections.abc import Collection, Mapping
from typing import Any

import structlog
from starlette.requests import Request

from jobreel.api.answers import JsonAnswer, LastAnswer
from jobreel.core.envelope import error_object
from jobreel.core.errors import (
    BodyTooLarge,
    DiskFull,
    ErrorReport,
    JobreelError,
    QueueFull,
    TooManyAttempts,
    Unauthorized,
    Unavailable,
)
from jobreel.core.ids import new_id
from jobreel.core.keys import WRONG_KEYS_WINDOW_SECONDS

log = structlog.get_logger()

RETRY_AFTER_SECONDS: Mapping[type[JobreelError], float] = {
    QueueFull: 5,
    Unavailable: 5,
    DiskFull: 60,
    TooManyAttempts: WRONG_KEYS_WINDOW_SECONDS,
}


class MethodNotAllowed(JobreelError):
    """The path exists, the method does not."""

    code, type = 405, "method_not_allowed"

    def __init__(self, method: str, allowed: Collection[str]) -> None:
        self.allow = ", ".join(allowed)
        super().__init__(f"{method} is not possible here", hint=f"This path answers to {self.allow}.")


class UnsupportedContentType(JobreelError):
    """A body of a kind that this path does not read."""

    code, type = 415, "unsupported_content_type"


class NoSuchRange(JobreelError):
    """A `Range` that begins after the file's end."""

    code, type = 416, "range_not_satisfiable"

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"The file has {size_bytes} bytes; the range asked for begins after them")
        self.size_bytes = size_bytes


def problem(error: JobreelError) -> JsonAnswer:
    """The answer to a request that was refused. Only what is wrong with us is worth a line in the log."""
    if error.code == 500:
        log.error("request refused", type=error.type, reason=error.message)
    # Of a body over the limit some is still under way; every other refusal leaves the connection usable.
    answer = LastAnswer if isinstance(error, BodyTooLarge) else JsonAnswer
    return answer(problem_body(error.report()), error.code, headers_of(error))


def problem_body(report: ErrorReport) -> dict[str, Any]:
    body = {"message": report.message, "code": report.code, "error": error_object(report)}
    return {**body, "hint": report.hint} if report.code == Unauthorized.code else body


def headers_of(error: JobreelError) -> dict[str, str]:
    """What HTTP wants said beside this status."""
    match error:
        case Unauthorized():
            return {"www-authenticate": 'Bearer realm="jobreel"'}
        case MethodNotAllowed():
            return {"allow": error.allow}
        case NoSuchRange():
            return {"content-range": f"bytes */{error.size_bytes}"}
        case _:
            return retry_after(error)


def retry_after(error: JobreelError) -> dict[str, str]:
    for kind, seconds in RETRY_AFTER_SECONDS.items():
        if isinstance(error, kind):
            return {"retry-after": f"{seconds:.0f}"}
    return {}


def unexpected(request: Request, error: Exception) -> JsonAnswer:
    """500 for our own mistake: the traceback goes to the log, the id under which it stands to the caller."""
    request_id = new_id()
    where = {"method": request.method, "path": request.scope["path"]}
    log.error("request failed", request_id=request_id, **where, exc_info=error)
    hint = f"The server's log tells more under request_id {request_id}."
    report = ErrorReport(500, "internal", "Internal error", retryable=True, hint=hint)
    return JsonAnswer({**problem_body(report), "request_id": request_id}, 500)
