"""The rebuild: recompute the whole index from the lake into a new generation, and only then let it answer.

1. Plan: list the lake, write its manifest in pages, let the guard look at the numbers.
2. Create the generation.
3. Index: converge every page, a bounded window of sub-orchestrations at a time.
4. Catch up: list again and converge the pages that changed, until a round finds none.
5. Verify every page against the lake, and the probe questions. A fault stops here: the alias does not move.
6. Let events write to the generation too, and converge what changed since the last listing; swap the alias; look again.
7. Retire old generations; write the report.

A rebuild that lost its orchestration is started again with its own id (`control.resume_interrupted`): what is right in
the generation is skipped, and one that was cut off after its swap goes on there.

Activities are idempotent, so a replay or a second try does no harm. The history holds references and counts, never
content; after PAGES_AN_EXECUTION pages the orchestration continues as new with what it knows, so that its history stays
short whatever the size of the lake.
"""

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
from durabletask import task

from orchestrations import names
from orchestrations.progress import Progress, carried
from shared.recovery.compare import add_summaries, faults
from shared.recovery.plan import guard_failures

# Infrastructure faults pass: eight tries spread over about four minutes outlast a service's restart.
RETRY = task.RetryPolicy(
    first_retry_interval=timedelta(seconds=2),
    max_number_of_attempts=8,
    backoff_coefficient=2.0,
    max_retry_interval=timedelta(seconds=60),
)
CATCH_UP_ROUNDS = 10  # a lake that never stops changing is caught up after the swap
PAGES_AN_EXECUTION = 200  # about 1,000 events of history

Steps = Generator[task.Task[Any], Any, Any]

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context", orchestration=names.REBUILD)
def rebuild(context: task.OrchestrationContext, start: dict[str, Any]) -> Steps:
    """Run a rebuild. `start` has the request, the rebuild's id and settings, and the progress of executions before."""
    return (yield from run(context, start))


def run(context: task.OrchestrationContext, start: dict[str, Any]) -> Steps:
    """Do what the orchestrator does; returns the report, or None when it continues as new."""
    execution = _Rebuild(context, start)
    try:
        report = yield from execution.steps()
    except task.TaskFailedError as failure:
        report = execution.progress.report("failed", context.current_utc_datetime, failure.details.message)
    if report is None:
        return None
    yield context.call_activity(names.WRITE_REPORT, input=report, retry_policy=RETRY)
    execution.progress.phase = report["status"]
    execution.show()
    return report


@bp.orchestration_trigger(context_name="context", orchestration=names.REBUILD_PAGE)
def rebuild_page(context: task.OrchestrationContext, page: dict[str, Any]) -> Steps:
    """Do one activity for one page. Its own history keeps the parent's short."""
    result = yield context.call_activity(page["activity"], input=page, retry_policy=RETRY)
    return result


