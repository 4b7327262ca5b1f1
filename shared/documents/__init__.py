"""Documents: bytes to structured text to chunks. Knows nothing of lake, embeddings or index."""

import hashlib
from collections.abc import Mapping

from shared.documents.chunking import chunk_document
from shared.documents.model import Block, Chunk, ChunkLimits, Document, Embeddable, title_from_path
from shared.documents.readers import choose
from shared.documents.tokens import ENCODING, count_tokens
from shared.errors import UnreadableDocument

__all__ = [
    "PIPELINE_PARTS",
    "Block",
    "Chunk",
    "ChunkLimits",
    "Document",
    "Embeddable",
    "chunk_document",
    "chunk_sha256",
    "count_tokens",
    "embedding_input",
    "read_document",
    "title_from_path",
]

# Part of the pipeline id. Raise a number whenever the same bytes may give another text or other chunks, which includes
# a new version of an extraction library.
PIPELINE_PARTS: Mapping[str, str] = {"extractor": "2", "chunker": "2", "tokenizer": ENCODING}


def read_document(path: str, content: bytes) -> Document:
    """Return the document in `content`; `path` gives the extension and, failing all else, the title.

    Raises UnreadableDocument, with the true reason, for anything that cannot become text; nothing else is raised,
    whatever the bytes are.
    """
    if not content.strip():
        raise UnreadableDocument("empty", "the document has no content")
    try:
        document = choose(path, content)(path, content)
    except UnreadableDocument:
        raise
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # a panic in a native library is no Exception
        reason = "encrypted" if "encrypted" in str(error).lower() else "corrupt"
        raise UnreadableDocument(reason, f"{type(error).__name__}: {error}") from error
    if not document.blocks:
        raise UnreadableDocument("empty", "the document has no text")
    return document


def embedding_input(chunk: Embeddable) -> str:
    """Return the text that is embedded for a chunk: its breadcrumb, then its text."""
    return f"{chunk.heading}\n{chunk.text}" if chunk.heading else chunk.text


def chunk_sha256(chunk: Embeddable) -> str:
    """Return the hash of what is embedded and searched: equal for equal breadcrumb and text."""
    return hashlib.sha256(f"{chunk.heading}\0{chunk.text}".encode()).hexdigest()
