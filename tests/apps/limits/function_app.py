"""Functions that hold their slot until a file says that they may go, and note how many hold one together."""

import asyncio
import os
import time
from pathlib import Path
from threading import Lock

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
folder = Path(os.environ["HOLD_FOLDER"])
lock = Lock()
inside: dict[str, int] = {}


def enter(kind: str) -> None:
    """Note that one more holds a slot of this kind: a line with how many there are now."""
    with lock:
        inside[kind] = inside.get(kind, 0) + 1
        with (folder / kind).open("a") as log:
            log.write(f"{inside[kind]}\n")


def leave(kind: str) -> None:
    """Note that one has gone."""
    with lock:
        inside[kind] -= 1


async def hold(kind: str) -> None:
    """Hold a slot."""
    enter(kind)
    while not (folder / "go").exists():  # noqa: ASYNC110 - it is the test, another process, that lets it go
        await asyncio.sleep(0.01)
    leave(kind)


@app.route("hold")
async def hold_http(req: func.HttpRequest) -> str:
    """Hold a slot of HTTP functions."""
    await hold("http")
    return "held"


@app.route("quick")
async def quick(req: func.HttpRequest) -> str:
    """Answer at once."""
    return "quick"


@app.queue_trigger("message", "limits", "AzureWebJobsStorage")
async def hold_queue(message: func.QueueMessage) -> None:
    """Hold a slot of a queue."""
    await hold("queue")


@app.blob_trigger("blob", "limits/{name}", "AzureWebJobsStorage", source="EventGrid")
async def hold_blob(blob: func.InputStream) -> None:
    """Hold a slot of the blob trigger."""
    await hold("blob")


@app.activity_trigger("number")
async def hold_activity(number: int) -> int:
    """Hold a slot of activities."""
    await hold("activity")
    return number


@app.orchestration_trigger("context")
def fan_out(context: df.DurableOrchestrationContext):
    """Start so many activities, or sub-orchestrations, or entity calls."""
    given = context.get_input()
    if given["kind"] == "entity":
        calls = [context.call_entity(df.EntityId("hold_entity", str(n)), "hold") for n in range(given["count"])]
    elif given["kind"] == "orchestration":
        calls = [context.call_sub_orchestrator("hold_orchestration", n) for n in range(given["count"])]
    else:
        calls = [context.call_activity("hold_activity", n) for n in range(given["count"])]
    found = yield context.task_all(calls)
    return len(found)


@app.orchestration_trigger("context")
def hold_orchestration(context: df.DurableOrchestrationContext):
    """Hold a slot of orchestrators, as only a test may: with a wait inside the orchestrator."""
    enter("orchestration")
    while not (folder / "go").exists():
        time.sleep(0.01)
    leave("orchestration")
    return context.get_input()


@app.entity_trigger("context")
def hold_entity(context: df.DurableEntityContext) -> None:
    """Hold a slot of entities."""
    enter("entity")
    while not (folder / "go").exists():
        time.sleep(0.01)
    leave("entity")
    context.set_result(True)
