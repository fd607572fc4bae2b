"""When jobs and webhooks are tried again."""

import pytest

from jobreel.core.errors import ErrorReport
from jobreel.core.job import Lease
from jobreel.core.retry import next_attempt_after, next_delivery_after

HOUR = 3600.0


def lease(failures: int = 0, *, awaited: bool = False) -> Lease:
    return Lease("job", "worker", failures + 1, "owner", "toolkit/echo", "{}", awaited, failures, 0)


def error(kind: str = "child_died", *, retryable: bool = True) -> ErrorReport:
    return ErrorReport(500, kind, "It went wrong.", retryable=retryable)


def test_an_error_that_trying_again_cannot_mend_is_the_outcome() -> None:
    assert next_attempt_after(lease(), error(retryable=False), jitter=0) is None


def test_attempts_are_tried_again_ever_later_and_three_times_in_all() -> None:
    assert [next_attempt_after(lease(failures), error(), jitter=0) for failures in range(3)] == [1.0, 2.0, None]


def test_chance_spreads_the_next_attempts() -> None:
    assert next_attempt_after(lease(), error(), jitter=0.5) == 1.5


@pytest.mark.parametrize(("awaited", "wait"), [(True, None), (False, 1.0)])
def test_a_source_is_not_tried_again_while_somebody_waits_for_the_answer(awaited: bool, wait: float | None) -> None:
    assert next_attempt_after(lease(awaited=awaited), error("source_unreachable"), jitter=0) == wait


def after(tries: int, status: int | None, *, elapsed: float = 0.0, asked: float | None = None) -> float | None:
    return next_delivery_after(tries, 1000.0, 1000.0 + elapsed, status, asked, jitter=0)


@pytest.mark.parametrize("status", [None, 404, 409, 500, 503])
def test_a_webhook_that_is_not_taken_comes_again_soon_whatever_the_answer(status: int | None) -> None:
    assert [after(tries, status) for tries in range(1, 7)] == [0.3, 1.0, 2.0, 4.0, 8.0, 15.0]


def test_trouble_at_the_receiver_is_waited_out_for_a_day() -> None:
    waits = [after(tries, 500, elapsed=60) for tries in range(7, 14)]

    assert waits == [30.0, 60.0, 300.0, 900.0, 1800.0, HOUR, HOUR]
    assert after(20, 500, elapsed=23.9 * HOUR) == HOUR
    assert after(20, 500, elapsed=24 * HOUR) is None
    assert after(20, None, elapsed=24 * HOUR) is None


def test_a_refusal_is_asked_again_every_hour_for_six() -> None:
    assert after(7, 404, elapsed=60) == HOUR
    assert after(12, 302, elapsed=60) == HOUR
    assert after(12, 404, elapsed=6 * HOUR) is None


def test_a_receiver_that_is_gone_for_good_is_left_alone() -> None:
    assert after(1, 410) is None


def test_what_a_receiver_asks_for_is_honoured() -> None:
    assert after(1, 503, asked=120) == 120
    assert after(8, 429, elapsed=60, asked=7200) == 7200
    assert after(1, 503, asked=1e9) == HOUR, "but no more than an hour at first"
