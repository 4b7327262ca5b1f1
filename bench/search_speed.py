"""How fast the search service is at 100,000 chunks, beside its own engine in process and two plain scripts."""

import gc
import os
import random
import re
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from azure.core.credentials import AzureKeyCredential
from azure.search.documents import SearchClient
from azure.search.documents.indexes import SearchIndexClient

from bench.report import note, percentile
from bench.retrieval import load
from bench.search_contenders import TOP, BareEngine, Contender, Document, InProcess, OverHttp, StandardLibrary
from local.processes import free_port
from shared.index.schema import index_definition
from tests.conftest import Service

KEY = AzureKeyCredential("local")
DIMENSIONS = 384
CHUNKS_A_DOCUMENT = 20
BATCH = 1_000
QUERIES = 200
ROUND = 40  # queries that a contender answers before it is the next one's turn
WORDS = 8  # of a query
UPSERTS = 100
SDK_BATCHES = 5
SEED = 7
GROUP = "board"  # may see every second document; the others are the staff's
COLLECTIONS = ("scifact", "cacm")

Figures = dict[str, float]


class Corpus:
    """Chunks made of real sentences, with random unit vectors: the same for every contender and every run."""

    def __init__(self, chunks: int) -> None:
        draw = random.Random(SEED)
        texts = [text for name in COLLECTIONS for text in load(name).documents.values()]
        sentences = [part for text in texts for part in text.split(". ") if len(part.split()) >= WORDS]
        vectors = np.random.default_rng(SEED).standard_normal((chunks, DIMENSIONS), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        self.documents = [
            _chunk(at, ". ".join(draw.choices(sentences, k=4)), vectors[at].copy()) for at in range(chunks)
        ]
        # Letters only: to every contender the query is the same words.
        self.queries = [" ".join(re.findall("[A-Za-z]+", draw.choice(sentences))[:WORDS]) for _ in range(QUERIES)]
        self.query_vectors = vectors[draw.sample(range(chunks), QUERIES)]


def _chunk(at: int, text: str, vector: np.ndarray[Any, np.dtype[np.float32]]) -> Document:
    document = at // CHUNKS_A_DOCUMENT
    return {
        "id": f"{at:08d}",
        "document_id": f"d{document}",
        "path": f"folder/d{document}.md",
        "content": text,
        "ordinal": at % CHUNKS_A_DOCUMENT,
        "allowed_groups": [] if document % 2 else ["staff"],
        "content_vector": vector,
    }


def speed(chunks: int, folder: Path) -> dict[str, Any]:
    """Measure every contender on the same chunks and queries; milliseconds, and chunks a second."""
    note(f"making {chunks:,} chunks")
    corpus = Corpus(chunks)
    data = ("--data", str(folder / "service"))
    port = free_port()
    service = Service("local.search_service", "--port", str(port), *data, log=folder / "service.log")
    with SearchIndexClient(service.url, KEY) as admin:
        admin.create_index(index_definition("chunks", DIMENSIONS))
    served = OverHttp(port, "chunks")
    engine = InProcess(folder, index_definition("chunks", DIMENSIONS).as_dict())
    contenders: dict[str, Contender] = {
        "service": served,
        "engine": engine,
        "bare": BareEngine(folder, DIMENSIONS),
        "standard": StandardLibrary(folder, DIMENSIONS),
    }
    found: dict[str, Any] = {name: {"upload_per_second": _uploaded(one, corpus)} for name, one in contenders.items()}
    for kind, group in (("hybrid", None), ("filtered", GROUP)):
        note(f"{kind} queries")
        times, agreement = _asked(contenders, corpus, group)
        for name in contenders:
            found[name] |= _spread(kind, times[name])
        found[f"{kind}_agreement"] = agreement
    note("single upserts")
    for name in ("service", "engine", "bare"):
        found[name] |= _spread("upsert", _upserts(contenders[name], corpus))
    found["service_memory_mb"] = _resident_megabytes(service.process.pid)
    found["sdk_upload_per_second"] = _over_sdk(service.url, corpus)
    served.close()
    engine.close()
    service.stop()
    note("starting from disk")
    found["service_start_seconds"] = _start(data, folder)
    return {"chunks": chunks, **found}


def _uploaded(contender: Contender, corpus: Corpus) -> float:
    """Return the chunks a second of an upload in batches."""
    note(f"upload: {type(contender).__name__}")
    # What earlier contenders hold must not be walked through on this one's time.
    gc.collect()
    gc.freeze()
    started = time.perf_counter()
    for start in range(0, len(corpus.documents), BATCH):
        contender.upload(corpus.documents[start : start + BATCH])
    return len(corpus.documents) / (time.perf_counter() - started)


def _asked(
    contenders: Mapping[str, Contender], corpus: Corpus, group: str | None
) -> tuple[dict[str, list[float]], float]:
    """Ask every contender every query, in turns, so that whatever else the machine does hits all of them.

    Returns each one's times, and the share of the bare engine's results that the service has too.
    """
    times: defaultdict[str, list[float]] = defaultdict(list)
    answers: defaultdict[str, list[list[str]]] = defaultdict(list)
    pairs = list(zip(corpus.queries, corpus.query_vectors, strict=True))
    for start in range(0, len(pairs), ROUND):
        for name, contender in contenders.items():
            contender.hybrid(*pairs[start], group)  # the first one pays for waking up, and for a filter's mask
            for text, vector in pairs[start : start + ROUND]:
                began = time.perf_counter()
                answers[name].append(contender.hybrid(text, vector, group))
                times[name].append((time.perf_counter() - began) * 1_000)
    same = [len({*one} & {*other}) / TOP for one, other in zip(answers["service"], answers["bare"], strict=True)]
    return times, sum(same) / len(same)


def _upserts(contender: Contender, corpus: Corpus) -> list[float]:
    """Change chunks one at a time; each must be found by its new word as soon as the call is back."""
    times = []
    for at, before in enumerate(corpus.documents[:UPSERTS]):
        word = "changed" + "".join("abcdefghij"[int(digit)] for digit in str(at))
        changed = [{**before, "content": f"{word} {before['content']}"}]
        began = time.perf_counter()
        contender.upload(changed)
        times.append((time.perf_counter() - began) * 1_000)
        if contender.hybrid(word, before["content_vector"], None)[0] != before["id"]:
            raise RuntimeError(f"{type(contender).__name__} does not see the chunk that it was given")
    return times


def _over_sdk(url: str, corpus: Corpus) -> float:
    """Return the chunks a second of the SDK's own upload, into an index of its own."""
    documents = [
        {**one, "content_vector": one["content_vector"].tolist()} for one in corpus.documents[: SDK_BATCHES * BATCH]
    ]
    with SearchIndexClient(url, KEY) as admin, SearchClient(url, "bysdk", KEY) as client:
        admin.create_index(index_definition("bysdk", DIMENSIONS))
        started = time.perf_counter()
        for start in range(0, len(documents), BATCH):
            client.upload_documents(documents[start : start + BATCH])
        rate = len(documents) / (time.perf_counter() - started)
        admin.delete_index("bysdk")
    return rate


def _start(data: Sequence[str], folder: Path) -> float:
    """Return the seconds from starting the process to the first request that it would take."""
    started = time.perf_counter()
    service = Service("local.search_service", "--port", str(free_port()), *data, log=folder / "service.log")
    seconds = time.perf_counter() - started
    service.stop()
    return seconds


def _spread(name: str, times: Sequence[float]) -> Figures:
    return {f"{name}_p50": percentile(times, 0.5), f"{name}_p95": percentile(times, 0.95)}


def _resident_megabytes(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
