"""The owner's key where `API_KEY` is not set: made at the first start and kept beside the ledger."""

import os
import secrets
from dataclasses import replace
from pathlib import Path

from jobreel.settings import Settings
from jobreel.variable import Secret

KEY_FILE = "api.key"


def with_owner_key(settings: Settings) -> tuple[Settings, bool]:
    """Settings that have an `api_key`, and whether it was made just now.

    Makes the data directory where there is none. Raises OSError where it cannot be written.
    """
    if settings.api_key is not None:
        return settings, False
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = _make_key(settings.data_dir / KEY_FILE)
    key = Secret((settings.data_dir / KEY_FILE).read_text().strip())
    if not key:
        raise OSError(f"{settings.data_dir / KEY_FILE} is empty: remove it to have a new key made")
    return replace(settings, api_key=key), made


def _make_key(path: Path) -> bool:
    """Write a new key unless there is one. It appears whole or not at all, and only its owner can read it."""
    if path.exists():
        return False
    draft = path.with_name(f"{KEY_FILE}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)  # unlike a rename, leaves the key of a neighbour that was quicker
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True
