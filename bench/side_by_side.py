"""`make bench-peers`: the app beside what people use today, on the same services and the same model, in one run.

Every contender is a process that is told what changed: the app's own indexing; LangChain's index() and LlamaIndex's
IngestionPipeline with their Azure AI Search stores; and a plain script of the kind that tutorials have. Each does the
same work, on documents and edits of a documentation lake:

    load      the documents, at once
    edits     one after the other; after every call a reader looks whether the document is there, in one version
    storm     more edits, one after the other, while a fifth of all calls is refused or done in part
    crash     more edits at once; the process is killed while it writes, started again, and told to bring the index up
              to date with the whole lake, which is then compared with the index
    region    the whole lake into an empty index, with nothing but what the contender keeps outside the region

A document is wrong when it is missing, or a part of it; when a reader finds a text that is not in its newest version;
or when a text is there twice that the document has once.
"""

import argparse
import asyncio
import json
import os
import random
import re
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from azure.storage.blob import BlobServiceClient, ContainerClient

from bench.boundary import Boundary, View, boundary, squeezed
from bench.edits import HISTORY, Edit, edits
from bench.plots import bars
from bench.rebuild_region import MeasuredRegion
from bench.replay import LANGCHAIN, LLAMAINDEX, PLAIN, Peer, Program, changes_of, own_view, peer_command
from bench.report import Figures, Mark, Table, at_most, finish, note
from shared.settings import Settings

DIMENSIONS = 384
DOCUMENTS, EDITS = 60, 20  # edits of each of three works
SIZES = {"langchain": ("1000", "200"), "llamaindex": ("150", "15"), "plain": ("1000", "200")}  # characters; tokens
OWN = "Warmlake"
EVERYBODY_ELSE = (LANGCHAIN, LLAMAINDEX, PLAIN)
DELETED = 2  # documents, in the last work
FRONT_MATTER = re.compile(r"---\n.*?\n---\n", re.DOTALL)
GAP = 300  # characters without white space: more than headings, which some pipelines keep elsewhere; less than a chunk
SEED = 5
KILLED_AT_WRITE = 3  # the write in the midst of which a process dies
STORM = (
    ("model", {"method": "POST", "path": "embeddings", "every": 5, "status": 429, "headers": {"Retry-After": "1"}}),
    ("search", {"method": "POST", "path": "search.index", "every": 5, "extra": {"fail_every": 3, "fail_status": 503}}),
)
PATH_FIELDS = {"langchain": "source", "llamaindex": "path", "plain": "path", OWN.lower(): "path"}


@dataclass
class Work:
    """What one piece of work came to."""

    seconds: float = 0.0
    tokens: int = 0
    calls: int = 0
    failures: int = 0
    absent: int = 0
    mixed: int = 0
    wrong: dict[str, int] = field(default_factory=dict)

    def figures(self) -> dict[str, Any]:
        """Return the figures as the results file has them."""
        return {
            "seconds": round(self.seconds, 2),
            "embedded_tokens": self.tokens,
            "calls": self.calls,
            "failures_told": self.failures,
            "edits_absent": self.absent,
            "edits_in_two_versions": self.mixed,
            "documents_wrong": sum(self.wrong.values()),
            "wrong": self.wrong,
        }


def faults_of(lake: Mapping[str, str], held: Mapping[str, list[str]]) -> dict[str, int]:
    """Return how many documents are wrong in an index, by kind; `held` has the texts that a reader would be given."""
    kinds: Counter[str] = Counter()
    for path in {*lake, *held}:
        document = squeezed(lake.get(path, ""))
        begins = len(squeezed(found[0])) if (found := FRONT_MATTER.match(lake.get(path, ""))) else 0
        kind = _fault(document, begins, [squeezed(text) for text in held.get(path, [])])
        if kind:
            kinds[kind] += 1
    return dict(kinds)


def _fault(document: str, begins: int, texts: list[str]) -> str:
    if not texts:
        return "missing"
    if any(text not in document for text in texts):
        return "stale"
    counts = Counter(text for text in texts if text)
    if any(count > document.count(text) for text, count in counts.items()):
        return "doubled"
    return "in part" if _longest_gap(document, begins, counts) > GAP else ""


def _longest_gap(document: str, begins: int, texts: Iterable[str]) -> int:
    """Return the length of the longest stretch of a document, from where its text begins, that no text covers."""
    spans = sorted((at, at + len(text)) for text in texts for at in _occurrences(document, text))
    longest, covered = 0, begins
    for start, end in [*spans, (len(document), len(document))]:
        longest, covered = max(longest, start - covered), max(covered, end)
    return longest


