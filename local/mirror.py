"""Keep the lake's container true to a folder: what a person edits, adds or deletes there reaches the lake within a
second.

Dot-folders and dot-files are not documents; of them only the rules of who may see what are mirrored. Earlier versions
of a document may lie in `.versions/<its path>/<1, 2, ...>.<ext>`; they are uploaded, in order, before it is uploaded
for the first time.
"""

import hashlib
import json
import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import ContentSettings
from azure.storage.blob.aio import ContainerClient

from shared.access import RULES
from shared.lake.model import is_document

VERSIONS = ".versions"
SAVE_EVERY = 25  # changes between two saves of what is known


@dataclass(frozen=True, slots=True)
class Changes:
    """What one pass did: paths uploaded and deleted."""

    uploaded: tuple[str, ...]
    deleted: tuple[str, ...]


class Mirror:
    """One folder and one container. What was uploaded is remembered in a file, so that a restart uploads nothing twice.

    Blobs that did not come from the folder are never touched.
    """

    def __init__(self, folder: Path, container: ContainerClient, memory: Path) -> None:
        self._folder = folder
        self._container = container
        self._memory = memory
        self._known: dict[str, list[int | str]] = json.loads(memory.read_text()) if memory.exists() else {}

    @property
    def documents(self) -> int:
        """Number of documents in the lake that came from the folder."""
        return sum(is_document(path) for path in self._known)

    async def sync(self) -> Changes:
        """Bring the container up to date with the folder."""
        present = dict(self._files())
        uploaded: list[str] = []
        for path, file in present.items():
            if await self._upload(path, file):
                uploaded.append(path)
                if len(uploaded) % SAVE_EVERY == 0:
                    self._save()
        gone = sorted(set(self._known) - set(present))
        for path in gone:
            try:
                await self._container.delete_blob(path)
            except ResourceNotFoundError:
                self._known.pop(path)  # somebody deleted it in the lake already
                continue
            self._known.pop(path)
        if uploaded or gone:
            self._save()
        return Changes(tuple(uploaded), tuple(gone))

    def _files(self) -> Iterator[tuple[str, Path]]:
        for file in sorted(self._folder.rglob("*")):
            path = file.relative_to(self._folder).as_posix()
            if (is_document(path) or path == RULES) and file.is_file():
                yield path, file

    async def _upload(self, path: str, file: Path) -> bool:
        stat = file.stat()  # noqa: ASYNC240  # local files, small, one at a time: nothing else waits on this loop
        known = self._known.get(path)
        if known and known[:2] == [stat.st_mtime_ns, stat.st_size]:
            return False
        content = file.read_bytes()  # noqa: ASYNC240
        digest = hashlib.sha256(content).hexdigest()
        if known is None:
            for earlier in self._earlier(path):
                await self._put(path, earlier.read_bytes())
        changed = known is None or known[2] != digest
        if changed:
            await self._put(path, content)
        self._known[path] = [stat.st_mtime_ns, stat.st_size, digest]
        return changed

    def _earlier(self, path: str) -> list[Path]:
        folder = self._folder / VERSIONS / path
        return sorted(folder.iterdir(), key=lambda file: int(file.stem)) if folder.is_dir() else []

    async def _put(self, path: str, content: bytes) -> None:
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        await self._container.upload_blob(
            path, content, overwrite=True, content_settings=ContentSettings(content_type=kind)
        )

    def _save(self) -> None:
        partial = self._memory.with_suffix(".partial")
        partial.write_text(json.dumps(self._known))
        partial.replace(self._memory)
