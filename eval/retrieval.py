"""Recall of retrieval: is what answers a question among the first passages, by document and by page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eval.corpus import Question
from shared.access import Access
from shared.chat.filters import Filters
from shared.chat.passages import Passage
from shared.chat.retrieval import Retriever
from shared.clients import Services

DEPTH = 5  # passages looked at: recall@5


@dataclass(frozen=True, slots=True)
class Miss:
    """A question whose page is not among the first passages: what was asked for, and what was found instead."""

    question: str
    wanted: tuple[tuple[str, int], ...]
    found: tuple[tuple[str, int], ...]
    document_found: bool


@dataclass(frozen=True, slots=True)
class Recall:
    """Shares of questions, from 0 to 1: by document, by exact page, by page give or take one."""

    document: float
    page: float
    page_near: float
    misses: tuple[Miss, ...]

    def figures(self) -> dict[str, Any]:
        """Return what a report and the baseline hold."""
        return {
            "document_recall_at_5": round(self.document, 4),
            "page_recall_at_5": round(self.page, 4),
            "page_recall_at_5_near": round(self.page_near, 4),
        }


async def measure(made: Services, questions: Sequence[Question]) -> Recall:
    """Ask every question that names its places; return the recall over them."""
    retriever = Retriever(made)
    asked = [question for question in questions if question.places]
    documents = pages = near = 0
    misses = []
    for question in asked:
        grounding = await retriever.find(question.question, Access(), Filters())
        found = places_of(grounding.passages[:DEPTH])
        document = any(path in {other for other, _ in found} for path, _ in question.places)
        exact = any(_at(found, path, page, 0) for path, page in question.places)
        about = any(_at(found, path, page, 1) for path, page in question.places)
        documents, pages, near = documents + document, pages + exact, near + about
        if not about:
            misses.append(Miss(question.question, question.places, tuple(found), document))
    count = max(1, len(asked))
    return Recall(documents / count, pages / count, near / count, tuple(misses))


def _at(found: Sequence[tuple[str, int]], path: str, page: int, tolerance: int) -> bool:
    """Whether a page was found, give or take some; a question that names no page is content with the document."""
    return any(path == other and (page == 0 or abs(page - place) <= tolerance) for other, place in found)


def places_of(passages: Sequence[Passage]) -> list[tuple[str, int]]:
    """Return the (path, page) of every chunk in some passages, in order, each once; page 0 where there are no pages."""
    found = [(part.path, part.page or 0) for passage in passages for part in (*passage.parts, *passage.also_in)]
    return list(dict.fromkeys(found))
