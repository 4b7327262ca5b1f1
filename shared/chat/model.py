"""Calls to the chat model, within one budget of time and tokens for the whole answer.

A model that is out of quota is asked again after the time that it names, as long as the budget lasts; then the caller
is told how long to wait. Once a piece of an answer has been shown, nothing is tried again: it would be said twice.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import openai
from openai import AsyncOpenAI
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionMessageParam

from shared.documents import count_tokens
from shared.embeddings.retry import wait_before
from shared.errors import NotReady, Throttled
from shared.retry_after import stated_wait

logger = logging.getLogger(__name__)

DEFAULT_RETRY_AFTER = 5.0  # seconds, where the model named no time
FILTERED = "content_filter"

Messages = Sequence[ChatCompletionMessageParam]


class ContentFiltered(Exception):
    """The model's content filter refused the question or stopped the answer."""


@dataclass(slots=True)
class Call:
    """One call: whether the model has taken it on, what it has written, and what it says that this took."""

    taken: bool = False
    text: str = ""
    usage: CompletionUsage | None = None


@dataclass(slots=True)
class Budget:
    """What one answer may take, and what it has taken: `seconds` from now on, tokens as the model counts them.

    `untold_tokens` are those of calls whose count the model has not told, because it never does or because they ended
    early. They are counted here, about as the model would.
    """

    seconds: float
    prompt_tokens: int = 0
    completion_tokens: int = 0
    untold_tokens: int = 0
    truncated: bool = False
    clock: Callable[[], float] = time.monotonic
    _until: float = field(init=False)

    def __post_init__(self) -> None:
        self._until = self.clock() + self.seconds

    @property
    def left(self) -> float:
        """Seconds that are left; never below 0."""
        return max(0.0, self._until - self.clock())

    @contextmanager
    def call(self, messages: Messages) -> Iterator["Call"]:
        """Add what one call takes, however it ends."""
        call = Call()
        try:
            yield call
        except asyncio.CancelledError:
            call.taken = True  # whoever asked went away: the model was at work all the same
            raise
        finally:
            if call.usage:
                self.prompt_tokens += call.usage.prompt_tokens
                self.completion_tokens += call.usage.completion_tokens
            elif call.taken:
                texts = (str(message.get("content") or "") for message in messages)
                self.untold_tokens += sum(map(count_tokens, texts)) + count_tokens(call.text)

    @property
    def spent(self) -> int:
        """Tokens of all calls, told or not."""
        return self.prompt_tokens + self.completion_tokens + self.untold_tokens

    def part(self, share: float) -> "Budget":
        """Return a budget of a share of the seconds that are left; what it takes is to be added to this one."""
        return Budget(self.left * share, clock=self.clock)

    def add(self, part: "Budget") -> None:
        """Add what a part of this budget has taken."""
        self.prompt_tokens += part.prompt_tokens
        self.completion_tokens += part.completion_tokens
        self.untold_tokens += part.untold_tokens

    def usage(self) -> dict[str, int]:
        """Return the tokens of all calls, as the model counts them."""
        total = self.prompt_tokens + self.completion_tokens
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": total,
        }


class ChatModel:
    """One chat model behind an OpenAI-compatible endpoint."""

    def __init__(self, client: AsyncOpenAI, model: str) -> None:
        self._client = client.with_options(max_retries=0)  # waits are made here, where the budget is known
        self._model = model

    async def text(self, messages: Messages, max_tokens: int, budget: Budget) -> str:
        """Return a whole short answer. Raises ContentFiltered, Throttled or NotReady."""
        with budget.call(messages) as call:
            reply = await _tried(
                lambda: self._client.chat.completions.create(
                    model=self._model, messages=messages, max_completion_tokens=max_tokens
                ),
                budget,
            )
            call.taken, call.usage = True, reply.usage
            if not reply.choices:
                raise NotReady("the model endpoint does not answer as it should: a reply without a choice")
            choice = reply.choices[0]
            call.text = choice.message.content or ""
        if choice.finish_reason == FILTERED:
            raise ContentFiltered
        return (choice.message.content or "").strip()

    async def stream(self, messages: Messages, max_tokens: int, budget: Budget) -> AsyncGenerator[str]:
        """Yield an answer as it is written; closing the generator closes the connection, and so stops the model.

        Raises ContentFiltered, also in the middle, and Throttled or NotReady. At the end of the time it just ends, with
        `budget.truncated` set, if there is anything to show by then.
        """
        with budget.call(messages) as call:
            stream = await _tried(
                lambda: self._client.chat.completions.create(
                    model=self._model,
                    messages=messages,
                    max_completion_tokens=max_tokens,
                    stream=True,
                    stream_options={"include_usage": True},
                ),
                budget,
            )
            call.taken = True
            async with stream:
                events = aiter(stream)
                while True:
                    try:
                        async with asyncio.timeout(budget.left):
                            event = await anext(events, None)
                    except TimeoutError:
                        if not call.text:
                            raise _late() from None
                        budget.truncated = True
                        return
                    except openai.APIError as error:
                        raise _fault(error) from error
                    if event is None:
                        return
                    call.usage = event.usage or call.usage
                    choice = event.choices[0] if event.choices else None
                    if choice and (piece := choice.delta.content or choice.delta.refusal):
                        call.text += piece
                        yield piece
                    if choice and choice.finish_reason == FILTERED:
                        raise ContentFiltered
                    if choice and choice.finish_reason == "length":
                        budget.truncated = True


async def _tried[T](call: Callable[[], Awaitable[T]], budget: Budget) -> T:
    """Return what a call returns, made again while the model asks for patience and the budget lasts."""
    attempt = 0
    while True:
        attempt += 1
        try:
            async with asyncio.timeout(budget.left):
                return await call()
        except TimeoutError:
            raise _late() from None
        except openai.APIError as error:
            wait = wait_before(attempt, error)
            if wait is None or wait[1] >= budget.left:
                raise _fault(error) from error
            logger.warning("chat attempt=%d wait=%.3f fault=%s", attempt, wait[1], error)
        await asyncio.sleep(wait[1])


def _fault(error: openai.APIError) -> Exception:
    """Return the app's own error for the model's."""
    if error.code == FILTERED or "content management policy" in str(error.message):
        return ContentFiltered()
    if isinstance(error, openai.RateLimitError):
        wait = stated_wait(error.response.headers)
        return Throttled("the model is out of quota for the moment", DEFAULT_RETRY_AFTER if wait is None else wait)
    status = f" (status {error.status_code})" if isinstance(error, openai.APIStatusError) else ""
    return NotReady(f"the model endpoint does not answer as it should: {type(error).__name__}{status}")


def _late() -> Throttled:
    return Throttled("the model did not answer in time", DEFAULT_RETRY_AFTER)
