"""Fields whose meaning is parsed: a wrong value becomes a refusal that names the field."""

from collections.abc import Iterator
from contextlib import contextmanager

from jobreel.core.errors import InvalidRequest


@contextmanager
def about(field: str) -> Iterator[None]:
    """Turn a ValueError, whose text begins with "must be", into `InvalidRequest` about this field."""
    try:
        yield
    except ValueError as wrong:
        raise InvalidRequest(f"Invalid payload: `{field}` {wrong}.") from None
