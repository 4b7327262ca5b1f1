"""The table of contents: every trigger of the app. Each parses, calls one function, and serialises."""

import functools
import json
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Any

import azure.durable_functions as df
import azure.functions as func
import azurefunctions.extensions.bindings.blob as blob
from azurefunctions.extensions.http.fastapi import Request, Response, StreamingResponse

from orchestrations import activities, control, rebuild
from shared import library, site
from shared.access_views import shown_problems, shown_status
from shared.body import json_bytes
from shared.chat.presence import while_there
from shared.chat.service import ChatService
from shared.clients import services
from shared.collect import collect_unneeded
from shared.errors import WarmlakeError, problem
from shared.feedback import FeedbackService
from shared.follow import follow
from shared.health import HealthCheck
from shared.identity import Caller, caller, require_operator
from shared.lake.model import path_of_event
from shared.limits import Limiter, Limits, caller_key
from shared.observe import observe
from shared.openapi import describe
from shared.poison import give_up
from shared.reading import parse_span, read_text
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

OBSERVE_SCHEDULE = "0 */5 * * * *"  # the alert on silence counts on several within half an hour
EVERY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
ROUTES: dict[str, frozenset[str]] = {}  # every API route below with its methods, for clear errors about the others


def route(template: str, *methods: str, auth_level: func.AuthLevel = func.AuthLevel.ANONYMOUS) -> Callable[..., Any]:
    """Declare an HTTP route, and remember it."""
    ROUTES[template] = ROUTES.get(template, frozenset()) | frozenset(methods)
    declared: Callable[..., Any] = app.route(template, methods=list(methods), auth_level=auth_level)
    return declared


# ---- answers -------------------------------------------------------------------------------------------------------


