"""The docs page: Swagger UI over our OpenAPI document, vendored, so that it works without the internet."""

from collections.abc import Iterator
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from jobreel.api.routes import Route

STATIC = Path(__file__).parent / "static"
PAGE = "docs.html"
ASSETS = ("docs.js", "swagger-ui-bundle.js", "swagger-ui.css")  # scripts/vendor_docs.py renews the last two
HEADERS = {
    "cache-control": "public, max-age=3600",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


def docs_routes() -> Iterator[Route]:
    yield _file_route("/docs", PAGE)
    for asset in ASSETS:
        yield _file_route(f"/docs/{asset}", asset)


def _file_route(path: str, name: str) -> Route:
    async def static_file(_request: Request) -> Response:
        return FileResponse(STATIC / name, headers=HEADERS)

    return Route(path, {"GET": static_file})
