"""What comes with the durable SDK beyond orchestrations: schedules, export of histories, entities that start things."""

import asyncio
import json
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from azure.durable_functions.internal.azurefunctions_grpc_interceptor import AzureFunctionsDefaultClientInterceptorImpl
from azure.durable_functions.internal.serialization import DEFAULT_FUNCTIONS_DATA_CONVERTER
from durabletask import task
from durabletask.client import EntityQuery, TaskHubGrpcClient
from durabletask.entities import DurableEntity, EntityContext, EntityInstanceId
from durabletask.extensions.history_export import (
    ExportDestination,
    ExportFormat,
    ExportFormatKind,
    ExportHistoryClient,
    ExportJobCreationOptions,
    ExportMode,
)
from durabletask.scheduled import ScheduleCreationOptions, ScheduledTaskClient

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
folder = Path(os.environ["EXPORT_FOLDER"])


class Files:
    """Writes exported histories into a folder."""

    def write(self, *, container: str, blob_name: str, payload: bytes, **_: Any) -> None:
        """Write one history."""
        path = folder / container / blob_name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(payload)


app.configure_scheduled_tasks()
app.configure_history_export(Files())


def answer(value: Any) -> func.HttpResponse:
    """Answer with JSON."""
    return func.HttpResponse(json.dumps(value), mimetype="application/json")


async def in_thread[T](client: df.DurableFunctionsClient, use: Callable[[TaskHubGrpcClient], T]) -> T:
    """Use the synchronous client, which waits for answers, in a thread."""

    def run() -> T:
        interceptor = AzureFunctionsDefaultClientInterceptorImpl(
            client.taskHubName, client.requiredQueryStringParameters
        )
        own = TaskHubGrpcClient(
            host_address=client.rpcBaseUrl,
            secure_channel=False,
            interceptors=[interceptor],
            data_converter=DEFAULT_FUNCTIONS_DATA_CONVERTER,
        )
        try:
            return use(own)
        finally:
            own.close()

    return await asyncio.to_thread(run)


