"""`make bench-history`: what real edits cost, and whether a document is ever missing meanwhile, beside two libraries.

Replays the edit history of a documentation lake (230 documents, then 120 change sets) through real services: the app's
own converge, LangChain's index() and LlamaIndex's IngestionPipeline, each with its Azure AI Search store, one after the
other on the same model and search service. All their calls cross one proxy, which counts and looks into the index.

    re-embedded / changed = characters sent to the model for edited documents
                            / characters of their new lines that are not among their old ones
    mean chunk            = characters sent for a chunk, mean over the chunks that are in the index at the end

What is sent for a chunk of the app is its breadcrumb of headings and its text. The app runs with the chunk size whose
mean is nearest to LangChain's, and with its default.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench import chunk_cost
from bench.boundary import Boundary, boundary
from bench.edits import HISTORY, Edit, edits
from bench.plots import lines
from bench.rebuild_region import MeasuredRegion
from bench.replay import LANGCHAIN, LLAMAINDEX, Peer, Replayed, own, own_view, replay, running, versions
from bench.report import Figures, Mark, Table, at_most, finish, note
from shared.settings import SETTINGS, Settings

CURVE = (75, 85, 95, 105, 115, 130, 150, 200, 250, 300, 400)  # CHUNK_TARGET_TOKENS
DEFAULT = next(int(row.default or "") for row in SETTINGS if row.name == "CHUNK_TARGET_TOKENS")
DIMENSIONS = 384
PEER_SIZES = {"langchain": ("1000", "200"), "llamaindex": ("150", "15")}  # characters; tokens
MARK = {"pipeline": "LangChain index(), scoped_full, Markdown headers + recursive", "ratio": 1.84, "characters": 675}
QUICK_SETS = 10
PLOTTED = 2.0  # times the curve's largest ratio: with what is beyond, the curve would be a straight line
WITHIN = 0.05  # of the mean chunk, for two to be compared


def nearest(curve: list[dict[str, Any]], mean: float) -> int:
    """Return the chunk size whose mean chunk is nearest."""
    best = min(curve, key=lambda row: abs(row["mean_chunk_characters"] - mean))
    return int(best["chunk_target_tokens"])


def own_replay(passing: Boundary, environ: Mapping[str, str], history: list[Edit], target: int) -> Replayed:
    """Replay with the app's own code at one chunk size, into an index and an embedding store of its own."""
    who = f"warmlake-{target}"
    settings = {
        **environ,
        "CHUNK_TARGET_TOKENS": str(target),
        "OPENAI_ENDPOINT": passing.endpoint(who, "model") + "/openai/v1",
        "SEARCH_ENDPOINT": passing.endpoint(who, "search"),
        "SEARCH_INDEX": who,
    }
    with own(Settings.from_env(settings)) as (index, apply, reused):
        found = replay(passing, who, own_view(index), history, apply)
    found.reused_tokens = reused[0]
    return found


def peer_replay(passing: Boundary, peer: Peer, history: list[Edit]) -> Replayed:
    """Replay with a peer."""
    with running(peer, passing, *PEER_SIZES[peer.environment]) as apply:
        return replay(passing, peer.environment, peer.view, history, apply)


async def measure(folder: Path, history: list[Edit], curve: list[dict[str, Any]]) -> dict[str, Any]:
    """Replay with everybody, one after the other; returns each one's figures."""
    region = MeasuredRegion(folder, DIMENSIONS)
    model, search = f"http://127.0.0.1:{region.region.model_port}", f"http://127.0.0.1:{region.region.search_port}"
    async with region.running():
        with boundary(model, search) as passing:
            langchain = await asyncio.to_thread(peer_replay, passing, LANGCHAIN, history)
            target = nearest(curve, langchain.mean_chunk)
            found: dict[str, Any] = {}
            for size in dict.fromkeys((target, DEFAULT)):
                ours = await asyncio.to_thread(own_replay, passing, region.environ, history, size)
                found[f"Warmlake, CHUNK_TARGET_TOKENS {size}"] = {"chunk_target_tokens": size, **ours.figures()}
            found[LANGCHAIN.name] = langchain.figures()
            llamaindex = await asyncio.to_thread(peer_replay, passing, LLAMAINDEX, history)
            found[LLAMAINDEX.name] = llamaindex.figures()
    return {"compared": f"Warmlake, CHUNK_TARGET_TOKENS {target}", "pipelines": found}


