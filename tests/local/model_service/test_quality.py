"""How well the extractive model answers: the sample lake's own questions, and questions that nothing there answers."""

import json
from pathlib import Path

import numpy as np
import pytest

from local.model_service import extractive
from local.model_service.embedding import MiniLM
from local.model_service.passages import Passage
from shared.documents import ChunkLimits, chunk_document, count_tokens, embedding_input, read_document
from tests.conftest import ROOT

SAMPLE = ROOT / "sample-lake"
LIMITS = ChunkLimits(target_tokens=200, max_tokens=400)
NEAREST = 6  # passages a question is given
MUST_ANSWER = 14  # of the 15 questions
ELSEWHERE = [
    "Who painted the Mona Lisa?",
    "What is the capital of France?",
    "What is the CEO's salary?",
    "How do I bake sourdough bread?",
    "What is the meaning of life?",
    "Which programming language is Polaris written in?",
    "How many employees work in the Tokyo office?",
    "Who is the CFO of Norrfrost?",
    "What was the revenue in 1999?",
    "How many drones does Norrfrost operate?",
]


class Library:
    """The sample lake's passages, found by their vectors alone."""

    def __init__(self, model: MiniLM) -> None:
        self.model = model
        self._passages: list[tuple[str, str, str]] = []
        vectors = []
        for file in sorted(SAMPLE.rglob("*")):
            path = file.relative_to(SAMPLE)
            if file.is_file() and not any(part.startswith(".") for part in path.parts):
                document = read_document(str(path), file.read_bytes())
                for chunk in chunk_document(document, LIMITS, count_tokens):
                    self._passages.append((document.title, chunk.text, str(path)))
                    vectors.append(model.embed(embedding_input(chunk)))
        self._vectors = np.array(vectors)

    def answer(self, question: str) -> str:
        """Return the answer from the nearest passages."""
        nearest = np.argsort(-(self._vectors @ self.model.embed(question)))[:NEAREST]
        found = [self._passages[index] for index in nearest]
        passages = [Passage(n, title, text, path) for n, (title, text, path) in enumerate(found, 1)]
        return extractive.answer(self.model, passages, question)


@pytest.fixture(scope="module")
def library() -> Library:
    """The sample lake, read once."""
    return Library(MiniLM())


def test_questions_of_the_sample_lake(library: Library) -> None:
    """Nearly all of the sample lake's questions are answered with the words that they should be."""
    asked = json.loads(Path(SAMPLE / ".questions.json").read_text(encoding="utf-8"))
    answers = [(library.answer(one["question"]), one["answer_contains"]) for one in asked]
    missed = [(answer, wanted) for answer, wanted in answers if wanted not in answer]
    assert len(asked) - len(missed) >= MUST_ANSWER, missed


@pytest.mark.parametrize("question", ELSEWHERE)
def test_questions_about_something_else(library: Library, question: str) -> None:
    """What the sample lake does not say is not answered."""
    assert library.answer(question) == extractive.NO_ANSWER