def _occurrences(document: str, text: str) -> Iterator[int]:
    at = document.find(text)
    while at >= 0:
        yield at
        at = document.find(text, at + 1)


class Contender:
    """One contender and its lake: told what changed, watched, killed, and looked at."""

    def __init__(self, name: str, who: str, view: View, passing: Boundary, start: Callable[[str], list[str]]) -> None:
        self.name = name
        self.who = who
        self.lake: dict[str, str] = {}
        self.found: dict[str, Work] = {}
        self.environ: Mapping[str, str] | None = None
        self._passing = passing
        self._seen = passing.add(who, view)
        self._start = start
        self._index = view.index
        self._program: Program | None = None

    def written(self, part: Iterable[Edit]) -> None:
        """Take the edits as made: what the users of the lake do."""
        for edit in part:
            if edit.after is None:
                self.lake.pop(edit.path, None)
            else:
                self.lake[edit.path] = edit.after

    def load(self, part: list[Edit]) -> None:
        """Index the first documents at once."""
        self.written(part)
        self._open()
        with _Measured(self, "load") as work:
            work.failures += bool(self._tell(changes_of(part)))

    def edit(self, part: list[Edit], what: str) -> None:
        """Index edits one after the other, with a reader looking."""
        with _Measured(self, what) as work:
            for number, one in enumerate(part):
                self.written([one])
                with self._passing.watching(self.who, number, one):
                    work.failures += bool(self._tell(changes_of([one])))

    def crash(self, part: list[Edit]) -> None:
        """Index edits at once, die while writing, start again, and bring the index up to date."""
        self.written(part)
        with _Measured(self, "crash") as work:
            assert self._program is not None
            program = self._program
            with self._passing.at_write(self.who, KILLED_AT_WRITE, program.kill):
                try:
                    self._tell(changes_of(part))
                except EOFError:
                    work.failures += 1
            program.close()
            self._open()
            self._whole()

    def region(self, start: Callable[[str], list[str]], environ: Mapping[str, str] | None, index: str) -> None:
        """Bring up an empty index in another region."""
        self.close()
        self._start, self.environ, self._index = start, environ, index
        self._open()
        with _Measured(self, "region") as work:
            work.failures += bool(self._whole(rebuild=True))

    def close(self) -> None:
        """End the process."""
        if self._program is not None:
            self._program.close()
            self._program = None

    def counts(self) -> tuple[int, int, int, int]:
        """Return tokens, calls, and how many edits were absent or in two versions at a probe, up to now."""
        seen = self._seen
        return seen.tokens, sum(seen.calls.values()), len(seen.absent), len(seen.mixed)

    def wrong(self) -> dict[str, int]:
        """Compare the index with the lake."""
        index = self._index
        return faults_of(self.lake, self._passing.documents(self.who, index, PATH_FIELDS[self.who]))

    def forget_probes(self) -> None:
        """Count probes anew: edits have numbers of their own in every work."""
        self._seen.absent.clear()
        self._seen.mixed.clear()

    def _open(self) -> None:
        self._program = Program(self.name, self._start(self._index), self.environ)

    def _whole(self, **more: Any) -> str:
        return self._tell([{"path": path, "text": text} for path, text in self.lake.items()], whole=True, **more)

    def _tell(self, changes: list[dict[str, str | None]], **more: Any) -> str:
        assert self._program is not None
        fault = self._program.tell({"changes": changes, **more})
        if fault:
            note(f"{self.name}: {fault}")
        return fault


class OwnContender(Contender):
    """The app, whose lake is one."""

    def __init__(self, passing: Boundary, environ: Mapping[str, str], documents: ContainerClient) -> None:
        command = [sys.executable, "-m", "bench.own_indexer"]
        super().__init__(OWN, OWN.lower(), own_view(environ["SEARCH_INDEX"]), passing, lambda _: command)
        self.environ = environ
        self._documents = documents

    def written(self, part: Iterable[Edit]) -> None:
        """Put the edits into the lake."""
        made = list(part)
        super().written(made)
        for edit in made:
            if edit.after is None:
                self._documents.delete_blob(edit.path)
            else:
                self._documents.upload_blob(edit.path, edit.after.encode(), overwrite=True)


