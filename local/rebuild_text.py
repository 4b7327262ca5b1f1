"""What `python -m local rebuild` writes: a progress bar, plain lines, the plan as a page, the outcome. Pure."""

from collections.abc import Mapping
from typing import Any

Status = Mapping[str, Any]

BAR = 24  # characters, at most
PHASES = {
    "starting": "starting",
    "planning": "planning",
    "indexing": "indexing",
    "catching_up": "catching up",
    "verifying": "verifying",
    "joining": "taking up what changed meanwhile",
    "swapping": "going live",
    "following": "looking at the lake once more",
    "retiring": "tidying up",
    "interrupted": "interrupted, is resumed by itself",
    "away": "the app does not answer, waiting",
}


def share(said: Status) -> float | None:
    """Return how much of the phase is done, from 0 to 1; None where that cannot be said."""
    pages = said.get("pages") or 0
    return min(1.0, (said.get("pages_done") or 0) / pages) if pages else None


def bar_line(said: Status, width: int) -> str:
    """Return one line of at most `width` - 1 characters: phase, bar, counts, rate, time left."""
    done = share(said)
    head = _phase(said)
    tail = "  ".join(_figures(said))
    room = width - 1 - len(head) - len(tail) - 12
    if done is None or room < 4:
        return f"{head}  {tail}".rstrip()[: max(0, width - 1)]
    size = min(BAR, room)
    filled = round(done * size)
    return f"{head} [{'#' * filled}{'.' * (size - filled)}] {done:4.0%}  {tail}".rstrip()[: width - 1]


def plain_line(said: Status) -> str:
    """Return the same as a sentence for logs."""
    done = share(said)
    parts = [_phase(said), *([] if done is None else [f"{done:.0%}"]), *_figures(said)]
    return ", ".join(parts)


def plan_page(report: Status) -> str:
    """Return the plan of a dry run as a page to read."""
    plan = report["plan"]
    estimate = plan["estimate"]
    rows = [
        ("documents", f"{plan['documents']:,} ({size(plan['bytes'])})"),
        ("chunks", f"{estimate['chunks']:,} estimated"),
        (
            "stored",
            f"{estimate['stored_documents']:,} documents, {estimate['stored_chunks']:,} chunks: embedded already",
        ),
        ("to embed", f"{estimate['tokens_to_embed']:,} tokens"),
        ("embedding", _minutes(estimate["embedding_minutes"], "no quota is set (EMBEDDING_TOKENS_PER_MINUTE)")),
        ("indexing", _minutes(estimate["indexing_minutes"], "no rebuild has been measured yet")),
        ("cost", _cost(estimate)),
        ("source", f"{plan['source']} of the lake{_cut(plan)}"),
        (
            "generation",
            f"{plan['generation']}{' (resumed)' if plan['resumed'] else ''}; now live: {plan['previous'] or 'none'}",
        ),
    ]
    lines = [f"plan {report['id']}: nothing has been changed", *(f"  {name:<11} {text}" for name, text in rows)]
    if plan["newer_count"]:
        lines.append(f"  not in it   {plan['newer_count']:,} versions are newer than the copy:")
        lines += [f"              {one['path']} ({one['at']})" for one in plan["newer"]]
        if plan["newer_count"] > len(plan["newer"]):
            lines.append(f"              ... and {plan['newer_count'] - len(plan['newer']):,} more")
    return "\n".join(lines)


def outcome(report: Status) -> str:
    """Return how a rebuild ended, in one line, or a few where documents could not be read."""
    if report["status"] != "completed":
        return (
            f"rebuild {report['id']}: {report['status'].replace('_', ' ')}: {report.get('error') or 'no reason given'}"
        )
    done, chunks = report.get("documents") or {}, report.get("chunks") or {}
    spent = sum((report.get("seconds") or {}).values())
    rate = report.get("chunks_per_second")
    parts = [
        f"rebuild {report['id']}: verified and live",
        f"{sum(done.values()):,} documents",
        f"{chunks.get('added', 0):,} chunks written",
        f"{chunks.get('embedded', 0):,} embedded",
        f"{duration(spent)}",
        *([f"{rate:,.0f} chunks/s"] if rate else []),
    ]
    lines = [", ".join(parts)]
    failures = report.get("failures") or {}
    if failures.get("count"):
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(failures["reasons"].items()))
        lines.append(f"  {failures['count']:,} documents could not be read ({reasons}): GET /api/documents/problems")
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Return seconds as minutes:seconds, with hours where there are any."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def size(count: int) -> str:
    """Return bytes in the unit that suits them."""
    if count < 1_000:
        return f"{count} B"
    value = count / 1_000
    for unit in ("kB", "MB", "GB"):
        if value < 1_000:
            return f"{value:.1f} {unit}"
        value /= 1_000
    return f"{value:,.1f} TB"


def _phase(said: Status) -> str:
    name = str(said.get("phase") or said.get("status") or "away")
    if said.get("status") == "interrupted":
        name = "interrupted"
    return PHASES.get(name, name)


def _figures(said: Status) -> list[str]:
    found: list[str] = []
    if said.get("chunks") is not None:
        found.append(f"{said.get('chunks_done') or 0:,}/{said['chunks']:,} chunks")
    if said.get("chunks_per_second"):
        found.append(f"{said['chunks_per_second']:,.0f}/s")
    if said.get("eta_seconds") is not None:
        found.append(f"{duration(said['eta_seconds'])} left")
    if said.get("throttle_wait_seconds"):
        found.append(f"waited {said['throttle_wait_seconds']:.0f} s")
    if said.get("failures"):
        found.append(f"{said['failures']:,} unreadable")
    return found


def _minutes(value: float | None, unknown: str) -> str:
    if value is None:
        return f"not known: {unknown}"
    return "under a minute" if value < 1 else f"{value:,.0f} minutes" if value < 120 else f"{value / 60:,.1f} hours"


def _cost(estimate: Status) -> str:
    value = estimate["embedding_cost"]
    return "not known: no price is set (EMBEDDING_PRICE)" if value is None else f"{value:,.2f} for embeddings"


def _cut(plan: Status) -> str:
    return f", as it was at {plan['last_sync_time']}" if plan["last_sync_time"] else ""
