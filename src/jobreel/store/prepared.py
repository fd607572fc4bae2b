"""Prepared statements: compiled once, then handed to the driver as they are.

SQLAlchemy makes one text for two engines; running it through its result machinery costs some 90 us for each
statement, twice what SQLite itself needs, and the writer runs eight of them for each job. Only for
statements whose parameters are plain values: what expands (`IN`) goes through the connection.
"""

from collections import namedtuple
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Dialect, Executable
from sqlalchemy.sql import ClauseElement

Values = Mapping[str, Any]


class Prepared:
    """One statement for one engine's driver."""

    def __init__(self, statement: Executable, dialect: Dialect, names: Sequence[str]) -> None:
        assert isinstance(statement, ClauseElement)
        compiled = statement.compile(dialect=dialect, column_keys=names or None)
        self._sql = str(compiled)
        self._names = tuple(compiled.positiontup or ())  # type: ignore[attr-defined]
        self._defaults = dict(compiled.params)
        self._row: Any = None

    def run(self, connection: Connection, values: Values) -> list[Any]:
        """The rows that it gives, with their columns as attributes."""
        cursor = connection.connection.cursor()
        cursor.execute(self._sql, self._in_order(values))
        if cursor.description is None:
            return []
        if self._row is None:
            self._row = _row_type([column[0] for column in cursor.description])
        return [self._row._make(row) for row in cursor.fetchall()]

    def run_many(self, connection: Connection, rows: Sequence[Values]) -> None:
        connection.connection.cursor().executemany(self._sql, [self._in_order(values) for values in rows])

    def _in_order(self, values: Values) -> list[Any]:
        given = {**self._defaults, **values}
        return [given[name] for name in self._names]


def _row_type(columns: Sequence[str]) -> Any:
    return namedtuple("Row", columns)  # noqa: PYI024 - its fields are known at run time


@cache
def prepared(statement: Executable, dialect: Dialect, names: tuple[str, ...] = ()) -> Prepared:
    """`names` are the columns of an INSERT of many rows."""
    return Prepared(statement, dialect, names)
