"""What several scenarios of one region do: load it, wait, let its changes settle, compare its index with the lake."""

import asyncio
from typing import Any

from local.drill.drill import Drill, DrillFailed
from local.drill.judge import Verdict
from local.drill.ledger import ABSENT
from local.drill.load import Users, Writers

LOADED_SECONDS = 6.0  # of undisturbed load before something happens
SERVED_SECONDS = 120.0  # for users to be served again


async def is_(drill: Drill, name: str, status: str) -> bool:
    """Tell whether a region is in a state in Traffic Manager."""
    return await drill.endpoint(name) == status


async def start_load(drill: Drill, users: Users, writers: Writers) -> None:
    """Put load on region one, and let it run undisturbed for a moment."""
    await drill.until("region one is online", 60.0, lambda: is_(drill, "one", "Online"))
    drill.sample()
    drill.run("users", users.run())
    drill.run("writers", writers.run())
    await asyncio.sleep(LOADED_SECONDS)


async def wait_served(drill: Drill, region: str, since: float, name: str) -> float:
    """Wait until users are rightly answered by a region; returns when the first of them had the answer."""
    await drill.until(name, SERVED_SECONDS, lambda: drill.served_by(region, since))
    first = next(
        answer
        for answer in drill.record.answers
        if answer.region == region and answer.verdict is Verdict.RIGHT and answer.at >= since
    )
    served = first.at + first.seconds
    drill.record.mark(name, f"{served - since:.1f} s after", served)
    return served


async def settle(drill: Drill, users: Users, writers: Writers) -> None:
    """Stop changing documents, wait until the last change is in the index, and ask about every document."""
    await drill.halt("writers")
    await drill.until("every change is indexed", 90.0, lambda: _indexed(drill, writers))
    await drill.ask_all(users, drill.estate.one, {write.path: write.depot for write in drill.ledger.writes}.values())
    await drill.halt("users")


async def _indexed(drill: Drill, writers: Writers) -> bool:
    """Tell whether the index holds of every document what was written last."""
    current = drill.ledger.current()
    for path in {write.path for write in drill.ledger.writes if write.sent > drill.record.began}:
        wanted = current[path].edition if path in current else ABSENT
        found = await writers.reader.look(drill.ledger.of(path)[-1].depot)
        if found.settled != wanted:
            return False
    return True


async def inject(drill: Drill, port: int, **rule: Any) -> None:
    """Give a local service a rule for failing on purpose."""
    async with drill.http.post(f"http://127.0.0.1:{port}/-/faults", json=rule) as reply:
        if reply.status != 201:
            raise DrillFailed(f"a fault rule was not taken: {await reply.text()}")


async def fired(drill: Drill, port: int) -> int:
    """Return how often the rules of a service have fired."""
    async with drill.http.get(f"http://127.0.0.1:{port}/-/faults") as reply:
        return sum(int(rule["fired"]) for rule in (await reply.json())["rules"])


async def heal(drill: Drill, port: int) -> int:
    """Take a service's rules away; returns how often they have fired."""
    count = await fired(drill, port)
    async with drill.http.delete(f"http://127.0.0.1:{port}/-/faults") as reply:
        reply.raise_for_status()
    return count
