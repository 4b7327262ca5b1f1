"""The model of the rebuild: its kernel keeps time, and what it predicts follows from its structure."""

from dataclasses import replace

import pytest

from bench.simulation.curves import SIZES, at_rate, curves, limits, rebuild
from bench.simulation.fit import error, fit
from bench.simulation.kernel import Process, Resource, Signal, Simulation
from bench.simulation.measure import CHECKED, FITTED, Case, Measured
from bench.simulation.model import Costs, Lake, Services, Settings, predict

LAKE = Lake(documents=200, chunks=20, dimensions=384)


def test_resource_serves_in_the_order_they_came() -> None:
    """Two places: the third waits for the first to leave; times add up."""
    sim = Simulation()
    desk = Resource(sim, 2)
    ended: list[tuple[str, float]] = []

    def work(name: str, seconds: float) -> Process:
        yield from desk.use(seconds)
        ended.append((name, sim.now))

    for name, seconds in (("a", 3.0), ("b", 1.0), ("c", 1.0), ("d", 1.0)):
        sim.start(work(name, seconds))
    sim.run()
    assert ended == [("b", 1.0), ("c", 2.0), ("a", 3.0), ("d", 3.0)]
    assert desk.busy_seconds == 6.0


def test_signal_lets_all_go_on_and_does_not_hold_up_the_late() -> None:
    """Those who wait go on when it is set; whoever comes later does not wait."""
    sim = Simulation()
    signal = Signal(sim)
    seen: list[float] = []

    def wait(after: float) -> Process:
        yield after
        yield signal
        seen.append(sim.now)

    def ring() -> Process:
        yield 2.0
        signal.set()

    for process in (wait(0.0), wait(1.0), wait(5.0), ring()):
        sim.start(process)
    sim.run()
    assert seen == [2.0, 2.0, 5.0]


def seconds(lake: Lake = LAKE, settings: Settings | None = None, services: Services | None = None) -> float:
    return predict(lake, settings or Settings(), services or Services(), Costs()).phases["indexing"]


def test_indexing_grows_with_the_chunks() -> None:
    """Twice the lake takes about twice the time: nothing in the design grows faster."""
    assert seconds(replace(LAKE, documents=400)) / seconds() == pytest.approx(2.0, rel=0.15)


def test_slow_search_service_bounds_the_rate() -> None:
    """With one batch at once and a delay much above all else, the delay times the batches is the time."""
    found = seconds(services=Services(search_delay=5.0), settings=Settings(writing=1, window=8))
    full = 5.0 * LAKE.all_chunks / 1_000
    assert full <= found <= 1.6 * full  # the first batch is not full, nor are those whose pages come late
    assert found > 3 * seconds(services=Services(search_delay=0.5), settings=Settings(writing=1))


def test_quota_bounds_what_is_embedded() -> None:
    """Beyond the first minute's quota, tokens come at the quota's rate."""
    lake = Lake(documents=100, chunks=3, dimensions=384, stored=0.0, tokens=100)
    found = seconds(lake, services=Services(quota=10_000))
    assert found == pytest.approx((100 * 3 * 100 - 10_000) * 60 / 10_000, rel=0.1)


def test_stored_vectors_make_the_quota_irrelevant() -> None:
    """Nothing is embedded, so no quota holds it up."""
    assert seconds(services=Services(quota=100)) == seconds()


def test_refusals_cost_their_waits() -> None:
    """Every second batch refused is slower, and is counted."""
    refused = predict(LAKE, Settings(), Services(refuse_every=2, retry_after=2.0), Costs())
    assert refused.refused > 0
    assert refused.phases["indexing"] > seconds() + 2.0


def test_coarse_grain_changes_little() -> None:
    """Documents taken twenty at a time give the same as one at a time, within a twentieth."""
    lake, settings = Lake(20_000, 30, 1_536), Settings(page_documents=1_000, page_chunks=20_000)
    fine, coarse = (predict(lake, settings, Services(), Costs(), grain).seconds for grain in (1, 20))
    assert coarse == pytest.approx(fine, rel=0.05)


def test_fit_finds_costs_that_explain_what_was_measured() -> None:
    """From rebuilds predicted with known costs, a fit from other ones predicts further rebuilds within a fifth."""
    true = Costs(document=0.012, action=0.0021, listing=0.004, page=0.09)
    measured = [Measured(case, predict(case.lake, case.settings, case.services, true).phases) for case in FITTED]
    found = fit(measured)
    assert error(found, measured) < error(Costs(), measured) / 10
    for case in CHECKED:
        wanted = predict(case.lake, case.settings, case.services, true).seconds
        assert predict(case.lake, case.settings, case.services, found).seconds == pytest.approx(wanted, rel=0.2)


def test_nothing_is_checked_by_what_it_was_fitted_on() -> None:
    """The cases are apart, by lake and by services."""
    fitted, checked = ({(case.lake, case.services, case.settings) for case in cases} for cases in (FITTED, CHECKED))
    assert not fitted & checked
    assert len(checked) >= 3
    assert all(isinstance(case, Case) for case in CHECKED)


def test_curves_grow_with_size_and_fall_with_rate() -> None:
    """Every column grows with the lake; a faster search service is never slower."""
    rows = curves(Costs())
    assert [row["chunks"] for row in rows] == list(SIZES)
    for name in list(rows[0])[1:]:
        column = [row[name] for row in rows]
        assert column == sorted(column)
    whole = rebuild(1_000_000, at_rate(Costs(), 1_000), Services(), Settings()).seconds
    assert whole < rebuild(1_000_000, at_rate(Costs(), 200), Services(), Settings()).seconds
    assert limits(Costs())[0]["search busy"] > "5"
