"""Settings: one frozen value, read once from the environment and checked as a whole.

Nothing below `cli` and `wiring` knows of it: each part is handed the values it needs. docs/settings.md is
made from this file.
"""

# ruff: noqa: RUF009 - `_setting` returns what `dataclasses.field` returns
import difflib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from jobreel.core.keys import OWNER
from jobreel.variable import (
    HIDDEN,
    Kind,
    Network,
    Secret,
    address,
    api_key,
    folder,
    named_keys,
    networks,
    one_of,
    origins,
    proxies,
    seconds,
    signing_key,
    signing_secret,
    size,
    whole_number,
)

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
_ABSENT: Any = object()


class WrongSettings(Exception):
    """One sentence for each variable that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Variable:
    """The environment variable behind a setting. `names` has the one to use first, then what else is taken."""

    names: tuple[str, ...]
    kind: Kind
    meaning: str
    default_in_words: str | None  # where the default depends on the machine

    def found_in(self, environ: Mapping[str, str]) -> str | None:
        """The name under which it is set. An empty value counts as none: compose files pass those."""
        return next((name for name in self.names if environ.get(name, "").strip()), None)

    def shown(self, value: Any) -> str:
        """A value as text, secrets hidden."""
        if value is None or value in ((), {}):
            return ""
        return HIDDEN if isinstance(value, Secret) else self.kind.show(value)


def _setting(
    *names: str,
    kind: Kind,
    meaning: str,
    default: Any = _ABSENT,
    made_by: Callable[[], Any] = lambda: None,
    default_in_words: str | None = None,
) -> Any:
    metadata = {"variable": Variable(names, kind, meaning, default_in_words)}
    if default is _ABSENT:
        return field(default_factory=made_by, metadata=metadata)
    return field(default=default, metadata=metadata)


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _log_format() -> str:
    return "text" if sys.stderr.isatty() else "json"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that can be set. Sizes are bytes, times seconds."""

    api_key: Secret | None = _setting(
        "API_KEY",
        kind=api_key(),
        meaning="The owner's key: it sees every job.",
        default=None,
        default_in_words="made at the first start, kept in `api.key` in the data directory",
    )
    api_keys: Mapping[str, Secret] = _setting(
        "JOBREEL_API_KEYS",
        kind=named_keys(),
        meaning="More callers, as `name:key,name:key`. Each sees only its own jobs and files.",
        made_by=dict,
        default_in_words="none",
    )
    data_dir: Path = _setting(
        "JOBREEL_DATA_DIR",
        "LOCAL_STORAGE_PATH",
        kind=folder(),
        meaning="Where jobs and files are kept: a folder on a local disk.",
        made_by=lambda: Path("data").absolute(),
        default_in_words="`./data`",
    )
    max_queue_length: int = _setting(
        "MAX_QUEUE_LENGTH",
        kind=whole_number(),
        meaning="Jobs that may wait at once; one more is refused with 429. 0: unlimited.",
        default=0,
    )
    slots: int = _setting(
        "JOBREEL_SLOTS",
        kind=whole_number(1),
        meaning="Jobs that run at once. Quick questions have one slot beyond these.",
        made_by=_cores,
        default_in_words="the number of processor cores",
    )
    public_url: str | None = _setting(
        "JOBREEL_PUBLIC_URL",
        kind=address(),
        meaning="The address under which callers reach this service; links to files begin with it.",
        default=None,
        default_in_words="`http://` and the host and port it listens on",
    )
    allow_networks: tuple[Network, ...] = _setting(
        "JOBREEL_ALLOW_NETWORKS",
        kind=networks(),
        meaning="Private addresses that sources and webhooks may use, like `172.18.0.0/16,192.168.1.20`.",
        default=(),
        default_in_words="none: public addresses only",
    )
    cors_origins: tuple[str, ...] = _setting(
        "JOBREEL_CORS_ORIGINS",
        kind=origins(),
        meaning="Web pages that may call from a browser.",
        default=("*",),
    )
    webhook_secret: Secret | None = _setting(
        "JOBREEL_WEBHOOK_SECRET",
        kind=signing_secret(),
        meaning="Signs webhooks by Standard Webhooks: `whsec_` and base64, or any text of 16 characters or more "
        "(a receiver's library then wants `whsec_` and the base64 of that text).",
        default=None,
        default_in_words="none: not signed",
    )
    wait_seconds: float = _setting(
        "JOBREEL_WAIT",
        kind=seconds(0),
        meaning="How long a call without a webhook waits for its result; past it, the answer is 202.",
        default=300.0,
    )
    max_waiters: int = _setting(
        "JOBREEL_MAX_WAITERS",
        kind=whole_number(0),
        meaning="Calls that may wait at once; one more gets its 202 at once.",
        default=200,
    )
    lease_seconds: float = _setting(
        "JOBREEL_LEASE",
        kind=seconds(1),
        meaning="How long a worker may be silent before its jobs are run again elsewhere.",
        default=10.0,
    )
    time_limit_seconds: float = _setting(
        "JOBREEL_TIME_LIMIT",
        kind=seconds(0),
        meaning="No attempt runs longer, whatever its job type allows. 0: the job type decides.",
        default=0.0,
    )
    drain_seconds: float = _setting(
        "JOBREEL_DRAIN",
        kind=seconds(0),
        meaning="How long running jobs may go on after a request to stop; then they go back to the queue.",
        default=20.0,
    )
    max_body: int = _setting("JOBREEL_MAX_BODY", kind=size(KIB), meaning="Size of a JSON request.", default=4 * MIB)
    max_upload: int = _setting("JOBREEL_MAX_UPLOAD", kind=size(), meaning="Size of an upload.", default=2 * GIB)
    max_source: int = _setting(
        "JOBREEL_MAX_SOURCE", kind=size(), meaning="Size of a file that a job fetches.", default=4 * GIB
    )
    max_output: int = _setting(
        "JOBREEL_MAX_OUTPUT", kind=size(), meaning="Size of a file that a job writes.", default=4 * GIB
    )
    max_pixels: int = _setting(
        "JOBREEL_MAX_PIXELS",
        kind=whole_number(1),
        meaning="Pixels of one picture or video frame; 8K video has 33 million.",
        default=64_000_000,
    )
    memory_limit: int = _setting(
        "JOBREEL_MEMORY",
        kind=size(256 * MIB),
        meaning="Memory that one job's processes may take together.",
        default=2 * GIB,
    )
    log_limit: int = _setting(
        "JOBREEL_MAX_LOG",
        kind=size(64 * KIB),
        meaning="Log that one job may write before it is ended; its last 64 KiB are kept.",
        default=16 * MIB,
    )
    disk_floor: int = _setting(
        "JOBREEL_DISK_FLOOR",
        kind=size(0),
        meaning="Free disk space below which no work is accepted (507).",
        default=512 * MIB,
    )
    fetch_connect_seconds: float = _setting(
        "JOBREEL_FETCH_CONNECT",
        kind=seconds(0.1),
        meaning="How long reaching a source may take.",
        default=10.0,
    )
    fetch_read_seconds: float = _setting(
        "JOBREEL_FETCH_READ", kind=seconds(0.1), meaning="How long a source may send nothing.", default=30.0
    )
    fetch_total_seconds: float = _setting(
        "JOBREEL_FETCH_TOTAL", kind=seconds(1), meaning="How long one download may take.", default=1800.0
    )
    trusted_proxies: tuple[str, ...] = _setting(
        "JOBREEL_TRUSTED_PROXIES",
        kind=proxies(),
        meaning="Proxies whose `X-Forwarded-*` headers are believed.",
        default=("127.0.0.1",),
    )
    log_format: str = _setting(
        "JOBREEL_LOG",
        kind=one_of("json", "text"),
        meaning="Log lines as `json` or as `text`.",
        made_by=_log_format,
        default_in_words="`text` on a terminal, else `json`",
    )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Raises `WrongSettings`, which names every variable that is wrong and what would be right."""
        values: dict[str, Any] = {}
        problems: list[str] = []
        for name, variable in variables():
            found = variable.found_in(environ)
            if found is None:
                continue
            text = environ[found].strip()
            try:
                values[name] = variable.kind.read(text)
            except ValueError as right:
                problems.append(f"{found} must be {right}{'' if variable.kind.secret else f', not {text!r}'}.")
        problems += _contradictions(values)
        if problems:
            raise WrongSettings(problems)
        return cls(**values)

    @property
    def webhook_key(self) -> bytes | None:
        """The bytes that sign webhooks; None: they are not signed."""
        return signing_key(self.webhook_secret) if self.webhook_secret else None

    def public_url_at(self, host: str, port: int) -> str:
        """What links to files begin with, for a service that listens on this host and port."""
        if self.public_url:
            return self.public_url
        reachable = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - a name, not a bind
        return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def variables() -> Iterator[tuple[str, Variable]]:
    """Each setting's name with its variable, in the order people read them."""
    return ((each.name, each.metadata["variable"]) for each in fields(Settings))


def misspelt(environ: Mapping[str, str]) -> list[str]:
    """A sentence for each JOBREEL_ variable that is no setting but looks like one."""
    known = [name for _, variable in variables() for name in variable.names]
    sentences = []
    for name in sorted(environ):
        if name.startswith("JOBREEL_") and name not in known:
            alike = difflib.get_close_matches(name, known, n=1, cutoff=0.9)
            sentences += [f"{name} is not a setting; did you mean {alike[0]}?"] if alike else []
    return sentences


def _contradictions(values: Mapping[str, Any]) -> list[str]:
    named: Mapping[str, Secret] = values.get("api_keys", {})
    problems = []
    if OWNER in named:
        problems.append(f"JOBREEL_API_KEYS must not name a caller '{OWNER}': that is the one with API_KEY.")
    keys = [*named.values(), *([values["api_key"]] if "api_key" in values else [])]
    if len(set(keys)) < len(keys):
        problems.append("JOBREEL_API_KEYS must give each caller a key of its own, different from API_KEY.")
    return problems
