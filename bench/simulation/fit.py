"""Fit the costs of the model to measured rebuilds: a search along one cost after the other, in ever smaller steps."""

import math
from collections.abc import Sequence
from dataclasses import fields, replace

from bench.simulation.measure import REST, Measured
from bench.simulation.model import Costs, predict

STEPS = (4.0, 2.0, 1.4, 1.15, 1.05)  # factors by which a cost is tried larger and smaller
ROUNDS = 6  # over all costs, for each step, at most
WHOLE_WEIGHT = 4.0  # of the whole rebuild, beside each of its phases
FLOOR = 0.3  # seconds: what is shorter than this is not fitted by its share


def fit(measured: Sequence[Measured], start: Costs | None = None) -> Costs:
    """Return the costs with the least squared error of phases and wholes, as shares of what was measured."""
    best = start or Costs()
    least = error(best, measured)
    for step in STEPS:
        for _ in range(ROUNDS):
            before = least
            for one in fields(Costs):
                for factor in (step, 1 / step):
                    tried = replace(best, **{one.name: getattr(best, one.name) * factor})
                    found = error(tried, measured)
                    if found < least:
                        best, least = tried, found
            if least > before * 0.999:
                break
    return best


def error(costs: Costs, measured: Sequence[Measured]) -> float:
    """Return the squared error over all cases."""
    total = 0.0
    for one in measured:
        found = predict(one.case.lake, one.case.settings, one.case.services, costs)
        total += WHOLE_WEIGHT * _share(found.seconds, one.seconds) ** 2
        total += sum(_share(seconds, after(one, phase)) ** 2 for phase, seconds in found.phases.items())
    return total


def after(measured: Measured, phase: str) -> float:
    """Return what was measured of a phase of the model: the last one has everything after verifying."""
    if phase == REST:
        return sum(measured.phases.get(name, 0.0) for name in ("swapping", "retiring", REST))
    return measured.phases[phase]


def _share(predicted: float, seconds: float) -> float:
    return math.log((predicted + FLOOR) / (seconds + FLOOR))
