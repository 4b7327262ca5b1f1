"""The classic client's methods over HTTP."""

import json

import azure.durable_functions as df
import azure.functions as func

bp = df.Blueprint()


def answer(value: object, status: int = 200) -> func.HttpResponse:
    """Answer with JSON."""
    return func.HttpResponse(json.dumps(value), status_code=status, mimetype="application/json")


@bp.route("start/{name}", methods=["POST"])
@bp.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Start an orchestration; the answer has its addresses."""
    given = json.loads(req.get_body() or b"null")
    instance_id = await client.start_new(req.route_params["name"], client_input=given)
    return client.create_check_status_response(req, instance_id)


@bp.route("status/{id}")
@bp.durable_client_input(client_name="client")
async def status(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Return an instance's status."""
    found = await client.get_status(req.route_params["id"], show_history=True, show_input=True)
    return answer(found.to_json())


@bp.route("find/{state}")
@bp.durable_client_input(client_name="client")
async def find(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Return the ids of all instances, and of those in a state."""
    wanted = df.OrchestrationRuntimeStatus(req.route_params["state"])
    everything = [found.instance_id for found in await client.get_status_all()]
    return answer([everything, [found.instance_id for found in await client.get_status_by(runtime_status=[wanted])]])


@bp.route("do/{what}/{id}", methods=["POST"])
@bp.durable_client_input(client_name="client")
async def do(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Change an instance."""
    instance_id, what = req.route_params["id"], req.route_params["what"]
    if what == "raise":
        await client.raise_event(instance_id, "go", event_data=req.get_json())
    elif what == "restart":
        return answer(await client.restart(instance_id))
    elif what == "purge":
        return answer((await client.purge_instance_history(instance_id)).instances_deleted)
    else:
        await getattr(client, what)(instance_id, reason="asked to")
    return answer(None)


@bp.route("wait/{id}")
@bp.durable_client_input(client_name="client")
async def wait(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Wait for the end, as long as is asked for."""
    patience = int(req.params["ms"])
    return await client.wait_for_completion_or_create_check_status_response(
        req, req.route_params["id"], timeout_in_milliseconds=patience, retry_interval_in_milliseconds=50
    )


@bp.route("ledger/{key}/{operation?}")
@bp.durable_client_input(client_name="client")
async def ledger(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Read the entity, or signal it."""
    entity = df.EntityId("ledger", req.route_params["key"])
    operation = req.route_params.get("operation")
    if operation:
        await client.signal_entity(entity, operation, json.loads(req.get_body() or b"null"))
        return answer(None, 202)
    found = await client.read_entity_state(entity)
    return answer({"exists": found.entity_exists, "state": found.entity_state})


@bp.route("echo", methods=["GET", "POST"])
def echo(req: func.HttpRequest) -> func.HttpResponse:
    """Return the body, with the status asked for."""
    return func.HttpResponse(req.get_body(), status_code=int(req.params.get("status", "200")))
