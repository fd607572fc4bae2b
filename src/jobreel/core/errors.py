"""The one tree of errors. Raise where the fact is known; `api/problems.py` turns them into HTTP.

A `JobFailed` is also how a job ends: its `report()` is stored with the job and shown to the caller.
The codes and type words are the table of the API (docs/errors.md).
"""

from typing import ClassVar

import msgspec


class ErrorReport(msgspec.Struct, frozen=True, omit_defaults=False):
    """What a caller is told about a failure: what happened, at which step, and what to do about it."""

    code: int
    type: str
    message: str
    step: str | None = None  # fetch, probe, encode, store, run, submit...
    retryable: bool = False
    hint: str | None = None


class JobreelError(Exception):
    """Anything this product says no with."""

    code: ClassVar[int] = 500
    type: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, step: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message, self.step, self.hint = message, step, hint

    def report(self) -> ErrorReport:
        return ErrorReport(self.code, self.type, self.message, self.step, self.retryable, self.hint)


# -- refused requests -------------------------------------------------------------------------------------


class InvalidRequest(JobreelError):
    """The request cannot be what the caller meant."""

    code, type = 400, "bad_request"


class Unauthorized(JobreelError):
    """No key, or not one of ours."""

    code, type = 401, "unauthorized"


class NotFound(JobreelError):
    """Nothing there, or nothing that is yours."""

    code, type = 404, "not_found"


class BodyTooLarge(JobreelError):
    """More bytes than a request may have."""

    code, type = 413, "too_large"


class Conflict(JobreelError):
    """The same idempotency key, another request."""

    code, type = 422, "idempotency_mismatch"


class QueueFull(JobreelError):
    """`MAX_QUEUE_LENGTH` jobs are waiting."""

    code, type, retryable = 429, "queue_full", True

    def __init__(self, limit: int, queue_length: int) -> None:
        super().__init__(
            f"MAX_QUEUE_LENGTH ({limit}) reached",
            step="submit",
            hint="Wait for some jobs to finish and send the request again.",
        )
        self.limit, self.queue_length = limit, queue_length


class TooManyAttempts(JobreelError):
    """An address that keeps trying wrong keys."""

    code, type, retryable = 429, "too_many_attempts", True


class Unavailable(JobreelError):
    """The ledger cannot be reached just now; nothing was accepted."""

    code, type, retryable = 503, "unavailable", True


class LedgerGone(Unavailable):
    """The ledger's file is not where it was: its directory was removed, or its volume is not mounted."""


class LedgerBroken(JobreelError):
    """The ledger is there but cannot be read or written."""

    code, type = 500, "internal"


class DiskFull(JobreelError):
    """Too little room left to accept work."""

    code, type, retryable = 507, "disk_full", True


class LeaseLost(JobreelError):
    """This attempt was taken over; whatever it did must not be seen."""


# -- how deliveries fail ----------------------------------------------------------------------------------


class Blocked(JobreelError):
    """An address that may not be visited from here."""

    code, type = 403, "forbidden"


class ReceiverUnreachable(JobreelError):
    """A webhook's receiver gave no answer this time."""

    code, type, retryable = 424, "receiver_unreachable", True


# -- how attempts end badly -------------------------------------------------------------------------------


class JobFailed(JobreelError):
    """An attempt ended badly."""


class BadInput(JobFailed):
    """Found while running: the request asks for something impossible."""

    code, type = 400, "bad_request"


class SourceUnreachable(JobFailed):
    """The source could not be fetched this time."""

    code, type, retryable = 424, "source_unreachable", True


class SourceBroken(SourceUnreachable):
    """The source cannot be fetched, and trying again will not change that: not there, or badly set up."""

    retryable = False


class SourceForbidden(JobFailed):
    """The source says no, or the address may not be visited."""

    code, type = 424, "source_forbidden"


class SourceNotMedia(JobFailed):
    """Something came, but no media: a web page, a share page, a text."""

    code, type = 422, "source_not_media"


class UnsupportedMedia(JobFailed):
    """Media of a kind that we do not read, or not in this combination."""

    code, type = 422, "unsupported_media"


class NoAudio(JobFailed):
    """Sound was asked of a file that has none."""

    code, type = 422, "no_audio"


class NoVideo(JobFailed):
    """A picture was asked of a file that has none."""

    code, type = 422, "no_video"


class TooLarge(JobFailed):
    """A source, a result or an output over its limit."""

    code, type = 422, "too_large"


class ScratchFull(JobFailed):
    """The disk ran full under an attempt."""

    code, type, retryable = 507, "disk_full", True


class ToolFailed(JobFailed):
    """An outside program ended badly. The reason comes first, its last useful lines after it."""

    code, type = 500, "tool_failed"


class TimedOut(JobFailed):
    """The attempt ran longer than its job type may."""

    code, type = 500, "timed_out"


class OutOfMemory(JobFailed):
    """The attempt's processes together took more memory than one attempt may."""

    code, type = 500, "out_of_memory"


class ChildDied(JobFailed):
    """The process that ran the attempt ended without a word."""

    code, type, retryable = 500, "child_died", True


class WorkerLost(JobFailed):
    """The worker vanished with the job, too many times."""

    code, type = 500, "worker_lost"


class LogFlood(ToolFailed):
    """The attempt wrote more log than anyone will read."""


class Internal(JobFailed):
    """Our own mistake."""

    code, type = 500, "internal"


class NotInstalled(JobFailed):
    """An optional part is missing on this machine."""

    code, type = 501, "not_installed"
