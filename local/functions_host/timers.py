"""Functions that timers trigger."""

import asyncio
import json
import logging
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.core.exceptions import AzureError, ResourceNotFoundError

from local.functions_host.admin import Starter
from local.functions_host.config import resolve
from local.functions_host.invoker import Invoker
from local.functions_host.model import Function, HostError
from local.functions_host.protos import TypedData
from local.functions_host.schedule import Schedule, parse_schedule
from local.functions_host.storage.connections import DEFAULT, Connections
from local.functions_host.worker import FunctionFailed

logger = logging.getLogger(__name__)

CONTAINER = "azure-webjobs-hosts"
LONGEST_SLEEP = 3600.0
MONITORED = timedelta(minutes=1)  # more frequent timers are not monitored: missing one firing does not matter


class TimerExtension:
    """Runs each timer function when it is due, never two runs of one at a time."""

    def __init__(self, functions: Sequence[Function], invoker: Invoker, connections: Connections, host_id: str) -> None:
        states = TimerStates(connections, host_id) if connections.has(DEFAULT) else None
        self._timers = [
            Timer(function, _schedule(function), invoker, states)
            for function in functions
            if function.trigger.type == "timerTrigger"
        ]
        self._tasks: list[asyncio.Task[None]] = []

    def by_hand(self) -> Mapping[str, Starter]:
        """Return how a timer is run out of its turn, by type of trigger; its schedule is left as it is."""
        timers = {timer.function.name: timer for timer in self._timers}
        return {"timerTrigger": lambda function, text: timers[function.name].fire()}

    async def start(self) -> None:
        """Begin to wait."""
        self._tasks = [asyncio.create_task(timer.run()) for timer in self._timers]

    async def stop(self) -> None:
        """Stop waiting."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class TimerStates:
    """When each timer fired last and fires next, kept in the host's storage so that a missed firing is noticed."""

    def __init__(self, connections: Connections, host_id: str) -> None:
        self._connections = connections
        self._host_id = host_id

    async def read(self, function: str) -> dict[str, Any]:
        """Return what was written last; nothing when there is none or the storage does not answer."""
        try:
            content = await (await self._blob(function).download_blob()).readall()
        except ResourceNotFoundError:
            return {}
        except (AzureError, OSError) as fault:
            logger.warning("timer=%s its state cannot be read: %s", function, fault)
            return {}
        found: dict[str, Any] = json.loads(content)
        return found

    async def write(self, function: str, state: dict[str, Any]) -> None:
        """Keep a state."""
        try:
            try:
                await self._blob(function).upload_blob(json.dumps(state), overwrite=True)
            except ResourceNotFoundError:
                await self._connections.blobs(DEFAULT, "timers").create_container(CONTAINER)
                await self._blob(function).upload_blob(json.dumps(state), overwrite=True)
        except (AzureError, OSError) as fault:
            logger.warning("timer=%s its state cannot be kept: %s", function, fault)

    def _blob(self, function: str) -> Any:
        name = f"timers/{self._host_id}/Host.Functions.{function}/status"
        return self._connections.blobs(DEFAULT, "timers").get_blob_client(CONTAINER, name)


class Timer:
    """One timer function."""

    def __init__(self, function: Function, schedule: Schedule, invoker: Invoker, states: TimerStates | None) -> None:
        self.function = function
        self._schedule = schedule
        self._invoker = invoker
        wanted = str(function.trigger.properties.get("useMonitor", True)).lower() != "false"
        self._states = states if wanted and not self._frequent() else None

    async def run(self) -> None:
        """Fire whenever it is time, until cancelled."""
        state = await self._states.read(self.function.name) if self._states else {}
        due = _moment(state.get("Next"))
        missed = due is not None and due < datetime.now(UTC)
        if missed:
            await self._fire(state, past_due=True)
        elif str(self.function.trigger.properties.get("runOnStartup", False)).lower() == "true":
            await self._fire(state, past_due=False)
        while True:
            begun = datetime.now(UTC)
            due = self._schedule.after(begun)
            state = {
                "Last": state.get("Last", begun.isoformat()),
                "Next": due.isoformat(),
                "LastUpdated": begun.isoformat(),
            }
            if self._states:
                await self._states.write(self.function.name, state)
            await _until(due)
            state["Last"] = due.isoformat()
            await self._fire(state, past_due=False)

    async def fire(self) -> None:
        """Run the function now, out of its turn."""
        await self._fire({}, past_due=False)

    async def _fire(self, state: dict[str, Any], past_due: bool) -> None:
        current = datetime.now(UTC)
        told = {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": {
                "Last": state.get("Last", current.isoformat()),
                "Next": self._schedule.after(current).isoformat(),
                "LastUpdated": current.isoformat(),
            },
            "IsPastDue": past_due,
        }
        try:
            await self._invoker.call(self.function, TypedData(json=json.dumps(told)))
        except FunctionFailed:
            logger.warning("timer=%s failed and waits for its next time", self.function.name)

    def _frequent(self) -> bool:
        current = datetime.now(UTC)
        first = self._schedule.after(current)
        return self._schedule.after(first) - first < MONITORED


async def _until(moment: datetime) -> None:
    """Wait, in steps, so that a changed system clock is noticed."""
    while (left := (moment - datetime.now(UTC)).total_seconds()) > 0:  # noqa: ASYNC110 - nothing sets the time
        await asyncio.sleep(min(left, LONGEST_SLEEP))


def _schedule(function: Function) -> Schedule:
    where = f"function {function.name!r}"
    schedule = parse_schedule(resolve(function.trigger.text("schedule"), os.environ, where), os.environ, where)
    try:
        schedule.after(datetime.now(UTC))
    except ValueError as fault:
        raise HostError(f"{where}: the timer's schedule is wrong: {fault}") from None
    return schedule


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
