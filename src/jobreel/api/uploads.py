"""Uploads: a file that a caller sends, kept as an artifact whose link is an input for any job."""

import re

from starlette.requests import Request
from starlette.responses import Response

from jobreel.api.answers import JsonAnswer
from jobreel.api.auth import Gate
from jobreel.api.bodies import counted
from jobreel.api.file_names import safe_name
from jobreel.api.multipart import FilePart, boundary_of
from jobreel.api.problems import UnsupportedContentType
from jobreel.api.routes import Route
from jobreel.core.keys import Caller
from jobreel.core.service import Toolkit

UPLOAD = "/v1/files/upload"
FORM_OVERHEAD_BYTES = 1024 * 1024  # boundaries, headers and other fields beside the file

_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,60}")  # RFC 6838, section 4.2


def upload_route(toolkit: Toolkit, gate: Gate, max_upload: int) -> Route:
    async def upload(request: Request, caller: Caller) -> Response:
        boundary = _boundary(request)
        part = await FilePart.find(counted(request, max_upload + FORM_OVERHEAD_BYTES), boundary)
        artifact = await toolkit.keep(
            caller,
            part.chunks(),
            name=safe_name(part.file_name),
            content_type=_told_type(part.content_type),
            max_bytes=max_upload,
        )
        url = toolkit.links.url(artifact.artifact_id, artifact.name)
        return JsonAnswer({"url": url, "filename": artifact.name})

    return Route(UPLOAD, {"POST": gate.keyed(upload)})


def _boundary(request: Request) -> bytes:
    boundary = boundary_of(request.headers.get("content-type", ""))
    if not boundary:
        raise UnsupportedContentType(
            "The body must be multipart/form-data with a file in its field `file`",
            hint="For example: curl -H 'x-api-key: ...' -F file=@clip.mp4 <address>" + UPLOAD,
        )
    return boundary


def _told_type(sent: str) -> str | None:
    """The media type a client names, without parameters; None where it names none worth believing."""
    kind = sent.partition(";")[0].strip().lower()
    return kind if _MEDIA_TYPE.fullmatch(kind) and kind != "application/octet-stream" else None
