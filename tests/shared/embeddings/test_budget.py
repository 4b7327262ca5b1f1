"""The token budget that all embedding calls of a process share."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from shared.embeddings.budget import MINUTE, Budget, TokenBucket


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.integers(1, 10_000), st.lists(st.integers(1, 20_000), min_size=1, max_size=30))
def test_the_quota_holds_in_the_long_run(limit: int, costs: list[int]) -> None:
    """Taking each cost as soon as it may be taken never sends more than a bucket and what has flowed in since."""
    clock = Clock()
    bucket = TokenBucket(limit, clock)
    for number, cost in enumerate(costs):
        clock.now += bucket.wait_for(cost)
        assert bucket.wait_for(cost) < 1e-6
        bucket.take(cost)
        owed = max(0, cost - limit)  # a cost above the limit passes with a full bucket, and is paid off afterwards
        assert sum(costs[: number + 1]) <= limit * (1 + clock.now / MINUTE) + owed + 1e-3


def test_a_refused_call_gives_its_tokens_back() -> None:
    """What the service did not serve may be sent again at once; what it served may not."""
    clock = Clock()
    budget = Budget(100, 1, clock)

    async def use(refused: bool) -> None:
        async with budget.call(100, live=True) as grant:
            grant.refused = refused

    asyncio.run(use(True))
    assert budget._bucket.wait_for(100) == 0
    asyncio.run(use(False))
    assert budget._bucket.wait_for(100) == MINUTE


def test_live_calls_go_first_and_each_kind_in_its_order() -> None:
    """With one call under way, waiting live calls start before waiting calls of a rebuild, whenever they came."""

    async def run() -> list[str]:
        budget, order = Budget(0, 1), []

        async def call(name: str, live: bool) -> None:
            async with budget.call(1, live):
                order.append(name)

        async with asyncio.TaskGroup() as group, budget.call(1, live=False):
            for name, live in (("rebuild 1", False), ("rebuild 2", False), ("live 1", True), ("live 2", True)):
                group.create_task(call(name, live))
            await asyncio.sleep(0)  # one turn of the loop: all four have come and wait
            assert budget.waiting == 4
        return order

    assert asyncio.run(run()) == ["live 1", "live 2", "rebuild 1", "rebuild 2"]


def test_no_more_calls_at_once_than_allowed() -> None:
    """Calls beyond the allowed number wait, and all are made in the end."""

    async def run() -> tuple[int, int]:
        budget, under_way, most, made = Budget(0, 3), 0, 0, 0

        async def call() -> None:
            nonlocal under_way, most, made
            async with budget.call(1, live=True):
                under_way += 1
                most = max(most, under_way)
                await asyncio.sleep(0)
                under_way -= 1
                made += 1

        await asyncio.gather(*(call() for _ in range(20)))
        return most, made

    assert asyncio.run(run()) == (3, 20)


def test_a_pause_holds_every_call() -> None:
    """After a refusal no call starts before the time that the service named."""

    async def run() -> float:
        budget = Budget(0, 4)
        budget.pause(0.05)
        async with budget.call(1, live=True) as grant:
            return grant.waited

    assert asyncio.run(run()) >= 0.05


def test_a_call_that_is_given_up_leaves_the_queue() -> None:
    """A cancelled wait neither holds a place nor keeps those behind it waiting."""

    async def run() -> int:
        budget = Budget(0, 1)

        async def call() -> None:
            async with budget.call(1, live=True):
                pass

        async with budget.call(1, live=True):
            first, second = asyncio.create_task(call()), asyncio.create_task(call())
            await asyncio.sleep(0)  # one turn of the loop: both wait
            first.cancel()
            await asyncio.wait([first])
            assert budget.waiting == 1
        await second
        return budget.waiting

    assert asyncio.run(run()) == 0
