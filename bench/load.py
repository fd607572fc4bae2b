"""The load: raw sockets that send prebuilt requests and read no more of the answers than they must.

It shares the machine's cores with the service, so every microsecond spent here is one the service lacks: an
HTTP client library would measure itself.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from statistics import median
from time import perf_counter
from typing import cast

import uvloop

from bench import NotMeasured
from bench.scale import Scale
from bench.service import HOST, Service

ANSWERS_WITHIN_SECONDS = 60.0
WARM_UP_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Answers:
    """What came back: seconds from each request to its whole answer, and how long it all took."""

    seconds_each: list[float]
    seconds: float

    @property
    def p50_ms(self) -> float:
        return median(self.seconds_each) * 1000

    @property
    def per_second(self) -> float:
        return len(self.seconds_each) / self.seconds


@dataclass(frozen=True, slots=True)
class Question:
    """One request to one service."""

    service: Service
    request: bytes


def in_turn(questions: Sequence[Question], connections: int, scale: Scale) -> list[Answers]:
    """The answers to each question; asked in turn, round by round, so that a noisy moment hits all of them."""
    for question in questions:
        for_seconds(question, connections, WARM_UP_SECONDS)
    rounds = [
        [for_seconds(question, connections, scale.load_seconds) for question in questions]
        for _ in range(scale.rounds)
    ]
    return [_together(of_one) for of_one in zip(*rounds, strict=True)]


def _together(rounds: Sequence[Answers]) -> Answers:
    return Answers(
        [seconds for each in rounds for seconds in each.seconds_each], sum(each.seconds for each in rounds)
    )


def for_seconds(question: Question, connections: int, seconds: float) -> Answers:
    """The same request on so many connections, each sending its next when it has its answer."""
    return uvloop.run(_drive(question.service, repeat(question.request), connections, seconds))


def so_many(question: Question, connections: int, count: int) -> Answers:
    """The same, until `count` requests are answered."""
    requests = islice(repeat(question.request), count)
    return uvloop.run(_drive(question.service, requests, connections, ANSWERS_WITHIN_SECONDS))


async def _drive(service: Service, requests: Iterator[bytes], connections: int, seconds: float) -> Answers:
    """Send until the requests or the seconds are used up, and wait for the last answers.

    Raises `NotMeasured` where an answer is no success or does not come.
    """
    loop = asyncio.get_running_loop()
    started = perf_counter()
    load = _Load(requests, started + seconds)
    clients = [
        (await loop.create_connection(lambda: _Client(load), HOST, service.port))[1] for _ in range(connections)
    ]
    try:
        async with asyncio.timeout(seconds + ANSWERS_WITHIN_SECONDS):
            await asyncio.gather(*(client.finished for client in clients))
    except TimeoutError:
        raise NotMeasured("the service stopped answering") from None
    if set(load.statuses) - {200, 202}:
        raise NotMeasured(f"the service answered {dict(load.statuses)}")
    return Answers(load.seconds_each, perf_counter() - started)


class _Load:
    """What the connections of one load share."""

    def __init__(self, requests: Iterator[bytes], until: float) -> None:
        self._requests, self._until = requests, until
        self.seconds_each: list[float] = []
        self.statuses: Counter[int] = Counter()

    def next_request(self, now: float) -> bytes | None:
        return next(self._requests, None) if now < self._until else None


class _Client(asyncio.Protocol):
    """One connection, kept alive: one request on the way at a time."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._head = b""  # of an answer, until it is whole
        self._missing_bytes = 0  # of its body
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own kind
        self._send_next()

    def data_received(self, data: bytes) -> None:
        if self._missing_bytes:
            self._missing_bytes -= len(data)
        elif not self._read_head(data):
            return
        if not self._missing_bytes:
            self._load.seconds_each.append(perf_counter() - self._sent_at)
            self._send_next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.finished.done():
            self.finished.set_exception(NotMeasured(f"the service closed a connection: {error}"))

    def _send_next(self) -> None:
        self._sent_at = perf_counter()
        request = self._load.next_request(self._sent_at)
        if request is None:
            self.finished.set_result(None)
            self._transport.close()
        else:
            self._transport.write(request)

    def _read_head(self, data: bytes) -> bool:
        """Whether the head is whole; the size of what is still missing is known then."""
        self._head += data
        head, end, body = self._head.partition(b"\r\n\r\n")
        if not end:
            return False
        self._load.statuses[int(head[9:12])] += 1
        self._missing_bytes = _content_length(head) - len(body)
        self._head = b""
        return True


def _content_length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    if not found:
        raise NotMeasured("an answer came without its length")
    return int(rest.partition(b"\r\n")[0])
