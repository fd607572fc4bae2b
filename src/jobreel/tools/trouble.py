"""Trouble: what went wrong on the way to a server, in a sentence, and whether it will go wrong again.

The library's own words are kept out: they name the addresses behind a name.
"""

import socket
import ssl
from dataclasses import dataclass

import httpcore2

_NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


@dataclass(frozen=True, slots=True)
class Trouble:
    """`lasting`: trying again soon will not help."""

    sentence: str
    lasting: bool = False


def trouble(error: Exception, host: str) -> Trouble:
    """What an httpcore2 error means to somebody who only knows the host."""
    match error, error.__cause__:
        case httpcore2.ConnectTimeout(), _:
            return Trouble(f"{host} could not be reached in time.")
        case httpcore2.TimeoutException(), _:
            return Trouble(f"{host} went silent.")
        case httpcore2.ConnectError(), socket.gaierror(errno=number):
            if number in _NO_SUCH_NAME:
                return Trouble(f"There is no host named {host}.", lasting=True)
            return Trouble(f"The name {host} could not be looked up just now.")
        case httpcore2.ConnectError(), ssl.SSLCertVerificationError():
            return Trouble(f"{host} has no valid certificate for its name.", lasting=True)
        case httpcore2.ConnectError(), ssl.SSLError():
            return Trouble(f"{host} does not speak https as it should.")
        case httpcore2.ConnectError(), _:
            return Trouble(f"{host} does not accept connections.")
        case _:
            return Trouble(f"{host} broke off before its answer was complete.")
