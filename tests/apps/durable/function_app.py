"""Orchestrations of every kind, small enough to read."""

import json
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from durabletask import task

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("start/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Start an orchestration with the body as its input."""
    given = json.loads(req.get_body() or b"null")
    name, instance_id = req.route_params["name"], req.params.get("id")
    instance_id = await client.schedule_new_orchestration(name, input=given, instance_id=instance_id)
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
