"""Two releases that are wrong. The first loses chunks: verification keeps it from ever answering. The second reads
digits wrong, under a pipeline of its own: its index is true to that, so only its answers can tell. It is rolled back.
"""

import asyncio

from local.drill.checks import Check
from local.drill.drill import Drill, DrillFailed, completed
from local.drill.judge import Verdict
from local.drill.proofs import flaws_check, lake_check, problems_check
from local.drill.releases import prepare
from local.drill.scenarios.common import is_, settle, start_load, wait_served
from local.region import ROOT

FORGETFUL, GARBLED = "forgets-chunks", "garbled-digits"
NOTICED = 3  # wrong answers after which somebody acts
NOTICE_SECONDS = 60.0


async def run(drill: Drill) -> list[Check]:
    """Run the scenario; returns what it must show."""
    users, writers = await drill.begin()
    record, one = drill.record, drill.estate.one
    await start_load(drill, users, writers)
    await drill.halt("writers")  # nobody changes documents during a release
    await writers.settled()
    before = (await drill.app(one, "/api/status"))["generation"]

    await _release(drill, FORGETFUL)
    with record.during("release 1: rebuild"):
        first = await drill.rebuild(one, reason="drill: release 1")
    record.event("release 1 is verified", first["status"])
    kept = (await drill.app(one, "/api/status"))["generation"]
    false_before = record.false_answers()

    await _release(drill, GARBLED)
    with record.during("release 2: rebuild"):
        second = await drill.rebuild(one, reason="drill: release 2")
    completed(second, "the rebuild of release 2")
    live = record.mark("release 2 answers", second["plan"]["generation"]).at
    await drill.until("its answers are wrong", NOTICE_SECONDS, lambda: len(record.false_answers(live)) >= NOTICED)
    noticed = record.mark("its wrong answers are noticed").at
    record.phase("until noticed", live, noticed)

    one.app = ROOT
    await one.stop("host")
    await one.start("host")
    back = await drill.app(one, "/api/recovery/rollback", {"reason": "drill: wrong answers"})
    rolled_back = record.mark("rolled back", str(back["generation"])).at
    record.phase("roll back", noticed, rolled_back)
    if back["generation"] != before:
        raise DrillFailed(f"rolled back to {back['generation']}, not to {before}")
    await wait_served(drill, "one", rolled_back, "users are served again")
    drill.run("writers", writers.run())
    await asyncio.sleep(drill.options.after)
    await settle(drill, users, writers)
    wrong = len(record.false_answers(live, rolled_back))
    after = record.false_answers(rolled_back)
    record.figures.update(wrong_answers_of_the_bad_release=wrong, roll_back_seconds=round(rolled_back - noticed, 2))
    return [
        Check(
            "a release that loses chunks never answers",
            first["status"] == "verification_failed" and kept == before and not false_before,
            f"{first['status']}: {first.get('error')}",
        ),
        Check("wrong answers are noticed", wrong >= NOTICED, f"{wrong} wrong answers while release 2 was live"),
        Check(
            "no answer is false after the roll-back",
            not after and record.verdicts(rolled_back)[Verdict.RIGHT] > 0,
            f"{record.verdicts(rolled_back)[Verdict.RIGHT]} right{f': {after[0].why}' if after else ''}",
        ),
        flaws_check(drill),
        await lake_check(drill, one),
        await problems_check(drill, one),
    ]


async def _release(drill: Drill, name: str) -> None:
    """Deploy a release to region one: the app starts anew from another folder."""
    one = drill.estate.one
    await one.stop("host")
    one.app = prepare(name, one.region.folder / name)
    await one.start("host")
    await drill.until("region one is online", 60.0, lambda: is_(drill, "one", "Online"))
    drill.record.event(f"release {name} is deployed")
