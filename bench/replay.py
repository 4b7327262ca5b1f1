"""The edit history through real services: by the app's own converge, and by peers in environments of their own."""

import asyncio
import contextlib
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from azure.storage.blob.aio import ContainerClient

from bench.boundary import Boundary, Hits, Seen, View
from bench.edits import Edit
from bench.report import ROOT, note
from shared.clients import Services
from shared.settings import Settings

TOOLS = ROOT / ".tools" / "bench"
PEERS = ROOT / "bench" / "peers"
EVERY = 200  # changes between two words of progress

Apply = Callable[[Edit], None]


@dataclass(frozen=True, slots=True)
class Peer:
    """A library in an environment of its own: its program, its pins, and how its index is read."""

    name: str
    environment: str
    program: str
    view: View

    def pins(self) -> list[str]:
        """Return the packages of its environment with their versions."""
        return (PEERS / f"{self.environment}.txt").read_text(encoding="utf-8").split()


LANGCHAIN = Peer(
    "LangChain index(), scoped_full",
    "langchain",
    "langchain_index.py",
    View("langchain", lambda path: f"source eq '{path}'", "content"),
)
PLAIN = Peer(
    "a plain script",
    "plain",
    "plain_script.py",
    View("plain", lambda path: f"path eq '{path}'", "content"),
)
LLAMAINDEX = Peer(
    "LlamaIndex IngestionPipeline, UPSERTS",
    "llamaindex",
    "llamaindex_pipeline.py",
    View("llamaindex", lambda path: f"path eq '{path}'", "chunk"),
)


@dataclass(slots=True)
class Replayed:
    """What a replay came to; characters and tokens are of what was sent to the model."""

    edits: int = 0
    changed: int = 0
    sent: int = 0
    tokens: int = 0
    load_tokens: int = 0
    repeated: int = 0
    repeated_inputs: int = 0
    absent: int = 0
    mixed: int = 0
    probes: int = 0
    embedding_calls: int = 0
    search_calls: int = 0
    chunks: int = 0
    mean_chunk: float = 0.0
    reused_tokens: int | None = None

    def figures(self) -> dict[str, Any]:
        """Return the figures as the results file has them."""
        return {
            "reembedded_over_changed": self.sent / self.changed,
            "mean_chunk_characters": self.mean_chunk,
            "edits": self.edits,
            "changed_characters": self.changed,
            "embedded_characters": self.sent,
            "embedded_tokens": self.tokens,
            "reused_tokens": self.reused_tokens,
            "load_tokens": self.load_tokens,
            "renames_and_restores": self.repeated,
            "embedded_for_renames_and_restores": self.repeated_inputs,
            "documents_absent": self.absent,
            "documents_in_two_versions": self.mixed,
            "probes": self.probes,
            "model_calls": self.embedding_calls,
            "search_calls": self.search_calls,
            "chunks": self.chunks,
        }


def replay(boundary: Boundary, who: str, view: View, history: Iterable[Edit], apply: Apply) -> Replayed:
    """Give every change to `apply`, one after the other, and count what crosses the boundary meanwhile.

    The ratio is of edited documents alone: a new document is all new. A rename or a restore is a document that comes
    with a text that the history has had before, at any path.
    """
    seen = boundary.add(who, view)
    found, known = Replayed(), set[bytes]()
    for number, edit in enumerate(history):
        if number % EVERY == 0:
            note(f"{who}: change {number}")
        before = (seen.characters, seen.tokens, seen.inputs)
        if edit.is_edit:
            with boundary.watching(who, number, edit):
                apply(edit)
        else:
            apply(edit)
        _add(found, edit, known, seen, before)
    found.absent, found.mixed, found.probes = len(seen.absent), len(seen.mixed), seen.probes
    found.embedding_calls, found.search_calls = seen.calls["model"], seen.calls["search"]
    texts = boundary.texts(who)
    found.chunks, found.mean_chunk = len(texts), sum(map(len, texts)) / len(texts)
    return found


def _add(found: Replayed, edit: Edit, known: set[bytes], seen: Seen, before: tuple[int, int, int]) -> None:
    characters, tokens, inputs = seen.characters - before[0], seen.tokens - before[1], seen.inputs - before[2]
    digest = hashlib.sha256((edit.after or "").encode()).digest()
    if edit.is_edit:
        found.edits += 1
        found.changed += edit.changed
        found.sent += characters
        found.tokens += tokens
    elif edit.after is not None:
        found.load_tokens += tokens
    if edit.after is not None and digest in known:
        found.repeated += 1
        found.repeated_inputs += inputs
    known.add(digest)


