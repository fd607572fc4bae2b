"""API keys: who is calling. Only digests are kept, and the ledger stores the caller's name, never a key."""

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

OWNER = "owner"
MAX_WRONG_KEYS = 20  # different wrong keys from one address...
WRONG_KEYS_WINDOW_SECONDS = 60.0  # ...in this time
MAX_ADDRESSES = 10_000


@dataclass(frozen=True, slots=True)
class Caller:
    """A named API key. The owner sees everything; anybody else only what is theirs."""

    name: str

    @property
    def sees_all(self) -> bool:
        return self.name == OWNER

    @property
    def scope(self) -> str | None:
        """The caller whose jobs this one may see; None for all."""
        return None if self.sees_all else self.name


def digest_of(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


class Keyring:
    """Knows the callers by the SHA-256 digests of their keys."""

    def __init__(self, owner_key: str, named_keys: Mapping[str, str]) -> None:
        keys = {OWNER: owner_key, **named_keys}
        self._callers = [(digest_of(key.encode()), Caller(name)) for name, key in keys.items()]

    def caller(self, key: bytes) -> Caller | None:
        """Whose key this is. Every known key is compared, in constant time."""
        asked, found = digest_of(key), None
        for digest, caller in self._callers:
            if hmac.compare_digest(digest, asked):
                found = caller
        return found


@dataclass(slots=True)
class _Guesses:
    since: float
    digests: set[bytes] = field(default_factory=set)


class GuessLimit:
    """Slows down whoever tries many different wrong keys from one address.

    The same wrong key over and over is a misconfigured flow, not a guess, and does not lock out its
    neighbours behind one address. Memory is bounded: the oldest addresses are forgotten.
    """

    def __init__(self) -> None:
        self._by_address: OrderedDict[str, _Guesses] = OrderedDict()

    def exceeded(self, address: str, now: float) -> bool:
        guesses = self._by_address.get(address)
        if guesses is None or now - guesses.since > WRONG_KEYS_WINDOW_SECONDS:
            return False
        return len(guesses.digests) >= MAX_WRONG_KEYS

    def record(self, address: str, key: bytes, now: float) -> None:
        guesses = self._by_address.get(address)
        if guesses is None or now - guesses.since > WRONG_KEYS_WINDOW_SECONDS:
            guesses = self._by_address[address] = _Guesses(now)
            self._by_address.move_to_end(address)
        guesses.digests.add(digest_of(key))
        while len(self._by_address) > MAX_ADDRESSES:
            self._by_address.popitem(last=False)
