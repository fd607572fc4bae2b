"""Bodies: read within their limit, and decoded."""

import json
from collections.abc import AsyncIterator
from typing import Any, NoReturn

from starlette.requests import Request

from jobreel.api.problems import UnsupportedContentType
from jobreel.core.errors import BodyTooLarge, InvalidRequest
from jobreel.core.request import decode_json, json_word

MANY_DIGITS = 400


async def counted(request: Request, limit_bytes: int) -> AsyncIterator[bytes]:
    """The body as it comes. Raises `BodyTooLarge`, by what is announced and by what really comes."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit_bytes:
        raise too_large(limit_bytes)
    size_bytes = 0
    async for chunk in request.stream():
        size_bytes += len(chunk)
        if size_bytes > limit_bytes:
            raise too_large(limit_bytes)
        yield chunk


async def whole_body(request: Request, limit_bytes: int) -> bytes:
    return b"".join([chunk async for chunk in counted(request, limit_bytes)])


async def json_body(request: Request, limit_bytes: int) -> object:
    """The JSON of a submission. Raises `UnsupportedContentType`, `BodyTooLarge`, `InvalidRequest`."""
    refuse_other_than_json(request.headers.get("content-type", ""))
    body = await whole_body(request, limit_bytes)
    if not body.strip():
        raise InvalidRequest("Missing JSON in request", hint="Send the job's fields as a JSON object.")
    return decode_json(body)


def refuse_other_than_json(content_type: str) -> None:
    """No content type at all counts as JSON. Raises `UnsupportedContentType`."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind in {"", "application/json", "text/json"} or (
        kind.startswith("application/") and kind.endswith("+json")
    ):
        return
    raise UnsupportedContentType(
        f"The body must be JSON, not {kind[:100]}", hint="Send the header `Content-Type: application/json`."
    )


async def optional_object(request: Request, limit_bytes: int) -> dict[str, Any]:
    """The object that a status call may carry, whatever its content type says; {} where there is none.

    Nothing of it is stored, so numbers of any size are welcome. Raises `BodyTooLarge`, `InvalidRequest`.
    """
    body = await whole_body(request, limit_bytes)
    value = _decoded(body) if body.strip() else None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidRequest(f"Invalid payload: the body must be a JSON object, not {json_word(value)}.")
    return value


def _decoded(body: bytes) -> object:
    try:
        return json.loads(body, parse_constant=_refuse_constant, parse_int=_whole_number)
    except RecursionError:
        raise InvalidRequest("Invalid payload: nested too deeply.") from None
    except ValueError as error:
        raise InvalidRequest(f"Invalid JSON: {error}") from None


def _whole_number(digits: str) -> int | float:
    """Python refuses to read numbers of thousands of digits; here they are only huge."""
    return int(digits) if len(digits) < MANY_DIGITS else float(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number that JSON knows")


def too_large(limit_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The request's body is over the limit of {limit_bytes} bytes",
        hint="Send media by URL, or upload it to /v1/files/upload first.",
    )
