"""Web addresses, taken apart without changing a byte of what will be sent."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, unquote, urljoin

from jobreel.core.errors import BadInput

DEFAULT_PORTS: Mapping[str, int] = {"http": 80, "https": 443}
MAX_SHOWN_NAME = 80  # characters of a file's name in a message
MAX_PATH_NAME = 255  # bytes: what file systems take
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))

# No backslash before the path: some parsers end the host there and others do not, so it is refused.
_URL = re.compile(r"(https?)://([^/?#\\]*)((?:[/?][^#]*)?)(?:#.*)?", re.IGNORECASE | re.DOTALL)
_AUTHORITY = re.compile(r"(?:(.*)@)?(\[[0-9a-f:.]+\]|[^\[\]:@]+)(?::([0-9]{0,5}))?", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HttpUrl:
    """An http or https address. `target` is path and query exactly as given; only what no request line
    can carry (spaces, non-ASCII) is percent-encoded. `host` is lower-case ASCII without brackets.
    """

    scheme: str
    host: str
    port: int
    target: str
    credentials: str | None = None  # "name:password" as given before the @, decoded

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises `BadInput` for anything but an http or https address that names a host."""
        if (parts := _URL.fullmatch(text)) is None:
            raise BadInput("The address is not an http or https address.", step="fetch")
        if (authority := _AUTHORITY.fullmatch(parts[2])) is None:
            raise _no_such_host()
        scheme = parts[1].lower()
        userinfo, host, port = authority.groups()
        return cls(
            scheme=scheme,
            host=_ascii_host(host),
            port=_port(port, scheme),
            target=quote(parts[3] if parts[3].startswith("/") else "/" + parts[3], safe=_PRINTABLE),
            credentials=unquote(userinfo) if userinfo else None,
        )

    def joined(self, location: str) -> "HttpUrl":
        """Where a redirect leads. An absolute location is taken byte for byte; raises `BadInput`."""
        if _SCHEME.match(location):
            return HttpUrl.parse(location)
        try:
            return HttpUrl.parse(urljoin(str(self), location))
        except ValueError:
            raise _no_such_host() from None

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """Host and port, as in a Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def name(self) -> str | None:
        """The last part of the path, decoded: a hint at what the file is called."""
        return file_name(unquote(self.path))

    @property
    def shown(self) -> str:
        """For messages: no credentials, no query, and of the path only its end."""
        folder, _, last = self.path.rpartition("/")
        last = last if len(last) <= MAX_SHOWN_NAME else "…" + last[-MAX_SHOWN_NAME:]
        return f"{self.scheme}://{self.authority}/{'…/' if folder else ''}{last}"

    def may_share_headers_with(self, other: "HttpUrl") -> bool:
        """Whether what was meant for this place may be sent to the other: the same origin, or its
        upgrade from http to https on the usual ports.
        """
        upgraded = (self.origin, other.origin) == (("http", self.host, 80), ("https", self.host, 443))
        return upgraded or self.origin == other.origin

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def file_name(path: str) -> str | None:
    """The last part of a path as a name: no folders, no control characters, of bounded length."""
    last = "".join(char for char in path.replace("\\", "/").rpartition("/")[2] if char.isprintable())
    return last[-MAX_PATH_NAME:] or None


def _ascii_host(host: str) -> str:
    """A host name as DNS knows it, or an address literal without brackets."""
    if host.startswith("["):
        return _ipv6_literal(host[1:-1])
    if not host.isascii():
        host = _idna(host)
    host = host.lower()
    if _HOST.fullmatch(host) is None or len(host) > 254:
        raise _no_such_host()
    return host


def _ipv6_literal(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise _no_such_host() from None


def _idna(host: str) -> str:
    import idna  # 40 ms, and few addresses need it

    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        raise _no_such_host() from None


def _port(text: str | None, scheme: str) -> int:
    port = int(text) if text else DEFAULT_PORTS[scheme]
    if port > 65535:
        raise BadInput("The address names a port that cannot exist.", step="fetch")
    return port


def _no_such_host() -> BadInput:
    return BadInput("The address names a host that cannot exist.", step="fetch")
