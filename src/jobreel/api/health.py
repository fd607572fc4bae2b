"""Health: is this node able to take work? Asked by load balancers, without a key."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from jobreel.api.answers import JsonAnswer
from jobreel.api.routes import Route


@dataclass(frozen=True, slots=True)
class HealthReport:
    """What this node knows about itself. `facts` are public: no paths, no addresses, no names of callers."""

    healthy: bool
    facts: Mapping[str, Any]


HealthCheck = Callable[[], Awaitable[HealthReport]]


def health_route(check: HealthCheck, version: str) -> Route:
    async def health(_request: Request) -> Response:
        report = await check()
        body = {"status": "ok" if report.healthy else "unavailable", "version": version, **report.facts}
        return JsonAnswer(body, 200 if report.healthy else 503, {"cache-control": "no-store"})

    return Route("/health", {"GET": health})
