"""Schemas of documents, status, recovery and errors. Pure."""

from shared.openapi.build import (
    COUNT,
    FLAG,
    NUMBER,
    TEXT,
    TIME,
    Node,
    accepted,
    answered,
    described,
    list_of,
    map_of,
    nullable,
    one_of,
    ref,
)
from shared.recovery.plan import REASON_CHARACTERS, SOURCES

_SWITCHES = {
    "dry_run": described(FLAG, "Only plan, and report the plan."),
    "force": described(FLAG, "Go on where a guard would stop."),
    "resume": described(FLAG, "Go on with the generation that an interrupted rebuild has left."),
}
_REASON = described({"type": "string", "maxLength": REASON_CHARACTERS}, "Why, for the record of acts.")


def region_schemas() -> dict[str, Node]:
    """Return the schemas by name."""
    return {**_documents(), **_status(), **_requests(), **_recovery(), "Problem": _problem()}


def _problem() -> Node:
    told = answered({"code": described(TEXT, "The title as one word: bad_request, too_busy, ..."), "message": TEXT})
    return described(
        answered({"type": TEXT, "title": TEXT, "status": {"type": "integer"}, "detail": TEXT, "error": told}),
        "An error (RFC 9457). The detail names the value and the way out; `error` is for AI Chat Protocol clients.",
    )


def _documents() -> dict[str, Node]:
    version = answered(
        {"version_id": TEXT, "is_current": FLAG, "last_modified": TIME, "size": COUNT, "url": TEXT},
    )
    problem = answered(
        {
            **dict.fromkeys(("document_id", "path", "etag", "version_id", "pipeline"), TEXT),
            "reason": described(TEXT, "encrypted, corrupt, image_only, empty, too_large, too_many_pages, ..."),
            "message": TEXT,
            "at": TIME,
        }
    )
    part = answered({"ordinal": COUNT, "heading": TEXT, "page": nullable(COUNT), "text": TEXT})
    retried = answered({"path": TEXT, "result": TEXT, "reason": nullable(TEXT), "embedded": COUNT})
    return {
        "Versions": answered({"document_id": TEXT, "path": TEXT, "versions": list_of(version)}),
        "DocumentText": answered(
            {
                **dict.fromkeys(("document_id", "version_id", "path", "title"), TEXT),
                "count": described(COUNT, "How many parts the document has."),
                "parts": list_of(part),
            }
        ),
        "Problems": answered({"problems": list_of(problem)}),
        "Retried": answered(
            {"retried": list_of(retried), "left": described(COUNT, "Not tried yet, for want of time: ask again.")}
        ),
    }


def _status() -> dict[str, Node]:
    path = nullable(described(TEXT, "null: the document is not open to the caller."))
    newest = answered({"path": path, "version_id": TEXT, "last_modified": TIME})
    change = answered({"seconds": NUMBER, "path": path, "at": TIME})
    return {
        "Health": answered(
            {
                "status": one_of("healthy", "unhealthy"),
                "checks": described(map_of(TEXT), "By name: empty when it passed, else what is wrong."),
                "warnings": described(map_of(TEXT), "By name: what wants a person though the region can answer."),
            }
        ),
        "Status": answered(
            {
                "region": TEXT,
                "ready": described(FLAG, "Whether a verified generation answers."),
                "generation": nullable(TEXT),
                "documents": COUNT,
                "chunks": COUNT,
                "newest": nullable(newest),
                "model": TEXT,
                "embedding_model": TEXT,
                "pipeline": TEXT,
                "rebuild_needed": described(TEXT, "Why the index has to be rebuilt; empty when it has not."),
                "problems": COUNT,
                "index_lag_seconds": nullable(described(NUMBER, "How long the last change took into the index.")),
                "last_change": nullable(change),
                "last_sync_time": nullable(described(TIME, "Up to when the lake's replica has every write.")),
                "rebuild": nullable({"type": "object"}),
                "reconciled": nullable({"type": "object"}),
            }
        ),
        "Reconciled": answered(
            {
                "generation": TEXT,
                "documents": COUNT,
                "found": described(map_of(COUNT), "Documents that differed, by kind."),
                "finished": FLAG,
            }
        ),
    }


def _requests() -> dict[str, Node]:
    return {
        "RebuildRequest": accepted({"reason": _REASON, "source": one_of(*SOURCES), **_SWITCHES}),
        "CancelRequest": accepted({"reason": _REASON}),
        "RollbackRequest": accepted(
            {
                "reason": _REASON,
                "generation": nullable(described(TEXT, "null: the newest verified one beside the live one.")),
            }
        ),
        "RetryRequest": accepted(
            {"path": nullable(described({"type": "string", "minLength": 1}, "null: all of them."))}
        ),
    }


def _recovery() -> dict[str, Node]:
    generation = answered({"name": TEXT, "live": FLAG, "verified": FLAG, "since": nullable(TIME)})
    caught_up = answered(
        {
            "documents": COUNT,
            "found": described(map_of(COUNT), "Documents that differed, by kind."),
            "results": described(map_of(COUNT), "Documents by what became of them."),
            "finished": described(FLAG, "Whether the whole lake was compared."),
            "error": described(TEXT, "Why nothing could be compared."),
        },
        optional=("error",),
    )
    act = answered({"act": TEXT, "who": TEXT, "reason": TEXT, "at": TIME, "details": {"type": "object"}})
    return {
        "Started": answered({"id": TEXT, "status": one_of("running"), "url": TEXT}),
        "Rebuild": described(
            answered({"id": nullable(TEXT), "status": TEXT}),
            "Progress while it runs (phase, documents, chunks a second, time left), its report afterwards: counts, "
            "failures, tokens embedded and reused, verification, recovery point, seconds by phase.",
        ),
        "RolledBack": answered(
            {
                "generation": TEXT,
                "previous": nullable(TEXT),
                "withdrawn": described(caught_up, "Deletions, and who may see what: followed first."),
                "before": described(caught_up, "What was converged before the alias moved."),
                "after": described(caught_up, "What was converged after."),
            }
        ),
        "Overview": answered(
            {
                "region": TEXT,
                "rebuild_needed": described(TEXT, "Why the index has to be rebuilt; empty when it has not."),
                "running": nullable(ref("Rebuild")),
                "interrupted": nullable(ref("Rebuild")),
                "generations": list_of(generation),
                "reports": list_of(ref("Rebuild")),
                "acts": list_of(act),
            }
        ),
    }
