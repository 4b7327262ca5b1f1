"""The text engine: BM25 against its formula, and what is found after rows changed."""

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from local.search_service import text
from local.search_service.analysis import terms
from local.search_service.query_syntax import Query, parse_query
from local.search_service.schema import parse_index
from local.search_service.text import TextEngine
from local.search_service.vectors import Mask

K1, B = 1.2, 0.75  # the service's BM25
WORDS = ["lake", "index", "region", "blob", "chat", "token", "vector", "query"]
SCHEMA = parse_index(
    {
        "name": "things",
        "fields": [
            {"name": "id", "type": "Edm.String", "key": True, "searchable": False},
            {"name": "title", "type": "Edm.String", "analyzer": "en.lucene"},
            {"name": "body", "type": "Edm.String", "analyzer": "en.lucene"},
            {"name": "labels", "type": "Collection(Edm.String)", "analyzer": "keyword"},
        ],
    }
)


def engine(documents: Sequence[Mapping[str, Any]]) -> TextEngine:
    """An engine with these documents at rows 0, 1, 2, ..."""
    made = TextEngine([field for field in SCHEMA.text_fields if field.name != "id"])
    made.stage([], enumerate(documents))
    made.reveal()
    return made


def asked(query: str) -> Query:
    parsed = parse_query(query)
    assert parsed is not None
    return parsed


def found(
    engine: TextEngine,
    query: str,
    fields: Sequence[str] = ("title", "body", "labels"),
    match_all: bool = False,
    allowed: Mask | None = None,
    most: int = 1_000,
) -> list[tuple[float, int]]:
    return engine.search(asked(query), fields, match_all, allowed, most, {}, False)[0]


def rows(engine: TextEngine, query: str, **options: Any) -> list[int]:
    return sorted(row for _, row in found(engine, query, **options))


def written(seed: int, documents: int, longest: int = 30) -> list[dict[str, Any]]:
    """Documents of random words, short enough that the engine keeps their lengths exactly (below 40)."""
    draw = random.Random(seed)
    return [
        {
            "title": " ".join(draw.choices(WORDS, k=draw.randint(1, 5))),
            "body": " ".join(draw.choices(WORDS, k=draw.randint(1, longest))),
        }
        for _ in range(documents)
    ]


def bm25(documents: Sequence[Mapping[str, Any]], words: Sequence[str], name: str) -> list[float]:
    """BM25 with the idf that is never negative (Lucene's): ln(1 + (N - n + 0.5) / (n + 0.5))."""
    texts = [terms("en.lucene", document[name]) for document in documents]
    average = sum(map(len, texts)) / len(texts)
    scores = [0.0] * len(texts)
    for word in words:
        (term,) = terms("en.lucene", word)
        having = sum(term in words for words in texts)
        idf = math.log(1 + (len(texts) - having + 0.5) / (having + 0.5))
        for row, own in enumerate(texts):
            often = own.count(term)
            scores[row] += idf * often * (K1 + 1) / (often + K1 * (1 - B + B * len(own) / average))
    return scores


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_bm25_summed_over_the_fields(seed: int) -> None:
    """A document's score is the sum of its fields' BM25 scores for the words of the query."""
    documents = written(seed, 40)
    words = random.Random(seed).sample(WORDS, 3)
    parts = [bm25(documents, words, name) for name in ("title", "body")]
    expected = {row: sum(scores) for row, scores in enumerate(zip(*parts, strict=True)) if sum(scores)}
    hits = found(engine(documents), " ".join(words))
    assert {row: score for score, row in hits} == pytest.approx(expected, rel=1e-5)
    assert [score for score, _ in hits] == sorted((score for score, _ in hits), reverse=True)


@pytest.mark.parametrize("few", [0, 4_000])
@pytest.mark.parametrize("count", [False, True])
def test_a_filter_bounds_the_hits_and_leaves_their_scores(
    few: int, count: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a mask, exactly the allowed hits are left, scored as without one, however the mask is applied."""
    monkeypatch.setattr(text, "_FEW", few)
    documents = written(1, 300)
    made = engine(documents)
    everything = found(made, "lake -vector")
    for share in (0.0, 0.02, 0.5, 1.0):
        allowed = np.random.default_rng(3).random(len(documents)) < share
        expected = [hit for hit in everything if allowed[hit[1]]]
        for most in (1, 7, 1_000):
            hits, total = made.search(asked("lake -vector"), ["title", "body"], False, allowed, most, {}, count)
            assert [score for score, _ in hits] == pytest.approx([score for score, _ in expected[:most]])
            assert {row for _, row in hits} <= {row for _, row in expected}
            if count:
                assert total == len(expected)


def test_rows_that_are_gone_or_changed_are_not_found_by_their_old_words() -> None:
    """Removal and replacement reach every row, the first and very large ones included."""
    made = engine([])
    far = 2**40
    made.stage([], [(0, {"body": "alpha"}), (1, {"body": "alpha"}), (far, {"body": "alpha"})])
    made.reveal()
    made.stage([0, far], [(far, {"body": "omega"})])
    assert rows(made, "alpha") == [0, 1, far]  # staged is not yet seen
    made.reveal()
    assert rows(made, "alpha") == [1]
    assert rows(made, "omega") == [far]


def test_syntax_decides_what_matches() -> None:
    """Words, all words, phrases, prefixes, alternatives and exclusions find what they say."""
    made = engine(
        [
            {"body": "the quick brown fox"},
            {"body": "the brown quick dog"},
            {"title": "foxes", "body": "quicker"},
            {"labels": ["Quick Start", "fox"]},
        ]
    )
    assert rows(made, "quick") == [0, 1]
    assert rows(made, "fox") == [0, 2, 3]
    assert rows(made, "quick fox") == [0, 1, 2, 3]
    assert rows(made, "quick fox", match_all=True) == [0]
    words_only = ["title", "body"]
    assert rows(made, "the fox", match_all=True, fields=words_only) == [0, 2]  # a stop word constrains nothing ...
    assert rows(made, "the fox", match_all=True) == []  # ... unless a field keeps it, as in the service
    assert rows(made, '"quick brown"') == [0]
    assert rows(made, "qui*", fields=words_only) == [0, 1, 2]
    assert rows(made, "dog | fox", fields=["body"]) == [0, 1]
    assert rows(made, "quick+-dog") == [0]
    assert rows(made, "quick -dog", match_all=True) == [0]
    assert rows(made, "Quick*", fields=["labels"]) == [3]


def test_field_weights_multiply_that_fields_scores() -> None:
    """A weight counts for its own field, and for no other."""
    made = engine([{"title": "lake"}, {"body": "lake"}, {"body": "index"}])
    plain = {row: score for score, row in found(made, "lake")}
    weighed, _ = made.search(asked("lake"), ["title", "body"], False, None, 10, {"title": 3.0}, False)
    assert {row: score for score, row in weighed} == pytest.approx({0: 3 * plain[0], 1: plain[1]})


def test_a_total_is_of_all_matches_not_of_the_best_ones() -> None:
    """How many match does not depend on how many are asked for."""
    made = engine([{"body": "lake"}] * 7 + [{"body": "index"}])
    hits, total = made.search(asked("lake"), ["body"], False, None, 2, {}, True)
    assert (len(hits), total) == (2, 7)
