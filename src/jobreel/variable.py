"""What a setting's text may be: kinds of values, each read from text, shown as text, and described.

A kind's `read` raises ValueError with what would be right ("a whole number of at least 1"), so that
whoever made the mistake reads how to mend it.
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

Network = IPv4Network | IPv6Network

HIDDEN: Final = "(hidden)"
MIN_SECRET_CHARACTERS = 16
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(I?)(B?)", re.IGNORECASE)
_CALLER_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


class Secret(str):
    """A text that no log line, traceback or table shows by accident: its repr is hidden."""

    __slots__ = ()

    def __repr__(self) -> str:
        return HIDDEN


@dataclass(frozen=True, slots=True)
class Kind:
    """How the text of a variable becomes a value, and a value a text that would be read back as it."""

    read: Callable[[str], Any]
    show: Callable[[Any], str] = str
    secret: bool = False


def whole_number(at_least: int | None = None) -> Kind:
    right = "a whole number" if at_least is None else f"a whole number of at least {at_least}"

    def read(text: str) -> int:
        if not re.fullmatch(r"[+-]?\d{1,18}", text) or (at_least is not None and int(text) < at_least):
            raise ValueError(right)
        return int(text)

    return Kind(read)


def seconds(at_least: float) -> Kind:
    right = f"a number of seconds, {at_least:g} or more"

    def read(text: str) -> float:
        if not re.fullmatch(r"\d{1,9}(\.\d+)?", text) or float(text) < at_least:
            raise ValueError(right)
        return float(text)

    return Kind(read, show="{:g}".format)


def size(at_least: int = 1) -> Kind:
    """Bytes. As in Docker, `k`, `m` and `g` alone are powers of 1024; `MB` is a million, `MiB` is not."""
    right = f"a size like 512MiB, 2GB or plain bytes, {shown_size(at_least)} or more"

    def read(text: str) -> int:
        if (parts := _SIZE.fullmatch(text)) is None:
            raise ValueError(right)
        number, power, binary, byte = (part.upper() for part in parts.groups())
        base = 1000 if byte and not binary else 1024
        if (value := int(float(number) * base ** _POWERS[power])) < at_least:
            raise ValueError(right)
        return value

    return Kind(read, show=shown_size)


def shown_size(value: int) -> str:
    for unit, power in (("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if value and value % (1 << power) == 0:
            return f"{value >> power}{unit}"
    return str(value)


def one_of(*words: str) -> Kind:
    def read(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(" or ".join(words))
        return text.lower()

    return Kind(read)


def folder() -> Kind:
    """An absolute path. A folder that everybody on the machine shares (like /tmp) gets one of ours inside it."""

    def read(text: str) -> Path:
        path = Path(text).absolute()
        return path / "jobreel" if _is_shared(path) else path

    return Kind(read)


def _is_shared(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & 0o1000)  # sticky: the data directory must be ours alone
    except OSError:
        return False


def api_key() -> Kind:
    return Kind(_read_key, secret=True)


def _read_key(text: str) -> Secret:
    if not text.isprintable():
        raise ValueError("a key of printable characters")
    return Secret(text)


def named_keys() -> Kind:
    """`name:key,...` as a dictionary from caller's name to key."""
    right = "name:key pairs with commas between them, each name 1 to 64 of a-z, 0-9, _ and -, used once"

    def read(text: str) -> dict[str, Secret]:
        keys: dict[str, Secret] = {}
        for item in _items(text):
            name, _, key = (part.strip() for part in item.partition(":"))
            if not _CALLER_NAME.fullmatch(name) or not key or name in keys:
                raise ValueError(right)
            keys[name] = _read_key(key)
        return keys

    return Kind(read, show=lambda keys: ", ".join(f"{name}:{HIDDEN}" for name in keys), secret=True)


def signing_secret() -> Kind:
    """A Standard Webhooks secret: `whsec_` and base64, or any text long enough to be one."""
    right = (
        f"whsec_ followed by base64 of 24 to 64 bytes, or any text of {MIN_SECRET_CHARACTERS} characters or more"
    )

    def read(text: str) -> Secret:
        if text.startswith("whsec_"):
            if not 24 <= len(signing_key(text)) <= 64:
                raise ValueError(right)
        elif len(text) < MIN_SECRET_CHARACTERS:
            raise ValueError(right)
        return Secret(text)

    return Kind(read, secret=True)


def signing_key(secret: str) -> bytes:
    """The bytes that a signing secret stands for; empty where the base64 behind `whsec_` is none.

    Source: the Standard Webhooks specification, section "Signature scheme".
    """
    encoded = secret.removeprefix("whsec_")
    if encoded == secret:
        return secret.encode()
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error:
        return b""


def networks() -> Kind:
    right = "addresses or networks like 192.168.1.20, 172.18.0.0/16 with commas between them"

    def read(text: str) -> tuple[Network, ...]:
        try:
            return tuple(ip_network(item) for item in _items(text))
        except ValueError as error:
            raise ValueError(f"{right} ({error})") from None

    return Kind(read, show=lambda value: ", ".join(str(network) for network in value))


def proxies() -> Kind:
    """Addresses and networks whose `X-Forwarded-*` headers are believed; `*` believes everybody's."""
    listed = networks()

    def read(text: str) -> tuple[str, ...]:
        return ("*",) if text == "*" else tuple(str(network) for network in listed.read(text))

    return Kind(read, show=", ".join)


def origins() -> Kind:
    right = "* or origins like https://app.example.com, with commas between them and no path"

    def read(text: str) -> tuple[str, ...]:
        found = tuple(_items(text))
        if found != ("*",) and not all(_is_origin(item) for item in found):
            raise ValueError(right)
        return found

    return Kind(read, show=", ".join)


def address() -> Kind:
    """An http or https address without query, its trailing slash dropped."""

    def read(text: str) -> str:
        if not _is_address(text):
            raise ValueError("an address like https://jobs.example.com, without a query")
        return text.rstrip("/")

    return Kind(read)


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return valid and not parts.query and not parts.fragment and not re.search(r"\s", text)


def _is_origin(text: str) -> bool:
    return _is_address(text) and not urlsplit(text).path


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]
