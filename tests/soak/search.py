"""In-memory models of a search index and of the embedding model, as far as the app uses their SDKs."""

import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, BinaryIO

import numpy as np

from shared.index.schema import VECTOR
from tests.soak.process import Process

DIMENSIONS = 4
_CLAUSE = re.compile(r"(\w+) (eq|ne|gt|ge|lt) (?:'([^']*)'|(\d+))")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda have, want: have == want,
    "ne": lambda have, want: have != want,
    "gt": lambda have, want: have > want,
    "ge": lambda have, want: have >= want,
    "lt": lambda have, want: have < want,
}

Document = dict[str, Any]


@dataclass(slots=True)
class IndexStore:
    """What the service keeps of one index.

    `written` and `deleted` are called with a document after it was written or deleted. The actions with a number in
    `refused` are refused with 503 though their batch is accepted.
    """

    documents: dict[str, Document] = field(default_factory=dict)
    written: Callable[[Document], None] = lambda document: None
    deleted: Callable[[Document], None] = lambda document: None
    refused: set[int] = field(default_factory=set)
    actions: int = 0

    def apply(self, action: Document) -> tuple[int, str]:
        """Apply one action; returns its status and error message."""
        key = action["id"]
        kind = action["@search.action"]
        self.actions += 1
        if self.actions in self.refused:
            return 503, "busy"
        values = {name: value for name, value in action.items() if name != "@search.action"}
        if kind == "merge" and key not in self.documents:
            return 404, "Document not found."
        if kind == "delete":
            before = self.documents.pop(key, None)
            if before is not None:
                self.deleted(before)
        else:
            self.documents[key] = values if kind == "upload" else {**self.documents[key], **values}
            self.written(self.documents[key])
        return 201 if kind == "upload" else 200, ""


class Search:
    """The SDK's search client, for one process."""

    def __init__(self, store: IndexStore, process: Process) -> None:
        self._store = store
        self._process = process

    async def index_documents(self, batch: BinaryIO, **options: Any) -> list[Any]:
        """Apply a batch; every action has its own status."""
        actions = json.loads(batch.read())["value"]
        for action in actions:
            if VECTOR in action:  # the service keeps single precision, whatever digits it was sent
                action[VECTOR] = np.array(action[VECTOR], dtype=np.float32).tolist()

        def effect() -> list[Any]:
            results = [(action["id"], *self._store.apply(action)) for action in actions]
            return [
                SimpleNamespace(key=key, succeeded=status < 300, status_code=status, error_message=message)
                for key, status, message in results
            ]

        return await self._process.call(effect)

    async def search(
        self,
        search_text: str = "*",
        filter: str | None = None,
        order_by: Sequence[str] = (),
        select: Sequence[str] = (),
        top: int = 50,
    ) -> "Found":
        """Return the documents that match a filter of plain comparisons, ordered by one field."""
        clauses = _CLAUSE.findall(filter or "")
        if " and ".join(_text(clause) for clause in clauses) != (filter or ""):
            raise ValueError(f"the model does not know the filter {filter!r}")

        def effect() -> list[Document]:
            found = [document for document in self._store.documents.values() if _matches(document, clauses)]
            (field_, *_) = (order_by or ["id asc"])[0].split()
            found.sort(key=lambda document: document[field_])
            return [{name: document[name] for name in select} for document in found[:top]]

        return Found(await self._process.call(effect))


def _text(clause: tuple[str, str, str, str]) -> str:
    name, operator, text, number = clause
    return f"{name} {operator} {number}" if number else f"{name} {operator} '{text}'"


def _matches(document: Document, clauses: list[tuple[str, str, str, str]]) -> bool:
    return all(
        _COMPARE[operator](document[name], int(number) if number else text) for name, operator, text, number in clauses
    )


@dataclass(slots=True)
class Found:
    """The results of a search; `total` is their number where it was asked for."""

    results: list[Document]
    total: int | None = None

    async def get_count(self) -> int | None:
        """Return the number of all results."""
        return self.total

    async def all(self) -> list[Document]:
        """Return all results."""
        return self.results

    async def __aiter__(self) -> AsyncIterator[Document]:
        for document in self.results:
            yield document


class Model:
    """The SDK's client of the embedding model: equal texts have equal vectors, others have others."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.texts = 0

    def with_options(self, **options: Any) -> "Model":
        """Return a client with other options; none of them matters here."""
        return self

    @property
    def embeddings(self) -> "Model":
        """The embeddings API."""
        return self

    async def create(self, model: str, input: list[str]) -> Any:
        """Embed texts."""
        self.texts += len(input)
        return await self._process.call(
            lambda: SimpleNamespace(
                data=[SimpleNamespace(index=n, embedding=vector(text)) for n, text in enumerate(input)],
                usage=SimpleNamespace(prompt_tokens=len(input)),
            )
        )


def vector(text: str) -> list[float]:
    """Return the model's vector of a text."""
    digest = hashlib.sha256(text.encode()).digest()
    return [digest[n] / 256 + 0.5 for n in range(DIMENSIONS)]
