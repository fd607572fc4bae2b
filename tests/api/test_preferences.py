"""The `Prefer` header."""

import pytest

from jobreel.api.preferences import preferred_wait


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([], 300),
        ([""], 300),
        (["respond-async"], 0),
        (["Respond-Async; foo=bar"], 0),
        (["wait=10"], 10),
        (['wait="10"'], 10),
        (["wait = 10"], 10),
        (["wait=9999"], 300),
        (["wait=" + "9" * 400], 300),
        (["wait=0"], 0),
        (["respond-async, wait=10"], 10),
        (["respond-async", "wait=10"], 10),
        (["wait=5, wait=10"], 5),
        (["wait=soon"], 300),
        (["wait=-1"], 300),
        (["return=minimal"], 300),
    ],
)
def test_a_wish_for_a_shorter_wait_is_granted_and_nonsense_ignored(headers: list[str], seconds: float) -> None:
    assert preferred_wait(headers, limit_seconds=300) == seconds
