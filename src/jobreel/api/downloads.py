"""Downloads: artifacts by their signed links. The link is the right to read; no key is asked for."""

import os
from collections.abc import Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, MalformedRangeHeader, RangeNotSatisfiable, Response

from jobreel.api.file_names import content_disposition
from jobreel.api.problems import NoSuchRange
from jobreel.api.routes import Route
from jobreel.core.artifact import LINK_PATH, Artifact
from jobreel.core.errors import NotFound
from jobreel.core.service import Toolkit

FilePath = Callable[[Artifact], Path]  # raises NotFound where the bytes are gone

SHOWN = frozenset({"text/plain", "image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"})
SAFETY_HEADERS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox",
    "referrer-policy": "no-referrer",
}


def download_route(toolkit: Toolkit, file_path: FilePath) -> Route:
    async def download(request: Request) -> Response:
        asked = request.path_params
        artifact = await toolkit.artifact(asked["artifact_id"], asked["signature"])
        response = ArtifactResponse(artifact, file_path(artifact))
        return response.as_asked(request)

    return Route(LINK_PATH + "/{artifact_id}/{signature}/{name:path}", {"GET": download})


class ArtifactResponse(FileResponse):
    """An artifact's bytes, whole or in ranges. Artifacts never change, so their id is their entity tag."""

    chunk_size = 256 * 1024

    def __init__(self, artifact: Artifact, path: Path) -> None:
        headers = {
            **SAFETY_HEADERS,
            "etag": f'"{artifact.artifact_id}"',
            "cache-control": "private, no-cache",
            "content-disposition": content_disposition(_presentation(artifact.content_type), artifact.name),
        }
        try:
            status = os.stat(path)  # noqa: PTH116 - microseconds, and the response wants this very result
        except FileNotFoundError:
            raise NotFound("File not found", hint="Its file is no longer in the store.") from None
        super().__init__(path, headers=headers, media_type=artifact.content_type, stat_result=status)
        self._size_bytes = status.st_size

    def as_asked(self, request: Request) -> Response:
        """This, or 304 where the client has it already. Raises `NoSuchRange`."""
        if self.headers["etag"] in _tags(request.headers.get("if-none-match", "")):
            return Response(status_code=304, headers={"etag": self.headers["etag"]})
        asked, condition = request.headers.get("range"), request.headers.get("if-range")
        if asked and (condition is None or self._should_use_range(condition)):
            self._refuse_impossible(asked)
        return self

    def _refuse_impossible(self, asked: str) -> None:
        """Starlette would answer in plain text; our errors are JSON."""
        try:
            self._parse_range_header(asked, self._size_bytes)
        except RangeNotSatisfiable:
            raise NoSuchRange(self._size_bytes) from None

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        try:
            return super()._parse_range_header(http_range, file_size)
        except MalformedRangeHeader:
            return []  # the whole file: what cannot be read is ignored (RFC 9110, 14.2)


def _presentation(content_type: str) -> str:
    """Only what can run nothing is shown in a browser; the rest is saved."""
    kind = content_type.partition(";")[0].strip().lower()
    shown = kind in SHOWN or kind.startswith(("audio/", "video/"))
    return "inline" if shown else "attachment"


def _tags(if_none_match: str) -> list[str]:
    return [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
