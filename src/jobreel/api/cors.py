"""CORS: browser pages elsewhere may call with a key, never with credentials (Fetch standard, section 3.3)."""

from collections.abc import Collection

from starlette.requests import Request
from starlette.responses import Response

ANY_ORIGIN = "*"
PREFLIGHT_FOR_SECONDS = 600
ALLOWED_HEADERS = "x-api-key, authorization, content-type, prefer, idempotency-key, range, if-range"
EXPOSED_HEADERS = b"Location, Retry-After, Content-Disposition, Content-Range, ETag"


class Cors:
    """Which origins may read our answers."""

    def __init__(self, origins: Collection[str]) -> None:
        self._any = ANY_ORIGIN in origins
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)

    def preflight(self, allowed: list[str]) -> Response:
        """The answer to OPTIONS. No key is asked for: browsers send none."""
        methods = ", ".join(allowed)
        headers = {
            "allow": methods,
            "access-control-allow-methods": methods,
            "access-control-allow-headers": ALLOWED_HEADERS,
            "access-control-max-age": str(PREFLIGHT_FOR_SECONDS),
        }
        return Response(status_code=204, headers=headers)

    def add_headers(self, request: Request, response: Response) -> None:
        """Say who may read this answer, where a browser asks."""
        origin = request.headers.get("origin")
        if not self._any:
            response.raw_headers.append((b"vary", b"Origin"))
        if origin is None or not (self._any or origin.lower() in self._origins):
            return
        allowed = ANY_ORIGIN if self._any else origin
        response.raw_headers.append((b"access-control-allow-origin", allowed.encode("latin-1")))
        response.raw_headers.append((b"access-control-expose-headers", EXPOSED_HEADERS))
