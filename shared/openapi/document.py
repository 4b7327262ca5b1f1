"""The description itself: every operation with what it takes and answers. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared import reading
from shared.openapi.build import TEXT, Node, ref
from shared.openapi.chat import chat_schemas, feedback_schemas
from shared.openapi.region import region_schemas
from shared.settings import Settings

JSON, LINES, PROBLEM = "application/json", "application/jsonl", "application/problem+json"
RETRY_AFTER: Node = {
    "description": "Seconds until trying again makes sense.",
    "schema": {"type": "integer", "minimum": 0},
}
ERRORS: Mapping[int, str] = {
    400: "The request is wrong.",
    401: "Nobody is signed in, or the key is missing.",
    403: "The caller may not do this.",
    404: "There is no such thing, or the caller may not see it.",
    409: "The same work is under way, or the state forbids it.",
    413: "The request is over a limit.",
    422: "A guard stopped it.",
    429: "The caller asks more often than is allowed.",
    503: "The index, the model or another dependency cannot serve now.",
}
WAITING = frozenset({429, 503})  # these say how long
READS = (503,)
OPENS = (401, 404, 429, 503)
ASKS = (400, 401, 413, 429, 503)
ACTS = (400, 401, 403, 503)

DOCUMENT_ID: Node = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "A citation's document_id.",
    "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
}
VERSION: Node = {
    "name": "version",
    "in": "path",
    "required": True,
    "description": "A version_id, or `current`.",
    "schema": {"type": "string", "minLength": 1},
}
FROM: Node = {
    "name": "from",
    "in": "query",
    "description": "The place of the first part that is wanted, counted from 0.",
    "schema": {"type": "integer", "minimum": 0, "maximum": reading.MOST_ORDINAL, "default": 0},
}
COUNT: Node = {
    "name": "count",
    "in": "query",
    "description": "How many parts are wanted.",
    "schema": {"type": "integer", "minimum": 1, "maximum": reading.MOST_PARTS, "default": reading.PARTS},
}
REBUILD_ID: Node = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The id of a rebuild, or `latest`.",
    "schema": {"type": "string", "pattern": "^[0-9a-z]+$"},
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. `body` and `answer` name schemas; `media` is the answer's type."""

    method: str
    path: str
    name: str
    summary: str
    tag: str
    answer: str
    body: str = ""
    errors: tuple[int, ...] = READS
    status: int = 200
    media: str = JSON
    parameters: tuple[Node, ...] = ()
    headers: Mapping[str, Node] = field(default_factory=dict)
    operator: bool = False
    body_required: bool = True


