"""The documents of a drill: every chunk tells of which document and edition it is."""

import pytest

from local.drill.corpus import Depot, codes_in, depots, editions_in
from shared.documents import ChunkLimits, chunk_document, count_tokens, read_document

MADE = depots(seed=3, count=200)


def chunks(text: str, path: str) -> list[str]:
    document = read_document(path, text.encode())
    return [chunk.text for chunk in chunk_document(document, ChunkLimits(150, 400), count_tokens)]


def test_same_seed_gives_the_same_documents() -> None:
    """A drill can be repeated; another seed gives others."""
    assert depots(3, 200) == MADE
    assert depots(4, 200)[0].text(1) != MADE[0].text(1)


def test_every_document_has_names_and_codes_of_its_own() -> None:
    """No two documents share a name or a path, and no two editions of all documents share a code."""
    assert len({depot.name for depot in MADE}) == len({depot.path.lower() for depot in MADE}) == 200
    assert len({depot.code(edition) for depot in MADE for edition in range(1, 6)}) == 1_000


def test_more_documents_than_codes_are_refused() -> None:
    """Ten thousand numbers are what a code can hold."""
    with pytest.raises(ValueError, match="10,000"):
        depots(1, 10_001)


@pytest.mark.parametrize("depot", MADE[:8], ids=lambda depot: depot.path)
def test_a_chunk_tells_document_and_edition(depot: Depot) -> None:
    """Three chunks: two name the edition, the third is the same in all editions; the code is in exactly one."""
    before, after = (chunks(depot.text(edition), depot.path) for edition in (4, 5))
    assert len(before) == len(after) == 3
    assert [editions_in(text) for text in after] == [{(depot.name, 5)}, {(depot.name, 5)}, set()]
    assert [codes_in(text) for text in after] == [{(depot.number, 5, depot.code(5))}, set(), set()]
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, False, True]
