"""The one door to the network: sources are fetched and webhooks are posted through it, by nothing else.

Each request has a connection of its own, to an address that the guard has checked; each redirect goes
through the guard again. Nothing is taken from the environment but the system's certificates. The HTTP
library is imported with this module, so a child imports it at its first fetch (docs/adr/0006).
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import httpcore2

from jobreel.core.errors import (
    BadInput,
    Blocked,
    ReceiverUnreachable,
    SourceBroken,
    SourceForbidden,
    SourceNotMedia,
    SourceUnreachable,
)
from jobreel.tools import names
from jobreel.tools.addresses import AddressPolicy
from jobreel.tools.answers import Answer, drain, read_answer
from jobreel.tools.guard import Guard, PinnedBackend
from jobreel.tools.incoming import STEP, FetchLimits
from jobreel.tools.landing import Errand, Fetched, Progress, land
from jobreel.tools.messages import Headers, checked_headers, header, request_headers
from jobreel.tools.sources import direct, page_at
from jobreel.tools.trouble import trouble
from jobreel.tools.urls import HttpUrl
from jobreel.tools.verdicts import Verdicts

__all__ = ["Answer", "Blocked", "Door", "FetchLimits", "Fetched", "ReceiverUnreachable"]

MAX_REDIRECTS = 10
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Door:
    """The way out. `allow_networks` are CIDR ranges beyond the public internet that may be visited.

    `fetch` and `post` may be used from any event loop, `warning_for` and `close` from one.
    `trust` replaces the system's certificates.
    """

    def __init__(
        self,
        allow_networks: Sequence[str] = (),
        *,
        resolve: names.Resolve = names.resolve,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._guard = Guard(AddressPolicy(allow_networks), resolve)
        self._verdicts = Verdicts(self._guard)
        self._trust = trust

    async def fetch(
        self,
        url: str,
        into: Path,
        limits: FetchLimits,
        headers: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> Fetched:
        """The file at `url`, written to `into`, which is left only if all of it came.

        `headers` are for the origin of `url` alone. Raises `BadInput`, `SourceUnreachable`,
        `SourceBroken`, `SourceForbidden`, `SourceNotMedia`, `TooLarge`, `ScratchFull`.
        """
        place, own_headers = HttpUrl.parse(url), checked_headers(headers or {})
        try:
            async with asyncio.timeout(limits.total_seconds):
                return await self._follow(place, own_headers, Errand(into, limits, progress))
        except TimeoutError:
            seconds = f"{limits.total_seconds:g} seconds"
            raise SourceUnreachable(f"{place.shown} took longer than {seconds}.", step=STEP) from None

    async def post(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        connect_seconds: float = 5.0,
        total_seconds: float = 15.0,
    ) -> Answer:
        """What the receiver at `url` answers; redirects are not followed.

        Raises `Blocked` where the address may not be visited, `ReceiverUnreachable` where no answer came.
        """
        place, sent, answer = _receiver(url), checked_headers(headers), None
        try:
            async with (
                asyncio.timeout(total_seconds),
                self._exchange(place, sent, connect_seconds, total_seconds, body) as response,
            ):
                answer = read_answer(response, now=time.time())
                await drain(response)
        except TimeoutError:
            if answer is None:
                raise ReceiverUnreachable(f"{place.host} gave no answer in {total_seconds:g} seconds.") from None
        except (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError) as error:
            raise ReceiverUnreachable(trouble(error, place.host).sentence) from error
        assert answer is not None
        return answer

    async def warning_for(self, url: str) -> str | None:
        """What to tell the caller at once about a webhook address that will be refused; None: nothing.

        Remembered for a minute per host; never takes more than half a second.
        """
        return await self._verdicts.warning_for(url)

    async def close(self) -> None:
        """Stop what is still being looked up."""
        await self._verdicts.close()

    async def _follow(self, place: HttpUrl, headers: Headers, errand: Errand) -> Fetched:
        """Go where the address leads, and bring the file."""
        trail = [direct(place)]
        while len(trail) <= MAX_REDIRECTS + 1:
            here = trail[-1]
            _refuse_page(here, trail[0])
            async with self._source(here, headers, errand.limits) as response:
                if response.status not in REDIRECTS:
                    return await land(response, trail, errand)
                there = direct(_redirected(here, response))
            if not here.may_share_headers_with(there):
                headers = []
            trail.append(there)
        raise SourceBroken(f"{place.shown} redirects more than {MAX_REDIRECTS} times.", step=STEP)

    @contextlib.asynccontextmanager
    async def _source(
        self, place: HttpUrl, headers: Headers, limits: FetchLimits
    ) -> AsyncIterator[httpcore2.Response]:
        """The answer to a GET, with everything that can go wrong on the way told as a source's error."""
        try:
            async with self._exchange(place, headers, limits.connect_seconds, limits.read_seconds) as response:
                yield response
        except Blocked as refusal:
            raise SourceForbidden(refusal.message, step=STEP, hint=refusal.hint) from None
        except (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError) as error:
            told = trouble(error, place.host)
            kind = SourceBroken if told.lasting else SourceUnreachable
            raise kind(told.sentence, step=STEP) from error

    @contextlib.asynccontextmanager
    async def _exchange(
        self,
        place: HttpUrl,
        headers: Headers,
        connect_seconds: float,
        read_seconds: float,
        body: bytes | None = None,
    ) -> AsyncIterator[httpcore2.Response]:
        """One request on a connection of its own: a GET, or a POST where there is a body."""
        url = httpcore2.URL(scheme=place.scheme, host=place.host, port=place.port, target=place.target)
        backend = PinnedBackend(self._guard)
        connection = httpcore2.AsyncHTTPConnection(
            url.origin,
            ssl_context=self._certificates() if place.scheme == "https" else None,
            network_backend=backend,
        )
        seconds = {"connect": connect_seconds, "read": read_seconds, "write": read_seconds}
        try:
            async with connection.stream(
                "GET" if body is None else "POST",
                url,
                headers=request_headers(place, headers),
                content=body,
                # Certificates and SNI know no trailing dot (RFC 6066, section 3).
                extensions={"timeout": seconds, "sni_hostname": place.host.rstrip(".")},
            ) as response:
                yield response
        finally:
            await backend.aclose()

    def _certificates(self) -> ssl.SSLContext:
        if self._trust is None:
            self._trust = httpcore2.default_ssl_context()
        return self._trust


def _refuse_page(here: HttpUrl, asked: HttpUrl) -> None:
    if page := page_at(here):
        raise SourceNotMedia(f"{asked.shown} is {page.what}, not a media file.", step=STEP, hint=page.hint)


def _redirected(here: HttpUrl, response: httpcore2.Response) -> HttpUrl:
    with contextlib.suppress(BadInput):
        if location := header(response, "location"):
            return here.joined(location)
    raise SourceBroken(f"{here.shown} redirects to something that is no http or https address.", step=STEP)


def _receiver(url: str) -> HttpUrl:
    try:
        return HttpUrl.parse(url)
    except BadInput as error:
        raise Blocked(error.message) from error
