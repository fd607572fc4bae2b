"""Verdicts: what the guard would say about a webhook's host, remembered for a minute.

Asked at every submission, so a known host costs microseconds and an unknown one half a second at most.
"""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from jobreel.core.errors import BadInput, Blocked
from jobreel.tools.guard import Guard
from jobreel.tools.urls import HttpUrl

REMEMBER_SECONDS = 60.0
PATIENCE_SECONDS = 0.5
MAX_HOSTS = 1024
MAX_ASKING = 64  # hosts being looked up at one time
_SITE = re.compile(r"[^/]*//[^/?#]*")  # scheme, host and port; paths and queries differ with every job


@dataclass(frozen=True, slots=True)
class _Verdict:
    warning: str | None
    good_until: float


class Verdicts:
    """Warnings about webhook addresses that will be refused. Lives in one event loop."""

    def __init__(self, guard: Guard, clock: Callable[[], float] = time.monotonic) -> None:
        self._guard, self._clock = guard, clock
        self._known: dict[str, _Verdict] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}

    async def warning_for(self, url: str) -> str | None:
        """A sentence for the caller, or None where nothing speaks against the address as far as we know."""
        found = _SITE.match(url)
        site = found[0] if found else url
        verdict = self._known.get(site)
        if verdict is None or verdict.good_until <= self._clock():
            verdict = await self._ask(site)
        return verdict.warning if verdict else None

    async def close(self) -> None:
        """Stop asking."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    async def _ask(self, site: str) -> _Verdict | None:
        """Ask once for everybody who wants to know."""
        task = self._asking.get(site)
        if task is None:
            if len(self._asking) >= MAX_ASKING:
                return None
            task = self._asking[site] = asyncio.create_task(self._learn(site))
        await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
        if not task.done():
            self._remember(site, None)  # nobody waits for this resolver again; its answer will replace this
        return self._known.get(site)

    async def _learn(self, site: str) -> None:
        try:
            url = HttpUrl.parse(site)
            await self._guard.addresses(url.host, url.port)
        except (Blocked, BadInput) as refusal:
            hint = f" {refusal.hint}" if refusal.hint else ""
            self._remember(site, f"The webhook will not be sent: {refusal.message}{hint}")
        except OSError:
            self._remember(site, None)  # not resolvable now; it may be by the time the job is done
        else:
            self._remember(site, None)
        finally:
            del self._asking[site]

    def _remember(self, site: str, warning: str | None) -> None:
        self._known.pop(site, None)
        while len(self._known) >= MAX_HOSTS:
            del self._known[next(iter(self._known))]
        self._known[site] = _Verdict(warning, self._clock() + REMEMBER_SECONDS)