def reply(value: Any, status_code: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON response."""
    return Response(json_bytes(value), status_code, {"Content-Type": "application/json", **(headers or {})})


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


# ---- who may act -----------------------------------------------------------------------------------------------------

OPERATOR = func.AuthLevel.FUNCTION if SETTINGS.operator_auth == "function_key" else func.AuthLevel.ANONYMOUS


def operator(req: Request) -> str:
    """Return who asks for an act of recovery, for the audit record. Raises Unauthorized or Forbidden."""
    who = caller(req.headers, SETTINGS.auth_enabled)
    if SETTINGS.operator_auth == "app_role":
        require_operator(who)
    return who.name or "function key"


def reader(req: Request) -> Caller:
    """Return who opens documents, as far as that is verified. Raises TooManyRequests for a caller over the limit."""
    who = caller(req.headers, SETTINGS.auth_enabled)
    readers().count(caller_key(who, req.headers, peer(req)))
    return who


@functools.cache
def readers() -> Limiter:
    """Return the process's books of those who open documents."""
    limits = Limits(SETTINGS.document_requests_per_minute, 0, SETTINGS.chat_concurrency)
    return Limiter(limits, asks="requests for documents")


# ---- chat ----------------------------------------------------------------------------------------------------------


@route("api/chat", "POST")
@answers_problems
async def chat(req: Request) -> Response:
    """Answer a question with citations."""
    work = chat_service().answer(await req.body(), req.headers, peer(req))
    return reply(await while_there(work, req.is_disconnected))


@route("api/chat/stream", "POST")
@answers_problems
async def chat_stream(req: Request) -> Response:
    """Answer as newline-delimited JSON while the model writes."""
    work = chat_service().stream(await req.body(), req.headers, peer(req))
    return StreamingResponse(await while_there(work, req.is_disconnected), media_type="application/jsonl")


@functools.cache
def chat_service() -> ChatService:
    """Return the process's chat, which keeps the books of its callers."""
    return ChatService(services())


def peer(req: Request) -> str:
    """Return the address that a request comes from, where no front end names it."""
    return req.client.host if req.client else ""


@route("api/suggestions", "GET")
@answers_problems
async def suggestions(req: Request) -> Response:
    """Questions that the empty page offers."""
    return reply({"questions": list(services().settings.suggested_questions)})


@route("api/feedback", "POST")
@answers_problems
async def feedback(req: Request) -> Response:
    """Keep what a reader thinks of an answer."""
    return reply(await feedback_service().take(await req.body(), req.headers, peer(req)))


@route("api/feedback", "GET", auth_level=OPERATOR)
@answers_problems
async def feedback_entries(req: Request) -> Response:
    """Everything that readers thought of answers, for evaluation, as newline-delimited JSON."""
    operator(req)
    return StreamingResponse(feedback_service().lines(), media_type="application/jsonl")


@functools.cache
def feedback_service() -> FeedbackService:
    """Return the process's feedback, which keeps the books of its callers."""
    return FeedbackService(services())


# ---- documents -----------------------------------------------------------------------------------------------------


@route("api/documents/{id}/versions", "GET")
@answers_problems
async def document_versions(req: Request) -> Response:
    """List a document's versions."""
    return reply(await library.list_versions(services(), req.path_params["id"], reader(req).groups))


@route("api/documents/{id}/versions/{version}", "GET")
@answers_problems
async def document_version(req: Request) -> Response:
    """Open a document at a version: where a citation's link leads."""
    known = req.headers.get("if-none-match", "")
    opened = await library.open_version(
        services(), req.path_params["id"], req.path_params["version"], reader(req).groups, known
    )
    return StreamingResponse(opened.content, opened.status, opened.headers)


@route("api/documents/{id}/versions/{version}/text", "GET")
@answers_problems
async def document_text(req: Request) -> Response:
    """Read on around a citation: parts of an indexed version as text."""
    span = parse_span(req.query_params)
    return reply(
        await read_text(services(), req.path_params["id"], req.path_params["version"], span, reader(req).groups)
    )


@route("api/documents/problems", "GET")
@answers_problems
async def document_problems(req: Request) -> Response:
    """List the documents that could not be indexed, with reasons."""
    return reply({"problems": await shown_problems(services(), reader(req))})


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


@app.queue_trigger(arg_name="message", queue_name="webjobs-blobtrigger-poison", connection="AzureWebJobsStorage")
async def index_blob_failed(message: func.QueueMessage) -> None:
    """Every try to index a document failed: a person must see that."""
    await give_up(services(), message.get_body())


@app.queue_trigger(arg_name="message", queue_name="%DELETIONS_QUEUE%-poison", connection="AzureWebJobsStorage")
async def index_deletion_failed(message: func.QueueMessage) -> None:
    """Every try to follow a deletion failed: a person must see that."""
    await give_up(services(), message.get_body())


@app.timer_trigger(arg_name="timer", schedule="%RECONCILE_SCHEDULE%")
async def reconcile_on_time(timer: func.TimerRequest) -> None:
    """Compare the lake with the index now and then: the answer to events that were lost."""
    await reconcile(services())


@app.timer_trigger(arg_name="timer", schedule="%COLLECT_SCHEDULE%")
async def collect_on_time(timer: func.TimerRequest) -> None:
    """Remove stored embeddings that nothing has needed for long."""
    await collect_unneeded(services())


@app.timer_trigger(arg_name="timer", schedule=OBSERVE_SCHEDULE)
async def observe_on_time(timer: func.TimerRequest) -> None:
    """Tell operators how this region is: what alerts are made from."""
    await observe(services(), health_check())


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


@app.timer_trigger(arg_name="timer", schedule="%RESUME_SCHEDULE%")
@app.durable_client_input(client_name="client")
async def resume_on_time(timer: func.TimerRequest, client: df.DurableFunctionsClient) -> None:
    """Go on with a rebuild that was accepted and that nothing runs any more."""
    await control.resume_interrupted(services(), client)


@route("api/recovery", "GET", auth_level=OPERATOR)
@app.durable_client_input(client_name="client")
@answers_problems
async def recovery_overview(req: Request, client: df.DurableFunctionsClient) -> Response:
    """Show generations, reports, acts, and what is running."""
    operator(req)
    return reply(await control.overview(services(), client), headers={"Cache-Control": "no-store"})


@route("api/recovery/{id}", "GET", auth_level=OPERATOR)
@app.durable_client_input(client_name="client")
@answers_problems
async def recovery_status(req: Request, client: df.DurableFunctionsClient) -> Response:
    """Show a rebuild: progress while it runs, its report afterwards. Both name documents of any kind."""
    operator(req)
    shown = await control.show_rebuild(services(), client, req.path_params["id"])
    return reply(shown, headers={"Cache-Control": "no-store"})


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
    body = {"status": "healthy" if found.healthy else "unhealthy", "checks": found.checks, "warnings": found.warnings}
    return reply(body, 200 if found.healthy else 503, {"Cache-Control": "no-store"})


@route("api/status", "GET")
@app.durable_client_input(client_name="client")
@answers_problems
async def region_status(req: Request, client: df.DurableFunctionsClient) -> Response:
    """What this region serves from."""
    rebuild_now = await control.running_rebuild(client)
    who = caller(req.headers, SETTINGS.auth_enabled)
    view = await shown_status(services(), await status(services(), rebuild_now), who)
    return reply(view, headers={"Cache-Control": "no-store"})


@route("api/openapi.json", "GET")
@answers_problems
async def openapi_document(req: Request) -> Response:
    """The description of this API."""
    return reply(describe(services().settings))


@app.route("{*path}", methods=EVERY_METHOD)
@answers_problems
async def pages(req: Request) -> Response:
    """The pages; and for everything else that no route above takes, a clear error."""
    found = site.asset(req.method, req.url.path.lstrip("/"), ROUTES)
    return Response(found.content, headers=found.headers)
