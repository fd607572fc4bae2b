"""The registry: every job type with the one registration that gives its route, docs, label and page."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from jobreel.core.job_type import Catalogue, JobType
from jobreel.core.request import JobRequest
from jobreel.core.workspace import Workspace

Request = TypeVar("Request", bound=JobRequest)
Handler = Callable[[Request, Workspace], Any]

_registered: dict[str, JobType] = {}


def job_type(
    name: str,
    *,
    request: type[Request],
    summary: str,
    example: Mapping[str, Any],
    example_response: Any,
    time_limit: timedelta,
    light: bool = False,
    aliases: tuple[str, ...] = (),
) -> Callable[[Handler[Request]], Handler[Request]]:
    """Register a handler as a job type. Its docstring is the description people read in the docs."""

    def register(handler: Handler[Request]) -> Handler[Request]:
        where = f"{handler.__module__}:{handler.__name__}"
        if (other := _registered.get(name)) is not None and other.handler != where:
            raise ValueError(f"two handlers for {name}: {other.handler} and {where}")
        _registered[name] = JobType(
            name=name,
            handler=where,
            request=request,
            summary=summary,
            description=(handler.__doc__ or "").strip(),
            example=example,
            example_response=example_response,
            time_limit=time_limit,
            light=light,
            aliases=aliases,
        )
        return handler

    return register


def load() -> Catalogue:
    """All job types. A module that cannot be imported stops the start: endpoints never vanish in silence."""
    import jobreel.jobs

    for module in pkgutil.walk_packages(jobreel.jobs.__path__, "jobreel.jobs."):
        importlib.import_module(module.name)
    return dict(sorted(_registered.items()))
