"""Releases of the app that are wrong on purpose: a folder with the app in it, patched when it starts.

A drill that a broken app passes would show nothing, so each of these must make it fail, and for the right reason. The
app itself has no switch for this: the folder holds links to it and a `function_app.py` of its own, which applies one
patch before it loads the real one.
"""

import inspect
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from local.region import ROOT

LINKED = ("host.json", "shared", "orchestrations", "web", "local")
RELEASE = "release.py"  # the real function_app.py, under another name


@dataclass(frozen=True, slots=True)
class Release:
    """What a release does wrong, and the check of a drill of region loss that must find it."""

    what: str
    found_by: str
    patch: Callable[[], None]


def prepare(name: str, folder: Path) -> Path:
    """Make a folder with a release; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    for linked in LINKED:
        (folder / linked).symlink_to(ROOT / linked)
    (folder / RELEASE).symlink_to(ROOT / "function_app.py")
    (folder / "function_app.py").write_text(
        f'"""A release that is wrong on purpose."""\n\n'
        f"from local.drill.releases import apply\n\n"
        f"apply({name!r})\n\n"
        f"from release import app\n\n"
        f'__all__ = ["app"]\n',
        encoding="utf-8",
    )
    return folder


def apply(name: str) -> None:
    """Patch the app in this process, before it is loaded."""
    RELEASES[name].patch()
    print(f"release {name}: {RELEASES[name].what} (pid {os.getpid()})", file=sys.stderr, flush=True)


# ---- the patches ---------------------------------------------------------------------------------------------------


def _health_always_200() -> None:
    from shared.health import Health, HealthCheck

    async def run(self: HealthCheck) -> Health:
        return Health({})

    _put(HealthCheck, "run", run)


def _swap_before_verify() -> None:
    """Verification comes after the swap, as a report and no longer as a condition."""
    from orchestrations import names
    from orchestrations.rebuild import _Rebuild

    pages = _Rebuild._pages

    def swap_first(self: _Rebuild, activity: str, round_: int | None = None) -> Any:
        if activity == names.INDEX_PAGE and round_ is None and self.progress.next_page == 0:
            yield self._call(names.SWAP_ALIAS, self._plan)
        return (yield from pages(self, activity, round_))

    _put(_Rebuild, "_pages", swap_first)


def _primary_listing() -> None:
    """Whatever a rebuild is asked to read, it reads the lake's primary."""
    from shared.clients import Services

    _put(Services, "source", lambda self, name: self.primary)


def _no_embedding_store() -> None:
    from shared.embeddings.store import EmbeddingStore, StoredSummary

    async def nothing(self: EmbeddingStore, name: str) -> None:
        return None

    async def none_listed(self: EmbeddingStore) -> AsyncIterator[StoredSummary]:
        nobody: tuple[StoredSummary, ...] = ()
        for summary in nobody:
            yield summary

    for method in ("pointer", "record", "adopt"):
        _put(EmbeddingStore, method, nothing)
    _put(EmbeddingStore, "summaries", none_listed)


def _delete_first() -> None:
    """The document's chunks are deleted before its new version is read, as scripts of the kind do."""
    from shared.sync import Indexer

    prepare_ = Indexer.prepare

    async def emptied_first(
        self: Indexer, document: Any, key: str, have: Any, index: Any, known: Any, pointer: Any = None
    ) -> Any:
        if have and any(chunk.etag != document.etag for chunk in have):
            await index.delete(chunk.id for chunk in have)
            have = ()
        return await prepare_(self, document, key, have, index, known, pointer)

    _put(Indexer, "prepare", emptied_first)


def _garbled_digits() -> None:
    """Texts are read with their digits shifted, under a pipeline id of their own: the index is true to that reading."""
    from shared import clients
    from shared.documents import PIPELINE_PARTS
    from shared.documents.extraction import Extraction

    extract = Extraction.extract
    shifted = str.maketrans("0123456789", "1234567890")

    async def garbled(self: Extraction, path: str, content: bytes, recognised: Any = (), live: bool = True) -> Any:
        found = await extract(self, path, content, recognised, live)
        return replace(found, chunks=tuple(replace(one, text=one.text.translate(shifted)) for one in found.chunks))

    _put(Extraction, "extract", garbled)
    _put(clients, "PIPELINE_PARTS", {**PIPELINE_PARTS, "extractor": "garbled"})


def _forgets_chunks() -> None:
    """The last chunk of every document is not written, and nobody is told."""
    from shared.index.chunks import Chunks

    upload = Chunks.upload

    async def forgetful(self: Chunks, chunks: Any, vectors: Any) -> float:
        kept = [place for place, chunk in enumerate(chunks) if chunk.ordinal < chunk.chunk_count - 1]
        return await upload(self, [chunks[place] for place in kept], vectors[kept])

    _put(Chunks, "upload", forgetful)


def _put(owner: object, name: str, value: object) -> None:
    """Replace what the app has under a name.

    Raises AttributeError where it has no such thing any more, TypeError where what it has takes other arguments.
    """
    before = getattr(owner, name)
    if inspect.isfunction(before) and inspect.isfunction(value):
        asked, taken = (len(inspect.signature(one).parameters) for one in (before, value))
        if asked != taken:
            raise TypeError(f"{name} takes {asked} arguments, its replacement {taken}")
    setattr(owner, name, value)


RELEASES: Mapping[str, Release] = {
    "health-always-200": Release(
        "health is always 200", "no region is healthy before it is verified", _health_always_200
    ),
    "swap-before-verify": Release(
        "the alias moves before the index is verified", "nothing answers before it is verified", _swap_before_verify
    ),
    "primary-listing": Release(
        "a rebuild lists the lake's primary, whatever it is asked to read",
        "the lost primary is not asked",
        _primary_listing,
    ),
    "no-embedding-store": Release(
        "stored chunks and vectors are not used", "nothing is embedded again", _no_embedding_store
    ),
    "delete-first": Release(
        "old chunks are deleted before the new ones are there", "no document is missing while it changes", _delete_first
    ),
    "garbled-digits": Release("digits are read wrong", "no false answer", _garbled_digits),
    "forgets-chunks": Release(
        "the last chunk of every document is lost", "the scenario runs to its end", _forgets_chunks
    ),
}
