"""The judge: right answers pass, and every way of being wrong has a verdict of its own."""

from typing import Any

import pytest

from local.drill.corpus import Depot, depots
from local.drill.judge import Judgement, Verdict, judge, look
from local.drill.ledger import ABSENT, Ledger, Write

DEPOT, OTHER, *_ = depots(1, 6)


def made() -> Ledger:
    """Return a ledger with two editions of each of two documents, as versions `v1` and `v2`."""
    found = Ledger()
    for depot in (DEPOT, OTHER):
        for edition in (1, 2):
            found.acknowledge(found.begin(Write(depot, edition, edition)), edition, f"v{edition}")
    return found


def passage(depot: Depot, edition: int, text: str | None = None, version: str = "") -> dict[str, Any]:
    return {
        "path": depot.path,
        "version_id": version or f"v{edition}",
        "passage": depot.text(edition) if text is None else text,
    }


def verdict(answer: str, *passages: dict[str, Any], allowed: frozenset[int] = frozenset({2})) -> Judgement:
    reply = {"message": {"content": answer}, "context": {"debug": {"passages": list(passages)}}}
    return judge(DEPOT, reply, made(), lambda path: allowed)


def test_right_answer() -> None:
    """The document's own code, at an edition that may answer, from that edition's passage."""
    found = verdict(f"It is {DEPOT.code(2)} [1].", passage(DEPOT, 2), passage(OTHER, 2))
    assert (found.verdict, found.edition) == (Verdict.RIGHT, 2)


def test_answer_from_an_edition_that_may_not() -> None:
    """An answer from before the cut's version, or after it, is wrong, and the reason names both."""
    found = verdict(f"It is {DEPOT.code(1)}.", passage(DEPOT, 1))
    assert found.verdict is Verdict.WRONG
    assert "edition 1, editions 2 may" in found.why


def test_code_that_nobody_has_written() -> None:
    """A code with the right numbers and other letters is made up."""
    code = DEPOT.code(2)
    assert verdict(f"It is {code[:-1]}{'A' if code[-1] != 'A' else 'B'}.", passage(DEPOT, 2)).verdict is Verdict.WRONG


def test_two_editions_in_one_answer() -> None:
    """Half of the one and half of the other is worse than either."""
    both = f"It is {DEPOT.code(1)} or {DEPOT.code(2)}."
    assert verdict(both, passage(DEPOT, 2), allowed=frozenset({1, 2})).verdict is Verdict.MIXED


def test_two_versions_among_the_passages() -> None:
    """Readers never see two versions together, whatever the answer makes of them."""
    found = verdict(f"It is {DEPOT.code(2)}.", passage(DEPOT, 2), passage(OTHER, 1), passage(OTHER, 2))
    assert (found.verdict, OTHER.path in found.why) == (Verdict.MIXED, True)


def test_text_of_another_edition_under_a_version() -> None:
    """A chunk whose text is not its version's own is recognised."""
    found = verdict(f"It is {DEPOT.code(2)}.", passage(DEPOT, 1, version="v2"))
    assert found.verdict is Verdict.MIXED


def test_version_that_was_never_written() -> None:
    """A version id that no write has left belongs to nothing."""
    assert verdict(f"It is {DEPOT.code(2)}.", passage(DEPOT, 2, version="v9")).verdict is Verdict.WRONG


def test_version_whose_acknowledgement_is_under_way() -> None:
    """The index may be faster than the lake's answer to the writer."""
    ledger = made()
    ledger.begin(Write(DEPOT, 3, 3))
    reply = {
        "message": {"content": f"It is {DEPOT.code(3)}."},
        "context": {"debug": {"passages": [passage(DEPOT, 3, version="new")]}},
    }
    assert judge(DEPOT, reply, ledger, lambda path: frozenset({2, 3})).verdict is Verdict.RIGHT


@pytest.mark.parametrize(
    ("allowed", "expected"), [({2}, Verdict.MISSING), ({2, ABSENT}, Verdict.RIGHT), ({ABSENT}, Verdict.RIGHT)]
)
def test_no_answer(allowed: set[int], expected: Verdict) -> None:
    """Nothing found is right where the document may be absent, and a missing document where it may not."""
    found = verdict("Nothing in these documents answers that.", passage(OTHER, 2), allowed=frozenset(allowed | {2}))
    missing = verdict("Nothing in these documents answers that.", allowed=frozenset(allowed))
    assert missing.verdict is expected
    assert found.verdict in (Verdict.RIGHT, Verdict.MISSING)


def chunk(edition: int, ordinal: int) -> dict[str, Any]:
    return {"version_id": f"v{edition}", "ordinal": ordinal, "chunk_count": 3}


def test_look_tells_whole_from_torn() -> None:
    """Whole and alone is settled; beside leftovers it is whole; with a chunk lacking it is neither."""
    whole = [chunk(2, 0), chunk(2, 1), chunk(2, 2)]
    assert look(whole, made(), DEPOT.path).settled == 2
    beside = look([*whole, chunk(1, 0)], made(), DEPOT.path)
    assert (beside.whole, beside.settled) == (2, None)
    torn = look(whole[:2], made(), DEPOT.path)
    assert (torn.whole, torn.settled) == (None, None)
    assert look([], made(), DEPOT.path).settled == ABSENT
