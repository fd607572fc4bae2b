"""The ledger's tables. Times are seconds since 1970 (float), JSON is text, truth is 0 or 1.

Every index on `jobs` costs submissions, so a waiting job stands in two: its key and its lane's queue.
All indexes by status are partial: a plain one made SQLite sort 100,000 waiting rows for one claim.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

metadata = MetaData()


def _partial(name: str, where: str, *columns: Column[object]) -> Index:
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7: in order of creation
    Column("caller", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("outcome", Text),
    Column("code", Integer),
    Column("request", Text, nullable=False),
    Column("label", Text),
    Column("webhook_url", Text),
    Column("awaited", Integer, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("rank", Integer, nullable=False),  # place in the lane: lower first; from priority and awaited
    Column("ready", Integer, nullable=False),  # 0: not due before run_at, and outside the claim's way
    Column("run_at", Float, nullable=False),
    Column("attempt", Integer, nullable=False),  # rises at every claim: the fence
    Column("failures", Integer, nullable=False),
    Column("losses", Integer, nullable=False),
    Column("worker", Text),
    Column("process_id", Integer),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("queue_length", Integer, nullable=False),
    Column("response", Text),
    Column("links", Text),
    Column("error", Text),
    Column("change", BigInteger, nullable=False),  # orders changes by commit; see docs/adr/0004
)
_partial("jobs_waiting", "status = 'queued'", jobs.c.caller, jobs.c.type, jobs.c.ready, jobs.c.rank, jobs.c.id)
_partial("jobs_scheduled", "status = 'queued' AND ready = 0", jobs.c.run_at)
_partial("jobs_running", "status = 'running'", jobs.c.caller, jobs.c.id)
_partial("jobs_done", "status = 'done'", jobs.c.finished_at, jobs.c.id)
_partial("jobs_done_by_caller", "status = 'done'", jobs.c.caller, jobs.c.finished_at, jobs.c.id)

lanes = Table(  # waiting jobs stand in lanes, and a lane's row keeps the books of its jobs (promise 9)
    "lanes",
    metadata,
    Column("caller", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("paused", Integer, nullable=False, server_default="0"),
    Column("turn", BigInteger, nullable=False, server_default="0"),  # higher: claimed from more recently
    *(
        Column(name, BigInteger, nullable=False, server_default="0")
        for name in ("accepted", "waiting", "running", "succeeded", "failed", "cancelled", "pruned", "deleted")
    ),
    PrimaryKeyConstraint("caller", "type"),
)

events = Table(  # a fact about a job, written in the transaction that made it true
    "events",
    metadata,
    Column("job_id", Text, nullable=False),
    Column("change", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Column("note", Text),
    PrimaryKeyConstraint("job_id", "change", "kind"),
    sqlite_with_rowid=False,
)

progress = Table(  # no event, no index: its own row, at most once a second
    "progress",
    metadata,
    Column("job_id", Text, ForeignKey("jobs.id"), primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("fraction", Float),
    Column("stage", Text, nullable=False),
    Column("log_tail", Text, nullable=False),
    Column("at", Float, nullable=False),
)

deliveries = Table(  # the outbox: one row is one webhook
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("job_id", Text, ForeignKey("jobs.id"), nullable=False),
    Column("url", Text, nullable=False),
    Column("host", Text, nullable=False),  # with its port: one slow receiver must not hold up the others
    Column("status", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("first_try_at", Float),
    Column("next_at", Float, nullable=False),
    Column("sender", Text),  # the worker that is sending it now
    Column("http_status", Integer),
    Column("note", Text),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
)
_partial("deliveries_pending", "status = 'pending'", deliveries.c.next_at)
Index("deliveries_of_job", deliveries.c.job_id)

artifacts = Table(
    "artifacts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("job_id", Text),  # null: uploaded
    Column("caller", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", Float, nullable=False),
)
Index("artifacts_of_job", artifacts.c.job_id)

idempotency = Table(  # outlives its job
    "idempotency",
    metadata,
    Column("caller", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("request_digest", Text, nullable=False),
    Column("job_id", Text, nullable=False),
    Column("expires_at", Float, nullable=False),
    PrimaryKeyConstraint("caller", "key"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("facts", Text, nullable=False),
    Column("started_at", Float, nullable=False),
)

counters = Table(  # `change`; and `gate`, whose row lock makes admission exact
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

meta = Table(  # what is made once with the ledger
    "meta",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
