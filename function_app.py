"""The table of contents: every trigger of the app. Each parses, calls one function, and serialises."""

import functools
import json
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import azure.durable_functions as df
import azure.functions as func
import azurefunctions.extensions.bindings.blob as blob
from azurefunctions.extensions.http.fastapi import Request, Response, StreamingResponse

from orchestrations import activities, control, rebuild
from shared import library, site
from shared.chat.answer import Chat, to_line
from shared.chat.protocol import ChatLimits, ChatRequest, parse_chat_request
from shared.clients import Services, services
from shared.errors import WarmlakeError, problem
from shared.health import HealthCheck
from shared.identity import caller, require_operator
from shared.lake.model import path_of_event
from shared.reconcile import reconcile
from shared.recovery.plan import parse_cancel_request, parse_rebuild_request, parse_rollback_request
from shared.retry import parse_retry_request, retry
from shared.settings import Settings
from shared.status import status

logger = logging.getLogger(__name__)
SETTINGS = Settings.from_env(
    os.environ
)  # a wrong setting stops the app here, with every fault named, not at the first request

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.register_functions(rebuild.bp)
app.register_functions(activities.bp)

NO_GROUPS: frozenset[str] = frozenset()  # callers are anonymous: they see what everybody may see
EVERY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
ROUTES: dict[str, frozenset[str]] = {}  # every API route below with its methods, for clear errors about the others


def route(template: str, *methods: str, auth_level: func.AuthLevel = func.AuthLevel.ANONYMOUS) -> Callable[..., Any]:
    """Declare an HTTP route, and remember it."""
    ROUTES[template] = frozenset(methods)
    declared: Callable[..., Any] = app.route(template, methods=list(methods), auth_level=auth_level)
    return declared


# ---- answers -------------------------------------------------------------------------------------------------------


