"""Every statement of the ledger, by name, with a line on what it does.

Both engines run these. A test reads the query plans of the ones whose cost must not depend on how many
jobs are stored or waiting.
"""

from functools import cache

from sqlalchemy import (
    ColumnElement,
    Float,
    Insert,
    Integer,
    Select,
    String,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal,
    literal_column,
    null,
    select,
    tuple_,
    union_all,
    update,
)

from jobreel.core.job import Outcome, Status
from jobreel.store.dialect import json_object_of, now, upsert
from jobreel.store.schema import (
    artifacts,
    counters,
    deliveries,
    events,
    idempotency,
    jobs,
    lanes,
    meta,
    progress,
    workers,
)

DELIVERY_LEASE_SECONDS = 60.0


def _is(status: Status) -> ColumnElement[bool]:
    """A literal, not a parameter: a partial index is only used where the planner can see the value."""
    return jobs.c.status == literal_column(f"'{status.value}'", String)


QUEUED, RUNNING, DONE = _is(Status.QUEUED), _is(Status.RUNNING), _is(Status.DONE)
READY = jobs.c.ready == literal_column("1", Integer)
NOT_READY = jobs.c.ready == literal_column("0", Integer)

# -- in every write transaction ---------------------------------------------------------------------------

# The stamp of a transaction: a number that rises with each commit, and the time.
# PostgreSQL will take pg_current_xact_id() here: a counter's row lock would make its writers queue.
NEXT_CHANGE = (
    update(counters)
    .where(counters.c.name == "change")
    .values(value=counters.c.value + 1)
    .returning(counters.c.value, now())
)

# -- submitting -------------------------------------------------------------------------------------------

# Admission in turn: whoever holds this row counts alone.
LOCK_GATE = select(counters.c.value).where(counters.c.name == "gate").with_for_update()

# Jobs that wait, over all processes: a sum over lanes, of which there are callers x job types.
QUEUE_LENGTH = select(func.coalesce(func.sum(lanes.c.waiting), 0))

ADD_JOBS = insert(jobs)
ADD_EVENTS = insert(events)


@cache
def count_accepted(dialect: str) -> Insert:
    """Open the lane if need be, and count `:n` new jobs in it."""
    new = upsert(lanes, dialect).values(
        caller=bindparam("caller"), type=bindparam("type"), accepted=bindparam("n"), waiting=bindparam("n")
    )
    return new.on_conflict_do_update(
        index_elements=[lanes.c.caller, lanes.c.type],
        set_={
            "accepted": lanes.c.accepted + new.excluded.accepted,
            "waiting": lanes.c.waiting + new.excluded.waiting,
        },
    )


# Submissions that came before under the same keys and have not expired.
KNOWN_KEYS = select(
    idempotency.c.caller, idempotency.c.key, idempotency.c.request_digest, idempotency.c.job_id
).where(
    tuple_(idempotency.c.caller, idempotency.c.key).in_(bindparam("keys", expanding=True)),
    idempotency.c.expires_at > now(),
)


@cache
def add_key(dialect: str) -> Insert:
    """Remember a key; one that has expired is overwritten."""
    new = upsert(idempotency, dialect).values(
        {name: bindparam(name) for name in ("caller", "key", "request_digest", "job_id", "expires_at")}
    )
    columns = ("request_digest", "job_id", "expires_at")
    return new.on_conflict_do_update(
        index_elements=[idempotency.c.caller, idempotency.c.key],
        set_={name: new.excluded[name] for name in columns},
    )


# -- claiming ---------------------------------------------------------------------------------------------


@cache
def open_lane(only: frozenset[str] | None) -> Select[str, str]:
    """The lane to claim from: the best head of all open lanes, then the lane whose last turn is longest ago.

    The head of a lane is one step into its index, so the cost grows with lanes, not with waiting jobs.
    """
    head = (
        select(jobs.c.rank)
        .where(jobs.c.caller == lanes.c.caller, jobs.c.type == lanes.c.type, QUEUED, READY)
        .order_by(jobs.c.rank, jobs.c.id)
        .limit(1)
        .scalar_subquery()
    )
    heads = select(lanes.c.caller, lanes.c.type, lanes.c.turn, head.label("rank")).where(
        lanes.c.waiting > 0, lanes.c.paused == 0
    )
    if only is not None:
        heads = heads.where(lanes.c.type.in_([literal(job_type) for job_type in sorted(only)]))
    open_heads = heads.subquery("heads")
    return (
        select(open_heads.c.caller, open_heads.c.type)
        .where(open_heads.c.rank.is_not(None))
        .order_by(open_heads.c.rank, open_heads.c.turn)
        .limit(1)
    )


