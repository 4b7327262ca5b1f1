"""Probe questions: kept with the lake, each names the document that must be found for it.

The lake holds them as one JSON blob, `.warmlake/probes.json`: a list of {"question": ..., "path": ...}. It is no
document, so it is never indexed.
"""

import json
import logging
from dataclasses import dataclass
from typing import Any

from azure.search.documents.models import VectorizedQuery

from shared.clients import Services
from shared.index.schema import VECTOR
from shared.lake.container import Lake
from shared.lake.model import PROBES as PROBES

logger = logging.getLogger(__name__)

TOP = 5  # the document must be among the first so many results


@dataclass(frozen=True, slots=True)
class Probe:
    """A question and the path of the document that must be found."""

    question: str
    path: str


async def read_probes(lake: Lake) -> tuple[Probe, ...]:
    """Return the lake's probes, none where it has none. Raises ValueError when they are not what they should be."""
    data = await lake.read_if_present(PROBES)
    if data is None:
        return ()
    value: Any = json.loads(data)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError(f"{PROBES} in the lake must be a list of objects with question and path")
    return tuple(Probe(str(item["question"]), str(item["path"])) for item in value)


async def failed_probes(services: Services, lake: Lake, generation: str) -> list[dict[str, str]]:
    """Search a generation for every probe, as chat does; returns those whose document was not found.

    A probe of a document that the lake does not have (any more) is no fault of the index and is left out.
    """
    probes = [probe for probe in await read_probes(lake) if await lake.head(probe.path) is not None]
    if not probes:
        return []
    vectors = await services.embedder.embed([probe.question for probe in probes])
    failed: list[dict[str, str]] = []
    for probe, vector in zip(probes, vectors, strict=True):
        results = await services.search_client(generation).search(
            search_text=probe.question,
            vector_queries=[VectorizedQuery(vector=vector.tolist(), k_nearest_neighbors=50, fields=VECTOR)],
            select=["path"],
            top=TOP,
        )
        found = [result["path"] async for result in results]
        if probe.path not in found:
            logger.warning("probe failed question=%r document=%s found=%s", probe.question, probe.path, found)
            failed.append({"question": probe.question, "path": probe.path})
    return failed
