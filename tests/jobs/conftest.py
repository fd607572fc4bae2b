from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.jobs.workspace import FolderWorkspace

from jobreel.tools import fence, ffmpeg
from jobreel.tools.fence import Fence


@pytest.fixture
def work(tmp_path: Path) -> FolderWorkspace:
    return FolderWorkspace(tmp_path)


@pytest.fixture(scope="session")
def tightest() -> Fence:
    return Fence.probe([str(ffmpeg.program()), "-version"])


@pytest.fixture(autouse=True)
def _as_in_a_worker(tightest: Fence) -> Iterator[None]:
    """Every handler of these tests runs ffmpeg behind the tightest fence that this host allows."""
    before = fence.in_use()
    fence.use(tightest)
    yield
    fence.use(before)
