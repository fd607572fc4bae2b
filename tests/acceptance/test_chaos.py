"""Chaos: the service is killed again and again at random moments, under load; then the books are checked."""

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import httpx2
import psutil
import pytest
from tests.acceptance.running import Receiver, Running, free_port, processes_of, until
from tests.clips import Clips

pytestmark = pytest.mark.chaos
ROUNDS = 25
SEED = int(os.environ.get("CHAOS_SEED", "7"))


def test_nothing_is_lost_however_often_and_whenever_it_is_killed(tmp_path: Path, clips: Clips) -> None:
    chance, data, port = random.Random(SEED), tmp_path / "data", free_port()
    accepted: set[str] = set()
    source = ""
    with Receiver(*[chance.choice([204, 500, 404]) for _ in range(50)]) as receiver:
        for _ in range(ROUNDS):
            with Running(data, port=port) as service:
                source = source or service.upload(clips["sound.mp4"])
                accepted |= submit_until_killed(service, source, receiver, chance)
        with Running(data, port=port) as service:
            service.all_done(sorted(accepted), 300)
            assert accepted <= set(service.states(since=1e9))
            until(lambda: accepted <= set(receiver.ids_by_job()), "all webhooks", 120)
    assert all(len(ids) == 1 for ids in receiver.ids_by_job().values())
    until(lambda: not processes_of((data / "ledger" / "ledger.id").read_text()), "no process to be left")


def submit_until_killed(service: Running, source: str, receiver: Receiver, chance: random.Random) -> set[str]:
    """Submit a few jobs; kill a child, stop and wake the service, or kill it, at a random moment."""
    accepted = set()
    for number in range(chance.randrange(1, 12)):
        kind = chance.choice(["toolkit/echo", "video/thumbnail", "media/convert/mp3"])
        field = {"toolkit/echo": "message", "video/thumbnail": "video_url", "media/convert/mp3": "media_url"}[kind]
        try:
            accepted.add(service.submit(kind, **{field: source}, webhook_url=receiver.url))
        except httpx2.TransportError:
            break
        if chance.random() < 0.2:
            disturb(service, chance, number)
    time.sleep(chance.random())  # the very point: no event to wait for
    service.kill()
    return accepted


def disturb(service: Running, chance: random.Random, number: int) -> None:
    if number % 2:
        service.process.send_signal(signal.SIGSTOP)
        service.process.send_signal(signal.SIGCONT)
        return
    with suppress(psutil.Error, IndexError):
        chance.choice(service.children()).kill()
