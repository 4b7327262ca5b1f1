"""Identities: of a document, of a chunk, of a pipeline. Pure."""

import hashlib
from collections.abc import Mapping


def document_id(container: str, path: str) -> str:
    """Return the id of the document at `path`: 128 bits of SHA-256 as 32 hex digits.

    A digest, not a sanitised path: `a b.pdf` and `a-b.pdf` stay two documents, and any path gives a legal search key.
    """
    return hashlib.sha256(f"{container}\0{path}".encode()).hexdigest()[:32]


def chunk_key(document: str, content_hash: str, occurrence: int) -> str:
    """Return the search key of a chunk: an unchanged chunk keeps it across versions of its document.

    `occurrence` counts equal chunks within one document from 0, so that repeated text keeps distinct keys.
    """
    return f"{document}-{content_hash[:24]}-{occurrence}"


def pipeline_id(parts: Mapping[str, object]) -> str:
    """Return 12 hex digits over everything that changes what a document becomes (order of `parts` does not matter)."""
    text = "\n".join(f"{name}={parts[name]}" for name in sorted(parts))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
