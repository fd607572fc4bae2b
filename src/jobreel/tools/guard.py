"""The guard: a name is looked up, every address it stands for is checked, and only those are connected to.

What was checked is what is visited: between the two no second lookup happens that could answer otherwise.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterable

import httpcore2

from jobreel.core.errors import Blocked
from jobreel.tools.addresses import AddressPolicy
from jobreel.tools.names import Resolve

MAX_ADDRESSES_TRIED = 4
HOW_TO_ALLOW = "If it is meant to be reached from here, its network belongs into JOBREEL_ALLOW_NETWORKS."


class Guard:
    """Knows which addresses may be visited, and asks the resolver for them."""

    def __init__(self, policy: AddressPolicy, resolve: Resolve) -> None:
        self._policy, self._resolve = policy, resolve

    async def addresses(self, host: str, port: int) -> list[str]:
        """All addresses of `host`, each of them checked: one bad one condemns the name.

        Raises `Blocked`, and `socket.gaierror` where the name has no address.
        """
        found = await self._resolve(host, port)
        for address in found:
            if objection := self._policy.objection(address, port):
                raise Blocked(f"{host} {objection}.", hint=HOW_TO_ALLOW)
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        return found


class PinnedBackend(httpcore2.AnyIOBackend):
    """The network of one request: opens one connection, to an address that the guard has passed.

    TLS is still asked for the name (SNI and certificate), because only the TCP connection is redirected.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._opened: httpcore2.AsyncNetworkStream | None = None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore2's
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        addresses = await self._addresses(host, port, timeout)
        share = None if timeout is None else timeout / len(addresses)
        for address in addresses[:-1]:
            with contextlib.suppress(httpcore2.ConnectError, httpcore2.ConnectTimeout):
                return await self._open(address, port, share, local_address, socket_options)
        return await self._open(addresses[-1], port, share, local_address, socket_options)

    async def aclose(self) -> None:
        """Close the connection, also one whose TLS handshake was interrupted."""
        if self._opened is not None:
            await self._opened.aclose()

    async def _open(
        self,
        address: str,
        port: int,
        seconds: float | None,
        local_address: str | None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None,
    ) -> httpcore2.AsyncNetworkStream:
        self._opened = await super().connect_tcp(address, port, seconds, local_address, socket_options)
        return self._opened

    async def _addresses(self, host: str, port: int, seconds: float | None) -> list[str]:
        try:
            # Not wait_for: before Python 3.12 it loses a cancellation that meets an answer (gh-86296).
            async with asyncio.timeout(seconds):
                return (await self._guard.addresses(host, port))[:MAX_ADDRESSES_TRIED]
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout("the name was not resolved in time") from error
        except OSError as error:
            raise httpcore2.ConnectError("the name was not resolved") from error