# The head of a lane, now running under this worker.
CLAIM_HEAD = (
    update(jobs)
    .where(
        jobs.c.id
        == select(jobs.c.id)
        .where(jobs.c.caller == bindparam("of_caller"), jobs.c.type == bindparam("of_type"), QUEUED, READY)
        .order_by(jobs.c.rank, jobs.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    .values(
        status=Status.RUNNING.value,
        worker=bindparam("by_worker"),
        process_id=bindparam("by_process"),
        attempt=jobs.c.attempt + 1,
        started_at=bindparam("at"),
        change=bindparam("stamp"),
    )
    .returning(
        jobs.c.id, jobs.c.attempt, jobs.c.caller, jobs.c.type, jobs.c.request, jobs.c.awaited,
        jobs.c.failures, jobs.c.losses,
    )
)  # fmt: skip

_last_turn = select(func.max(lanes.c.turn)).scalar_subquery()
COUNT_CLAIMED = (
    update(lanes)
    .where(lanes.c.caller == bindparam("of_caller"), lanes.c.type == bindparam("of_type"))
    .values(waiting=lanes.c.waiting - 1, running=lanes.c.running + 1, turn=_last_turn + 1)
)

# -- the fence: every write by a worker says (job, worker, attempt) ---------------------------------------

_held = and_(
    jobs.c.id == bindparam("job"),
    jobs.c.attempt == bindparam("of_attempt"),
    jobs.c.worker == bindparam("by_worker"),
    RUNNING,
)
_lane_of_job = [jobs.c.caller, jobs.c.type, jobs.c.webhook_url]

# What this attempt came to, where it has been told before: a commit whose answer was lost on the way.
ALREADY_TOLD = select(
    jobs.c.outcome.label("ended"),
    jobs.c.code.label("with_code"),
    jobs.c.response.label("answer"),
    jobs.c.links.label("its_links"),
    jobs.c.error.label("its_error"),
).where(
    jobs.c.id == bindparam("job"),
    jobs.c.attempt == bindparam("of_attempt"),
    jobs.c.worker == bindparam("by_worker"),
    DONE,
)
IS_HELD = select(literal(1)).where(_held)

FINISH = (
    update(jobs)
    .where(_held)
    .values(
        status=Status.DONE.value,
        outcome=bindparam("ended"),
        code=bindparam("with_code"),
        response=bindparam("answer"),
        links=bindparam("its_links"),
        error=bindparam("its_error"),
        queue_length=QUEUE_LENGTH.scalar_subquery(),
        finished_at=bindparam("at"),
        change=bindparam("stamp"),
    )
    .returning(*_lane_of_job)
)

# Back into the queue, with what was spent.
REQUEUE = (
    update(jobs)
    .where(_held)
    .values(
        status=Status.QUEUED.value,
        worker=null(),
        process_id=null(),
        ready=bindparam("is_ready"),
        run_at=bindparam("due_at"),
        failures=jobs.c.failures + bindparam("failed"),
        losses=jobs.c.losses + bindparam("lost"),
        change=bindparam("stamp"),
    )
    .returning(*_lane_of_job)
)

_of_lane = and_(lanes.c.caller == bindparam("of_caller"), lanes.c.type == bindparam("of_type"))
COUNT_REQUEUED = update(lanes).where(_of_lane).values(waiting=lanes.c.waiting + 1, running=lanes.c.running - 1)
COUNT_FINISHED = {
    outcome: update(lanes)
    .where(_of_lane)
    .values(running=lanes.c.running - 1, **{outcome.value: lanes.c[outcome.value] + 1})
    for outcome in Outcome
}

FORGET_PROGRESS_FRACTION = (
    update(progress).where(progress.c.job_id == bindparam("job")).values(fraction=null(), stage="")
)


@cache
def set_progress(dialect: str) -> Insert:
    """Where an attempt is now."""
    names = ("job_id", "attempt", "fraction", "stage", "log_tail", "at")
    new = upsert(progress, dialect).values({name: bindparam(name) for name in names})
    return new.on_conflict_do_update(
        index_elements=[progress.c.job_id], set_={name: new.excluded[name] for name in names[1:]}
    )


# -- rescuing and promoting -------------------------------------------------------------------------------

# All attempts that somebody should be working on: never more than there are slots in the world.
RUNNING_ATTEMPTS = select(
    jobs.c.id, jobs.c.attempt, jobs.c.worker, jobs.c.losses, jobs.c.caller, jobs.c.type, jobs.c.started_at
).where(RUNNING)

NEXT_DUE = select(func.min(jobs.c.run_at) - now()).where(QUEUED, NOT_READY)
PROMOTE = update(jobs).where(QUEUED, NOT_READY, jobs.c.run_at <= now()).values(ready=1, change=bindparam("stamp"))

# -- looking ----------------------------------------------------------------------------------------------


@cache
def window(caller: str | None) -> Select[str, int]:
    """The monitor: one JSON object of id to word, and the queue length, in one snapshot.

    Three index scans; none reads a job that is not in the answer.
    """

    def part(status: Status, *conditions: ColumnElement[bool]) -> Select[str, str]:
        mine = () if caller is None else (jobs.c.caller == bindparam("caller"),)
        word = literal_column(f"'{status.value}'", String)
        return select(jobs.c.id, word.label("word")).where(_is(status), *conditions, *mine)

    since = jobs.c.finished_at >= now() - bindparam("seconds", type_=Float)
    found = union_all(part(Status.DONE, since), part(Status.RUNNING), part(Status.QUEUED)).subquery("found")
    return select(json_object_of(found.c.id, found.c.word), QUEUE_LENGTH.scalar_subquery())


NOW = select(now())

_progress_columns = [progress.c.fraction, progress.c.stage, progress.c.log_tail]
_whole_job = select(jobs, *_progress_columns).outerjoin(progress, progress.c.job_id == jobs.c.id)

JOB = _whole_job.where(jobs.c.id == bindparam("job"))
JOB_OF_CALLER = JOB.where(jobs.c.caller == bindparam("caller"))
DONE_AMONG = _whole_job.where(jobs.c.id.in_(bindparam("ids", expanding=True)), DONE)

BOOKS = select(
    *(
        func.coalesce(func.sum(lanes.c[name]), 0).label(name)
        for name in ("accepted", "waiting", "running", "succeeded", "failed", "cancelled", "pruned", "deleted")
    )
)

# -- webhooks ---------------------------------------------------------------------------------------------

ADD_DELIVERY = insert(deliveries)

PENDING = deliveries.c.status == literal_column("'pending'", String)
NOT_TO_BUSY_HOSTS = deliveries.c.host.not_in(bindparam("busy", expanding=True))

# Taken by moving its next time on: a sender that dies leaves it to be due again.
TAKE_DELIVERIES = (
    update(deliveries)
    .where(
        deliveries.c.id.in_(
            select(deliveries.c.id)
            .where(PENDING, deliveries.c.next_at <= now(), NOT_TO_BUSY_HOSTS)
            .order_by(deliveries.c.next_at)
            .limit(bindparam("count"))
            .with_for_update(skip_locked=True)
        )
    )
    .values(next_at=now() + DELIVERY_LEASE_SECONDS, sender=bindparam("by_sender"))
    .returning(
        deliveries.c.id,
        deliveries.c.job_id,
        deliveries.c.url,
        deliveries.c.host,
        deliveries.c.tries,
        deliveries.c.first_try_at,
    )
)

RECORD_DELIVERY = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("delivery"), PENDING, deliveries.c.sender == bindparam("by_sender"))
    .values(
        status=bindparam("to_status"),
        tries=deliveries.c.tries + 1,
        first_try_at=func.coalesce(deliveries.c.first_try_at, now()),
        next_at=now() + bindparam("wait"),
        sender=null(),
        http_status=bindparam("answered"),
        note=bindparam("said"),
        updated_at=now(),
    )
)

NEXT_DELIVERY = select(func.min(deliveries.c.next_at) - now()).where(PENDING, NOT_TO_BUSY_HOSTS)
SENDERS = select(deliveries.c.sender).where(PENDING, deliveries.c.sender.is_not(None)).distinct()
RELEASE_DELIVERIES = (
    update(deliveries)
    .where(PENDING, deliveries.c.sender.in_(bindparam("dead", expanding=True)))
    .values(sender=null(), next_at=now())
)

# -- artifacts --------------------------------------------------------------------------------------------

ADD_ARTIFACTS = insert(artifacts)
ARTIFACT = select(artifacts).where(artifacts.c.id == bindparam("artifact"))
KNOWN_ARTIFACT_KEYS = select(artifacts.c.key).where(artifacts.c.key.in_(bindparam("keys", expanding=True)))

# -- workers and meta -------------------------------------------------------------------------------------

ADD_WORKER = insert(workers)
FORGET_WORKER = delete(workers).where(workers.c.id == bindparam("worker"))

READ_META = select(meta.c.name, meta.c.value)
ADD_META = insert(meta)
ADD_COUNTERS = insert(counters)
