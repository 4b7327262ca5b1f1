"""`python -m local capacity`: what a lake needs on Azure, what it costs about, and how long a recovery takes.

Sizes come from formulas (docs/capacity.md has them with their sources); prices are list prices of a western region when
this was written, given as a range, and are no offer. What was not measured on Azure is assumed: options change it.
"""

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.settings import SETTINGS

ROOT = Path(__file__).parent.parent
PROFILES: dict[str, dict[str, Any]] = json.loads((ROOT / "infra" / "profiles.json").read_text(encoding="utf-8"))
GB = 1_000_000_000
HOURS = 730  # a month, as Azure counts it

# ---- the index -------------------------------------------------------------------------------------------------------
CHUNK_FILL = 0.85  # mean chunk over CHUNK_TARGET_TOKENS; cuts follow paragraphs, so chunks stay below their aim
FLOAT_BYTES = 4
HNSW_OVERHEAD = 1.10  # the graph beside the vectors, m = 4
DELETED_OVERHEAD = 1.10  # documents that were replaced and not merged away yet
CHARACTERS_PER_TOKEN = 4
TEXT_FACTOR = 2.5  # stored text and its inverted index, over the text
FIELD_BYTES = 1_500  # the other fields of a chunk with their indexes: path, title, hashes, ids
# tier: vector index GB, storage GB, price of one search unit an hour (low, high)
TIERS: dict[str, tuple[float, float, tuple[float, float]]] = {
    "basic": (5, 15, (0.10, 0.13)),
    "standard": (35, 160, (0.34, 0.42)),
    "standard2": (150, 512, (1.34, 1.68)),
    "standard3": (300, 1024, (2.69, 3.36)),
}
PARTITIONS = (1, 2, 3, 4, 6, 12)
SEARCH_UNITS = 36  # replicas x partitions, at most
QUERIES_PER_REPLICA = 15.0  # hybrid queries a second; measure with your own questions
# ---- prices (low, high) ----------------------------------------------------------------------------------------------
EMBEDDING = (0.02, 0.025)  # a million tokens
CHAT_IN, CHAT_OUT = (0.75, 0.83), (4.50, 4.95)  # a million tokens
LAKE_GB = (0.045, 0.060)  # a GB-month, RA-GZRS hot
HOST_GB = (0.023, 0.030)  # a GB-month, ZRS hot
READY_GB_SECOND = (0.000004, 0.000005)  # always-ready memory
WORK_GB_SECOND = (0.000016, 0.000026)  # memory while working
LOG_GB = (2.30, 3.00)  # a GB of logs
ROUTING = (2.0, 6.0)  # Traffic Manager: two endpoints with fast probes, and some million queries
# ---- recovery --------------------------------------------------------------------------------------------------------
DECIDE_MINUTES = 5.0  # a person looks, and runs scripts/failover
ROUTING_MINUTES = 45 / 60  # infra/traffic-manager.bicep with its defaults
COLD_MINUTES = (20.0, 45.0)  # deploying search, models and the app


@dataclass(frozen=True, slots=True)
class Lake:
    """What is to be held, and what is asked of it."""

    documents: int
    characters: int  # of text, in one document
    bytes: int  # of one document as stored
    dimensions: int
    versions: float  # mean number of versions kept of a document
    changes: float  # documents that change in a day, as a share
    questions: float  # a day
    peak: float  # questions a second at the busiest time
    quota: int  # tokens a minute of the embedding deployment
    rate: float  # chunks a second that a rebuild writes
    standby: str
    partitions: int  # that are deployed; 0: as the profile says


@dataclass(frozen=True, slots=True)
class Index:
    """The index of one region. Sizes are for `generations` of it: a rebuild stands beside the live one.

    `partitions` and `replicas` are what is needed; it fits when the deployment has as many, and the tier allows them.
    """

    chunks: int
    vector_gb: float
    storage_gb: float
    generations: int
    tier: str
    partitions: int
    replicas: int
    fits: bool
    remedy: str  # what to do when it does not fit, else ""


@dataclass(frozen=True, slots=True)
class Recovery:
    """Minutes until users are answered again, by what stands in the second region; and what a first build takes."""

    rebuild_minutes: float
    embedding_minutes: float
    hot: float
    warm: float
    cold: tuple[float, float]


def default(name: str) -> int:
    """Return the default of a setting that is a number."""
    return int(next(row.default for row in SETTINGS if row.name == name) or 0)