LOCATION: Node = {"description": "Where its progress is.", "schema": TEXT}
OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "post", "/api/chat", "ask", "Answer a question with citations.", "chat", "ChatReply", "ChatRequest", ASKS
    ),
    Operation(
        "post",
        "/api/chat/stream",
        "askStreaming",
        "The same as newline-delimited JSON while the answer is written: one ChatEvent a line.",
        "chat",
        "ChatEvent",
        "ChatStreamRequest",
        ASKS,
        media=LINES,
    ),
    Operation("get", "/api/suggestions", "suggestions", "Questions to begin with.", "chat", "Suggestions"),
    Operation(
        "post", "/api/feedback", "rate", "Keep a reader's rating of an answer.", "feedback", "Rating", "Feedback", ASKS
    ),
    Operation(
        "get",
        "/api/feedback",
        "ratings",
        "Every rating that is kept, one FeedbackEntry a line.",
        "feedback",
        "FeedbackEntry",
        errors=(401, 403, 503),
        media=LINES,
        operator=True,
    ),
    Operation(
        "get",
        "/api/documents/{id}/versions",
        "versions",
        "A document's versions, newest first.",
        "documents",
        "Versions",
        errors=OPENS,
        parameters=(DOCUMENT_ID,),
    ),
    Operation(
        "get",
        "/api/documents/{id}/versions/{version}",
        "openVersion",
        "One version of a document, in the type it was stored with.",
        "documents",
        "",
        errors=OPENS,
        media="*/*",
        parameters=(DOCUMENT_ID, VERSION),
        headers={
            "X-Version-Id": {"description": "The version that was opened.", "schema": TEXT},
            "ETag": {
                "description": "Of its content: sent as If-None-Match, it spares sending that again.",
                "schema": TEXT,
            },
        },
    ),
    Operation(
        "get",
        "/api/documents/{id}/versions/{version}/text",
        "readText",
        "Parts of an indexed version as text: reading on around a citation.",
        "documents",
        "DocumentText",
        errors=(400, *OPENS),
        parameters=(DOCUMENT_ID, VERSION, FROM, COUNT),
    ),
    Operation(
        "get",
        "/api/documents/problems",
        "problems",
        "Documents that could not be indexed.",
        "documents",
        "Problems",
        errors=(429, 503),
    ),
    Operation(
        "post",
        "/api/documents/retry",
        "retryDocuments",
        "Try quarantined documents again: one, or all of them.",
        "documents",
        "Retried",
        "RetryRequest",
        (*ACTS, 404),
        operator=True,
        body_required=False,
    ),
    Operation(
        "post",
        "/api/index/reconcile",
        "reconcile",
        "Compare the lake with the index now, and mend what differs.",
        "documents",
        "Reconciled",
        errors=(401, 403, 503),
        operator=True,
    ),
    Operation(
        "post",
        "/api/recovery/rebuild",
        "rebuild",
        "Recompute the index from the lake.",
        "recovery",
        "Started",
        "RebuildRequest",
        (*ACTS, 409, 422),
        status=202,
        headers={"Location": LOCATION, "Retry-After": RETRY_AFTER},
        operator=True,
        body_required=False,
    ),
    Operation(
        "post",
        "/api/recovery/cancel",
        "cancelRebuild",
        "Stop a rebuild and remove what it has built.",
        "recovery",
        "Rebuild",
        "CancelRequest",
        (*ACTS, 404, 409),
        operator=True,
        body_required=False,
    ),
    Operation(
        "post",
        "/api/recovery/rollback",
        "rollback",
        "Let an earlier generation answer again.",
        "recovery",
        "RolledBack",
        "RollbackRequest",
        (*ACTS, 404, 409),
        operator=True,
        body_required=False,
    ),
    Operation(
        "get",
        "/api/recovery",
        "recovery",
        "Generations, reports, acts, and what is running.",
        "recovery",
        "Overview",
        errors=(401, 403, 503),
        operator=True,
    ),
    Operation(
        "get",
        "/api/recovery/{id}",
        "showRebuild",
        "A rebuild's progress, or its report.",
        "recovery",
        "Rebuild",
        errors=(401, 403, 404, 503),
        parameters=(REBUILD_ID,),
        operator=True,
    ),
    Operation("get", "/api/status", "status", "What this region serves from.", "region", "Status"),
    Operation("get", "/api/openapi.json", "describe", "This description.", "region", "", errors=()),
)


def describe(settings: Settings) -> Node:
    """Return the OpenAPI document of the whole HTTP API."""
    paths: dict[str, Any] = {"/api/health": {method: _health(method) for method in ("get", "head")}}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, settings)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Warmlake",
            "version": "1",
            "summary": "Chat over a versioned lake of documents, and the recovery of its index.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {**chat_schemas(settings), **feedback_schemas(), **region_schemas()},
            "securitySchemes": {
                "functionKey": {"type": "apiKey", "in": "header", "name": "x-functions-key"},
                "signedIn": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _operation(operation: Operation, settings: Settings) -> Node:
    node: Node = {"operationId": operation.name, "summary": operation.summary, "tags": [operation.tag]}
    if operation.parameters:
        node["parameters"] = list(operation.parameters)
    if operation.body:
        content = {JSON: {"schema": ref(operation.body)}}
        node["requestBody"] = {"required": operation.body_required, "content": content}
    node["responses"] = {
        str(operation.status): _answer(operation),
        **{str(status): _error(status) for status in operation.errors},
    }
    if security := _security(operation, settings):
        node["security"] = security
    return node


def _answer(operation: Operation) -> Node:
    schema = ref(operation.answer) if operation.answer else {}
    node: Node = {"description": operation.summary, "content": {operation.media: {"schema": schema}}}
    return {**node, "headers": dict(operation.headers)} if operation.headers else node


def _error(status: int) -> Node:
    node: Node = {"description": ERRORS[status], "content": {PROBLEM: {"schema": ref("Problem")}}}
    return {**node, "headers": {"Retry-After": RETRY_AFTER}} if status in WAITING else node


def _security(operation: Operation, settings: Settings) -> list[Node]:
    """Operators have a key or an app role; everybody else is signed in where authentication is on."""
    if operation.operator and settings.operator_auth == "function_key":
        return [{"functionKey": []}]
    return [{"signedIn": []}] if settings.auth_enabled else []


def _health(method: str) -> Node:
    def answer(text: str) -> Node:
        content = {"content": {JSON: {"schema": ref("Health")}}} if method == "get" else {}
        return {"description": text, **content}

    return {
        "operationId": "health" if method == "get" else "healthHead",
        "summary": "Whether this region can answer from a verified index.",
        "tags": ["region"],
        "responses": {"200": answer("Every check passed."), "503": answer("The checks that failed are named.")},
    }
