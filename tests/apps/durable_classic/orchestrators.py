"""Orchestrations, activities and entities with the classic contexts."""

from datetime import timedelta

import azure.durable_functions as df

bp = df.Blueprint()
tries: dict[str, int] = {}


@bp.activity_trigger(input_name="text")
def shout(text: str) -> str:
    """Return the text in upper case."""
    return text.upper()


@bp.activity_trigger(input_name="given")
def fails_until(given: dict) -> str:
    """Fail so many times."""
    tries[given["key"]] = tries.get(given["key"], 0) + 1
    if tries[given["key"]] < given["times"]:
        raise ValueError(f"try {tries[given['key']]}")
    return f"after {tries[given['key']]} tries"


@bp.orchestration_trigger(context_name="context")
def chain(context: df.DurableOrchestrationContext):
    """Call activities, then a child."""
    first = yield context.call_activity("shout", "a")
    second = yield context.call_activity("Shout", "b")
    child = yield context.call_sub_orchestrator("about", instance_id=f"{context.instance_id}:child")
    return {"activities": [first, second], "child": child}


@bp.orchestration_trigger(context_name="context")
def about(context: df.DurableOrchestrationContext):
    """Tell what the context knows, after a replay."""
    yield context.create_timer(context.current_utc_datetime + timedelta(milliseconds=50))
    return {
        "instance": context.instance_id,
        "parent": context.parent_instance_id,
        "version": context.version,
        "replaying": context.is_replaying,
        "again": context.will_continue_as_new,
        "function": context.function_context is not None,
        "ids": [str(context.new_uuid()), str(context.new_guid())],
    }


@bp.orchestration_trigger(context_name="context")
def race(context: df.DurableOrchestrationContext):
    """Wait for an event or for an hour."""
    context.set_custom_status({"waiting": "for go"})
    event = context.wait_for_external_event("go")
    timer = context.create_timer(context.current_utc_datetime + timedelta(hours=1))
    winner = yield context.task_any([event, timer])
    if winner is event:
        timer.cancel()
    return {"event": winner is event, "data": event.result if winner is event else None}


@bp.orchestration_trigger(context_name="context")
def retries(context: df.DurableOrchestrationContext):
    """Retry an activity, then a child that has one."""
    options = df.RetryOptions(first_retry_interval_in_milliseconds=10, max_number_of_attempts=3)
    key = context.new_uuid()
    found = yield context.call_activity_with_retry("fails_until", options, {"key": f"{key}a", "times": 3})
    child = yield context.call_sub_orchestrator_with_retry("tries_once", options, {"key": f"{key}b", "times": 2})
    try:
        yield context.call_activity_with_retry("fails_until", options, {"key": f"{key}c", "times": 9})
    except Exception as fault:
        return [found, child, "try 3" in str(fault)]
    return "nothing failed"


@bp.orchestration_trigger(context_name="context")
def tries_once(context: df.DurableOrchestrationContext):
    """Pass on what an activity does."""
    return (yield context.call_activity("fails_until", context.get_input()))


@bp.orchestration_trigger(context_name="context")
def generations(context: df.DurableOrchestrationContext):
    """Count to five, one execution each."""
    number = (context.get_input() or 0) + 1
    if number < 5:
        context.continue_as_new(number)
    return number


@bp.orchestration_trigger(context_name="context")
def calls_http(context: df.DurableOrchestrationContext):
    """Call an address, durably."""
    given = context.get_input()
    answer = yield context.call_http(given["method"], given["url"], content=given.get("content"))
    return {"status": answer.status_code, "content": answer.content}


@bp.orchestration_trigger(context_name="context")
def asks_entity(context: df.DurableOrchestrationContext):
    """Use an entity in every way."""
    entity = df.EntityId("Ledger", context.get_input())
    described = yield context.call_entity(entity, "describe")
    yield context.call_entity(entity, "add", 5)
    context.signal_entity(entity, "add", 2)
    total = yield context.call_entity(entity, "get")
    try:
        yield context.call_entity(entity, "nonsense")
    except Exception as fault:
        return {"described": described, "total": total, "fault": "nonsense" in str(fault)}
    return "nothing failed"


@bp.entity_trigger(context_name="context", entity_name="ledger")
def keeps_a_ledger(context: df.DurableEntityContext) -> None:
    """Keep a number, under a name that is not the function's."""
    total = context.get_state(initializer=lambda: 0)
    if context.operation_name == "add":
        total += context.get_input()
        context.set_state(total)
    elif context.operation_name == "forget":
        context.destruct_on_exit()
    elif context.operation_name == "describe":
        context.set_result([context.entity_name, context.entity_key])
        return
    elif context.operation_name != "get":
        raise ValueError(f"{context.operation_name} is not understood")
    context.set_result(total)
