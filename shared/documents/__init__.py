"""Documents: bytes to structured text to chunks. Knows nothing of lake, embeddings or index."""

import hashlib
from collections.abc import Mapping, Sequence

from shared.documents.chunking import chunk_document
from shared.documents.limits import ReadLimits
from shared.documents.markdown import Page
from shared.documents.model import Block, Chunk, ChunkLimits, Document, Embeddable, Extracted, title_from_path
from shared.documents.readers import read, reader_suffix
from shared.documents.tokens import ENCODING, count_tokens
from shared.errors import UnreadableDocument

__all__ = [
    "PIPELINE_PARTS",
    "Block",
    "Chunk",
    "ChunkLimits",
    "Document",
    "Embeddable",
    "Extracted",
    "ReadLimits",
    "chunk_document",
    "chunk_sha256",
    "count_tokens",
    "embedding_input",
    "read_document",
    "reader_suffix",
    "title_from_path",
]

# Part of the pipeline id. Raise a number whenever the same bytes may give another text or other chunks, which includes
# a new version of an extraction library.
PIPELINE_PARTS: Mapping[str, str] = {"extractor": "5", "chunker": "3", "tokenizer": ENCODING}

DEFAULT_LIMITS = ReadLimits()


def read_document(
    path: str, content: bytes, limits: ReadLimits = DEFAULT_LIMITS, recognised: Sequence[Page] = ()
) -> Document:
    """Return the document in `content`; `path` gives the extension and, failing all else, the title.

    `recognised` are pages of it that are pictures, read by something else.

    Raises UnreadableDocument, with the true reason, for anything that cannot become text; nothing else is raised,
    whatever the bytes are.
    """
    if not content.strip():
        raise UnreadableDocument("empty", "the document has no content")
    try:
        document = read(path, content, limits, recognised)
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
