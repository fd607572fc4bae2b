import asyncio
import socket

import pytest

from jobreel.tools import verdicts
from jobreel.tools.addresses import AddressPolicy
from jobreel.tools.guard import Guard
from jobreel.tools.verdicts import Verdicts

pytestmark = pytest.mark.anyio


class Resolver:
    """Answers from a table, counts, and hangs on demand."""

    def __init__(self, **table: str) -> None:
        self.table, self.asked = table, list[str]()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        await self.may_answer.wait()
        if host not in self.table:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return self.table[host].split()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def verdicts_of(resolver: Resolver, clock: Clock | None = None) -> Verdicts:
    return Verdicts(Guard(AddressPolicy(["172.20.0.0/16"]), resolver), clock or Clock())


async def test_a_webhook_that_will_be_refused_is_warned_about_with_the_setting_to_change() -> None:
    warning = await verdicts_of(Resolver(n8n="10.0.0.7")).warning_for("http://n8n:5678/webhook/x?state=1")

    assert warning is not None
    assert "n8n is not a public address" in warning
    assert "JOBREEL_ALLOW_NETWORKS" in warning
    assert "10.0.0.7" not in warning


@pytest.mark.parametrize(("host", "address"), [("n8n", "172.20.0.7"), ("hooks", "1.1.1.1")])
async def test_a_webhook_that_may_be_sent_is_not_warned_about(host: str, address: str) -> None:
    assert await verdicts_of(Resolver(**{host: address})).warning_for(f"http://{host}/x") is None


async def test_a_receiver_that_does_not_resolve_yet_is_not_warned_about() -> None:
    assert await verdicts_of(Resolver()).warning_for("http://later/x") is None


async def test_a_host_is_asked_for_once_a_minute_whatever_the_path() -> None:
    clock, resolver = Clock(), Resolver(n8n="10.0.0.7")
    known = verdicts_of(resolver, clock)

    told = [await known.warning_for(f"http://n8n:5678/webhook/{number}?q") for number in range(5)]
    asked_within_a_minute = len(resolver.asked)
    clock.now = verdicts.REMEMBER_SECONDS
    await known.warning_for("http://n8n:5678/webhook/x")

    assert asked_within_a_minute == 1
    assert all(told)
    assert len(resolver.asked) == 2


async def test_many_submissions_at_once_ask_once() -> None:
    resolver = Resolver(n8n="10.0.0.7")
    known = verdicts_of(resolver)

    told = await asyncio.gather(*(known.warning_for("http://n8n/x") for _ in range(100)))

    assert all(told)
    assert resolver.asked == ["n8n"]


async def test_a_resolver_that_hangs_holds_up_one_submission_for_half_a_second_and_no_other() -> None:
    resolver = Resolver(n8n="10.0.0.7")
    resolver.may_answer.clear()
    known = verdicts_of(resolver)

    async with asyncio.timeout(verdicts.PATIENCE_SECONDS + 5):
        first = await known.warning_for("http://n8n/x")
    still_asking = known._asking["http://n8n"]
    async with asyncio.timeout(verdicts.PATIENCE_SECONDS / 2):
        second = await known.warning_for("http://n8n/x")
    resolver.may_answer.set()
    await still_asking

    assert (first, second) == (None, None)
    assert await known.warning_for("http://n8n/x") is not None


async def test_what_is_remembered_is_bounded() -> None:
    known = verdicts_of(Resolver())

    for number in range(verdicts.MAX_HOSTS + 10):
        await known.warning_for(f"http://host-{number}/x")

    assert len(known._known) == verdicts.MAX_HOSTS
    assert not known._asking


async def test_closing_stops_what_is_still_being_asked() -> None:
    resolver = Resolver()
    resolver.may_answer.clear()
    known = verdicts_of(resolver)
    waiting = asyncio.create_task(known.warning_for("http://n8n/x"))
    while not resolver.asked:
        await asyncio.sleep(0)

    await known.close()

    assert await waiting is None
    assert not known._asking
