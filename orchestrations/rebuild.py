"""The rebuild: recompute the whole index from the lake into a new generation, and only then let it answer.

1. Plan: list the lake, cut it into pages, let the guard look at the numbers.
2. Create the generation.
3. Converge every page, a bounded window of sub-orchestrations at a time.
4. Catch up with what changed meanwhile, until a round finds nothing.
5. Verify every document against the lake. A difference stops here: the alias does not move.
6. Swap the alias; catch up once more with what was written to the old generation in the moment of the swap.
7. Retire old generations; write the report.

Activities are idempotent, so a replay or a second try does no harm; the history holds references and counts, never
content.
"""

from collections import Counter
from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Any

import azure.durable_functions as df
from durabletask import task

from orchestrations import names

# Infrastructure faults pass: six tries spread over about two minutes outlast a service's restart.
RETRY = task.RetryPolicy(
    first_retry_interval=timedelta(seconds=2),
    max_number_of_attempts=6,
    backoff_coefficient=2.0,
    max_retry_interval=timedelta(seconds=60),
)
CATCH_UP_ROUNDS = 10  # a lake that never stops changing is caught up by its events after the swap

Steps = Generator[task.Task[Any], Any, Any]

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context", orchestration=names.REBUILD)
def rebuild(context: task.OrchestrationContext, start: dict[str, Any]) -> Steps:
    """Run a rebuild. `start` has the request, the rebuild's id and the window; the result is the report."""
    progress = _Progress(context, start)
    try:
        report = yield from _run(context, start, progress)
    except task.TaskFailedError as failure:
        report = progress.report("failed", error=failure.details.message)
    yield context.call_activity(names.WRITE_REPORT, input=report, retry_policy=RETRY)
    progress.show(report["status"])
    return report


@bp.orchestration_trigger(context_name="context", orchestration=names.REBUILD_PAGE)
def rebuild_page(context: task.OrchestrationContext, page: dict[str, Any]) -> Steps:
    """Converge the documents of one page. Its own history keeps the parent's short."""
    result = yield context.call_activity(names.INDEX_PAGE, input=page, retry_policy=RETRY)
    return result


class _Progress:
    """What the rebuild has done so far, as the custom status and the report show it."""

    def __init__(self, context: task.OrchestrationContext, start: dict[str, Any]) -> None:
        self.plan: dict[str, Any] | None = None
        self.pages_done = 0
        self.total: dict[str, Any] = {"results": {}, "added": 0, "removed": 0, "embedded": 0, "failures": {}}
        self.verification: dict[str, Any] | None = None
        self._context = context
        self._start = start
        self._seconds: dict[str, float] = {}
        self._phase = ""
        self._since: datetime = context.current_utc_datetime
        self._started: datetime = context.current_utc_datetime

    def enter(self, phase: str) -> None:
        """Begin a phase: the clock of the one before stops."""
        self._stop_clock()
        self._phase = phase
        self.show(phase)

    def add(self, result: dict[str, Any]) -> None:
        """Count what an activity converged."""
        self.total["results"] = dict(Counter(self.total["results"]) + Counter(result["results"]))
        for name in ("added", "removed", "embedded"):
            self.total[name] += result[name]
        self.total["failures"].update(result["failures"])

    def show(self, phase: str) -> None:
        """Publish the custom status."""
        plan = self.plan or {}
        self._context.set_custom_status(
            {
                "id": self._start["id"],
                "phase": phase,
                "generation": plan.get("generation"),
                "documents": plan.get("documents"),
                "pages": plan.get("pages"),
                "pages_done": self.pages_done,
                "chunks": self.total["added"],
                "embedded": self.total["embedded"],
                "failures": len(self.total["failures"]),
                "started": self._started.isoformat(),
            }
        )

    def report(self, status: str, error: str | None = None) -> dict[str, Any]:
        """Return the report as it stands."""
        self._stop_clock()
        return {
            "id": self._start["id"],
            "status": status,
            "error": error,
            "reason": self._start["request"]["reason"],
            "source": self._start["request"]["source"],
            "started": self._started.isoformat(),
            "finished": self._context.current_utc_datetime.isoformat(),
            "plan": self.plan,
            "documents": self.total["results"],
            "chunks": {name: self.total[name] for name in ("added", "removed", "embedded")},
            "failures": self.total["failures"],
            "verification": self.verification,
            "seconds": self._seconds,
        }

    def _stop_clock(self) -> None:
        now = self._context.current_utc_datetime
        if self._phase:
            spent = (now - self._since).total_seconds()
            self._seconds[self._phase] = round(self._seconds.get(self._phase, 0.0) + spent, 3)
        self._since = now


def _run(context: task.OrchestrationContext, start: dict[str, Any], progress: _Progress) -> Steps:
    progress.enter("planning")
    planned = yield _call(context, names.PLAN_REBUILD, start)
    if "refused" in planned:
        return progress.report("refused", error=planned["refused"])
    plan = planned["plan"]
    progress.plan = plan
    if start["request"]["dry_run"]:
        return progress.report("planned")

    progress.enter("creating")
    yield _call(context, names.CREATE_GENERATION, plan)

    progress.enter("indexing")
    yield from _index_pages(context, start, plan, progress)

    progress.enter("catching_up")
    yield from _catch_up(context, plan, progress)

    progress.enter("verifying")
    progress.verification = yield _call(context, names.VERIFY_GENERATION, plan["generation"])
    wrong = sum(progress.verification[kind]["count"] for kind in ("missing", "stale", "extra"))
    if wrong:
        return progress.report("verification_failed", error=f"{wrong} documents differ from the lake")

    progress.enter("swapping")
    yield _call(context, names.SWAP_ALIAS, plan["generation"])
    progress.add((yield _call(context, names.CATCH_UP, plan["generation"])))

    progress.enter("retiring")
    yield _call(context, names.RETIRE_GENERATIONS, None)
    return progress.report("completed")


def _index_pages(
    context: task.OrchestrationContext, start: dict[str, Any], plan: dict[str, Any], progress: _Progress
) -> Steps:
    """Keep a window of pages under way: a slow page holds up its slot, not the others."""
    waiting = iter(range(plan["pages"]))
    running: list[task.Task[Any]] = []
    while True:
        while len(running) < start["window"] and (number := next(waiting, None)) is not None:
            page = {"generation": plan["generation"], "id": plan["id"], "number": number}
            # A readable id of its own for every page: an operator finds it, and the next rebuild has others.
            child = f"{names.REBUILD_INSTANCE}-{plan['id']}/{number}"
            running.append(context.call_sub_orchestrator(names.REBUILD_PAGE, input=page, instance_id=child))
        if not running:
            return
        done = yield task.when_any(running)
        running.remove(done)
        progress.pages_done += 1
        progress.add(done.get_result())
        progress.show("indexing")


def _catch_up(context: task.OrchestrationContext, plan: dict[str, Any], progress: _Progress) -> Steps:
    for _ in range(CATCH_UP_ROUNDS):
        result = yield _call(context, names.CATCH_UP, plan["generation"])
        progress.add(result)
        if not result["results"]:
            return


def _call(context: task.OrchestrationContext, name: str, value: Any) -> task.Task[Any]:
    return context.call_activity(name, input=value, retry_policy=RETRY)