COLUMNS = {
    "re-embedded/changed": "reembedded_over_changed",
    "mean chunk": "mean_chunk_characters",
    "embedded tokens": "embedded_tokens",
    "reused tokens": "reused_tokens",
    "renames, restores": "renames_and_restores",
    "embedded for them": "embedded_for_renames_and_restores",
    "absent": "documents_absent",
    "two versions": "documents_in_two_versions",
    "probes": "probes",
    "search calls": "search_calls",
}


def tables(found: Figures) -> Iterator[Table]:
    """Yield the tables."""
    yield Table(
        "The history through real services (tokens of edits; absent, two versions: edits at whose probes it was so)",
        ("pipeline", *COLUMNS),
        [(who, *(row[name] for name in COLUMNS.values())) for who, row in found["pipelines"].items()],
        versions(found["peers"]),
        least=("re-embedded/changed", "embedded tokens", "absent", "two versions", "search calls"),
    )
    yield Table(
        "The app's curve over chunk sizes (counted from the texts by its own chunker; embedding store left out)",
        ("CHUNK_TARGET_TOKENS", "re-embedded/changed", "mean chunk", "text only", "its mean", "embedded", "reused"),
        [(str(next(iter(row.values()))), *list(row.values())[1:]) for row in found["curve"]],
    )


def plot(found: Figures) -> str:
    """Return the curve, and every pipeline that is not far from it as a point."""
    x, y = "mean_chunk_characters", "reembedded_over_changed"
    series = {"the app's curve over chunk sizes": [(row[x], row[y]) for row in found["curve"]]}
    near = PLOTTED * max(row[y] for row in found["curve"])
    series |= {who: [(row[x], row[y])] for who, row in found["pipelines"].items() if row[y] <= near}
    return lines(
        "Re-embedded over changed text, by mean chunk", series, "mean chunk, characters", "re-embedded / changed"
    )


def marks(found: Figures) -> Iterator[Mark]:
    """Yield what is asked of the app."""
    pipelines = found["pipelines"]
    ours, peer = pipelines[found["compared"]], pipelines[LANGCHAIN.name]
    ratio = ours["reembedded_over_changed"]
    apart = abs(ours["mean_chunk_characters"] / peer["mean_chunk_characters"] - 1)
    yield at_most("mean chunks apart from LangChain's", apart, WITHIN)
    theirs = peer["reembedded_over_changed"]
    yield Mark("re-embedded / changed", ratio, f"below LangChain's {theirs:.3f}", ratio < theirs)
    yield Mark("re-embedded / changed again", ratio, f"below {MARK['ratio']}, measured earlier", ratio < MARK["ratio"])
    for who, row in pipelines.items():
        if "chunk_target_tokens" in row:
            yield at_most(f"{who}: embedded for renames and restores", row["embedded_for_renames_and_restores"], 0)
            seen = row["documents_absent"] + row["documents_in_two_versions"]
            yield at_most(f"{who}: absent or in two versions", seen, 0)


def main() -> int:
    """Run the benchmark; returns the exit code: 1 when a mark is missed."""
    parser = argparse.ArgumentParser(prog="bench.history", description="what real edits cost, beside two libraries")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SETS} change sets in place of 120")
    options = parser.parse_args()
    if not HISTORY.is_file():
        print(f"bench.history: {HISTORY} is missing; it is part of the project's shared data", file=sys.stderr)
        return 2
    history = list(edits(QUICK_SETS if options.quick else None))
    note("the curve over chunk sizes")
    curve = chunk_cost.curve(history, CURVE)
    with tempfile.TemporaryDirectory(prefix="warmlake-history-") as folder:
        measured = asyncio.run(measure(Path(folder), history, curve))
    ours = measured["pipelines"][measured["compared"]]
    figures = {
        "quick": options.quick,
        "reembedded_over_changed": ours["reembedded_over_changed"],
        "mean_chunk_characters": ours["mean_chunk_characters"],
        "mark_measured_earlier": MARK,
        "peer_sizes": PEER_SIZES,
        "peers": {peer.name: peer.pins() for peer in (LANGCHAIN, LLAMAINDEX)},
        "curve": curve,
        **measured,
    }
    packages = ("quicktok-v1", "openai", "azure-search-documents")
    return finish("history", figures, tables(figures), packages, marks(figures))


if __name__ == "__main__":
    sys.exit(main())
