"""The real service with one hold point: it stops at a named step, says so in a file, and waits to be killed.

Usage: python -m tests.acceptance.held_service STEP FILE PORT. The steps are in `STEPS`.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jobreel import wiring
from jobreel.settings import Settings
from jobreel.store import operations
from jobreel.store.artifacts import FolderStore
from jobreel.store.ledger import SqlLedger
from jobreel.tools.net import Door
from jobreel.workers.attempt import Attempt
from jobreel.workers.slot import Slot

STEPS: dict[str, tuple[type | Any, str, bool]] = {  # where, which function, hold before it (or after it)
    "accepted": (SqlLedger, "claim", True),
    "claiming, before the commit": (operations, "_claim_head", False),
    "claimed": (Attempt, "run", True),
    "handed to the child": (Slot, "_say", False),
    "file kept": (FolderStore, "keep", False),
    "finishing, before the commit": (operations, "finish", False),
    "finished": (SqlLedger, "finish", False),
    "webhook taken": (SqlLedger, "due_deliveries", False),
    "webhook sent": (Door, "post", False),
}


def main(step: str, said: Path, port: int) -> None:
    where, name, before = STEPS[step]
    setattr(where, name, held(getattr(where, name), said, before=before))
    sys.exit(wiring.serve(Settings.from_environment(os.environ), "127.0.0.1", port))


def held(function: Callable[..., Any], said: Path, *, before: bool) -> Callable[..., Any]:
    """The function, stopping for good the third time, so that some jobs are past the step and some before it."""
    calls = 0

    def third_time() -> bool:
        nonlocal calls
        calls += 1
        if calls >= 3:
            said.touch()
            return True
        return False

    def call(*args: Any, **options: Any) -> Any:
        if before and third_time():
            threading.Event().wait()
        value = function(*args, **options)
        if not before and third_time():
            threading.Event().wait()
        return value

    async def call_async(*args: Any, **options: Any) -> Any:
        if before and third_time():
            await asyncio.Event().wait()
        value = await function(*args, **options)
        if not before and third_time():
            await asyncio.Event().wait()
        return value

    return call_async if asyncio.iscoroutinefunction(function) else call


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
