"""What a job's handler may touch: one folder, its inputs, and messages to the worker. Nothing else.

A handler may run twice (its worker may die), so it must not mind. It has no database, settings, keys or
storage credentials.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Published:
    """A file handed over for keeping. A handler's answer may hold it anywhere; there its link will stand."""

    token: str
    name: str


class Workspace(ABC):
    """A handler's whole world."""

    @property
    @abstractmethod
    def job_id(self) -> str:
        """The job's id: outputs are named after it."""

    @property
    @abstractmethod
    def folder(self) -> Path:
        """The scratch folder of this attempt; gone when it ends."""

    @abstractmethod
    def path(self, name: str) -> Path:
        """A fresh path in the scratch folder. `name` is ours, never the caller's."""

    @abstractmethod
    def fetch(self, url: str, headers: Mapping[str, str] | None = None) -> Path:
        """The file at `url`, in the scratch folder, through the guarded door.

        Raises `SourceUnreachable`, `SourceForbidden`, `SourceNotMedia`, `TooLarge`, `ScratchFull`.
        """

    @abstractmethod
    def publish(self, path: Path, name: str, content_type: str | None = None) -> Published:
        """Hand over a finished file. It becomes visible with the job's success, or never.

        `name` is what a person sees when downloading it; the content type follows its extension where
        none is given. Raises `TooLarge`, `ScratchFull`.
        """

    @abstractmethod
    def report(self, fraction: float | None, stage: str = "") -> None:
        """Tell how far the work is: 0 to 1, or None where nobody can know. Sent at most once a second."""

    @abstractmethod
    def log(self, line: str) -> None:
        """Add a line to the job's log. The last 64 KiB are kept."""