def reply(value: Any, status_code: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON response."""
    content = json.dumps(value, ensure_ascii=False).encode()
    return Response(content, status_code, {"Content-Type": "application/json", **(headers or {})})


def refuse(error: BaseException) -> Response:
    """Return the problem+json response for an error."""
    status_code, headers, body = problem(error)
    return reply(body, status_code, headers)


def answers_problems[**P](trigger: Callable[P, Awaitable[Any]]) -> Callable[P, Awaitable[Any]]:
    """Turn what a trigger raises into problem+json. An unexpected error is logged and answers 500."""

    @functools.wraps(trigger)
    async def wrapped(*args: P.args, **kwargs: P.kwargs) -> Any:
        try:
            return await trigger(*args, **kwargs)
        except WarmlakeError as error:
            return refuse(error)
        except Exception as error:
            logger.exception("http function=%s failed", trigger.__name__)
            return refuse(error)

    return wrapped


async def chat_request(req: Request, settings: Settings) -> ChatRequest:
    """Return the parsed body of a chat call."""
    limits = ChatLimits(settings.chat_message_max_characters, settings.chat_max_messages)
    return parse_chat_request(await req.body(), limits)


# ---- who may act -----------------------------------------------------------------------------------------------------

OPERATOR = func.AuthLevel.FUNCTION if SETTINGS.operator_auth == "function_key" else func.AuthLevel.ANONYMOUS


def operator(req: Request) -> str:
    """Return who asks for an act of recovery, for the audit record. Raises Unauthorized or Forbidden."""
    who = caller(req.headers, SETTINGS.auth_enabled)
    if SETTINGS.operator_auth == "app_role":
        require_operator(who)
    return who.name or "function key"


# ---- chat ----------------------------------------------------------------------------------------------------------


@route("api/chat", "POST")
@answers_problems
async def chat(req: Request) -> Response:
    """Answer a question with citations."""
    request = await chat_request(req, services().settings)
    return reply(await Chat(services()).answer(request, NO_GROUPS))


@route("api/chat/stream", "POST")
@answers_problems
async def chat_stream(req: Request) -> Response:
    """Answer as newline-delimited JSON while the model writes."""
    request = await chat_request(req, services().settings)
    events = Chat(services()).events(request, NO_GROUPS)
    first = await anext(events)  # what fails before the first event still gets its own status
    return StreamingResponse(_lines(first, events), media_type="application/jsonl")


async def _lines(first: dict[str, Any], events: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    yield to_line(first)
    try:
        async for event in events:
            yield to_line(event)
    except Exception as error:  # the status line is long gone: the error is the last, well-formed event
        logger.exception("chat stream failed")
        yield to_line({"error": problem(error)[2]})


@route("api/suggestions", "GET")
@answers_problems
async def suggestions(req: Request) -> Response:
    """Questions that the empty page offers."""
    return reply({"questions": list(services().settings.suggested_questions)})


# ---- documents -----------------------------------------------------------------------------------------------------


@route("api/documents/{id}/versions", "GET")
@answers_problems
async def document_versions(req: Request) -> Response:
    """List a document's versions."""
    return reply(await library.list_versions(services(), req.path_params["id"], NO_GROUPS))


@route("api/documents/{id}/versions/{version}", "GET")
@answers_problems
async def document_version(req: Request) -> Response:
    """Open a document at a version: where a citation's link leads."""
    opened = await library.open_version(services(), req.path_params["id"], req.path_params["version"], NO_GROUPS)
    return StreamingResponse(opened.content, headers=opened.headers)


@route("api/documents/problems", "GET")
@answers_problems
async def document_problems(req: Request) -> Response:
    """List the documents that could not be indexed, with reasons."""
    listed = await services().indexer.problems.list()
    return reply({"problems": [{name: getattr(entry, name) for name in entry.__slots__} for entry in listed]})


@route("api/documents/retry", "POST", auth_level=OPERATOR)
@answers_problems
async def documents_retry(req: Request) -> Response:
    """Try quarantined documents again: one, or all of them."""
    operator(req)
    return reply(await retry(services(), parse_retry_request(await req.body())))


# ---- indexing ------------------------------------------------------------------------------------------------------


@app.blob_trigger(
    arg_name="client", path="%LAKE_CONTAINER%/{name}", connection="LAKE_STORAGE", source=func.BlobSource.EVENT_GRID
)
async def index_blob(client: blob.BlobClient) -> None:
    """A document was written. Only its path is taken from the event; the content never passes through the host."""
    await follow(services(), client.blob_name)


@app.queue_trigger(arg_name="message", queue_name="%DELETIONS_QUEUE%", connection="AzureWebJobsStorage")
async def index_deletion(message: func.QueueMessage) -> None:
    """A document was deleted, or so the event says: the lake decides."""
    path = path_of_event(json.loads(message.get_body()), services().settings.lake_container)
    if path is not None:
        await follow(services(), path)


async def follow(app_services: Services, path: str) -> None:
    """Converge one path in the live generation. Without one, the rebuild to come will see the lake as it is."""
    live = await app_services.generations.live()
    if live is None:
        logger.info("converge document=%s result=ignored reason=no_generation", path)
        return
    await app_services.indexer.converge(path, live)


@app.timer_trigger(arg_name="timer", schedule="%RECONCILE_SCHEDULE%")
async def reconcile_on_time(timer: func.TimerRequest) -> None:
    """Compare the lake with the index now and then: the answer to events that were lost."""
    await reconcile(services())


@route("api/index/reconcile", "POST", auth_level=OPERATOR)
@answers_problems
async def index_reconcile(req: Request) -> Response:
    """Compare the lake with the index now, and report what differed."""
    operator(req)
    return reply(await reconcile(services()))


# ---- recovery ------------------------------------------------------------------------------------------------------


@route("api/recovery/rebuild", "POST", auth_level=OPERATOR)
@app.durable_client_input(client_name="client")
@answers_problems
async def recovery_rebuild(req: Request, client: df.DurableFunctionsClient) -> Response:
    """Start a rebuild of the whole index."""
    who = operator(req)
    request = parse_rebuild_request(await req.body())
    started = await control.start_rebuild(services(), client, request, who)
    return reply(started, 202, {"Location": started["url"], "Retry-After": "2"})


@route("api/recovery/cancel", "POST", auth_level=OPERATOR)
@app.durable_client_input(client_name="client")
@answers_problems
async def recovery_cancel(req: Request, client: df.DurableFunctionsClient) -> Response:
    """Stop a rebuild and remove what it has built."""
    who = operator(req)
    return reply(await control.cancel_rebuild(services(), client, parse_cancel_request(await req.body()), who))


@route("api/recovery/rollback", "POST", auth_level=OPERATOR)
@app.durable_client_input(client_name="client")
@answers_problems
async def recovery_rollback(req: Request, client: df.DurableFunctionsClient) -> Response:
    """Let an earlier generation answer again."""
    who = operator(req)
    return reply(await control.rollback(services(), client, parse_rollback_request(await req.body()), who))


@route("api/recovery", "GET", auth_level=OPERATOR)
@app.durable_client_input(client_name="client")
@answers_problems
async def recovery_overview(req: Request, client: df.DurableFunctionsClient) -> Response:
    """Show generations, reports, acts, and what is running."""
    operator(req)
    return reply(await control.overview(services(), client), headers={"Cache-Control": "no-store"})


@route("api/recovery/{id}", "GET")
@app.durable_client_input(client_name="client")
@answers_problems
async def recovery_status(req: Request, client: df.DurableFunctionsClient) -> Response:
    """Show a rebuild: progress while it runs, its report afterwards."""
    return reply(await control.show_rebuild(services(), client, req.path_params["id"]))


# ---- health, status, pages -----------------------------------------------------------------------------------------


@functools.cache
def health_check() -> HealthCheck:
    """Return the process's health check, whose result is shared by all probes."""
    return HealthCheck(services())


@route("api/health", "GET", "HEAD")
@answers_problems
async def health(req: Request) -> Response:
    """200 only when this region can answer from a verified index."""
    found = await health_check().run()
    body = {"status": "healthy" if found.healthy else "unhealthy", "checks": found.checks}
    return reply(body, 200 if found.healthy else 503, {"Cache-Control": "no-store"})


@route("api/status", "GET")
@answers_problems
async def region_status(req: Request) -> Response:
    """What this region serves from."""
    return reply(await status(services()), headers={"Cache-Control": "no-store"})


@app.route("{*path}", methods=EVERY_METHOD)
@answers_problems
async def pages(req: Request) -> Response:
    """The pages; and for everything else that no route above takes, a clear error."""
    found = site.asset(req.method, req.url.path.lstrip("/"), ROUTES)
    return Response(found.content, headers=found.headers)