class _Measured:
    """Measures one piece of work, and looks at the index afterwards."""

    def __init__(self, contender: Contender, what: str) -> None:
        self._contender, self._what = contender, what
        self._work = Work()

    def __enter__(self) -> Work:
        note(f"{self._contender.name}: {self._what}")
        self._contender.forget_probes()
        self._before = self._contender.counts()
        self._started = time.perf_counter()
        return self._work

    def __exit__(self, *fault: object) -> None:
        work = self._work
        work.seconds = time.perf_counter() - self._started
        tokens, calls, work.absent, work.mixed = self._contender.counts()
        work.tokens, work.calls = tokens - self._before[0], calls - self._before[1]
        if fault[0] is None:
            work.wrong = self._contender.wrong()
            self._contender.found[self._what] = work


def parts(documents: int, size: int) -> tuple[list[Edit], list[list[Edit]]]:
    """Return the documents to begin with, and three lists of as many edits of them."""
    history = list(edits())
    first = {edit.path: edit for edit in history if edit.before is None}
    chosen = sorted(first, key=lambda path: sum(edit.path == path for edit in history), reverse=True)[:documents]
    later = [edit for edit in history if edit.path in chosen and edit.is_edit]
    if len(later) < 3 * size:
        raise ValueError(f"the history has {len(later)} edits of {documents} documents; {3 * size} are wanted")
    load = [first[path] for path in chosen]
    random.Random(SEED).shuffle(load)
    last = later[2 * size : 3 * size]
    kept = {edit.path for edit in last}
    deleted = [Edit(edit.path, edit.after, None) for edit in load if edit.path not in kept][:DELETED]
    return load, [later[:size], later[size : 2 * size], [*last, *deleted]]


def storm(region: MeasuredRegion, on: bool) -> None:
    """Let the services fail, or no more."""
    urls = {"model": region.region.model_port, "search": region.region.search_port}
    for service, rule in STORM:
        url = f"http://127.0.0.1:{urls[service]}/-/faults"
        body = json.dumps(rule).encode() if on else None
        with urllib.request.urlopen(urllib.request.Request(url, body, method="POST" if on else "DELETE")) as reply:
            reply.read()


def compete(contender: Contender, region: MeasuredRegion, load: list[Edit], rest: list[list[Edit]]) -> None:
    """Let one contender do all the work but the last."""
    contender.load(load)
    contender.edit(rest[0], "edits")
    storm(region, on=True)
    try:
        contender.edit(rest[1], "storm")
    finally:
        storm(region, on=False)
    contender.crash(rest[2])


def own_environ(passing: Boundary, region: MeasuredRegion, index: str, state: str) -> dict[str, str]:
    """Return the app's settings in a region, with all calls across the boundary."""
    settings = {
        **region.environ,
        "OPENAI_ENDPOINT": passing.endpoint(OWN.lower(), "model") + "/openai/v1",
        "SEARCH_ENDPOINT": passing.endpoint(OWN.lower(), "search"),
        "SEARCH_INDEX": index,
        "STATE_CONTAINER": state,
    }
    return {**os.environ, **settings}


def run_own(
    passing: Boundary, region: MeasuredRegion, load: list[Edit], rest: list[list[Edit]]
) -> dict[str, dict[str, Any]]:
    """Let the app do all the work; returns its figures."""
    environ = own_environ(passing, region, "first", "first")
    settings = Settings.from_env(environ)
    assert settings.lake_storage.connection_string is not None
    account = BlobServiceClient.from_connection_string(settings.lake_storage.connection_string)
    contender = OwnContender(passing, environ, account.get_container_client(settings.lake_container))
    try:
        compete(contender, region, load, rest)
        there = own_environ(passing, region, "second", "second")
        contender.region(lambda _: [sys.executable, "-m", "bench.own_indexer"], there, "second")
    finally:
        contender.close()
        account.close()
    return {what: work.figures() for what, work in contender.found.items()}


def run_peer(
    peer: Peer, passing: Boundary, region: MeasuredRegion, load: list[Edit], rest: list[list[Edit]], folder: Path
) -> dict[str, dict[str, Any]]:
    """Let a peer do all the work; returns its figures. What it keeps on disk is lost with its region."""
    sizes = SIZES[peer.environment]

    def start(region_name: str) -> Callable[[str], list[str]]:
        state = folder / f"{peer.environment}-{region_name}"
        state.mkdir()
        return lambda index: peer_command(peer, passing, index, state, *sizes)

    contender = Contender(peer.name, peer.environment, peer.view, passing, start("first"))
    try:
        compete(contender, region, load, rest)
        contender.region(start("second"), None, f"{peer.view.index}-second")
    finally:
        contender.close()
    return {what: work.figures() for what, work in contender.found.items()}


