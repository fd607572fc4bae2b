"""Ids of jobs and artifacts: UUIDv7 (RFC 9562), 36 lower-case characters, in order of creation."""

import re

import uuid_utils

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def new_id() -> str:
    return str(uuid_utils.uuid7())


def parse_id(text: object) -> str | None:
    """The id in its one spelling, or None where this is no UUID. Upper case is forgiven."""
    if not isinstance(text, str):
        return None
    lowered = text.strip().lower()
    return lowered if _UUID.fullmatch(lowered) else None
