"""Further questions that the passages answer: asked of the model, taken only when they are plain questions. Pure."""

import re
from collections.abc import Sequence

from shared.chat.links import without_links
from shared.chat.words import content_words

MOST = 3
LONGEST = 140  # characters of a question
TOKENS = 160  # of the model's reply
_LEAD = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])?\s*[\"'“]?")
_MARKUP = re.compile(r"[\[\]<>`*_#|\\{}]|\(link removed\)")


def parse_follow_ups(reply: str, asked: Sequence[str]) -> list[str]:
    """Return up to MOST questions of a model's reply, a line each; none that was asked already, none with markup."""
    known = [set(content_words(question)) for question in asked]
    found: list[str] = []
    for line in reply.splitlines():
        question = _LEAD.sub("", line).strip().strip("\"'“”")
        words = set(content_words(question))
        if not (question.endswith("?") and len(question) <= LONGEST and words):
            continue
        if question != without_links(question) or _MARKUP.search(question):
            continue
        if any(len(words & other) >= 0.8 * len(words | other) for other in known):
            continue
        known.append(words)
        found.append(question)
    return found[:MOST]
