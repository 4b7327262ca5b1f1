"""Orchestrations of every kind, small enough to read."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func
import grpc
from durabletask import task
from durabletask.entities import DurableEntity, EntityInstanceId

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("start/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Start an orchestration with the body as its input."""
    given = json.loads(req.get_body() or b"null")
    name, instance_id = req.route_params["name"], req.params.get("id")
    begin = datetime.now(UTC) + timedelta(seconds=float(req.params["delay"])) if "delay" in req.params else None
    try:
        instance_id = await client.schedule_new_orchestration(
            name, input=given, instance_id=instance_id, start_at=begin
        )
    except grpc.RpcError as refused:
        return func.HttpResponse(refused.code().name, status_code=409)
    return client.create_check_status_response(req, instance_id)


@app.route("wait/{id}")
@app.durable_client_input(client_name="client")
async def wait(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Wait for an orchestration's end and return its output."""
    state = await client.wait_for_orchestration_completion(req.route_params["id"], timeout=60)
    return func.HttpResponse(state.serialized_output if state else "null", mimetype="application/json")


@app.activity_trigger(input_name="number")
def square(number: int) -> int:
    """Return the square."""
    return number * number


@app.orchestration_trigger(context_name="context")
def squares(context: task.OrchestrationContext, count: Any):
    """Add the squares below a number, all at once."""
    results = yield task.when_all([context.call_activity("square", input=number) for number in range(count or 5)])
    return sum(results)


@app.activity_trigger(input_name="reason")
def refuse(reason: str) -> None:
    """Raise."""
    raise ValueError(reason)


tries: dict[str, int] = {}


@app.activity_trigger(input_name="key")
def second_time(key: str) -> str:
    """Fail the first time that it is called with a key."""
    tries[key] = tries.get(key, 0) + 1
    if tries[key] < 2:
        raise ValueError("not yet")
    return "done"


@app.orchestration_trigger(context_name="context")
def pages(context: task.OrchestrationContext, count: Any):
    """Run many activities in sub-orchestrations."""
    return sum((yield task.when_all([context.call_sub_orchestrator("squares", input=25) for _ in range(count)])))


@app.orchestration_trigger(context_name="context")
def family(context: task.OrchestrationContext, level: Any):
    """Tell who the parent is, as the child sees it."""
    if level == "child":
        return context.parent_instance_id
    return (yield context.call_sub_orchestrator("family", input="child"))


@app.orchestration_trigger(context_name="context")
def waits(context: task.OrchestrationContext, _: Any):
    """Wait for an event and return what it brings."""
    context.set_custom_status({"waiting": True})
    return (yield context.wait_for_external_event("go"))


@app.orchestration_trigger(context_name="context")
def parent_waits(context: task.OrchestrationContext, _: Any):
    """Wait for a child that waits."""
    return (yield context.call_sub_orchestrator("waits", instance_id=f"{context.instance_id}-child"))


@app.orchestration_trigger(context_name="context")
def counts(context: task.OrchestrationContext, number: Any):
    """Continue as new until five, each time with a timer of the execution left over."""
    context.create_timer(context.current_utc_datetime + timedelta(seconds=0.2))
    if number < 5:
        context.continue_as_new(number + 1)
        return None
    yield context.create_timer(context.current_utc_datetime + timedelta(seconds=0.4))
    return number


@app.orchestration_trigger(context_name="context")
def fails(context: task.OrchestrationContext, reason: Any):
    """Fail with what an activity raised."""
    yield context.call_activity("refuse", input=reason)


@app.orchestration_trigger(context_name="context")
def child_fails(context: task.OrchestrationContext, reason: Any):
    """Catch what a child failed with."""
    try:
        yield context.call_sub_orchestrator("fails", input=reason)
    except task.TaskFailedError as failed:
        return str(failed)


@app.orchestration_trigger(context_name="context")
def rewindable(context: task.OrchestrationContext, key: Any):
    """Succeed when it is rewound."""
    return (yield context.call_activity("second_time", input=key))


@app.orchestration_trigger(context_name="context")
def retries(context: task.OrchestrationContext, key: Any):
    """Succeed at the second try."""
    policy = task.RetryPolicy(first_retry_interval=timedelta(milliseconds=50), max_number_of_attempts=3)
    return (yield context.call_activity("second_time", input=key, retry_policy=policy))


@app.orchestration_trigger(context_name="context")
def missing(context: task.OrchestrationContext, _: Any):
    """Call an activity that does not exist."""
    yield context.call_activity("nowhere")


@app.entity_trigger(context_name="context")
class Counter(DurableEntity):
    """A number that can be added to."""

    def add(self, amount: int) -> int:
        """Add to the number."""
        self.set_state(self.get_state(int, 0) + amount)
        return self.get_state(int, 0)

    def forget(self) -> None:
        """Delete the number."""
        self.set_state(None)


@app.orchestration_trigger(context_name="context")
def adds(context: task.OrchestrationContext, key: Any):
    """Add twice under a lock; nobody comes between."""
    counter = EntityInstanceId("counter", key)
    with (yield context.lock_entities([counter])):
        first = yield context.call_entity(counter, "add", 1)
        yield context.create_timer(context.current_utc_datetime + timedelta(seconds=0.1))
        second = yield context.call_entity(counter, "add", 1)
    return second - first
