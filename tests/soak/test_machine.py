"""Convergence as a state machine: whatever happens next, in whatever order, the index stays right and becomes true."""

import asyncio
import logging
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.soak.clock import VirtualLoop
from tests.soak.schedule import PATHS, UNREADABLE, WORDS, Act, Operation, Schedule
from tests.soak.world import World, sorted_in_memory

soon = st.sampled_from([0.0, 0.05, 0.1, 0.5, 2.0, 10.0])
deliveries = st.lists(soon, max_size=3).map(tuple)
paths = st.sampled_from(PATHS[:3])
texts = st.just(UNREADABLE) | st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map("\n".join)
acts: st.SearchStrategy[Act] = st.sampled_from(["put", "put", "delete", "relabel", "again", "rename", "restore"])
ahead = st.integers(0, 25)  # calls from now


class Convergence(RuleBasedStateMachine):
    """A lake that changes, events about it, workers, and services that fail."""

    def __init__(self) -> None:
        super().__init__()
        logging.disable(logging.CRITICAL)
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.world = World(Schedule(0, ()))
        self.calm = True

    @initialize(seed=st.integers(0, 9), workers=st.integers(1, 4))
    def begin(self, seed: int, workers: int) -> None:
        """The network's delays and the number of workers are part of what is tried."""
        self.world = World(Schedule(seed, (), workers=workers))

    @rule(
        act=acts,
        path=paths,
        deliveries=deliveries,
        text=texts,
        group=st.sampled_from(["hr", "board", ""]),
        other=paths,
        deliveries_of_other=deliveries,
        back=st.integers(1, 3),
        pause=soon,
    )
    def change(self, pause: float, **operation: Any) -> None:
        """Something happens to a document, and then some time passes."""
        made = Operation(at=0, **operation)
        self.calm = self.calm and bool(made.deliveries) and bool(made.deliveries_of_other or made.act != "rename")
        self._run(pause, made)

    @rule(calls=ahead, moment=st.sampled_from(["before", "after"]))
    def crash(self, calls: int, moment: str) -> None:
        """The process that makes a coming call dies, before the call has an effect or before it sees the reply."""
        self.calm = False
        self.world.network.crashes[self.world.network.calls + calls] = moment

    @rule(calls=ahead)
    def refuse(self, calls: int) -> None:
        """A coming call is refused."""
        self.calm = False
        self.world.network.faults.add(self.world.network.calls + calls)

    @rule(calls=ahead)
    def stall(self, calls: int) -> None:
        """A coming call is answered after its process has lost its lock."""
        self.calm = False
        self.world.network.stalls.add(self.world.network.calls + calls)

    @rule(actions=st.integers(1, 10))
    def refuse_an_action(self, actions: int) -> None:
        """A coming action is refused in a batch that is accepted."""
        self.world.index.refused.add(self.world.index.actions + actions)

    @rule(seconds=st.sampled_from([1, 10, 40]))
    def time_passes(self, seconds: int) -> None:
        """Nothing happens for a while."""
        self._run(seconds)

    @invariant()
    def nothing_was_ever_wrong(self) -> None:
        """No document missing, none answered from two versions, none older than before."""
        if self.world.fault:
            raise self.world.fault

    def teardown(self) -> None:
        """After the dust has settled and one reconcile the index is a recomputation's."""
        try:
            with patch("shared.reconcile.sorted_entries", sorted_in_memory):
                self.runner.run(self.world.end_well(self.calm))
        finally:
            self.runner.close()
            logging.disable(logging.NOTSET)

    def _run(self, seconds: float, operation: Operation | None = None) -> None:
        async def main() -> None:
            if operation:
                self.world.operate(operation)
            await asyncio.sleep(seconds)

        self.runner.run(main())


TestConvergence = Convergence.TestCase
TestConvergence.settings = settings(
    max_examples=1_000,
    stateful_step_count=14,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
