"""The folder rules of the lake, as they are now: read again every few seconds, and kept while nothing changes.

Whoever cannot read the rules must not answer as if there were none. So a rule file that is malformed, or that neither
the lake nor its replica gives out, closes the chat; what was read before goes on holding while the lake is away, for
a region's loss must not take the other region's chat with it.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from azure.core.exceptions import AzureError

from shared.access import RULES, Access, Rule, parse_rules
from shared.errors import NotReady
from shared.lake.container import Lake

logger = logging.getLogger(__name__)

FRESH_SECONDS = 10.0  # rules hold everywhere within this time
READ_SECONDS = 3.0  # a lake that does not answer by then is away, and its replica is asked


class AccessRules:
    """The rules of one lake. `sources` are the lake and, where there is one, its replica."""

    def __init__(self, sources: Callable[[], list[Lake]], clock: Callable[[], float] = time.monotonic) -> None:
        self._sources = sources
        self._clock = clock
        self._turn = asyncio.Lock()
        self._rules: tuple[Rule, ...] | None = None
        self._fault = ""
        self._until = float("-inf")

    async def access(self, groups: frozenset[str]) -> Access:
        """Return what a caller in `groups` may see now. Raises NotReady while the rules are not to be had."""
        # While somebody reads them again, those that are known hold for everybody else.
        if self._clock() >= self._until and not (self._turn.locked() and self._rules is not None):
            await self._refresh()
        if self._rules is None:
            raise NotReady(f"who may see what is not known, so nobody is answered: {self._fault}")
        return Access(groups, self._rules)

    async def _refresh(self) -> None:
        async with self._turn:
            if self._clock() < self._until:
                return  # another caller has just read them
            try:
                content = await self._read()
                self._rules, self._fault = parse_rules(content) if content is not None else (), ""
            except ValueError as fault:
                # The file says something, but not what: rules that held before may be just what it takes back.
                self._rules, self._fault = None, f"{RULES} in the lake cannot be understood; the log says why"
                logger.error("access rules=malformed fault=%s", fault)
            except (AzureError, TimeoutError) as fault:
                self._fault = f"the lake does not answer: {type(fault).__name__}"
                logger.warning("access rules=%s fault=%r", "kept" if self._rules is not None else "unknown", fault)
            self._until = self._clock() + FRESH_SECONDS

    async def _read(self) -> bytes | None:
        """Return the rule file, None where the lake has none. Raises what the lake raised, or its replica."""
        lake, *replica = self._sources()
        try:
            return await _from(lake)
        except (AzureError, TimeoutError) as fault:
            # The replica is behind: what was read from the lake itself is never exchanged for it.
            if self._rules is not None or not replica:
                raise
            logger.warning("access rules=replica fault=%r", fault)
        return await _from(replica[0])


async def _from(lake: Lake) -> bytes | None:
    async with asyncio.timeout(READ_SECONDS):
        return await lake.read_if_present(RULES)
