"""The management API below `/runtime/webhooks/durabletask`, as Microsoft's HTTP API reference describes it."""

import asyncio
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlencode

import durabletask.internal.orchestrator_service_pb2 as pb
import grpc
from aiohttp import web

from local.functions_host.durable.backend import ENDED, DurableBackend
from local.functions_host.durable.client_binding import WEBHOOK, management_urls
from local.functions_host.durable.events import stamp, text
from local.functions_host.durable.grpc_context import IN_PROCESS, Refused
from local.functions_host.durable.status import NAMES, VALUES, describe, describe_history, iso, parsed
from local.functions_host.keys import Keys

CONTINUATION = "x-ms-continuation-token"
PAGE = 100
RETRY_SECONDS = "10"
HTTP_CODES = {
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 410,
}


class Problem(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ManagementApi:
    """Answers the API's requests from the backend."""

    def __init__(self, backend: DurableBackend, keys: Keys | None) -> None:
        self._backend = backend
        self._keys = keys
        self._changes: dict[str, Callable[[str, web.Request], Any]] = {
            "terminate": self._terminate,
            "suspend": self._suspend,
            "resume": self._resume,
            "rewind": self._rewind,
        }

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a request."""
        if self._keys is not None and not self._keys.allows("function", "", request.query.get("code")):
            return web.Response(status=401)
        parts = [unquote(part) for part in request.rel_url.raw_path.removeprefix(WEBHOOK).strip("/").split("/")]
        try:
            return await self._route(request, parts)
        except Problem as problem:
            return web.json_response({"Message": str(problem)}, status=problem.status)
        except Refused as refused:
            return web.json_response({"Message": str(refused)}, status=HTTP_CODES.get(refused.code, 500))

    async def _route(self, request: web.Request, parts: list[str]) -> web.Response:
        match request.method, parts:
            case "POST", ["orchestrators", name] | ["orchestrators", name, ""]:
                return await self._start(request, name, uuid.uuid4().hex)
            case "POST", ["orchestrators", name, instance_id]:
                return await self._start(request, name, instance_id)
            case "GET", ["instances"]:
                return self._list(request)
            case "DELETE", ["instances"]:
                return self._purge_many(request)
            case "GET", ["instances", instance_id]:
                return self._status(request, instance_id)
            case "DELETE", ["instances", instance_id]:
                return self._purge(instance_id)
            case "POST", ["instances", instance_id, "raiseEvent", event]:
                return await self._raise(request, instance_id, event)
            case "POST", ["instances", instance_id, "restart"]:
                return self._restart(request, instance_id)
            case "POST", ["instances", instance_id, change] if change in self._changes:
                self._changes[change](instance_id, request)
                return web.Response(status=202)
            case "GET", ["entities"]:
                return self._entities(request, "")
            case "GET", ["entities", name]:
                return self._entities(request, name)
            case "GET", ["entities", name, key]:
                return self._entity(name, key)
            case "POST", ["entities", name, key]:
                return await self._signal(request, name, key)
        return web.Response(status=404)

    # ---- instances -------------------------------------------------------------------------------------------------

    async def _start(self, request: web.Request, name: str, instance_id: str) -> web.Response:
        given = await _json_text(request)
        self._backend.StartInstance(
            pb.CreateInstanceRequest(instanceId=instance_id, name=name, input=text(given)), IN_PROCESS
        )
        if "timeout" in request.query:
            done = await self._wait(instance_id, _number(request, "timeout"), _number(request, "pollingInterval", 1.0))
            if done is not None:
                return self._finished(done, request)
        return self._accepted(request, instance_id)

    async def _wait(self, instance_id: str, seconds: float, interval: float) -> pb.OrchestrationState | None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while True:
            state = self._get(instance_id)
            if state.orchestrationStatus in ENDED:
                return state
            left = end - loop.time()
            if left <= 0:
                return None
            await asyncio.sleep(min(interval, left))

    def _finished(self, state: pb.OrchestrationState, request: web.Request) -> web.Response:
        shown = describe(state)
        status = 500 if shown["runtimeStatus"] == "Failed" else 200
        return web.json_response(shown["output"] if status == 200 else shown, status=status)

    def _accepted(self, request: web.Request, instance_id: str) -> web.Response:
        base = f"{request.scheme}://{request.host}{WEBHOOK}"
        kept = {key: request.query[key] for key in ("taskHub", "connection", "code") if key in request.query}
        urls = management_urls(base, instance_id, urlencode(kept))
        headers = {"Location": urls["statusQueryGetUri"], "Retry-After": RETRY_SECONDS}
        return web.json_response(urls, status=202, headers=headers)

    def _status(self, request: web.Request, instance_id: str) -> web.Response:
        state = self._get(instance_id)
        shown = describe(state, _flag(request, "showInput", True))
        if _flag(request, "showHistory"):
            chunks = self._backend.StreamInstanceHistory(
                pb.StreamInstanceHistoryRequest(instanceId=instance_id), IN_PROCESS
            )
            events = [event for chunk in chunks for event in chunk.events]
            shown["historyEvents"] = describe_history(events, _flag(request, "showHistoryOutput"))
        if state.orchestrationStatus not in ENDED:
            headers = {"Location": str(request.url), "Retry-After": RETRY_SECONDS}
            return web.json_response(shown, status=202, headers=headers)
        failed = state.orchestrationStatus == pb.ORCHESTRATION_STATUS_FAILED
        code = 500 if failed and _flag(request, "returnInternalServerErrorOnFailure") else 200
        return web.json_response(shown, status=code)

    def _list(self, request: web.Request) -> web.Response:
        query = pb.InstanceQuery(
            runtimeStatus=_statuses(request),
            maxInstanceCount=int(_number(request, "top", PAGE)),
            instanceIdPrefix=text(request.query.get("instanceIdPrefix")),
            continuationToken=text(request.headers.get(CONTINUATION)),
            fetchInputsAndOutputs=True,
        )
        for name in ("createdTimeFrom", "createdTimeTo"):
            if request.query.get(name):
                getattr(query, name).CopyFrom(stamp(_time(request, name)))
        found = self._backend.QueryInstances(pb.QueryInstancesRequest(query=query), IN_PROCESS)
        shown = [describe(state, _flag(request, "showInput", True)) for state in found.orchestrationState]
        token = found.continuationToken.value
        return web.json_response(shown, headers={CONTINUATION: token} if token else None)

    def _purge(self, instance_id: str) -> web.Response:
        state = self._get(instance_id)
        if state.orchestrationStatus not in ENDED:
            raise Problem(400, f"Instance '{instance_id}' has not ended: terminate it first")
        found = self._backend.PurgeInstances(pb.PurgeInstancesRequest(instanceId=instance_id), IN_PROCESS)
        return web.json_response({"instancesDeleted": found.deletedInstanceCount})

    def _purge_many(self, request: web.Request) -> web.Response:
        wanted = pb.PurgeInstanceFilter(runtimeStatus=_statuses(request))
        if not request.query.get("createdTimeFrom"):
            raise Problem(400, "createdTimeFrom is needed")
        for name in ("createdTimeFrom", "createdTimeTo"):
            if request.query.get(name):
                getattr(wanted, name).CopyFrom(stamp(_time(request, name)))
        found = self._backend.PurgeInstances(pb.PurgeInstancesRequest(purgeInstanceFilter=wanted), IN_PROCESS)
        if not found.deletedInstanceCount:
            raise Problem(404, "No instance matches the filter")
        return web.json_response({"instancesDeleted": found.deletedInstanceCount})

    async def _raise(self, request: web.Request, instance_id: str, event: str) -> web.Response:
        self._live(instance_id)
        given = await _json_text(request)
        self._backend.RaiseEvent(
            pb.RaiseEventRequest(instanceId=instance_id, name=event, input=text(given)), IN_PROCESS
        )
        return web.Response(status=202)

    def _restart(self, request: web.Request, instance_id: str) -> web.Response:
        fresh = _flag(request, "restartWithNewInstanceId", True)
        wanted = pb.RestartInstanceRequest(instanceId=instance_id, restartWithNewInstanceId=fresh)
        return self._accepted(request, self._backend.RestartInstance(wanted, IN_PROCESS).instanceId)

    def _terminate(self, instance_id: str, request: web.Request) -> None:
        self._live(instance_id)
        output = json.dumps(request.query["reason"]) if "reason" in request.query else None
        self._backend.TerminateInstance(pb.TerminateRequest(instanceId=instance_id, output=text(output)), IN_PROCESS)

    def _suspend(self, instance_id: str, request: web.Request) -> None:
        self._live(instance_id)
        reason = text(request.query.get("reason"))
        self._backend.SuspendInstance(pb.SuspendRequest(instanceId=instance_id, reason=reason), IN_PROCESS)

    def _resume(self, instance_id: str, request: web.Request) -> None:
        self._live(instance_id)
        reason = text(request.query.get("reason"))
        self._backend.ResumeInstance(pb.ResumeRequest(instanceId=instance_id, reason=reason), IN_PROCESS)

    def _rewind(self, instance_id: str, request: web.Request) -> None:
        reason = text(request.query.get("reason"))
        self._backend.RewindInstance(pb.RewindInstanceRequest(instanceId=instance_id, reason=reason), IN_PROCESS)

    def _get(self, instance_id: str) -> pb.OrchestrationState:
        wanted = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True)
        found = self._backend.GetInstance(wanted, IN_PROCESS)
        if not found.exists:
            raise Problem(404, f"No instance with ID '{instance_id}' was found.")
        return found.orchestrationState

    def _live(self, instance_id: str) -> None:
        state = self._get(instance_id)
        if state.orchestrationStatus in ENDED:
            raise Problem(410, f"Instance '{instance_id}' is {NAMES[state.orchestrationStatus]}")

    # ---- entities --------------------------------------------------------------------------------------------------

    def _entity(self, name: str, key: str) -> web.Response:
        wanted = pb.GetEntityRequest(instanceId=f"@{name.lower()}@{key}", includeState=True)
        found = self._backend.GetEntity(wanted, IN_PROCESS)
        if not found.exists:
            raise Problem(404, f"No entity '{name}' with key '{key}' was found.")
        return web.json_response(parsed(found.entity.serializedState.value))

    async def _signal(self, request: web.Request, name: str, key: str) -> web.Response:
        if request.headers.get("Content-Type", "").startswith("application/json"):
            given = await _json_text(request)
        else:
            body = await request.text()
            given = json.dumps(body) if body else None
        self._backend.SignalEntity(
            pb.SignalEntityRequest(
                instanceId=f"@{name.lower()}@{key}",
                name=request.query.get("op", ""),
                input=text(given),
                requestId=str(uuid.uuid4()),
            ),
            IN_PROCESS,
        )
        return web.Response(status=202)

    def _entities(self, request: web.Request, name: str) -> web.Response:
        state = _flag(request, "fetchState")
        query = pb.EntityQuery(includeState=state, continuationToken=text(request.headers.get(CONTINUATION)))
        query.instanceIdStartsWith.value = f"@{name.lower()}@" if name else "@"
        query.pageSize.value = int(_number(request, "top", PAGE))
        for field, parameter in (
            ("lastModifiedFrom", "lastOperationTimeFrom"),
            ("lastModifiedTo", "lastOperationTimeTo"),
        ):
            if request.query.get(parameter):
                getattr(query, field).CopyFrom(stamp(_time(request, parameter)))
        found = self._backend.QueryEntities(pb.QueryEntitiesRequest(query=query), IN_PROCESS)
        shown = []
        for entity in found.entities:
            kind, _, key = entity.instanceId.removeprefix("@").partition("@")
            entry = {"entityId": {"name": kind, "key": key}, "lastOperationTime": iso(entity.lastModifiedTime)}
            shown.append({**entry, "state": parsed(entity.serializedState.value)} if state else entry)
        token = found.continuationToken.value
        return web.json_response(shown, headers={CONTINUATION: token} if token else None)


async def _json_text(request: web.Request) -> str | None:
    """Return the body, which must be JSON; None when there is none."""
    body = await request.text()
    if not body.strip():
        return None
    try:
        json.loads(body)
    except ValueError:
        raise Problem(400, "the body is not JSON") from None
    return body


def _flag(request: web.Request, name: str, default: bool = False) -> bool:
    value = request.query.get(name, "").lower()
    if value not in ("", "true", "false"):
        raise Problem(400, f"{name} must be true or false")
    return value == "true" if value else default


def _number(request: web.Request, name: str, default: float = 0.0) -> float:
    try:
        return max(0.0, float(request.query.get(name, default)))
    except ValueError:
        raise Problem(400, f"{name} must be a number") from None


def _time(request: web.Request, name: str) -> datetime:
    try:
        found = datetime.fromisoformat(request.query[name].replace(" ", "+"))
    except ValueError:
        raise Problem(400, f"{name} must be a time in ISO 8601") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _statuses(request: web.Request) -> list[pb.OrchestrationStatus]:
    names = [
        name.strip() for part in request.query.getall("runtimeStatus", []) for name in part.split(",") if name.strip()
    ]
    unknown = [name for name in names if name.lower() not in VALUES]
    if unknown:
        raise Problem(400, f"unknown runtimeStatus {unknown[0]!r}")
    return [VALUES[name.lower()] for name in names]
