"""One set of statements serves both engines: PostgreSQL's words for them are made from the start."""

import pytest
from sqlalchemy import Dialect
from sqlalchemy.dialects import postgresql, sqlite

from jobreel.core.job import Outcome
from jobreel.store import statements

BUILT = {
    "window of one": statements.window("ann"),
    "window of all": statements.window(None),
    "open lane": statements.open_lane(None),
    "open light lane": statements.open_lane(frozenset({"toolkit/echo"})),
    **{f"count {outcome}": statements.COUNT_FINISHED[outcome] for outcome in Outcome},
}
NAMED = {name: value for name, value in vars(statements).items() if name.isupper() and hasattr(value, "compile")}
SQLITE: Dialect = sqlite.dialect()
POSTGRESQL: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("name", [*BUILT, *NAMED])
def test_a_statement_can_be_said_to_both_engines(name: str) -> None:
    statement = (BUILT | NAMED)[name]

    for dialect in (SQLITE, POSTGRESQL):
        assert str(statement.compile(dialect=dialect))


def test_what_differs_between_the_engines_is_said_in_each_ones_words() -> None:
    window = statements.window(None)

    on_sqlite = str(window.compile(dialect=SQLITE))
    on_postgresql = str(window.compile(dialect=POSTGRESQL))

    assert "json_group_object" in on_sqlite
    assert "json_object_agg" in on_postgresql
    assert "statement_timestamp()" in on_postgresql
    assert "clock_timestamp" not in on_postgresql
    assert "SKIP LOCKED" in str(statements.CLAIM_HEAD.compile(dialect=POSTGRESQL))
    for upsert in (statements.count_accepted, statements.add_key, statements.set_progress):
        assert "ON CONFLICT" in str(upsert("postgresql").compile(dialect=POSTGRESQL))
