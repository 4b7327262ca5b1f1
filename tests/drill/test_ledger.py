"""The ledger: which editions may answer, and what a lake that was lost had had."""

from datetime import UTC, datetime

from local.drill.corpus import depots
from local.drill.ledger import ABSENT, Ledger, Write, stamp

DEPOT, OTHER, *_ = depots(1, 4)


def at(second: float) -> str:
    return stamp(datetime.fromtimestamp(second, UTC))


def ledger(*writes: tuple[int, float]) -> Ledger:
    """Return a ledger with acknowledged writes of one document: (edition, when)."""
    made = Ledger()
    for edition, moment in writes:
        write = made.begin(Write(DEPOT, edition, moment))
        made.acknowledge(write, moment + 0.2, at(moment + 0.1) if edition else "")
    return made


def test_before_anything_was_seen_every_edition_may_answer() -> None:
    """Nobody can know yet how far the index is; the document may even not be there."""
    assert ledger((1, 100), (2, 200)).may_answer("one", DEPOT.path, 300) == {ABSENT, 1, 2}


def test_nothing_older_than_what_was_seen_may_answer() -> None:
    """What was seen when the question was asked counts, in its own region, not what was seen later."""
    made = ledger((1, 100), (2, 200), (3, 300))
    made.saw("one", DEPOT.path, 2, 250)
    made.saw("one", DEPOT.path, 3, 350)
    assert made.may_answer("one", DEPOT.path, 260) == {2, 3}
    assert made.may_answer("one", DEPOT.path, 360) == {3}
    assert made.may_answer("two", DEPOT.path, 360) == {ABSENT, 1, 2, 3}


def test_seen_editions_only_go_on() -> None:
    """An older edition that is seen late does not make it allowed again."""
    made = ledger((1, 100), (2, 200))
    made.saw("one", DEPOT.path, 2, 250)
    made.saw("one", DEPOT.path, 1, 260)
    assert made.may_answer("one", DEPOT.path, 300) == {2}


def test_deleted_document_may_be_absent_and_then_must_be() -> None:
    """Once its absence was seen, no edition may answer any more."""
    made = ledger((1, 100), (ABSENT, 200))
    made.saw("one", DEPOT.path, 1, 150)
    assert made.may_answer("one", DEPOT.path, 210) == {1, ABSENT}
    made.saw("one", DEPOT.path, ABSENT, 220)
    assert made.may_answer("one", DEPOT.path, 230) == {ABSENT}


def test_cut_has_the_newest_version_of_its_moment() -> None:
    """What was written later is lost, and named; a document that is newer than the cut is not there."""
    made = ledger((1, 100), (2, 200), (3, 300))
    late = made.begin(Write(OTHER, 1, 290))
    made.acknowledge(late, 291, at(290))
    cut = made.cut(datetime.fromtimestamp(250, UTC), 250.7)
    assert cut.documents == {DEPOT.path: 2}
    assert cut.may_have(DEPOT.path) == {2}
    assert cut.may_have(OTHER.path) == {ABSENT}
    assert [(write.path, write.edition) for write in cut.lost] == [(OTHER.path, 1), (DEPOT.path, 3)]


def test_version_of_the_very_moment_is_in_the_cut() -> None:
    """At or before Last Sync Time: nothing of that may be missing."""
    made = ledger((1, 100), (2, 249.9))
    assert made.cut(datetime.fromtimestamp(250, UTC), 250.0).documents == {DEPOT.path: 2}


def test_deletion_counts_once_it_has_arrived() -> None:
    """A deletion that has arrived is in the cut, one under way may be, a later one is lost."""
    moment = datetime.fromtimestamp(250, UTC)
    assert ledger((1, 100), (ABSENT, 249)).cut(moment, 250.5).may_have(DEPOT.path) == {ABSENT}
    assert ledger((1, 100), (ABSENT, 250.4)).cut(moment, 250.5).may_have(DEPOT.path) == {1, ABSENT}
    late = ledger((1, 100), (ABSENT, 260)).cut(moment, 250.5)
    assert late.may_have(DEPOT.path) == {1}
    assert [write.edition for write in late.lost] == [ABSENT]


def test_write_under_way_is_neither_there_nor_lost() -> None:
    """Nobody was told that it had been written."""
    made = ledger((1, 100))
    made.begin(Write(DEPOT, 2, 240))
    cut = made.cut(datetime.fromtimestamp(250, UTC), 250.0)
    assert (cut.documents, cut.lost) == ({DEPOT.path: 1}, ())


def test_refused_write_never_was() -> None:
    """The next edition takes its number, and the document is as before."""
    made = ledger((1, 100))
    made.drop(made.begin(Write(DEPOT, 2, 200)))
    assert made.next_edition(DEPOT.path) == 2
    assert made.current()[DEPOT.path].edition == 1
