"""Somebody uploads new versions of some documents that cannot be read: half a file, or nothing in it.

Each is listed with its reason, and the version before goes on answering with a word about that. A version that can be
read clears the list.
"""

import asyncio
import random

from local.drill.checks import Check, at_most
from local.drill.corpus import Depot
from local.drill.drill import Drill
from local.drill.judge import Verdict
from local.drill.load import Users, Writers
from local.drill.proofs import answers_check, failures_check, flaws_check, lake_check, problems_check
from local.drill.scenarios.common import settle, start_load
from local.region import DOCUMENTS

OF_EACH = 2  # documents of each kind
LISTED_SECONDS = 60.0


async def run(drill: Drill) -> list[Check]:
    """Run the scenario; returns what it must show."""
    users, writers = await drill.begin()
    record = drill.record
    chosen = _chosen(drill, users)
    for depot in chosen:
        users.known.remove(depot)  # nobody else writes to these; they are asked about below
    await start_load(drill, users, writers)
    wanted = {depot.path: "corrupt" if depot.is_json else "empty" for depot in chosen}
    record.mark("unreadable versions are uploaded", at_most(sorted(wanted)))
    for depot in chosen:
        text = depot.text(2)
        content = text[: len(text) // 2] if depot.is_json else " \n"
        await writers.lake.get_blob_client(DOCUMENTS, depot.path).upload_blob(content.encode(), overwrite=True)
    with record.during("until listed"):
        await drill.until("they are listed", LISTED_SECONDS, lambda: _listed(drill, wanted))
    labelled = [await _label(drill, users, depot) for depot in chosen]
    record.mark("listed; the versions before answer")
    with record.during("the version before answers"):
        users.known += chosen
        users.changed += chosen
        await _without_writers(drill, writers)
    record.mark("readable versions are uploaded")
    for depot in chosen:
        await writers.write(depot)
    await writers.settled()
    drill.run("writers", writers.run())
    await asyncio.sleep(drill.options.after)
    await settle(drill, users, writers)
    wrong = [text for text in labelled if text]
    return [
        Check("each is listed with its reason", True, at_most([f"{path}: {why}" for path, why in wanted.items()])),
        Check(
            "the version before answers, with a word about the newer one",
            not wrong,
            at_most(wrong) or f"{len(chosen)} documents",
        ),
        answers_check(drill),
        failures_check(drill, frozenset()),
        flaws_check(drill),
        await lake_check(drill, drill.estate.one),
        await problems_check(drill, drill.estate.one),
    ]


def _chosen(drill: Drill, users: Users) -> list[Depot]:
    draw = random.Random(f"corrupt {drill.options.seed}")
    kinds = ([one for one in users.known if one.is_json], [one for one in users.known if not one.is_json])
    return [depot for kind in kinds for depot in draw.sample(kind, min(OF_EACH, len(kind)))]


async def _listed(drill: Drill, wanted: dict[str, str]) -> bool:
    listed = (await drill.app(drill.estate.one, "/api/documents/problems"))["problems"]
    return {one["path"]: one["reason"] for one in listed} == wanted


async def _label(drill: Drill, users: Users, depot: Depot) -> str:
    """Return what is wrong with the answer about a document whose newest version cannot be read, "" for nothing."""
    answer = await users.ask("one", drill.estate.one.url, depot, user=False)
    if answer.verdict is not Verdict.RIGHT or answer.edition != 1:
        return f"{depot.path}: {answer.verdict} {answer.why}"
    body = {"messages": [{"role": "user", "content": depot.question}]}
    said = await drill.app(drill.estate.one, "/api/chat", body)
    told = {cite["newer_unreadable"] for cite in said["context"]["citations"] if cite["path"] == depot.path}
    return "" if told == {"corrupt" if depot.is_json else "empty"} else f"{depot.path}: its citations say {told}"


async def _without_writers(drill: Drill, writers: Writers) -> None:
    """Let users ask for a while; what was unreadable must not be changed by others meanwhile."""
    await drill.halt("writers")
    await asyncio.sleep(drill.options.after / 2)
