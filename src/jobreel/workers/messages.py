"""What a worker and its child say to each other: a closed vocabulary, one JSON object a line.

Never pickle: the child handles hostile media. Lines are bounded, so that neither side can fill the
other's memory.
"""

import msgspec

from jobreel.core.errors import ErrorReport

MAX_LINE_BYTES = 32 * 1024 * 1024  # an 8 MiB inline result, escaped at its worst


class Said(msgspec.Struct, frozen=True, tag_field="said"):
    """One message."""


END_OF_STDERR = b"\x00end of attempt\x00"  # what a child writes to stderr after each attempt


class FetchRules(msgspec.Struct, frozen=True):
    """How a child may fetch sources. Sizes in bytes, times in seconds."""

    allow_networks: tuple[str, ...]
    max_bytes: int
    connect_seconds: float
    read_seconds: float
    total_seconds: float
    free_disk_floor_bytes: int


# -- from the worker --------------------------------------------------------------------------------------


class Run(Said, frozen=True, tag="run"):
    """Run one attempt in `folder`."""

    job_id: str
    attempt: int
    handler: str  # "package.module:function"
    request: str  # JSON
    folder: str
    fetch: FetchRules
    max_inline_bytes: int


class Local(Said, frozen=True, tag="local"):
    """Answer to `Asked`: one of our own files, now in the scratch folder under this name."""

    name: str


class Remote(Said, frozen=True, tag="remote"):
    """Answer to `Asked`: not ours, fetch it yourself."""


class Kept(Said, frozen=True, tag="kept"):
    """Answer to `Publish`: it is kept."""


class Refused(Said, frozen=True, tag="refused"):
    """Answer to `Asked` or `Publish`: no, and this is why the attempt fails."""

    error: ErrorReport


# -- from the child ---------------------------------------------------------------------------------------


class Ready(Said, frozen=True, tag="ready"):
    """The child is up, or done with an attempt and free for the next."""


class Asked(Said, frozen=True, tag="asked"):
    """Is this address one of our own files?"""

    url: str


class Publish(Said, frozen=True, tag="publish"):
    """Keep this file of the scratch folder, under this token."""

    token: str
    path: str  # relative to the scratch folder
    name: str
    content_type: str | None


class Report(Said, frozen=True, tag="report"):
    """How far the work is."""

    fraction: float | None
    stage: str


class Log(Said, frozen=True, tag="log"):
    """A line for the job's log."""

    line: str


class Place(msgspec.Struct, frozen=True):
    """Where in the response a published file's address belongs."""

    pointer: str
    token: str


class Succeeded(Said, frozen=True, tag="succeeded"):
    """The handler's answer: JSON with null where files stand, and their places."""

    response: str
    places: tuple[Place, ...]
    idle_bytes: int = 0  # its resident memory when it was done


class Failed(Said, frozen=True, tag="failed"):
    """The attempt ended badly; `retryable` and the rest are in the report."""

    error: ErrorReport
    idle_bytes: int = 0


FromWorker = Run | Local | Remote | Kept | Refused
FromChild = Ready | Asked | Publish | Report | Log | Succeeded | Failed

to_child: msgspec.json.Decoder[FromWorker] = msgspec.json.Decoder(FromWorker)
to_worker: msgspec.json.Decoder[FromChild] = msgspec.json.Decoder(FromChild)


def line(message: Said) -> bytes:
    """A message as it goes over the pipe."""
    return msgspec.json.encode(message) + b"\n"
