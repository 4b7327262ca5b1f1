"""Answers under evaluation: what they cite, how much of the truth they have, whether they know when to be silent."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eval.corpus import Question
from eval.judge import Judge
from shared.access import EVERYBODY
from shared.chat.answer import Chat
from shared.chat.protocol import ChatRequest, Message
from shared.chat.words import content_words
from shared.clients import Services

_MARKER = re.compile(r"\[(\d+|\?)\]")


@dataclass(slots=True)
class Answers:
    """Sums over the answers to one set of questions."""

    questions: int = 0
    answered: int = 0
    right_document: int = 0
    overlap: float = 0.0
    markers: int = 0
    markers_supported: int = 0
    markers_real: int = 0
    judged_right: int = 0
    checks: Counter[str] = field(default_factory=Counter)
    wrong: list[dict[str, Any]] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """Return what a report and the baseline hold; shares are from 0 to 1."""
        count, markers = max(1, self.questions), max(1, self.markers)
        return {
            "answered": round(self.answered / count, 4),
            "cites_right_document": round(self.right_document / count, 4),
            "answer_overlap": round(self.overlap / count, 4),
            "markers": self.markers,
            "markers_supported": round(self.markers_supported / markers, 4),
            "markers_of_existing_versions": round(self.markers_real / markers, 4),
            "checks": dict(sorted(self.checks.items())),
        }


async def measure(made: Services, questions: Sequence[Question], judge: Judge | None) -> Answers:
    """Ask every question through the whole chat; return the sums."""
    chat = Chat(made)
    sums = Answers()
    for question in questions:
        reply = await chat.answer(asked(question.question), EVERYBODY)
        context, text = reply["context"], reply["message"]["content"]
        sums.questions += 1
        sums.answered += context["answered"]
        cited = {citation["path"] for citation in context["citations"]}
        cited |= {other["path"] for citation in context["citations"] for other in citation["also_in"]}
        right = bool(cited & {path for path, _ in question.places})
        sums.right_document += right
        sums.overlap += overlap(text, question.truth)
        sums.checks.update(context["checks"])
        await _count_markers(made, sums, text, context)
        if judge is not None:
            sums.judged_right += await judge.agrees(question.question, question.truth, text)
        if not right:
            sums.wrong.append({"question": question.question, "cited": sorted(cited), "answer": text})
    return sums


async def _count_markers(made: Services, sums: Answers, text: str, context: dict[str, Any]) -> None:
    """Count markers: all that the model gave, those that the check supports, those whose version can be opened."""
    checks = context["checks"]
    shown = [int(number) for number in _MARKER.findall(text) if number != "?"]
    known = {citation["n"]: citation for citation in context["citations"]}
    sums.markers += len(shown) + checks.get("unsupported", 0)
    sums.markers_supported += len(shown)
    for number in shown:
        citation = known.get(number)
        versions = await made.lake.versions(citation["path"]) if citation else ()
        sums.markers_real += any(citation and version.version_id == citation["version_id"] for version in versions)


async def abstention(made: Services, questions: Sequence[str]) -> dict[str, Any]:
    """Ask what the documents do not answer; return the share of questions that were not answered, and the others."""
    chat = Chat(made)
    answered = []
    for question in questions:
        reply = await chat.answer(asked(question), EVERYBODY)
        if reply["context"]["answered"]:
            answered.append({"question": question, "answer": reply["message"]["content"]})
    share = 1 - len(answered) / max(1, len(questions))
    return {"questions": len(questions), "abstained": round(share, 4), "answered": answered}


def unanswerable(file: Path, corpus: str) -> list[str]:
    """Return the unanswerable questions about one corpus."""
    items = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [item["question"] for item in items if item["corpus"] == corpus]


def asked(question: str) -> ChatRequest:
    """Return a request with one question."""
    return ChatRequest((Message("user", question),))


def overlap(answer: str, truth: str) -> float:
    """Return the share of the truth's words that an answer has (ROUGE-1 recall over words with a meaning)."""
    wanted = Counter(content_words(truth))
    have = Counter(content_words(_MARKER.sub("", answer)))
    return sum((wanted & have).values()) / max(1, sum(wanted.values()))