class _Rebuild:
    """One execution of the orchestration: goes on with the phase that the one before left."""

    def __init__(self, context: task.OrchestrationContext, start: dict[str, Any]) -> None:
        self._context = context
        self._start = start
        self._window: int = start["window"]
        now = context.current_utc_datetime.isoformat()
        before = start.get("progress")
        self.progress = Progress(**before) if before else Progress(start["id"], start["request"], now, now)
        self._pages_begun = 0

    @property
    def _plan(self) -> dict[str, Any]:
        return self.progress.plan or {}

    def show(self) -> None:
        """Publish the custom status."""
        self._context.set_custom_status(self.progress.status(self._context.current_utc_datetime))

    def steps(self) -> Steps:
        """Run what is left to be done; returns the report, or None when the orchestration continues as new."""
        progress = self.progress
        if progress.phase == "planning":
            self.show()
            planned = yield self._call(names.PLAN_REBUILD, self._start)
            if "refused" in planned:
                return self._report("refused", planned["refused"])
            progress.plan = planned["plan"]
            if progress.request["dry_run"]:
                return self._report("planned")
            if self._plan["swapped"]:
                return (yield from self._swap())
            yield self._call(names.CREATE_GENERATION, self._plan)
            self._enter("indexing", self._plan["pages"])
        if progress.phase == "indexing":
            if not (yield from self._pages(names.INDEX_PAGE)):
                return None
            too_many = guard_failures(
                progress.failed,
                self._plan["documents"],
                self._start["max_failed_share"],
                progress.request["force"],
            )
            if too_many:
                return self._report("stopped", too_many)
            self._enter("catching_up", 0)
        while progress.phase == "catching_up":
            if progress.pages_done == progress.pages:
                progress.round += 1
                changed = yield self._call(names.CATCH_UP, {"plan": self._plan, "round": progress.round})
                progress.start_pages(changed)
            if not (yield from self._pages(names.INDEX_PAGE, progress.round)):
                return None
            if progress.pages == 0 or progress.round == CATCH_UP_ROUNDS:
                progress.forget_failures()
                self._enter("verifying", self._plan["pages"])
        return (yield from self._verify_and_swap())

    def _verify_and_swap(self) -> Steps:
        progress = self.progress
        if not (yield from self._pages(names.VERIFY_PAGE)):
            return None
        progress.failed_probes = yield self._call(names.PROBE, self._plan)
        wrong, unanswered = faults(progress.verification or {}), len(progress.failed_probes or ())
        if wrong or unanswered:
            return self._report(
                "verification_failed",
                f"{wrong} documents differ from the lake and {unanswered} probe questions do not find their document; "
                'POST /api/recovery/rebuild with {"resume": true} mends and verifies again',
            )
        return (yield from self._swap())

    def _swap(self) -> Steps:
        progress = self.progress
        for phase, step in (
            ("joining", names.JOIN_LIVE),
            ("swapping", names.SWAP_ALIAS),
            ("following", names.FOLLOW_LIVE),
        ):
            self._enter(phase, 0)
            done = yield self._call(step, self._plan)
            if "refused" in done:
                return self._report("cancelled", done["refused"])
            if done:
                progress.add_later(done)
        self._enter("retiring", 0)
        yield self._call(names.RETIRE_GENERATIONS, None)
        return self._report("completed")

    def _pages(self, activity: str, round_: int | None = None) -> Steps:
        """Keep a window of pages under way until all are done: a slow page holds up its slot, not the others.

        Returns False when the orchestration continues as new instead.
        """
        progress = self.progress
        running: list[task.Task[Any]] = []
        while True:
            full = self._pages_begun >= PAGES_AN_EXECUTION
            while not full and len(running) < self._window and progress.next_page < progress.pages:
                running.append(self._begin_page(activity, round_))
                full = self._pages_begun >= PAGES_AN_EXECUTION
            if not running:
                break
            done = yield task.when_any(running)
            running.remove(done)
            progress.pages_done += 1
            self._take(activity, round_, done.get_result())
            self.show()
        if progress.next_page < progress.pages:
            progress.stop_clock(self._context.current_utc_datetime)
            self._context.continue_as_new({**self._start, "progress": carried(progress)})
            return False
        return True

    def _begin_page(self, activity: str, round_: int | None) -> task.Task[Any]:
        number = self.progress.next_page
        self.progress.next_page += 1
        self._pages_begun += 1
        page = {"activity": activity, "plan": self._plan, "number": number, "round": round_}
        if activity == names.VERIFY_PAGE:  # one look at one page: a child of its own would take as long as the look
            return self._call(activity, page)
        # A readable id of its own for every page: an operator finds it, and the next rebuild has others.
        step = activity if round_ is None else f"{activity}-{round_}"
        child = f"{names.REBUILD_INSTANCE}-{self.progress.id}/{step}/{number}"
        return self._context.call_sub_orchestrator(names.REBUILD_PAGE, input=page, instance_id=child)

    def _take(self, activity: str, round_: int | None, result: dict[str, Any]) -> None:
        progress = self.progress
        if activity == names.VERIFY_PAGE:
            progress.add_failures(result["failures"])
            before, found = progress.verification, result["summary"]
            progress.verification = add_summaries(before, found) if before else found
        elif round_ is None:
            progress.add(result)
        else:
            progress.add_later(result)

    def _enter(self, phase: str, pages: int) -> None:
        self.progress.enter(phase, self._context.current_utc_datetime)
        self.progress.start_pages(pages)
        self.show()

    def _report(self, status: str, error: str | None = None) -> dict[str, Any]:
        return self.progress.report(status, self._context.current_utc_datetime, error)

    def _call(self, name: str, value: Any) -> task.Task[Any]:
        return self._context.call_activity(name, input=value, retry_policy=RETRY)
