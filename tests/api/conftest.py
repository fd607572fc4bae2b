from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.api.service import Service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with Service(tmp_path / "data") as running:
        yield running


@pytest.fixture
def client(service: Service) -> httpx2.Client:
    """Calls the service with the owner's key."""
    return service.client
