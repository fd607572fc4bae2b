"""Bare commits: the least that durable state costs on this disk, with Python's own SQLite."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from statistics import median

COMMITS = 300


def commit_seconds(folder: Path) -> float:
    """One row of 400 bytes, committed with FULL in WAL mode: the median of some."""
    taken = []
    with closing(sqlite3.connect(folder / "commits.sqlite3", isolation_level=None)) as connection:
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "CREATE TABLE rows (row TEXT)"):
            connection.execute(statement)
        for _ in range(COMMITS):
            started = time.perf_counter()
            connection.execute("INSERT INTO rows VALUES (?)", ["x" * 400])
            taken.append(time.perf_counter() - started)
    return median(taken)
