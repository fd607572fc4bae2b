"""The ASGI application: the routes put together, and the one door that no error passes but as JSON."""

from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from jobreel.api.answers import JsonAnswer
from jobreel.api.auth import Gate
from jobreel.api.cors import ANY_ORIGIN, Cors
from jobreel.api.docs import docs_routes
from jobreel.api.downloads import FilePath, download_route
from jobreel.api.health import HealthCheck, health_route
from jobreel.api.jobs import submission_routes
from jobreel.api.openapi import openapi_route
from jobreel.api.problems import problem, unexpected
from jobreel.api.routes import Route, Routes, allowed, handler_for
from jobreel.api.toolkit import ToolkitCalls
from jobreel.api.uploads import upload_route
from jobreel.core.errors import JobreelError
from jobreel.core.job_type import Catalogue
from jobreel.core.keys import Keyring
from jobreel.core.service import Toolkit

MIB = 1024 * 1024
PLACES = {"docs": "docs", "openapi": "openapi.json", "health": "health"}


@dataclass(frozen=True, slots=True)
class ApiOptions:
    """What the edge is told about itself. Sizes in bytes."""

    max_body: int = 4 * MIB
    max_upload: int = 4096 * MIB
    wait_seconds: float = 300.0
    cors_origins: tuple[str, ...] = (ANY_ORIGIN,)


def create_app(
    toolkit: Toolkit,
    catalogue: Catalogue,
    keyring: Keyring,
    options: ApiOptions,
    health: HealthCheck,
    file_path: FilePath,
) -> "Edge":
    """The service over HTTP. `file_path` tells where an artifact's bytes are."""
    gate, version = Gate(keyring), toolkit.here.build_number
    routes = [
        *submission_routes(catalogue, toolkit, gate, options.max_body, options.wait_seconds),
        *ToolkitCalls(toolkit, gate, options.max_body).routes(),
        upload_route(toolkit, gate, options.max_upload),
        download_route(toolkit, file_path),
        health_route(health, version),
        openapi_route(catalogue, version),
        *docs_routes(),
        _signpost(version),
    ]
    return Edge(Routes(routes), Cors(options.cors_origins))


def _signpost(version: str) -> Route:
    async def signpost(request: Request) -> Response:
        base = request.scope.get("root_path", "")
        places = {name: f"{base}/{path}" for name, path in PLACES.items()}
        return JsonAnswer({"name": "jobreel", "version": version, **places})

    return Route("/", {"GET": signpost})


class Edge:
    """One request in, one answer out."""

    def __init__(self, routes: Routes, cors: Cors) -> None:
        self.routes, self._cors = routes, cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"only HTTP is spoken here, not {scope['type']}")
        request = Request(scope, receive)
        response = await self._answer(request)
        self._cors.add_headers(request, response)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        try:
            methods = self.routes.methods(request)
            if request.method == "OPTIONS":
                return self._cors.preflight(allowed(methods))
            return await handler_for(request.method, methods)(request)
        except JobreelError as refusal:
            return problem(refusal)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except Exception as error:  # noqa: BLE001 - the API's one door: what is wrong with us is logged
            return unexpected(request, error)
