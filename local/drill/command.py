"""`python -m local drill`: run a drill, print its timeline and what it shows, write its report (docs/drill.md).

Exit codes: 0 everything was shown; 1 something was not; 2 wrong usage; 130 stopped by Ctrl-C.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
from azure.core.exceptions import AzureError

from local.children import StartFailed
from local.drill.checks import Check
from local.drill.drill import Drill, DrillFailed, Options, drilling
from local.drill.page import page
from local.drill.releases import RELEASES
from local.drill.report import Report, text, write_json
from local.drill.scenarios import (
    bad_release,
    corrupt_upload,
    failback,
    lake_read_only,
    model_throttled,
    region_loss,
    search_loss,
)
from local.drill.soak import soak, table

SCENARIOS: Mapping[str, Callable[[Drill], Awaitable[list[Check]]]] = {
    "region-loss": region_loss.run,
    "search-loss": search_loss.run,
    "model-throttled": model_throttled.run,
    "lake-read-only": lake_read_only.run,
    "corrupt-upload": corrupt_upload.run,
    "bad-release-rollback": bad_release.run,
    "failback": failback.run,
}


def add_command(commands: Any) -> None:
    """Add the command `drill` to a parser's subcommands."""
    given = Options()
    command: argparse.ArgumentParser = commands.add_parser(
        "drill", help="lose a region, recover in another, measure what that took and lost"
    )
    command.add_argument("--scenario", choices=list(SCENARIOS), default=given.scenario, help="what happens")
    command.add_argument("--documents", type=_between(int, 5, 5_000), default=given.documents, help="in the lake (60)")
    command.add_argument("--lag", type=_between(float, 1, 3_600), default=given.lag, help="of the replica, seconds (8)")
    command.add_argument("--seed", type=int, default=given.seed, help="of everything that is left to chance (1)")
    command.add_argument(
        "--decide", type=_between(float, 0, 3_600), default=given.decide, help="seconds until somebody decides (0)"
    )
    command.add_argument(
        "--questions", type=_between(float, 0.1, 20), default=given.questions_per_second, help="a second (1)"
    )
    command.add_argument(
        "--changes", type=_between(float, 0.2, 60), default=given.change_seconds, help="seconds between two (1.5)"
    )
    command.add_argument(
        "--scale", type=_between(float, 0.02, 1), default=given.scale, help="length of Traffic Manager's seconds (1)"
    )
    command.add_argument(
        "--sabotage", choices=list(RELEASES), default="", help="run a release that is wrong on purpose"
    )
    command.add_argument(
        "--soak", type=_between(int, 1, 1_000), default=1, help="so many drills in a row, each with the next seed (1)"
    )
    command.add_argument("--json", type=Path, help="write the report here")
    command.add_argument("--html", type=Path, help="write a page with a plot here")
    command.add_argument("--data", type=Path, help="keep logs and data here; a temporary folder by default")
    command.set_defaults(act=_act)


def _between(kind: type[int] | type[float], least: float, most: float) -> Callable[[str], Any]:
    def parse(text: str) -> int | float:
        try:
            number = kind(text)
        except ValueError:
            number = kind(least - 1)
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not from {least:g} to {most:g}")
        return number

    return parse


def _act(given: argparse.Namespace) -> int:
    if given.data and given.data.exists() and any(given.data.iterdir()):
        print(f"warmlake: --data {str(given.data)!r} is not empty; a drill begins with nothing", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="warmlake-drill-") as name:
        options = Options(
            scenario=given.scenario,
            documents=given.documents,
            lag=given.lag,
            seed=given.seed,
            decide=given.decide,
            questions_per_second=given.questions,
            change_seconds=given.changes,
            scale=given.scale,
            sabotage=given.sabotage,
            folder=(given.data or Path(name)).resolve(),
        )
        try:
            found = soak(options, given.soak, _shown)
        except KeyboardInterrupt:
            print("warmlake: stopped", file=sys.stderr)
            return 130
    if given.soak > 1:
        print(table(found))
    last = found[-1]
    if given.json:
        write_json(found, given.json)
    if given.html:
        given.html.parent.mkdir(parents=True, exist_ok=True)
        given.html.write_text(page(last), encoding="utf-8")
    return 0 if all(one.passed for one in found) else 1


def _shown(options: Options) -> Report:
    found = perform(options, lambda said: print(said, flush=True))
    print(text(found), flush=True)
    return found


def perform(options: Options, say: Callable[[str], None]) -> Report:
    """Run one drill; returns its report, whatever came of it."""
    return asyncio.run(_perform(options, say))


async def _perform(options: Options, say: Callable[[str], None]) -> Report:
    async with drilling(options, say) as drill:
        try:
            checks = await SCENARIOS[options.scenario](drill)
        except (DrillFailed, StartFailed, AzureError, aiohttp.ClientError, TimeoutError, OSError) as fault:
            said = str(fault) or type(fault).__name__
            drill.record.event("the drill cannot go on", said)
            checks = [Check("the scenario runs to its end", False, said)]
        return Report(options, drill.record, tuple(checks))
