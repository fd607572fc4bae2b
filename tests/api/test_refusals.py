"""What a caller reads about a wrong field: the field, what it should be, and what came instead."""

from typing import Annotated, Any, Literal

import msgspec
import pytest

from jobreel.core.errors import InvalidRequest
from jobreel.core.request import Headers, JobRequest, Url


class Cut(msgspec.Struct, forbid_unknown_fields=True):
    start: Annotated[float, msgspec.Meta(ge=0)]


class EditRequest(JobRequest):
    video_url: Url
    second: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    cuts: list[Cut] = msgspec.field(default_factory=list)
    mode: Literal["fast", "small"] | None = None
    headers: Headers | None = None
    quality: Annotated[int, msgspec.Meta(ge=1, le=5)] | None = None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"video_url": None}, "`video_url` is required."),
        ({"video_url": 7}, "`video_url` must be an http or https address, not a number."),
        ({"webhook_url": "example.com"}, "`webhook_url` must be an http or https address, like"),
        ({"second": -1}, "`second` must be a number >= 0.0."),
        ({"second": "soon"}, "`second` must be a number, not a text."),
        ({"quality": 9}, "`quality` must be a whole number <= 5."),
        ({"quality": True}, "`quality` must be a whole number, not true or false."),
        ({"cuts": {}}, "`cuts` must be an array, not an object."),
        ({"cuts": [{"start": 1}, {"start": -1}]}, "`cuts[1].start` must be a number >= 0.0."),
        ({"cuts": [{"strat": 1}]}, "`strat` is not a field of this job type. (In `cuts[0]`.)"),
        ({"mode": "best"}, "`mode` cannot be 'best'; it is one of 'fast', 'small'."),
        ({"headers": {"accept": 1}}, "`headers[...]` must be a text, not a whole number."),
        ({"id": 7}, "`id` must be a text, not a whole number."),
        ({"id": "x" * 2000}, "`id` must be a text of length <= 1024."),
        ({"unheard_of": 1}, "`unheard_of` is not a field of this job type."),
    ],
)
def test_a_wrong_field_is_named_with_what_would_be_right(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        EditRequest.parse({"video_url": "https://example.com/a.mp4", **fields})

    assert refused.value.message.startswith(f"Invalid payload: {message}")


@pytest.mark.parametrize("fields", [{"mode": "x" * 100_000}, {"x" * 100_000: 1}])
def test_a_refusal_repeats_little_of_what_was_sent(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        EditRequest.parse({"video_url": "https://example.com/a.mp4", **fields})

    assert len(refused.value.message) < 300
