"""What differs between the engines, in one place, each with its reason.

PostgreSQL's half stands beside SQLite's from the start, so that the statements are written for both.
"""

from typing import Any

from sqlalchemy import Float, Table, Text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class now(FunctionElement[float]):  # noqa: N801 - reads like SQL where it is used
    """Seconds since 1970 by the database's clock, so that nodes need not agree on theirs."""

    type = Float()
    inherit_cache = True


@compiles(now, "sqlite")
def _(element: now, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ARG001
    return "unixepoch('subsec')"


@compiles(now, "postgresql")
def _(element: now, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ARG001
    # clock_timestamp() is volatile, so it cannot bound an index scan: 75 ms instead of 9 for the window.
    return "extract(epoch from statement_timestamp())::float8"


class json_object_of(FunctionElement[str]):  # noqa: N801
    """One JSON object, as text, from pairs of key and value: made in the database, row by row costs 3x."""

    type = Text()
    inherit_cache = True


@compiles(json_object_of, "sqlite")
def _(element: json_object_of, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_group_object({compiler.process(element.clauses, **options)})"


@compiles(json_object_of, "postgresql")
def _(element: json_object_of, compiler: SQLCompiler, **options: Any) -> str:
    # json_object_agg of no rows is NULL, not {}.
    return f"coalesce(json_object_agg({compiler.process(element.clauses, **options)}), '{{}}')::text"


def upsert(table: Table, dialect_name: str) -> "sqlite.Insert | postgresql.Insert":
    """INSERT that can say ON CONFLICT: the same words in both engines, two classes in SQLAlchemy."""
    return sqlite.insert(table) if dialect_name == "sqlite" else postgresql.insert(table)
