"""What the fitted model says of larger lakes and other services: curves of recovery time, and what bounds it."""

from dataclasses import replace
from typing import Any

from bench.simulation.model import Costs, Lake, Predicted, Services, Settings, predict

CHUNKS_A_DOCUMENT = 30
DIMENSIONS = 1_536
TOKENS = 150
SIZES = (10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)
DOCUMENTS_AT_ONCE = 5_000  # documents simulated one by one; larger lakes are taken several documents at a time
# A search service takes so many chunks a second: assumptions. Its work as fitted is that of the local service; here it
# is set to such a rate instead.
RATES = {"200 chunks/s": 200, "1,000 chunks/s": 1_000, "4,000 chunks/s, 4 indexes": 4_000}
MODEL_TOKEN_SECONDS = 0.000_02  # of the embedding service: it works in parallel, its quota is what bounds
QUOTAS = {"350k": 350_000, "1M": 1_000_000}
NETWORK_SECONDS = 0.02  # a read of storage in the same region, beyond what a laptop's takes


def at_rate(costs: Costs, rate: float) -> Costs:
    """Return the costs where the search service takes `rate` chunks a second."""
    return replace(costs, batch=0.0, action=1.0 / rate, kept=0.0, token=MODEL_TOKEN_SECONDS)


def rebuild(chunks: int, costs: Costs, services: Services, settings: Settings, stored: float = 1.0) -> Predicted:
    """Predict a rebuild of so many chunks."""
    documents = max(1, chunks // CHUNKS_A_DOCUMENT)
    lake = Lake(documents, CHUNKS_A_DOCUMENT, DIMENSIONS, stored, TOKENS)
    grain = max(1, documents // DOCUMENTS_AT_ONCE)
    if grain > 1:  # a page must hold more documents than are taken at a time
        settings = replace(
            settings,
            page_documents=settings.page_documents * grain,
            page_chunks=settings.page_chunks * grain,
            batch=settings.batch * grain,
        )
        costs = replace(costs, page=costs.page * grain)
    return predict(lake, settings, services, costs, grain)


def curves(costs: Costs) -> list[dict[str, Any]]:
    """Return hours by size: with stored vectors at several rates of the search service, and with none by quota."""
    rows: list[dict[str, Any]] = []
    for chunks in SIZES:
        row: dict[str, Any] = {"chunks": chunks}
        for name, rate in RATES.items():
            instances = 4 if rate >= 4_000 else 1
            settings = Settings(instances=instances)
            units = 4 if rate >= 4_000 else 1
            services = Services(read_delay=NETWORK_SECONDS, search_units=units)
            found = rebuild(chunks, at_rate(costs, rate / units), services, settings)
            row[name] = round(found.seconds / 3_600, 3)
        for name, quota in QUOTAS.items():
            services = Services(read_delay=NETWORK_SECONDS, quota=quota, model_units=16)
            found = rebuild(chunks, at_rate(costs, 1_000), services, Settings(), stored=0.0)
            row[f"nothing stored, {name} tokens/min"] = round(found.seconds / 3_600, 3)
        rows.append(row)
    return rows


def limits(costs: Costs) -> list[dict[str, Any]]:
    """Return, for ten million chunks, the hours and what is busy, by rate of the search service and instances."""
    rows: list[dict[str, Any]] = []
    for rate, units, instances in ((200, 1, 1), (1_000, 1, 1), (4_000, 1, 1), (4_000, 4, 4), (10_000, 10, 10)):
        services = Services(read_delay=NETWORK_SECONDS, search_units=units)
        found = rebuild(10_000_000, at_rate(costs, rate / units), services, Settings(instances=instances))
        rows.append(
            {
                "search chunks/s": rate,
                "instances": instances,
                "hours": round(found.seconds / 3_600, 2),
                "chunks/s": round(10_000_000 / found.phases["indexing"]),
                "host busy": f"{found.busy['host']:.0%}",
                "search busy": f"{found.busy['search']:.0%}",
            }
        )
    return rows