# ---- the app's own --------------------------------------------------------------------------------------------------


def own_view(index: str) -> View:
    """Return how the app's own index is read: superseded versions are dropped from results, as in `shared/chat`."""
    return View(index, lambda path: f"path eq '{path}'", "content", _heading, _newest)


def _heading(hit: dict[str, Any]) -> str:
    return f"{hit['heading']}\n" if hit["heading"] else ""


def _newest(hits: Hits) -> Hits:
    versions = [(datetime.fromisoformat(hit["last_modified"]), hit["version_id"]) for hit in hits]
    return [hit for hit, version in zip(hits, versions, strict=True) if version == max(versions)]


@contextmanager
def own(settings: Settings) -> Iterator[tuple[str, Apply, list[int]]]:
    """Yield the app's index, what puts a change in the lake and converges it, and a count of reused tokens in a list.

    The settings say where the lake is, and the boundary as the endpoint of the model and of the search service.
    """
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        services = Services(settings)
        stack.push_async_callback(services.close)
        container = services.lake_account.get_container_client(services.settings.lake_container)
        reused = [0]

        async def change(edit: Edit) -> None:
            await _put(container, edit)
            outcome = await services.indexer.converge(edit.path, generation)
            reused[0] += outcome.tokens_reused if edit.is_edit else 0

        try:
            generation = services.generations.name_at(datetime.now(UTC))
            runner.run(services.generations.create(generation))
            yield generation, lambda edit: runner.run(change(edit)), reused
        finally:
            runner.run(stack.aclose())


async def _put(container: ContainerClient, edit: Edit) -> None:
    if edit.after is None:
        await container.delete_blob(edit.path)
    else:
        await container.upload_blob(edit.path, edit.after.encode(), overwrite=True)


# ---- peers ----------------------------------------------------------------------------------------------------------


class Program:
    """A contender as a process of its own, which does what it is told line by line and can be killed."""

    def __init__(self, name: str, command: Sequence[str], environ: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environ
        )
        self._answer("ready")

    def tell(self, asked: Mapping[str, Any]) -> str:
        """Give it a line of work; returns "" when it is done, or what it says of its failure.

        Raises EOFError when it ends, or is killed, meanwhile.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer = self._answer("done", "failed")
        return "" if answer == "done" else answer

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._process.kill()

    def close(self) -> None:
        """Let it end, and wait for that."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _answer(self, *words: str) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line.startswith(words):
            raise EOFError(f"{self.name} ended or answered {line!r} in place of {' or '.join(words)}")
        return line


def peer_command(peer: Peer, boundary: Boundary, index: str, state: Path, *arguments: str) -> list[str]:
    """Return how a peer's program is started, on an index, with a folder for what it keeps."""
    # The peers know the address of a model as the OpenAI SDK does.
    model, search = boundary.endpoint(peer.environment, "model"), boundary.endpoint(peer.environment, "search")
    python = str(_environment(peer.environment))
    return [python, str(PEERS / peer.program), f"{model}/openai/v1", search, index, str(state), *arguments]


def changes_of(edits: Iterable[Edit]) -> list[dict[str, str | None]]:
    """Return edits as the programs are told them."""
    return [{"path": edit.path, "text": edit.after} for edit in edits]


@contextmanager
def running(peer: Peer, boundary: Boundary, *arguments: str) -> Iterator[Apply]:
    """Yield what gives a change to a peer's program and waits until it is done with it."""
    with tempfile.TemporaryDirectory(prefix="warmlake-peer-") as state:
        program = Program(peer.name, peer_command(peer, boundary, peer.view.index, Path(state), *arguments))

        def apply(edit: Edit) -> None:
            if fault := program.tell({"changes": changes_of([edit])}):
                raise RuntimeError(f"{peer.name}: {fault}")

        try:
            yield apply
        finally:
            program.close()


def versions(peers: Mapping[str, Sequence[str]]) -> str:
    """Return the pins of peers in words."""
    return " ".join(f"{who} runs on {', '.join(pins)}." for who, pins in peers.items())


def _environment(name: str) -> Path:
    """Return the interpreter of a peer's environment, which is made from its pins when it is not there."""
    folder, pins = TOOLS / name, PEERS / f"{name}.txt"
    python, stamp = folder / "bin" / "python", folder / ".pins"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != pins.read_text(encoding="utf-8"):
        note(f"making the environment of {name}")
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "-r", str(pins)], check=True)
        stamp.write_text(pins.read_text(encoding="utf-8"), encoding="utf-8")
    return python
