from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.ledger.opened import open_ledger

from jobreel.store.ledger import SqlLedger

Open = Callable[..., SqlLedger]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def opened(folder: Path) -> Iterator[Open]:
    """Opens ledgers over one folder, each as another process would, and closes them."""
    ledgers: list[SqlLedger] = []

    def open_another(max_queue_length: int = 0) -> SqlLedger:
        ledgers.append(open_ledger(folder, max_queue_length))
        return ledgers[-1]

    yield open_another
    for ledger in ledgers:
        ledger.close()


@pytest.fixture
def ledger(opened: Open) -> SqlLedger:
    return opened()


@pytest.fixture
def worker(ledger: SqlLedger) -> str:
    """A living worker's name."""
    ledger.worker_started("worker-1", {})
    return "worker-1"
