import os
from pathlib import Path
from typing import Any

from jobreel.core.request import JobRequest
from jobreel.core.workspace import Workspace


def run(request: JobRequest, work: Workspace) -> dict[str, Any]:
    """What a child that was taken over could learn. `id` is the data directory."""
    data = Path(request.id or "/")
    return {
        "environment": sorted(os.environ),
        "ledger": _readable(data / "ledger" / "jobreel.sqlite3"),
        "scratch": _readable(work.folder),
        "parent": _readable(Path(f"/proc/{os.getppid()}/environ")),
    }


def _readable(path: Path) -> bool:
    try:
        list(path.iterdir()) if path.is_dir() else path.read_bytes()
    except OSError:
        return False
    return True
