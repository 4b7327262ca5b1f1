"""Judge answers and looks into an index by what was written to the lake. Pure.

Every passage that a model was given is judged, not only what it made of them: each must be of one version of its
document, that version must be one that may answer, and its text must be that version's own.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from local.drill.corpus import Depot, codes_in, editions_in
from local.drill.ledger import ABSENT, Ledger

MayAnswer = Callable[[str], frozenset[int]]  # path -> the editions that may answer, ABSENT among them where it may lack


class Verdict(StrEnum):
    """What became of a question."""

    RIGHT = "right"
    WRONG = "wrong"  # of a version that must not answer, or of no version at all
    MIXED = "mixed"  # two versions of one document together
    MISSING = "missing"  # no answer, though the document is there
    REFUSED = "refused"  # the app said that it cannot answer now (503, 429)
    FAILED = "failed"  # no reply, or an error that is nobody's intention


FALSE = frozenset({Verdict.WRONG, Verdict.MIXED, Verdict.MISSING})


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, its reason where it is not the hoped-for one, and the edition that answered (ABSENT: none)."""

    verdict: Verdict
    why: str = ""
    edition: int = ABSENT


def judge(depot: Depot, reply: Mapping[str, Any], ledger: Ledger, may_answer: MayAnswer) -> Judgement:
    """Judge the app's answer to a depot's question; `reply` is the answer with its `debug` passages."""
    passages = reply["context"]["debug"]["passages"]
    for found in (_mixed(passages), _superseded(passages, ledger, may_answer)):
        if found is not None:
            return found
    codes = codes_in(reply["message"]["content"])
    own = {(edition, code) for number, edition, code in codes if number == depot.number}
    allowed = may_answer(depot.path)
    if not own:
        if ABSENT in allowed:
            return Judgement(Verdict.RIGHT)
        return Judgement(Verdict.MISSING, f"{depot.path}: no code in {reply['message']['content']!r:.120}")
    if len(own) > 1:
        return Judgement(Verdict.MIXED, f"{depot.path}: {sorted(code for _, code in own)} in one answer")
    ((edition, code),) = own
    if code != depot.code(edition) or edition not in allowed:
        return Judgement(Verdict.WRONG, f"{depot.path}: {code} answers, editions {_shown(allowed)} may", edition)
    return Judgement(Verdict.RIGHT, edition=edition)


def _mixed(passages: Iterable[Mapping[str, Any]]) -> Judgement | None:
    versions: dict[str, set[str]] = defaultdict(set)
    for passage in passages:
        versions[passage["path"]].add(passage["version_id"])
    for path, found in versions.items():
        if len(found) > 1:
            return Judgement(Verdict.MIXED, f"{path}: versions {sorted(found)} in the passages of one answer")
    return None


def _superseded(passages: Iterable[Mapping[str, Any]], ledger: Ledger, may_answer: MayAnswer) -> Judgement | None:
    for passage in passages:
        path, text = passage["path"], passage["passage"]
        claimed = {edition for _, edition in editions_in(text)}
        if len(claimed) > 1:
            return Judgement(Verdict.MIXED, f"{path}: one passage is of the editions {sorted(claimed)}")
        write = ledger.version(path, passage["version_id"])
        edition = write.edition if write else _under_way(ledger, path)
        if edition is None:
            return Judgement(Verdict.WRONG, f"{path}: version {passage['version_id']} was never written")
        if claimed and claimed != {edition}:
            return Judgement(Verdict.MIXED, f"{path}: text of edition {claimed} under the version of edition {edition}")
        if edition not in may_answer(path):
            return Judgement(
                Verdict.WRONG, f"{path}: a passage of edition {edition}, editions {_shown(may_answer(path))} may"
            )
    return None


def _under_way(ledger: Ledger, path: str) -> int | None:
    """Return the edition whose version is not known yet: it was written, and the lake's word is still on its way."""
    return next((write.edition for write in ledger.of(path) if write.acknowledged is None and write.edition), None)


@dataclass(frozen=True, slots=True)
class Look:
    """What a reader found of one document in an index: edition -> chunks, and whether one edition is there whole."""

    editions: Mapping[int, int]
    whole: int | None

    @property
    def settled(self) -> int | None:
        """The edition that is there whole and alone; ABSENT where nothing is there; None in between."""
        if not self.editions:
            return ABSENT
        return self.whole if len(self.editions) == 1 else None


def look(chunks: Iterable[Mapping[str, Any]], ledger: Ledger, path: str) -> Look:
    """Sort a document's chunks (version_id, ordinal, chunk_count) by edition."""
    found: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for chunk in chunks:
        write = ledger.version(path, chunk["version_id"])
        edition = write.edition if write else _under_way(ledger, path)
        found[-1 if edition is None else edition].append(chunk)
    whole = [
        edition
        for edition, held in found.items()
        if {chunk["ordinal"] for chunk in held} == set(range(held[0]["chunk_count"]))
    ]
    return Look({edition: len(held) for edition, held in found.items()}, max(whole, default=None))


def _shown(editions: frozenset[int]) -> str:
    return ", ".join("none" if edition == ABSENT else str(edition) for edition in sorted(editions))
