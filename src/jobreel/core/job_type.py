"""A job type: what kind of work, named by its path. One registration gives route, docs, label and page."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from jobreel.core.request import JobRequest


@dataclass(frozen=True, slots=True)
class JobType:
    """The registration of one job type."""

    name: str  # "media/convert/mp3": also its path below /v1
    handler: str  # "jobreel.jobs.media.convert_mp3:convert_mp3", imported in the child
    request: type[JobRequest]
    summary: str
    description: str
    example: Mapping[str, Any]  # a request that works, shown in the docs
    example_response: Any  # what `response` then holds
    time_limit: timedelta
    light: bool = False  # quick: has a slot beyond JOBREEL_SLOTS, so that it never waits behind transcodes
    aliases: tuple[str, ...] = field(default=())  # other paths, whole: "/paid/media/convert/mp3"

    @property
    def path(self) -> str:
        """The canonical path, which answers carry as `endpoint`."""
        return f"/v1/{self.name}"

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path, *self.aliases)


Catalogue = Mapping[str, JobType]  # by name
