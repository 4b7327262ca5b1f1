"""Identities: collision-free, stable, legal as search keys."""

import re

from hypothesis import given
from hypothesis import strategies as st

from shared.ids import chunk_key, document_id, pipeline_id

KEY = re.compile(r"[A-Za-z0-9_\-=]{1,1024}")  # what Azure AI Search allows in a document key
DOCUMENT = "cb81a0f3d0e74d56e97e1a473587644b"
PIPELINE = "9e61798ea3c5"

paths = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=1024)
containers = st.from_regex(r"[a-z0-9][a-z0-9-]{2,20}", fullmatch=True)
digests = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)


@given(containers, paths, digests, st.integers(0, 100_000))
def test_any_path_gives_a_legal_key(container: str, path: str, digest: str, occurrence: int) -> None:
    """Keys of any path's chunks hold only what the search service allows, and do not begin with an underscore."""
    key = chunk_key(document_id(container, path), digest, occurrence)
    assert KEY.fullmatch(key)
    assert not key.startswith("_")


@given(st.lists(st.tuples(containers, paths), unique=True, min_size=2, max_size=20))
def test_different_documents_have_different_ids(documents: list[tuple[str, str]]) -> None:
    """No two documents share an id, whatever their containers and paths are."""
    assert len({document_id(*document) for document in documents}) == len(documents)


def test_names_that_sanitising_would_merge_stay_apart() -> None:
    """Paths that differ in one odd character, in case or in the split between container and path are different."""
    paths = ["a b.pdf", "a-b.pdf", "a_b.pdf", "a/b.pdf", "A b.pdf", "a%20b.pdf", "a\u00a0b.pdf", "ä", "a\u0308"]
    assert len({document_id("documents", path) for path in paths}) == len(paths)
    assert document_id("ab", "c") != document_id("a", "bc")


@given(digests, digests, st.integers(0, 99), st.integers(0, 99))
def test_chunk_keys_tell_content_and_occurrence_apart(one: str, other: str, first: int, second: int) -> None:
    """Keys within a document are equal only for the same content at the same occurrence."""
    same = chunk_key("d" * 32, one, first) == chunk_key("d" * 32, other, second)
    assert same == ((one[:24], first) == (other[:24], second))


def test_ids_never_change() -> None:
    """Ids are part of what is stored: these were written down once."""
    assert document_id("documents", "a/b.md") == DOCUMENT
    assert chunk_key(DOCUMENT, "ab" * 32, 3) == f"{DOCUMENT}-abababababababababababab-3"
    assert pipeline_id({"b": 2, "a": "x"}) == PIPELINE


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.integers(), min_size=1, max_size=6))
def test_pipeline_id_covers_every_part(parts: dict[str, int]) -> None:
    """The order of parts does not matter; the value and the name of each does."""
    made = pipeline_id(parts)
    assert re.fullmatch(r"[0-9a-f]{12}", made)
    assert pipeline_id(dict(reversed(parts.items()))) == made
    for name in parts:
        assert pipeline_id({**parts, name: parts[name] + 1}) != made
        assert pipeline_id({other: value for other, value in parts.items() if other != name}) != made
