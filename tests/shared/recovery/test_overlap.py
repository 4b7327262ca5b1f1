"""Calls that overlap, with their results in order."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from shared.recovery.overlap import overlapped


class Calls:
    """Calls that end in any order, and how many were under way at once."""

    def __init__(self, failing: int | None = None) -> None:
        self.failing = failing
        self.under_way = self.most = self.ended = 0

    async def call(self, number: int) -> int:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            for _ in range(5 - number % 5):
                await asyncio.sleep(0)
            if number == self.failing:
                raise ConnectionError(f"call {number}")
            return number
        finally:
            self.under_way -= 1
            self.ended += 1

    async def all(self, count: int) -> AsyncIterator[Coroutine[Any, Any, int]]:
        for number in range(count):
            yield self.call(number)


@pytest.mark.parametrize("count", [0, 1, 3, 20])
def test_results_come_in_order_and_no_more_than_asked_are_under_way(count: int) -> None:
    """Whichever call ends first, the results have the order of the calls; `depth` bounds what is under way."""

    async def scenario() -> None:
        calls = Calls()
        assert [one async for one in overlapped(calls.all(count), 4)] == list(range(count))
        assert (calls.most, calls.ended) == (min(4, count), count)

    asyncio.run(scenario())


def test_a_failure_is_raised_and_leaves_nothing_under_way() -> None:
    """The results before the failing call are given; the calls after it have ended when it is raised."""

    async def scenario() -> None:
        calls, found = Calls(failing=6), []
        with pytest.raises(ConnectionError, match="call 6"):
            async for one in overlapped(calls.all(20), 4):
                found.append(one)
        assert (found, calls.under_way) == ([0, 1, 2, 3, 4, 5], 0)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(scenario())
