"""A real workspace over a folder: sources are local files under made-up addresses, results stay in a list."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from jobreel.core.workspace import Published, Workspace

JOB_ID = "0199a0de-0000-7000-8000-000000000001"


class FolderWorkspace(Workspace):
    """Keeps what a handler does, so that a test can look at it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.sources: dict[str, Path] = {}
        self.sent_headers: dict[str, Mapping[str, str] | None] = {}
        self.published: list[tuple[Path, str]] = []
        self.reports: list[tuple[float | None, str]] = []
        self.lines: list[str] = []

    def source(self, path: Path) -> str:
        """The address under which a handler can fetch this file."""
        url = f"https://media.example/{len(self.sources)}"
        self.sources[url] = path
        return url

    @property
    def job_id(self) -> str:
        return JOB_ID

    @property
    def folder(self) -> Path:
        return self._folder

    def path(self, name: str) -> Path:
        return self._folder / name

    def fetch(self, url: str, headers: Mapping[str, str] | None = None) -> Path:
        self.sent_headers[url] = headers
        return Path(shutil.copyfile(self.sources[url], self._folder / f"source{len(self.sent_headers)}"))

    def publish(self, path: Path, name: str, content_type: str | None = None) -> Published:
        assert path.is_relative_to(self._folder)
        self.published.append((path, name))
        return Published(f"token{len(self.published)}", name)

    def report(self, fraction: float | None, stage: str = "") -> None:
        self.reports.append((fraction, stage))

    def log(self, line: str) -> None:
        self.lines.append(line)
