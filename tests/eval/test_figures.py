"""The evaluation's own arithmetic: questions, overlap, what moved, and the data that is committed."""

import json
from pathlib import Path

import pytest

from eval.__main__ import BASELINE, HERE, MARKS, missed
from eval.answers import overlap, unanswerable
from eval.compare import Move, flat, moves
from eval.corpus import load_questions
from eval.retrieval import places_of
from eval.support import KINDS, fit, judged, read_items
from shared.chat.passages import Passage
from shared.chat.support import Evidence
from tests.shared.chunks import chunk


def test_a_truth_names_its_places(tmp_path: Path) -> None:
    """Documents and pages are taken out of the truth, which stays as words; a page may be left out."""
    file = tmp_path / "questions.jsonl"
    lines = [
        {"question": "Q1", "truth": "It is 5. [a b.pdf#page=7][c.pdf#page=12]"},
        {"question": "Q2", "truth": "It is 6. [d.md]"},
    ]
    file.write_text("\n".join(json.dumps(line) for line in lines) + "\n\n")
    first, second = load_questions(file)
    assert (first.truth, first.places) == ("It is 5.", (("a b.pdf", 7), ("c.pdf", 12)))
    assert (second.truth, second.places) == ("It is 6.", (("d.md", 0),))


@pytest.mark.parametrize(
    ("answer", "truth", "share"),
    [
        ("The limit is 165 EUR. [1]", "165 EUR", 1.0),
        ("The limit is 210 EUR. [165]", "165 EUR", 0.5),
        ("", "165 EUR", 0.0),
        ("EUR", "EUR EUR", 0.5),
    ],
)
def test_overlap_is_the_share_of_the_truth(answer: str, truth: str, share: float) -> None:
    """Words of the truth count once each time they are there; markers are no words."""
    assert overlap(answer, truth) == share


def test_places_are_those_of_all_chunks() -> None:
    """Every chunk of a passage, joined ones and merged ones included, is a place that was found."""
    one, two, other = chunk(page=3), chunk(id="k2", page=4), chunk(id="k3", path="b.md")
    assert places_of([Passage(1, one, 1.0, (one, two), (other,))]) == [("a.md", 3), ("a.md", 4), ("b.md", 0)]


def test_what_moved_is_named_with_its_direction() -> None:
    """Small differences are none; a share of wrong passes is worse when it rises; what is gone is worse."""
    before = {"a": {"recall": 0.9, "passed_swapped": 0.1, "gone": 1, "pairs": 5}, "not_measured": {"x": 1}}
    now = {"a": {"recall": 0.8, "passed_swapped": 0.2, "new": 1, "pairs": 9}}
    found = {move.name: move.worse for move in moves(before, now)}
    assert found == {"a.recall": True, "a.passed_swapped": True, "a.gone": True, "a.new": False}
    assert moves({"a": {"recall": 0.9}}, {"a": {"recall": 0.902}}) == []
    assert not Move("a.recall", 0.8, 0.9).worse


def test_missed_marks_are_named() -> None:
    """A figure below its mark, and a hybrid below one of its legs, fail the evaluation."""
    found = {
        "northwind": {"retrieval": {"document_recall_at_5": 0.9}},
        "scifact": {"hybrid": 0.6, "text": 0.7, "vectors": 0.5},
    }
    assert [fault.split()[0] for fault in missed(found)] == ["northwind.retrieval.document_recall_at_5", "scifact"]
    assert missed({"northwind": {"retrieval": {"document_recall_at_5": 0.95}}}) == []


def test_the_baseline_reaches_every_mark() -> None:
    """What is committed as the baseline is what the project promises."""
    baseline = json.loads(BASELINE.read_text(encoding="utf-8"))
    assert missed(baseline) == []
    assert set(MARKS) <= {name for part in baseline for name, _ in flat(baseline[part], part)}
    assert baseline["support"]["all"]["pairs"] >= 200


def test_pairs_are_enough_and_differ() -> None:
    """At least 200 labelled pairs; a contradicting sentence is never the supported one."""
    items = read_items(HERE / "support_pairs.jsonl")
    assert len(items) * len(KINDS) >= 200
    assert all(item["supported"] != item["contradicted"] for item in items)
    assert len({item["supported"] for item in items}) == len(items)


def test_unanswerable_questions_are_enough() -> None:
    """Each lake has questions that it does not answer."""
    for corpus in ("northwind", "sample"):
        questions = unanswerable(HERE / "unanswerable.jsonl", corpus)
        assert len(set(questions)) >= 30


class FakePair:
    """A pair with features of its own."""

    def __init__(self, kind: str, coverage: float, cosine: float) -> None:
        self.kind, self.fold, self.cosine = kind, 0, cosine
        self.found = Evidence("", coverage, 0, 0, denied=False, opposed=False)

    @property
    def probability(self) -> float:
        return self.found.probability(self.cosine)

    def features(self) -> list[float]:
        return [1.0, self.found.coverage, self.cosine, 0, 0, 0, 0]


def test_judging_counts_by_kind() -> None:
    """Precision is over what passed, recall over what is supported; each kind's share is told."""
    pairs = [FakePair("supported", 1.0, 0.9), FakePair("supported", 0.1, 0.1), FakePair("contradicted", 1.0, 0.9)]
    found = judged([*pairs, FakePair("swapped", 0.1, 0.1)])  # type: ignore[list-item]
    assert (found["pairs"], found["precision"], found["recall"]) == (4, 0.5, 0.5)
    assert (found["precision_against_swapped"], found["passed_contradicted"], found["passed_swapped"]) == (
        1.0,
        1.0,
        0.0,
    )


def test_a_fit_finds_what_tells_pairs_apart() -> None:
    """Weights rise for what supported pairs have, and stay at nothing for what says nothing."""
    pairs = [FakePair("supported", 0.9, 0.5), FakePair("swapped", 0.2, 0.5)] * 20
    weights = fit(pairs)  # type: ignore[arg-type]
    assert weights[1] > 1
    assert list(weights[3:]) == [0, 0, 0, 0]
