"""What the scripted API says in the browser tests: citations, deltas and whole answers."""

from typing import Any

from tests.web.server import Step

INDEX = {"generation": "lake-20261123091500", "region": "north"}
STATUS: dict[str, Any] = {
    "region": "north",
    "ready": True,
    "generation": "lake-20261123091500",
    "documents": 14,
    "chunks": 132,
    "newest": {"path": "policies/travel-and-expenses.md", "last_modified": "2026-09-01T07:12:00Z"},
    "model": "extractive-minilm",
    "index_lag_seconds": 2.1,
    "last_change": {"path": "policies/travel-and-expenses.md", "seconds": 2.1, "at": "2026-09-01T07:12:02Z"},
    "rebuild": None,
}


def citation(n: int, **fields: Any) -> dict[str, Any]:
    """Return a citation numbered `n`; `fields` replace parts of it."""
    return {
        "n": n,
        "document_id": "d41d8cd98f00b204e9800998ecf8427e",
        "path": "policies/travel-and-expenses.md",
        "title": "Travel and expenses policy",
        "heading": "Hotels",
        "page": None,
        "version_id": "2026-09-01T07:12:00.0000000Z",
        "last_modified": "2026-09-01T07:12:00Z",
        "snippet": "The limit for a hotel night is 165 EUR, breakfast included.",
        "url": "/api/documents/d41d8cd98f00b204e9800998ecf8427e/versions/2026-09-01T07:12:00.0000000Z",
    } | fields


def opening(*citations: dict[str, Any], query: str = "") -> dict[str, Any]:
    """Return the first line of a stream: the passages that were found."""
    context = {"citations": list(citations), "index": INDEX, "query": query}
    return {"delta": {"role": "assistant"}, "context": context}


def delta(content: str) -> dict[str, Any]:
    """Return a line with the next piece of the answer."""
    return {"delta": {"content": content}}


def closing(*citations: dict[str, Any]) -> dict[str, Any]:
    """Return the last line: the citations that were used."""
    context = {"citations": list(citations), "index": INDEX, "model": "extractive-minilm", "timings": {"total_ms": 12}}
    return {"delta": {"content": ""}, "context": context, "done": True}


def answer(text: str, *citations: dict[str, Any]) -> list[Step]:
    """Return the script of an answer that arrives in one piece."""
    return [opening(*citations), delta(text), closing(*citations)]
