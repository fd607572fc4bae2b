"""When to try again: attempts that ended badly, and webhooks that were not taken.

Pure functions of what has been spent; chance comes in as an argument (`jitter` in 0..1).
"""

from datetime import timedelta

from jobreel.core.errors import ErrorReport
from jobreel.core.job import MAX_FAILURES, Lease

SOURCE_ERRORS = frozenset({"source_unreachable", "source_forbidden"})
RETRY_BASE_SECONDS = 1.0

QUICK_TRIES_SECONDS = (0.3, 1.0, 2.0, 4.0, 8.0, 15.0)  # an n8n flow may not have parked yet
LONG_WAIT_SECONDS = (30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0)  # the last one repeats
SERVER_TROUBLE_FOR = timedelta(hours=24)  # 5xx and time-outs
CLIENT_REFUSAL_FOR = timedelta(hours=6)  # 4xx other than 410
CLIENT_REFUSAL_EVERY_SECONDS = 3600.0


def next_attempt_after(lease: Lease, error: ErrorReport, jitter: float) -> float | None:
    """Seconds until this job's next attempt, or None where the error is its outcome.

    A job somebody waits for is not retried for its source's errors: the error is the answer.
    """
    if not error.retryable or lease.failures + 1 >= MAX_FAILURES:
        return None
    if lease.awaited and error.type in SOURCE_ERRORS:
        return None
    return float(RETRY_BASE_SECONDS * 2**lease.failures * (1 + jitter))


def next_delivery_after(
    tries: int, first_try_at: float, now: float, status: int | None, retry_after: float | None, jitter: float
) -> float | None:
    """Seconds until a webhook is sent again, or None to give up.

    `tries` made so far, `status` the receiver's last answer (None: it gave none), `retry_after` what it
    asked for, in seconds. 410 stops at once.
    """
    if status == 410:
        return None
    if tries <= len(QUICK_TRIES_SECONDS):
        return max(QUICK_TRIES_SECONDS[tries - 1], min(retry_after or 0.0, 3600.0))
    refused = status is not None and 400 <= status < 500 and status not in {408, 429}
    for_how_long = CLIENT_REFUSAL_FOR if refused else SERVER_TROUBLE_FOR
    if now - first_try_at >= for_how_long.total_seconds():
        return None
    if refused:
        wait = CLIENT_REFUSAL_EVERY_SECONDS
    else:
        wait = LONG_WAIT_SECONDS[min(tries - len(QUICK_TRIES_SECONDS) - 1, len(LONG_WAIT_SECONDS) - 1)]
    return max(wait * (1 + 0.1 * jitter), min(retry_after or 0.0, 24 * 3600.0))
