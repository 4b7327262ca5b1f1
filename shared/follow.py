"""Where a change of the lake has to be taken up: in the generation that answers, and in one that is about to.

Between the last look of a rebuild at the lake and the moment its generation answers, events go to the generation
before. Without more, readers would go back to an earlier version of a document in the moment of the swap. So a rebuild
lets its generation join first: from then on both take up every change, and a listing after the joining finds the rest.
"""

import logging

from shared.clients import Services
from shared.sync import Outcome

logger = logging.getLogger(__name__)

JOINED = "recovery/joined.json"


async def join(services: Services, generation: str) -> None:
    """Let a generation take up every change from now on, beside the live one."""
    await services.state.write(JOINED, {"generation": generation})


async def leave(services: Services) -> None:
    """Let changes go to the live generation alone."""
    await services.state.remove(JOINED)


async def follow(services: Services, path: str) -> None:
    """Take up what has become of a path. Without a generation, the rebuild to come will see the lake as it is."""
    outcome = await converge_everywhere(services, path)
    if outcome is None:
        logger.info("converge document=%s result=ignored reason=no_generation", path)
        return
    await services.freshness.note(outcome)


async def converge_everywhere(services: Services, path: str, *, retry_problems: bool = False) -> Outcome | None:
    """Converge a path in a generation that has joined and in the live one; returns what was done in the first of them.

    None when there is neither. What was embedded for the first is stored, and costs nothing for the second.
    """
    # The note before the alias: who finds the note gone because of a swap then finds the alias moved.
    joined = await services.state.read(JOINED)
    live = await services.generations.live()
    outcome, fault = None, None
    if joined is not None and joined["generation"] != live:
        # First the one that nobody reads yet: what readers have seen is in it when the alias moves.
        try:
            outcome = await services.indexer.converge(path, joined["generation"], retry_problems=retry_problems)
        except Exception as error:
            fault = error
    if live is not None:
        # A version that has just been found unreadable is not read a second time.
        again = retry_problems and outcome is None
        done = await services.indexer.converge(path, live, retry_problems=again)
        outcome = outcome or done
    # A cancelled rebuild's generation is deleted, at any moment: what fails there then fails nobody.
    if fault is not None and await services.state.read(JOINED) == joined:
        raise fault
    return outcome
