"""Who is calling: the key of a request, checked before anything else of it is read."""

import time
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from jobreel.api.routes import Handler
from jobreel.core.errors import TooManyAttempts, Unauthorized
from jobreel.core.keys import Caller, GuessLimit, Keyring, digest_of

KeyedHandler = Callable[[Request, Caller], Awaitable[Response]]
RawHeaders = list[tuple[bytes, bytes]]

_BEARER = b"bearer "


class Gate:
    """Lets known keys pass and slows down whoever guesses.

    From an address that tried too many wrong keys only keys are let through that were right before, so
    that a guesser cannot lock out the callers who share its address, nor learn anything more.
    """

    def __init__(self, keyring: Keyring, clock: Callable[[], float] = time.monotonic) -> None:
        self._keyring, self._clock = keyring, clock
        self._guesses = GuessLimit()
        self._proven: set[bytes] = set()  # digests of keys that were right: no more of them than callers

    def keyed(self, handler: KeyedHandler) -> Handler:
        """The handler behind this gate."""

        def behind_the_gate(request: Request) -> Awaitable[Response]:
            return handler(request, self.caller(request))

        return behind_the_gate

    def caller(self, request: Request) -> Caller:
        """Raises `Unauthorized`, `TooManyAttempts`."""
        key = presented_key(request.scope["headers"])
        if key is None:
            raise unauthorized("This request carried none.")
        address, now, digest = _address(request), self._clock(), digest_of(key)
        if self._guesses.exceeded(address, now) and digest not in self._proven:
            raise TooManyAttempts(
                "Too many wrong keys from this address", hint="Wait a minute, then send the right one."
            )
        caller = self._keyring.caller(key)
        if caller is None:
            self._guesses.record(address, key, now)
            raise unauthorized("The one this request carried is not known here.")
        self._proven.add(digest)
        return caller


def presented_key(headers: RawHeaders) -> bytes | None:
    """The bytes of `x-api-key`, or of `Authorization: Bearer`; None where neither came."""
    bearer = b""
    for name, value in headers:
        if name == b"x-api-key" and (key := value.strip()):
            return key
        if name == b"authorization" and value[: len(_BEARER)].lower() == _BEARER:
            bearer = value[len(_BEARER) :].strip()
    return bearer or None


def unauthorized(what_came: str) -> Unauthorized:
    return Unauthorized(
        "Unauthorized",
        hint=f"Send your API key in the header `x-api-key` (or `Authorization: Bearer <key>`). {what_came}",
    )


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
