"""Routes: which handler answers which path. Exact paths are found in a dictionary, the few others by pattern."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path

from jobreel.api.problems import MethodNotAllowed
from jobreel.core.errors import NotFound

Handler = Callable[[Request], Awaitable[Response]]
Methods = Mapping[str, Handler]


@dataclass(frozen=True, slots=True)
class Route:
    """One path, with `{parameters}` or without, and its handlers by method. HEAD is answered as GET."""

    path: str
    methods: Methods


class Routes:
    """All routes of the service."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[str, Methods] = {}
        self._patterns: list[tuple[re.Pattern[str], Methods]] = []
        self.paths: list[str] = []
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        if route.path in self.paths:
            raise ValueError(f"two routes for {route.path}")
        self.paths.append(route.path)
        if "{" in route.path:
            self._patterns.append((compile_path(route.path)[0], route.methods))
        else:
            self._exact[route.path] = route.methods

    def methods(self, request: Request) -> Methods:
        """The handlers of the asked path; its parameters go to `request.path_params`. Raises `NotFound`."""
        path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
        if (exact := self._exact.get(path)) is not None:
            return exact
        for pattern, methods in self._patterns:
            if found := pattern.match(path):
                request.scope["path_params"] = found.groupdict()
                return methods
        raise NotFound("Not found", hint=self._advice(path))

    def _advice(self, path: str) -> str:
        if (shorter := path.rstrip("/")) in self._exact:
            return f"The path is {shorter}, without a slash at its end."
        return "All paths are listed at /docs."


def handler_for(method: str, methods: Methods) -> Handler:
    """Raises `MethodNotAllowed`."""
    handler = methods.get("GET" if method == "HEAD" else method)
    if handler is None:
        raise MethodNotAllowed(method, allowed(methods))
    return handler


def allowed(methods: Methods) -> list[str]:
    """The methods of a path, as `Allow` lists them."""
    return [*methods, *(["HEAD"] if "GET" in methods else []), "OPTIONS"]