@app.route("start/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Start an orchestration and wait for its end."""
    instance_id = await client.schedule_new_orchestration(req.route_params["name"], input=req.get_json())
    await client.wait_for_orchestration_start(instance_id, timeout=30)
    state = await client.wait_for_orchestration_completion(instance_id, timeout=30)
    return answer({"id": instance_id, "status": state.runtime_status.name, "output": state.serialized_output})


@app.route("quiet", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start_quiet(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Start an orchestration whose messages are filtered by host.json."""
    instance_id = await client.schedule_new_orchestration("quiet")
    await client.wait_for_orchestration_completion(instance_id, timeout=30)
    logging.info("client says little %s", instance_id)
    logging.warning("client warns %s", instance_id)
    return answer({"id": instance_id})


@app.route("schedule/{id}", methods=["GET", "POST", "DELETE"])
@app.durable_client_input(client_name="client")
async def schedules(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Make, describe or delete a schedule that adds to a counter of its name every second."""
    name = req.route_params["id"]

    def use(own: TaskHubGrpcClient) -> Any:
        tasks = ScheduledTaskClient(own)
        if req.method == "POST":
            every = timedelta(seconds=1)
            tasks.create_schedule(ScheduleCreationOptions(name, "tick", every, orchestration_input=name))
        if req.method == "DELETE":
            tasks.get_schedule_client(name).delete()
        found = tasks.get_schedule(name)
        return None if found is None else str(found.status)

    return answer(await in_thread(client, use))


@app.route("export/{id}", methods=["GET", "POST"])
@app.durable_client_input(client_name="client")
async def export(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Begin or describe an export of what has ended in the last hour."""
    name, continuous = req.route_params["id"], "continuous" in req.params

    def use(own: TaskHubGrpcClient) -> Any:
        exports = ExportHistoryClient(own, Files())
        if req.method == "POST":
            now = datetime.now(UTC)
            options = ExportJobCreationOptions(
                mode=ExportMode.CONTINUOUS if continuous else ExportMode.BATCH,
                completed_time_from=now - timedelta(hours=1),
                completed_time_to=None if continuous else now + timedelta(hours=1),
                destination=ExportDestination(container=name),
                format=ExportFormat(kind=ExportFormatKind.JSON),
            )
            exports.create_job(options, job_id=name)
        found = exports.get_job(name)
        if found is None:
            return None
        return {"status": found.status.value, "exported": found.exported_instances, "error": found.last_error}

    return answer(await in_thread(client, use))


@app.route("entities/{name}/{key}/{operation}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def signal(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Signal an entity, later when that is asked for."""
    later = datetime.now(UTC) + timedelta(seconds=float(req.params["after"])) if "after" in req.params else None
    entity = EntityInstanceId(req.route_params["name"], req.route_params["key"])
    await client.signal_entity(entity, req.route_params["operation"], input=req.get_json(), signal_time=later)
    return answer(None)


@app.route("entities/{name}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def entities(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Return the states of entities by key."""
    query = EntityQuery(instance_id_starts_with=f"@{req.route_params['name']}@", include_state=True)
    return answer({found.id.key: found.get_typed_state() for found in await client.get_all_entities(query)})


@app.route("clean", methods=["POST"])
@app.durable_client_input(client_name="client")
async def clean(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Remove entities without a state, and locks without an owner."""
    found = await client.clean_entity_storage(remove_empty_entities=True, release_orphaned_locks=True)
    return answer([found.empty_entities_removed, found.orphaned_locks_released])


@app.activity_trigger(input_name="text")
def shout(text: str) -> str:
    """Return the text in upper case."""
    return text.upper()


@app.orchestration_trigger(context_name="context")
def echo(context: task.OrchestrationContext, text: Any):
    """Return the text in upper case."""
    return (yield context.call_activity("shout", input=text))


@app.orchestration_trigger(context_name="context")
def quiet(context: task.OrchestrationContext, _: Any):
    """Log below and at the level that host.json lets through."""
    logging.info("worker says little %s", context.instance_id)
    logging.warning("worker warns %s", context.instance_id)
    return "logged"


@app.orchestration_trigger(context_name="context")
def tick(context: task.OrchestrationContext, key: Any):
    """Add one to a counter."""
    context.signal_entity(EntityInstanceId("counter", key), "add", 1)
    return key


@app.orchestration_trigger(context_name="context")
def later(context: task.OrchestrationContext, key: Any):
    """Add one to a counter in a moment, and end before that."""
    at = context.current_utc_datetime + timedelta(seconds=1)
    context.signal_entity(EntityInstanceId("counter", key), "add", 1, signal_time=at)
    return key


@app.orchestration_trigger(context_name="context")
def relays(context: task.OrchestrationContext, key: Any):
    """Have an entity signal another, and start an orchestration that does; then see a failure."""
    relay = EntityInstanceId("relay", key)
    yield context.call_entity(relay, "signal", key)
    child = yield context.call_entity(relay, "start", key)
    try:
        yield context.call_entity(relay, "fail", key)
    except Exception as fault:
        return [bool(child), "told to fail" in str(fault)]
    return "nothing failed"


@app.orchestration_trigger(context_name="context")
def locks_and_fails(context: task.OrchestrationContext, key: Any):
    """Fail inside of a lock when asked to."""
    counter = EntityInstanceId("counter", key["key"])
    with (yield context.lock_entities([counter])):
        yield context.call_entity(counter, "add", 1)
        if key["fail"]:
            raise RuntimeError("told to fail in the lock")
        return (yield context.call_entity(counter, "get"))


@app.entity_trigger(context_name="context")
def counter(context: EntityContext, given: Any = None) -> Any:
    """Count."""
    if context.operation == "forget":
        context.set_state(None)
        return None
    total = context.get_state(int, 0) + (given or 0)
    if context.operation == "add":
        context.set_state(total)
    return total


class Relay(DurableEntity):
    """An entity that acts on others."""

    def signal(self, key: str) -> None:
        """Signal a counter."""
        self.signal_entity(EntityInstanceId("counter", key), "add", 10)

    def start(self, key: str) -> str:
        """Start an orchestration."""
        return self.schedule_new_orchestration("tick", input=key)

    def fail(self, _: str) -> None:
        """Fail."""
        raise ValueError("told to fail")


app.entity_trigger(context_name="context", entity_name="relay")(Relay)
