"""Quota of a deployment: tokens and requests a minute, refused with 429 as Azure OpenAI does. Pure, but for the clock.

Each model has a quota of its own. As on Azure, what a request will cost is estimated when it comes: the tokens of its
input and, for chat, the most it asks for. Azure counts over a minute and again over parts of it, in a way that it does
not publish; here a bucket fills continuously, which is as strict as the strictest reading: never more than a minute's
quota at once, and never more than the quota a minute in the long run.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from local.model_service.protocol import ApiError

MINUTE = 60.0  # seconds
UNSTATED_ANSWER_TOKENS = 16  # charged for an answer when the request names no maximum, as Azure's documentation says


@dataclass(slots=True)
class Bucket:
    """What is left of a quota: `limit` a minute, filled continuously, full at first. `limit` 0 is no limit."""

    limit: int
    clock: Callable[[], float] = time.monotonic
    _level: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._level, self._at = float(self.limit), self.clock()

    @property
    def remaining(self) -> int:
        """What could be taken now."""
        self._fill()
        return math.floor(self._level)

    def wait_for(self, cost: int) -> float:
        """Return the seconds until a cost could be taken, 0 when it can be now.

        A cost above the whole limit needs a full bucket: it must be possible to pass at some time.
        """
        if not self.limit:
            return 0.0
        self._fill()
        lacking = min(cost, self.limit) - self._level
        return max(0.0, lacking * MINUTE / self.limit)

    def take(self, cost: int) -> None:
        """Take a cost. What is more than the bucket holds is owed, and filled up first."""
        if self.limit:
            self._fill()
            self._level -= cost

    def _fill(self) -> None:
        now = self.clock()
        self._level = min(float(self.limit), self._level + (now - self._at) * self.limit / MINUTE)
        self._at = now


class Quota:
    """The quota of one model; `throttled` counts its refusals."""

    def __init__(self, tokens: int = 0, requests: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._buckets = {"token": Bucket(tokens, clock), "call": Bucket(requests, clock)}
        self.throttled = 0

    def charge(self, tokens: int) -> dict[str, str]:
        """Charge a request; returns the headers that tell what is left. Raises ApiError 429 when it is over quota."""
        costs = {"token": tokens, "call": 1}
        waits = {name: bucket.wait_for(costs[name]) for name, bucket in self._buckets.items()}
        name = max(waits, key=lambda key: waits[key])
        if waits[name] > 0:
            self.throttled += 1
            raise throttled(waits[name], f"over its {name} rate limit", self._headers())
        for key, bucket in self._buckets.items():
            bucket.take(costs[key])
        return self._headers()

    def _headers(self) -> dict[str, str]:
        headers = {}
        for kind, bucket in zip(("tokens", "requests"), self._buckets.values(), strict=True):
            if bucket.limit:
                headers[f"x-ratelimit-limit-{kind}"] = str(bucket.limit)
                headers[f"x-ratelimit-remaining-{kind}"] = str(max(0, bucket.remaining))
        return headers


def throttled(seconds: float, reason: str, headers: dict[str, str] | None = None) -> ApiError:
    """Return the 429 that says when to try again: `retry-after-ms`, and `Retry-After` in whole seconds."""
    milliseconds, whole = math.ceil(seconds * 1000), math.ceil(seconds)
    message = f"This request is {reason}. Please retry after {whole} second{'s' if whole != 1 else ''}."
    retry = {"retry-after-ms": str(milliseconds), "Retry-After": str(whole)}
    return ApiError(429, message, code="429", headers={**(headers or {}), **retry})
