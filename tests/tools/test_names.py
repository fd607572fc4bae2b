import socket

import pytest

from jobreel.tools import names

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("spelling", ["127.0.0.1", "2130706433", "0177.0.0.1", "0x7f.1", "127.1"])
async def test_every_spelling_of_an_address_is_seen_as_that_address(spelling: str) -> None:
    assert await names.resolve(spelling, 80) == ["127.0.0.1"]


async def test_a_name_without_addresses_is_an_error() -> None:
    with pytest.raises(socket.gaierror):
        await names.resolve("x" * 64, 80)  # longer than a label can be: nobody needs to be asked


async def test_too_many_hanging_lookups_refuse_the_next_one_at_once() -> None:
    hanging = 0
    while names._room.acquire(blocking=False):
        hanging += 1
    try:
        with pytest.raises(socket.gaierror) as refusal:
            await names.resolve("127.0.0.1", 80)
    finally:
        names._room.release(hanging)

    assert hanging == names.LOOKUPS_AT_ONCE
    assert refusal.value.errno == socket.EAI_AGAIN
    assert await names.resolve("127.0.0.1", 80) == ["127.0.0.1"]
