"""HTTP messages: the headers we send, and reading those that come back."""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

import httpcore2

from jobreel import __version__
from jobreel.core.errors import BadInput
from jobreel.tools.urls import HttpUrl, file_name

Headers = list[tuple[bytes, bytes]]

# They steer the connection, which is ours (RFC 9110, sections 7.2, 7.6.1 and 8.6; RFC 9112, section 6).
_NOT_THEIRS = frozenset({
    "connection", "content-length", "expect", "host", "keep-alive", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
})  # fmt: skip
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_FILE_NAME_EXTENDED = re.compile(r"filename\*\s*=\s*utf-8'[^']*'([^;\s]+)", re.IGNORECASE)  # RFC 8187
_FILE_NAME = re.compile(r"filename\s*=\s*(?:\"([^\"]*)\"|([^;\s]+))", re.IGNORECASE)


def checked_headers(given: Mapping[str, str]) -> Headers:
    """Request headers of a caller's own. Raises `BadInput` for those that would change the request's shape.

    Accept-Encoding is left out without a word: people copy it from their browsers, and we read no
    compressed answers.
    """
    headers = []
    for name, value in given.items():
        if _NAME.fullmatch(name) is None or _CONTROL.search(value):
            raise BadInput("A request header has characters that no header can have.", step="fetch")
        if name.lower() in _NOT_THEIRS:
            raise BadInput(f"The request header {name} cannot be set.", step="fetch")
        if name.lower() != "accept-encoding":
            headers.append((name.encode("ascii"), value.strip().encode()))
    return headers


def request_headers(place: HttpUrl, own: Headers) -> Headers:
    """All headers of one request."""
    headers = [(b"Host", place.authority.encode("ascii")), *own]
    given = {name.lower() for name, _ in own}
    if b"user-agent" not in given:
        headers.append((b"User-Agent", f"Jobreel/{__version__}".encode()))
    if b"authorization" not in given and place.credentials is not None:
        headers.append((b"Authorization", b"Basic " + b64encode(place.credentials.encode())))
    return [*headers, (b"Accept-Encoding", b"identity"), (b"Connection", b"close")]


def header(response: httpcore2.Response, name: str) -> str | None:
    """One header of an answer, or None. UTF-8 is understood, as browsers do in Location."""
    wanted = name.encode("ascii")
    for key, value in response.headers:
        if key.lower() == wanted:
            return value.decode("utf-8", errors="replace").strip()
    return None


def suggested_name(response: httpcore2.Response, trail: Sequence[HttpUrl]) -> str | None:
    """What the server calls the file, else what its addresses call it; one with an extension is preferred."""
    names = [_disposition_name(header(response, "content-disposition") or ""), trail[-1].name, trail[0].name]
    known = [name for name in names if name]
    return next((name for name in known if "." in name), known[0] if known else None)


def _disposition_name(disposition: str) -> str | None:
    """The file name in a Content-Disposition header (RFC 6266)."""
    if found := _FILE_NAME_EXTENDED.search(disposition):
        return file_name(unquote(found[1]))
    found = _FILE_NAME.search(disposition)
    return file_name(found[1] or found[2] or "") if found else None