def chunk_count(lake: Lake) -> int:
    """Return the chunks of the lake: tokens of text over the mean chunk, at least one a document."""
    mean = default("CHUNK_TARGET_TOKENS") * CHUNK_FILL
    return lake.documents * max(1, math.ceil(lake.characters / CHARACTERS_PER_TOKEN / mean))


def size_index(lake: Lake, profile: dict[str, Any]) -> Index:
    """Return what one region's search service must hold, and the partitions and replicas for it."""
    chunks = chunk_count(lake)
    generations = default("GENERATIONS_KEPT")
    vectors = chunks * lake.dimensions * FLOAT_BYTES
    text = lake.documents * lake.characters * TEXT_FACTOR
    vector_gb = vectors * HNSW_OVERHEAD * DELETED_OVERHEAD * generations / GB
    # The vectors are there twice: in the graph, and as stored and returned values.
    storage_gb = (vectors * 2 + text + chunks * FIELD_BYTES) * DELETED_OVERHEAD * generations / GB
    tier = profile["searchSku"]
    per_vector, per_storage, _ = TIERS[tier]
    needed = max(vector_gb / per_vector, storage_gb / per_storage)
    partitions = next((count for count in PARTITIONS if count >= needed), PARTITIONS[-1])
    replicas = max(profile["searchReplicas"], math.ceil(lake.peak / QUERIES_PER_REPLICA))
    most = 3 if tier == "basic" else 12
    possible = needed <= partitions <= most and replicas <= most and replicas * partitions <= SEARCH_UNITS
    remedy = "" if possible else f"tier {tier} ends before that; choose a larger profile"
    if possible and partitions > (lake.partitions or profile["searchPartitions"]):
        remedy = (
            f"{partitions} partitions are needed: azd env set WARMLAKE_SEARCH_PARTITIONS {partitions}, and --partitions"
        )
    elif possible and replicas > profile["searchReplicas"]:
        remedy = f"{replicas} replicas are needed: searchReplicas in infra/profiles.json"
    return Index(chunks, vector_gb, storage_gb, generations, tier, partitions, replicas, not remedy, remedy)


def recovery(lake: Lake) -> Recovery:
    """Return the times. A rebuild embeds nothing that is stored, so only its writing takes time."""
    chunks = chunk_count(lake)
    rebuild = chunks / lake.rate / 60
    embedding = lake.documents * lake.characters / CHARACTERS_PER_TOKEN / lake.quota
    warm = DECIDE_MINUTES + rebuild + ROUTING_MINUTES
    return Recovery(rebuild, embedding, ROUTING_MINUTES, warm, (warm + COLD_MINUTES[0], warm + COLD_MINUTES[1]))


def monthly_costs(lake: Lake, profile: dict[str, Any], index: Index) -> dict[str, tuple[float, float]]:
    """Return what a month costs, by what is paid for: (low, high) for all regions together."""
    regions = 2
    complete = 1 if lake.standby == "cold" else regions
    price = TIERS[index.tier][2]
    units = index.partitions * index.replicas * HOURS * complete
    stored = (
        lake.documents * lake.bytes * lake.versions / GB + index.chunks * (lake.dimensions * FLOAT_BYTES + 700) / GB
    )
    # Per trigger group: http as the profile says, two each for durable and blob where there are zones.
    ready = profile["alwaysReady"] + (4 if profile["zones"] and profile["alwaysReady"] else 0)
    memory = profile["instanceMemory"] / 1024
    ready_seconds = ready * memory * HOURS * 3600 * complete
    work_seconds = (lake.questions * 30 * 5 + lake.documents * lake.changes * 30 * 2) * memory
    questions = lake.questions * 30 / 1e6
    changed_tokens = lake.documents * lake.changes * 30 * lake.characters / CHARACTERS_PER_TOKEN / 1e6
    logs = 0.5 + lake.questions * 30 * 6_000 / GB + lake.documents * lake.changes * 30 * 1_000 / GB
    amounts: dict[str, tuple[float, tuple[float, float]]] = {
        f"search ({complete} x {index.replicas} replicas x {index.partitions} partitions, {index.tier})": (
            units,
            price,
        ),
        "lake (RA-GZRS, documents with versions, embeddings)": (stored, LAKE_GB),
        "functions, always ready": (ready_seconds, READY_GB_SECOND),
        "functions, at work": (work_seconds, WORK_GB_SECOND),
        "chat model, questions and passages": (questions * (default("CHAT_CONTEXT_TOKENS") + 600), CHAT_IN),
        "chat model, answers": (questions * 250, CHAT_OUT),
        "embedding model, changes": (changed_tokens, EMBEDDING),
        "host storage": (20.0 * regions, HOST_GB),
        "logs": (logs * complete, LOG_GB),
        "Traffic Manager": (1.0, ROUTING),
    }
    return {name: (amount * low, amount * high) for name, (amount, (low, high)) in amounts.items()}


