"""The schema's steps, forward only; they only expand, and their sum equals `store/schema.py`, by test.

Alembic takes a third of a second to import, so it is only asked where a step is missing.
"""

import secrets
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from jobreel.store import statements

HEAD = "0001"
QUEUE_ID_RANGE = 9_000_000_000


def upgrade(engine: Engine) -> None:
    """Bring the schema to `HEAD`, and make what is made once with a ledger."""
    if _current(engine) == HEAD:
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if not connection.execute(statements.READ_META).all():
            _make_identity(connection)


def _current(engine: Engine) -> str | None:
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return str(version) if version else None


def _make_identity(connection: Connection) -> None:
    connection.execute(
        statements.ADD_META,
        [
            {"name": "ledger_id", "value": secrets.token_hex(16).encode()},
            {"name": "link_secret", "value": secrets.token_bytes(32)},
            {"name": "queue_id", "value": str(1_000_000_000 + secrets.randbelow(QUEUE_ID_RANGE)).encode()},
            {"name": "min_code", "value": b"0.1.0"},
        ],
    )
    connection.execute(statements.ADD_COUNTERS, [{"name": "change", "value": 0}, {"name": "gate", "value": 0}])
