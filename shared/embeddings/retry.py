"""When and how long to wait before an embedding call is made again. Pure.

The SDK's own retries are switched off for these calls: its waits would be hidden, and each call would wait for itself
while the others run on into the same refusal.
"""

import random
from collections.abc import Callable

import openai

from shared.retry_after import stated_wait

ATTEMPTS = 8  # of one call, the first included; after them the trigger that asked tries again
FIRST_WAIT = 0.5  # seconds; doubled with every attempt where the service names no time
LONGEST_WAIT = 30.0  # seconds, of those
LONGEST_STATED = 120.0  # seconds; a service that names more is left to the trigger's retry
JITTER = 0.25  # of the wait, added so that processes do not come back together


def is_passing(error: openai.APIError) -> bool:
    """Whether the same call may succeed later: lost connections, timeouts, 408, 409, 429 and 5xx.

    `insufficient_quota` is a 429 that waiting does not cure.
    """
    if isinstance(error, openai.APIConnectionError):
        return True
    if not isinstance(error, openai.APIStatusError) or error.code == "insufficient_quota":
        return False
    return error.status_code in (408, 409, 429) or error.status_code >= 500


def wait_before(
    attempt: int, error: openai.APIError, chance: Callable[[], float] = random.random
) -> tuple[float, float] | None:
    """Return the wait after a failed attempt (the first is 1), or None when the error is to be raised.

    The first number is for everybody (what the service stated, 0 when it stated nothing), the second for this call
    alone, in seconds.
    """
    if attempt >= ATTEMPTS or not is_passing(error):
        return None
    stated = stated_wait(error.response.headers) if isinstance(error, openai.APIStatusError) else None
    if stated is not None:
        return None if stated > LONGEST_STATED else (stated, stated * (1 + JITTER * chance()))
    wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1))
    return 0.0, wait * (1 + JITTER * chance())
