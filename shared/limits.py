"""How much one caller may ask, and how much is answered at once.

Each process keeps its own books: with several instances a caller may get as many times as much. That bounds what one
caller can cost; who needs an exact quota for all instances together puts API Management in front.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from shared.embeddings.budget import TokenBucket
from shared.errors import Throttled, TooManyRequests
from shared.identity import Caller

MOST_CALLERS = 10_000  # whose books are kept; who has not called for the longest is forgotten first
BUSY_RETRY_AFTER = 2.0  # seconds, when as many answers are under way as one process takes, or as one caller may have


@dataclass(frozen=True, slots=True)
class Limits:
    """Requests and model tokens of one caller a minute, 0 for no limit, and answers under way at once."""

    requests_per_minute: int
    tokens_per_minute: int
    concurrency: int

    @property
    def share(self) -> int:
        """Answers under way at once of one caller: half of all, so that nobody can keep everybody else out."""
        return max(1, self.concurrency // 2)


@dataclass(slots=True)
class _Books:
    requests: TokenBucket
    tokens: TokenBucket
    under_way: int = 0


class Limiter:
    """Lets calls in, or says when to come back. Belongs to one event loop. `asks` is what a caller is told of."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic, asks: str = "questions") -> None:
        self._limits = limits
        self._clock = clock
        self._asks = asks
        self._books: OrderedDict[str, _Books] = OrderedDict()
        self.under_way = 0

    @contextmanager
    def admit(self, caller: str) -> Iterator[Callable[[int], None]]:
        """Let one answer be made; what it gives takes the tokens that the answer has used.

        Raises TooManyRequests for a caller over the limit, and Throttled when too many answers are under way.
        """
        if self.under_way >= self._limits.concurrency:
            raise Throttled(f"{self.under_way} answers are under way; come back in a moment", BUSY_RETRY_AFTER)
        books = self._of(caller)
        if books.under_way >= self._limits.share:
            raise TooManyRequests(
                f"{books.under_way} of your questions are being answered; wait for one of them", BUSY_RETRY_AFTER
            )
        self._take(books)
        self.under_way += 1
        books.under_way += 1
        try:
            # Tokens are known afterwards: what an answer takes too much is owed, and waited for by the next one.
            yield books.tokens.take
        finally:
            self.under_way -= 1
            books.under_way -= 1

    def count(self, caller: str) -> None:
        """Count a request that is answered at once. Raises TooManyRequests for a caller over the limit."""
        self._take(self._of(caller))

    def _take(self, books: _Books) -> None:
        wait = max(books.requests.wait_for(1), books.tokens.wait_for(1))
        if wait > 0:
            raise TooManyRequests(self._refusal(books), retry_after=wait)
        books.requests.take(1)

    def _refusal(self, books: _Books) -> str:
        if books.requests.wait_for(1) > 0:
            return f"more than {self._limits.requests_per_minute} {self._asks} a minute; wait before the next"
        return f"more than {self._limits.tokens_per_minute} tokens a minute; wait before the next question"

    def _of(self, caller: str) -> _Books:
        books = self._books.get(caller)
        if books is None:
            limits = self._limits
            books = self._books[caller] = _Books(
                TokenBucket(limits.requests_per_minute, self._clock), TokenBucket(limits.tokens_per_minute, self._clock)
            )
            if len(self._books) > MOST_CALLERS:
                self._books.popitem(last=False)
        self._books.move_to_end(caller)
        return books


def caller_key(who: Caller, headers: Mapping[str, str], peer: str) -> str:
    """Return whose books a call goes into: the verified caller's, else those of the address it comes from.

    App Service's front end appends the client's address to `X-Forwarded-For`, and so does the local functions host;
    what stands before it is the client's own claim. `peer` is used where neither is in front.
    """
    if who.id:
        return f"caller {who.id}"
    forwarded = headers.get("x-forwarded-for", "").rsplit(",", 1)[-1].strip()
    return f"address {_without_port(forwarded or peer)}"


def _without_port(address: str) -> str:
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address