async def measure(folder: Path, load: list[Edit], rest: list[list[Edit]]) -> dict[str, Any]:
    """Let everybody do the same work, one after the other."""
    region = MeasuredRegion(folder, DIMENSIONS, faults=True, forgetful=True)
    model, search = f"http://127.0.0.1:{region.region.model_port}", f"http://127.0.0.1:{region.region.search_port}"
    found: dict[str, Any] = {}
    async with region.running():
        with boundary(model, search) as passing:
            found[OWN] = await asyncio.to_thread(run_own, passing, region, load, rest)
            for peer in EVERYBODY_ELSE:
                found[peer.name] = await asyncio.to_thread(run_peer, peer, passing, region, load, rest, folder)
    return found


COLUMNS = {
    "seconds": "seconds",
    "tokens": "embedded_tokens",
    "calls": "calls",
    "failures told": "failures_told",
    "absent": "edits_absent",
    "two versions": "edits_in_two_versions",
    "documents wrong": "documents_wrong",
}
TITLES = {
    "load": "Initial load",
    "edits": "Edits one after the other",
    "storm": "The same while a fifth of all calls is refused or done in part",
    "crash": "Killed while writing a batch of edits, started again, told to bring the index up to date",
    "region": "The whole lake into an empty index in another region",
}


LESS = ("seconds", "tokens", "calls")  # columns that any may win; in the others there must be none


def tables(found: Figures) -> Iterator[Table]:
    """Yield a table for every piece of work."""
    for what, title in TITLES.items():
        rows = [(who, *(works[what][name] for name in COLUMNS.values())) for who, works in found["pipelines"].items()]
        size = f" ({found['documents']} documents)" if what == "load" else f" ({found['edits']} edits)"
        yield Table(title + (size if what != "region" else ""), ("pipeline", *COLUMNS), rows, least=LESS)
    yield Table(
        "What the peers are",
        ("pipeline", "chunk size, overlap", "packages"),
        [(who, " ".join(peer["sizes"]), ", ".join(peer["pins"])) for who, peer in found["peers"].items()],
    )


def plot(found: Figures) -> str:
    """Return the embedded tokens of every piece of work as bars."""
    works = {
        f"{title}: embedded tokens": {who: done[what]["embedded_tokens"] for who, done in found["pipelines"].items()}
        for what, title in TITLES.items()
    }
    return bars("Embedded tokens by work and pipeline", works, {OWN})


def marks(found: Figures) -> Iterator[Mark]:
    """Yield what is asked of the app."""
    ours = found["pipelines"][OWN]
    yield at_most("documents wrong after any work", sum(work["documents_wrong"] for work in ours.values()), 0)
    yield at_most("edits during which a document was absent", sum(work["edits_absent"] for work in ours.values()), 0)
    yield at_most("tokens embedded in another region", ours["region"]["embedded_tokens"], 0)


def main() -> int:
    """Run the benchmark; returns the exit code: 1 when the app left a document wrong or paid for the region again."""
    parser = argparse.ArgumentParser(prog="bench.side_by_side", description="the app beside what people use today")
    parser.add_argument("--documents", type=int, default=DOCUMENTS)
    parser.add_argument("--edits", type=int, default=EDITS, help="edits of each of three works")
    options = parser.parse_args()
    if not HISTORY.is_file():
        print(f"bench.side_by_side: {HISTORY} is missing; it is part of the project's shared data", file=sys.stderr)
        return 2
    try:
        load, rest = parts(options.documents, options.edits)
    except ValueError as fault:
        print(f"bench.side_by_side: {fault}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="warmlake-peers-") as folder:
        found = asyncio.run(measure(Path(folder), load, rest))
    figures = {
        "documents": options.documents,
        "edits": options.edits,
        "peers": {peer.name: {"sizes": SIZES[peer.environment], "pins": peer.pins()} for peer in EVERYBODY_ELSE},
        "pipelines": found,
    }
    packages = ("openai", "azure-search-documents")
    return finish("side_by_side", figures, tables(figures), packages, marks(figures))


if __name__ == "__main__":
    sys.exit(main())
