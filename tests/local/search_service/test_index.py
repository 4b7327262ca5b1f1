"""The index in memory against a plain model: after any writes, it holds what was written, and so does its reload."""

import random
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from local.search_service.filters import compile_filter
from local.search_service.index import SearchIndex
from local.search_service.request import parse_search
from local.search_service.schema import parse_index
from local.search_service.search import search
from local.search_service.store import Store

DIMENSIONS = 4
WORDS = ("lake", "index", "region", "blob")
GROUPS = ("staff", "board")
FILTER = "not groups/any() or groups/any(g: g eq 'board')"
FIELDS = ("id", "text", "owner", "groups", "vector")
SCHEMA = parse_index(
    {
        "name": "things",
        "fields": [
            {"name": "id", "type": "Edm.String", "key": True, "searchable": False},
            {"name": "text", "type": "Edm.String", "analyzer": "en.lucene"},
            {"name": "owner", "type": "Edm.String", "searchable": False},
            {"name": "groups", "type": "Collection(Edm.String)", "searchable": False},
            {
                "name": "vector",
                "type": "Collection(Edm.Single)",
                "searchable": True,
                "dimensions": DIMENSIONS,
                "vectorSearchProfile": "exact",
            },
        ],
        "vectorSearch": {
            "algorithms": [{"name": "exact", "kind": "exhaustiveKnn"}],
            "profiles": [{"name": "exact", "algorithm": "exact"}],
        },
    }
)

Model = dict[str, dict[str, Any]]


def values(draw: random.Random) -> dict[str, Any]:
    """Random values; the numbers are exact in 32 bits."""
    return {
        "text": " ".join(draw.choices(WORDS, k=3)),
        "owner": draw.choice(["ann", "bob", None]),
        "groups": draw.sample(GROUPS, draw.randint(0, 2)),
        "vector": draw.choice([None, [draw.randint(-4, 4) / 2 for _ in range(DIMENSIONS)]]),
    }


def act(draw: random.Random, model: Model) -> dict[str, Any]:
    """Draw an action, and do in the model what it says."""
    key = str(draw.randrange(40))
    kind = draw.choice(["upload", "upload", "merge", "mergeOrUpload", "delete"])
    given = values(draw)
    if kind != "upload":
        given = {name: given[name] for name in draw.sample(sorted(given), 2)}
    empty: dict[str, Any] = {"text": None, "owner": None, "groups": [], "vector": None}
    if kind == "delete":
        model.pop(key, None)
        return {"@search.action": kind, "id": key}
    if kind == "upload" or (kind == "mergeOrUpload" and key not in model):
        model[key] = {"id": key, **empty, **given}
    elif key in model:
        model[key] = {**model[key], **given}
    return {"@search.action": kind, "id": key, **given}


def hits(index: SearchIndex, **asked: Any) -> set[str]:
    found = search(index, parse_search(SCHEMA, {"top": 1_000, "select": "id", **asked})).hits
    return {hit.document["id"] for hit in found}


def check(index: SearchIndex, model: Model) -> None:
    """Every way of looking at the index sees the model's documents."""
    assert len(index) == len(model)
    assert {key: index.get(key, FIELDS) for key in model} == model
    assert hits(index) == set(model)
    for word in WORDS:
        assert hits(index, search=word) == {key for key, body in model.items() if word in (body["text"] or "").split()}
    for owner in ("ann", "bob"):
        expected = {key for key, body in model.items() if body["owner"] == owner}
        assert hits(index, filter=f"owner eq '{owner}'") == expected
    _, passes = compile_filter(SCHEMA, FILTER)
    allowed = {key for key, body in model.items() if passes(body)}
    assert hits(index, filter=FILTER) == allowed
    query = {"kind": "vector", "vector": [1.0, 0.5, 0.0, 0.0], "k": 1_000, "fields": "vector"}
    with_vectors = {key for key, body in model.items() if body["vector"] is not None}
    assert hits(index, vectorQueries=[query]) == with_vectors
    assert hits(index, vectorQueries=[query], filter=FILTER) == with_vectors & allowed


@pytest.mark.parametrize("seed", range(4))
def test_index_and_its_reload_hold_what_was_written(seed: int, tmp_path: Path) -> None:
    """After any batches, documents, words, values, a kept filter and vectors agree with a dict; after a reload too."""
    draw = random.Random(seed)
    store = Store(tmp_path)
    index = SearchIndex(SCHEMA, store)
    model: Model = {}
    for _ in range(12):
        index.write([act(draw, model) for _ in range(draw.randint(1, 25))])
        check(index, model)
    check(SearchIndex(SCHEMA, store), model)
    store.close()


def test_a_batch_that_cannot_be_stored_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the store fails, neither the store nor the index has anything of the batch."""
    store = Store(tmp_path)
    index = SearchIndex(SCHEMA, store)
    before: dict[str, Any] = {"id": "1", "text": "lake", "owner": "ann", "groups": [], "vector": None}
    index.write([before])
    monkeypatch.setattr("local.search_service.store._DELETE", "DELETE FROM nowhere WHERE name = ? AND key = ?")
    # Deletions come last, when the rest of the batch is written but not committed.
    batch = [{"id": "1", "text": "blob"}, {"id": "2", "text": "blob"}, {"id": "3", "@search.action": "delete"}]
    with pytest.raises(sqlite3.OperationalError):
        index.write(batch)
    check(index, {"1": before})
    check(SearchIndex(SCHEMA, store), {"1": before})
    store.close()


def test_vectors_are_stored_bit_for_bit(tmp_path: Path) -> None:
    """A vector that is selected is the one that was written, although the search uses it at length 1."""
    store = Store(tmp_path)
    index = SearchIndex(SCHEMA, store)
    vector = np.random.default_rng(1).standard_normal(DIMENSIONS).astype(np.float32).tolist()
    index.write([{"id": "1", "vector": vector}])
    index.write([{"id": "1", "text": "lake", "@search.action": "merge"}])
    assert index.get("1", ["vector"]) == {"vector": vector}
    store.close()


def test_a_kept_filter_follows_writes_and_the_oldest_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Masks of filters asked before are right after every write; no more of them are kept than there is room for."""
    monkeypatch.setattr("local.search_service.filter_cache._MOST", 2)
    store = Store(tmp_path)
    index = SearchIndex(SCHEMA, store)
    index.write([{"id": str(n), "groups": ["staff"]} for n in range(5)])
    for group in (*GROUPS, "none", "staff"):
        expected = {str(n) for n in range(5)} if group == "staff" else set()
        assert hits(index, filter=f"groups/any(g: g eq '{group}')") == expected
    assert len(index.filters._kept) == 2
    index.write([{"id": "9", "groups": ["staff"]}, {"id": "0", "@search.action": "delete"}])
    assert hits(index, filter="groups/any(g: g eq 'staff')") == {"1", "2", "3", "4", "9"}
    store.close()