def report(lake: Lake, name: str) -> str:
    """Return the answer as text."""
    profile = PROFILES[name]
    index, times = size_index(lake, profile), recovery(lake)
    costs = monthly_costs(lake, profile, index)
    first = lake.documents * lake.characters / CHARACTERS_PER_TOKEN / 1e6
    lines = [
        f"profile {name}, standby {lake.standby}: {lake.documents:,} documents of {lake.characters:,} characters",
        "",
        f"chunks                {index.chunks:,}",
        f"vector index          {index.vector_gb:,.1f} GB ({index.generations} generations, {lake.dimensions} floats)",
        f"search storage        {index.storage_gb:,.2f} GB",
        f"search service        {index.tier}, {index.replicas} replicas x {index.partitions} partitions a region",
        f"first build           {first:,.1f} million tokens, {times.embedding_minutes:,.0f} min at {lake.quota:,}/min,"
        f" {first * EMBEDDING[0]:,.2f} - {first * EMBEDDING[1]:,.2f} USD",
        f"rebuild               {times.rebuild_minutes:,.1f} min at {lake.rate:,.0f} chunks/s; nothing is embedded",
        f"RTO, hot              {times.hot:,.1f} min (routing)",
        f"RTO, warm             {times.warm:,.1f} min (decision, rebuild, routing)",
        f"RTO, cold             {times.cold[0]:,.0f} - {times.cold[1]:,.0f} min (and the deployment before)",
        "",
        "USD a month, both regions",
        *(f"{low:10,.0f} - {high:8,.0f}  {what}" for what, (low, high) in costs.items()),
        f"{sum(low for low, _ in costs.values()):10,.0f} - {sum(high for _, high in costs.values()):8,.0f}  together",
    ]
    if not index.fits:
        lines.insert(1, f"DOES NOT FIT: {index.remedy}")
    return "\n".join(lines)


def add_command(commands: Any) -> None:
    """Add the command `capacity` to a parser's subcommands."""
    command: argparse.ArgumentParser = commands.add_parser(
        "capacity", help="sizes, costs and recovery times for a lake"
    )
    command.add_argument("--documents", type=_positive(int), required=True, help="documents in the lake")
    command.add_argument("--characters", type=_positive(int), default=15_000, help="characters of text in one (15,000)")
    command.add_argument("--bytes", type=_positive(int), default=200_000, help="bytes of one as stored (200,000)")
    command.add_argument("--dimensions", type=_positive(int), default=1_536, help="length of the vectors (1,536)")
    command.add_argument("--versions", type=_positive(float), default=1.5, help="versions kept of each (1.5)")
    command.add_argument("--changes", type=_positive(float), default=0.01, help="share that changes in a day (0.01)")
    command.add_argument("--questions", type=_positive(float), default=2_000, help="questions a day (2,000)")
    command.add_argument("--peak", type=_positive(float), default=2.0, help="questions a second at most (2)")
    command.add_argument("--quota", type=_positive(int), help="embedding tokens a minute (the profile's)")
    command.add_argument("--partitions", type=_positive(int), help="partitions that are deployed (the profile's)")
    command.add_argument("--rate", type=_positive(float), default=200.0, help="chunks a second of a rebuild (200)")
    command.add_argument("--profile", choices=sorted(PROFILES), default="standard", help="profile of infra/ (standard)")
    command.add_argument("--standby", choices=["hot", "warm", "cold"], default="warm", help="second region (warm)")
    command.set_defaults(act=_act)


def _positive(kind: type[int] | type[float]) -> Any:
    def parse(text: str) -> int | float:
        try:
            number = kind(text.replace(",", ""))
        except ValueError:
            number = kind(0)
        if not 0 < number < math.inf:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
        return number

    return parse


def _act(options: argparse.Namespace) -> int:
    names = ("documents", "characters", "bytes", "dimensions", "versions", "changes", "questions", "peak", "quota")
    values = {name: getattr(options, name) for name in (*names, "rate", "standby")}
    profile = PROFILES[options.profile]
    values["quota"] = values["quota"] or profile["embeddingCapacity"] * 1000
    lake = Lake(**values, partitions=options.partitions or 0)
    print(report(lake, options.profile))
    return 0 if size_index(lake, profile).fits else 1
