"""A language model as judge of answers, where one is configured. The extractive stand-in judges nothing."""

from shared.chat.model import Budget, ChatModel, ContentFiltered
from shared.clients import Services

STAND_IN = "extractive-minilm"
SECONDS = 120.0
TASK = """\
You compare an answer with the truth. Reply with one word: yes when the answer says what the truth says, in whatever
words and with whatever further detail; no when it lacks it or contradicts it.\
"""


class Judge:
    """Judges by the same model that answers, or by another one that the settings name."""

    def __init__(self, made: Services) -> None:
        self._model = ChatModel(made.model, made.settings.openai_model)

    async def agrees(self, question: str, truth: str, answer: str) -> bool:
        """Return whether an answer says what the truth says."""
        text = f"Question: {question}\nTruth: {truth}\nAnswer: {answer}"
        try:
            verdict = await self._model.text(
                [{"role": "system", "content": TASK}, {"role": "user", "content": text}], 5, Budget(SECONDS)
            )
        except ContentFiltered:
            return False
        return verdict.lower().startswith("yes")


def judge_of(made: Services) -> Judge | None:
    """Return a judge, or None where the model only quotes."""
    return None if made.settings.openai_model == STAND_IN else Judge(made)
