"""What a client prefers: the `Prefer` header (RFC 7240)."""

from collections.abc import Iterable


def preferred_wait(headers: Iterable[str], limit_seconds: float) -> float:
    """Seconds that a client will wait for its answer; 0 where it wants none.

    `wait=N` shortens the limit (section 4.3), `respond-async` alone means not at all (section 4.1).
    What makes no sense is ignored, as the RFC asks.
    """
    preferences = _parsed(headers)
    wait = preferences.get("wait", "")
    if wait.isdecimal():
        return min(float(wait), limit_seconds)
    return 0.0 if "respond-async" in preferences else limit_seconds


def _parsed(headers: Iterable[str]) -> dict[str, str]:
    """Preferences by name; of two with the same name the first counts (section 2)."""
    preferences: dict[str, str] = {}
    for preference in ",".join(headers).split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        preferences.setdefault(name.strip().lower(), value.strip().strip('"'))
    return preferences
