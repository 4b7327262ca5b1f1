"""`python -m tests.soak`: run many random schedules of the app against the models of its services.

Ends at the first schedule that shows a fault, and prints the smallest schedule that still does.
"""

import argparse
import logging
import multiprocessing
import os
import sys
import time

from tests.soak.schedule import random_schedule, shrink
from tests.soak.world import fault_of

BATCH = 100
STEP = 2_000  # schedules between two lines of progress


def main() -> int:
    """Run the schedules; returns 1 when one of them failed."""
    parser = argparse.ArgumentParser(prog="tests.soak", description=__doc__)
    parser.add_argument("--schedules", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first schedule")
    options = parser.parse_args()
    last = options.first + options.schedules
    batches = [range(start, min(last, start + BATCH)) for start in range(options.first, last, BATCH)]
    started, done = time.monotonic(), 0
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for seeds, failed in pool.imap(_run, batches):
            done += len(seeds)
            if failed is not None:
                return _explain(failed)
            print(
                f"\r  {done:,} of {options.schedules:,} schedules, {time.monotonic() - started:.0f} s",
                end="",
                flush=True,
            )
    print("\nevery one converged")
    return 0


def _run(seeds: range) -> tuple[range, int | None]:
    logging.disable(logging.CRITICAL)
    return seeds, next((seed for seed in seeds if fault_of(random_schedule(seed))), None)


def _explain(seed: int) -> int:
    logging.disable(logging.CRITICAL)
    print(f"schedule {seed}: {fault_of(random_schedule(seed))}")
    small = shrink(random_schedule(seed), lambda schedule: fault_of(schedule) is not None)
    print(f"the smallest that fails: {fault_of(small)}\n{small}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
