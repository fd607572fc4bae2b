"""The ledger's file: moved, missing, broken, full; and two processes at once."""

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from tests.ledger.conftest import Open
from tests.ledger.opened import draft, one, open_ledger, states, succeeded

from jobreel.core.errors import DiskFull, LedgerBroken, LedgerGone, Unavailable
from jobreel.store.ledger import SqlLedger
from jobreel.store.schema import metadata
from jobreel.store.sqlite import FILE_NAME, RESERVE_NAME

pytestmark = pytest.mark.anyio


async def test_while_the_folder_is_away_nothing_is_accepted_and_nothing_is_lost(
    ledger: SqlLedger, folder: Path, worker: str
) -> None:
    before = (await ledger.submit(draft())).job_id
    lease = await one(ledger.claim(worker, 1))
    away = folder.rename(folder.with_name("away"))

    with pytest.raises(Unavailable):
        await ledger.submit(draft())
    for refused in (states(ledger), ledger.claim(worker, 1), ledger.finish(lease, succeeded())):
        with pytest.raises(LedgerGone):
            await refused
    assert not folder.exists(), "a ledger is never made anew where one was"

    away.rename(folder)
    await ledger.finish(lease, succeeded())
    assert await states(ledger) == {before: "done"}


async def test_an_empty_folder_in_its_place_is_not_taken_for_the_ledger(ledger: SqlLedger, folder: Path) -> None:
    job_id = (await ledger.submit(draft())).job_id
    away = folder.rename(folder.with_name("away"))
    folder.mkdir()

    with pytest.raises(LedgerGone):
        await states(ledger)
    with pytest.raises(Unavailable):
        await ledger.submit(draft())
    assert list(folder.iterdir()) == []

    folder.rmdir()
    away.rename(folder)
    assert await states(ledger) == {job_id: "queued"}


async def test_another_ledger_in_its_place_is_not_written_to(ledger: SqlLedger, folder: Path) -> None:
    await ledger.submit(draft())
    folder.rename(folder.with_name("away"))
    other = open_ledger(folder)

    with pytest.raises(Unavailable):
        await ledger.submit(draft())

    assert await states(other) == {}
    other.close()


async def test_a_restored_copy_of_the_same_ledger_is_taken_up_without_a_restart(
    ledger: SqlLedger, folder: Path
) -> None:
    job_id = (await ledger.submit(draft())).job_id
    with ledger._engine.read() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql(f"VACUUM INTO '{folder.with_name('copy')}'")
        connection.exec_driver_sql("BEGIN")
    shutil.rmtree(folder)
    folder.mkdir()
    shutil.copyfile(folder.with_name("copy"), folder / FILE_NAME)

    more = (await ledger.submit(draft())).job_id

    assert await states(ledger) == {job_id: "queued", more: "queued"}


async def test_a_ledger_that_was_here_and_is_missing_is_not_replaced_at_start(opened: Open, folder: Path) -> None:
    opened().close()
    (folder / FILE_NAME).unlink()

    with pytest.raises(LedgerGone, match=r"its file jobreel\.sqlite3 is missing"):
        open_ledger(folder)


async def test_a_damaged_file_is_told_apart_from_a_missing_one(ledger: SqlLedger, folder: Path) -> None:
    await ledger.submit(draft())
    with ledger._engine.read() as connection:
        connection.exec_driver_sql("COMMIT")  # neither works inside a transaction
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")
    with (folder / FILE_NAME).open("r+b") as file:
        file.write(b"garbage!" * 4096)

    with pytest.raises(LedgerBroken):
        await states(ledger)


def fill_up(ledger: SqlLedger) -> None:
    """SQLite's own disk-full: no page may be added."""
    connection = ledger._engine.begin()
    pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    ledger._engine.commit(connection)


async def test_on_a_full_disk_submissions_are_refused_and_reading_goes_on(ledger: SqlLedger) -> None:
    job_id = (await ledger.submit(draft())).job_id
    await asyncio.to_thread(fill_up, ledger)

    with pytest.raises(DiskFull):
        await ledger.submit(draft(request="x" * 1_000_000))

    assert await states(ledger) == {job_id: "queued"}
    assert (await ledger.books()).balance


async def test_on_a_full_disk_a_reserve_is_given_up_to_finish_a_job(ledger: SqlLedger, folder: Path) -> None:
    assert (folder / RESERVE_NAME).stat().st_size == 8 * 1024 * 1024

    assert ledger._engine.release_reserve()

    assert not (folder / RESERVE_NAME).exists()
    assert not ledger._engine.release_reserve()


async def test_the_data_directory_may_have_any_name(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "100% mine? #1 ü" / "ledger")

    await ledger.submit(draft())

    assert len(await states(ledger)) == 1
    assert (tmp_path / "100% mine? #1 ü" / "ledger" / FILE_NAME).exists()
    ledger.close()


async def test_commits_of_another_process_are_noticed(ledger: SqlLedger, opened: Open) -> None:
    other = opened()
    ledger.watch()
    changed = ledger.subscribe()
    await asyncio.wait_for(changed.wait(), 10)
    changed.clear()

    await other.submit(draft())

    await asyncio.wait_for(changed.wait(), 10)


async def test_the_migrations_add_up_to_the_schema(ledger: SqlLedger) -> None:
    with ledger._engine.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar_one() == 1


OPENER = """
import pathlib, sys
from tests.ledger.opened import open_ledger
ledger = open_ledger(pathlib.Path(sys.argv[1]))
print(ledger.identity.ledger_id)
ledger.close()
"""


def test_four_processes_that_start_at_once_make_one_ledger(folder: Path) -> None:
    command = [sys.executable, "-c", OPENER, str(folder)]
    starting = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]

    ids = [process.communicate(timeout=60)[0] for process in starting]

    assert len(set(ids)) == 1
    assert ids[0].strip()


WRITER = """
import asyncio, pathlib, sys
from tests.ledger.opened import draft, open_ledger, succeeded

async def main():
    ledger = open_ledger(pathlib.Path(sys.argv[1]))
    name = sys.argv[2]
    ledger.worker_started(name, {})
    for _ in range(150):
        await ledger.submit(draft())
        for lease in await ledger.claim(name, 2):
            await ledger.finish(lease, succeeded())
    ledger.close()

asyncio.run(main())
"""


async def test_the_monitor_never_fails_under_concurrent_writers(ledger: SqlLedger, folder: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(folder)]
    writers = [
        subprocess.Popen([*command, f"w{number}"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for number in range(3)
    ]
    listings = 0

    while any(writer.poll() is None for writer in writers) or listings < 1000:
        assert set((await states(ledger)).values()) <= {"queued", "running", "done"}
        listings += 1

    assert [writer.communicate()[1] for writer in writers] == ["", "", ""]
    assert (await ledger.books()).accepted == 450
    assert json.loads((await ledger.window(None, 600)).jobs)
