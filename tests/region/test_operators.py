"""Who may call what, over HTTP on the real host: what the API says of itself is what it enforces."""

import asyncio
import base64
import functools
import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.rebuild_region import MeasuredRegion

REBUILD, CANCEL = "/api/recovery/rebuild", "/api/recovery/cancel"
KEYS = {"master": "the-master-key", "host": "the-host-key"}
VALUES = {"{id}": "0" * 32, "{version}": "current"}  # of the parameters in paths
NOBODY: dict[str, str] = {}


def signed_in(name: str, *roles: str) -> dict[str, str]:
    """Return the header by which App Service says who calls."""
    claims = [{"typ": "name", "val": name}, *({"typ": "roles", "val": role} for role in roles)]
    principal = {"auth_typ": "aad", "claims": claims, "role_typ": "roles"}
    return {"X-MS-CLIENT-PRINCIPAL": base64.b64encode(json.dumps(principal).encode()).decode()}


@dataclass(frozen=True, slots=True)
class Described:
    """An operation, as the API describes itself: where it is, and who may call it."""

    method: str
    path: str
    security: tuple[str, ...]
    refuses: bool  # whether a caller who is known may still be refused: it is for operators


def described(region: MeasuredRegion) -> list[Described]:
    """Return every operation of the running app's own description."""
    _, _, document = call(region, "GET", "/api/openapi.json", NOBODY)
    found = []
    for template, methods in document["paths"].items():
        path = functools.reduce(lambda path, pair: path.replace(*pair), VALUES.items(), template)
        for method, node in methods.items():
            schemes = tuple(scheme for one in node.get("security", []) for scheme in one)
            found.append(Described(method.upper(), path, schemes, "403" in node["responses"]))
    assert len(found) > 15
    return found


def call(region: MeasuredRegion, method: str, path: str, headers: Mapping[str, str]) -> tuple[int, str, Any]:
    """Return status, content type and JSON body of an answer; null where the body is none."""
    data = b"{}" if method == "POST" else None
    request = urllib.request.Request(region.region.url + path, data=data, headers=dict(headers), method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, reply.headers.get_content_type(), _json(reply.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.headers.get_content_type(), _json(refused.read())


def _json(body: bytes) -> Any:
    try:
        return json.loads(body or b"null")
    except ValueError:
        return None  # lines, or a page


async def answers(
    region: MeasuredRegion, operations: Iterable[Described], headers: Mapping[str, str]
) -> dict[Described, tuple[int, str, Any]]:
    """Return what a caller is answered on each operation."""
    return {one: await asyncio.to_thread(call, region, one.method, one.path, headers) for one in operations}


def test_the_app_role_is_required_where_it_is_asked_for(tmp_path: Path) -> None:
    """Of all operations those are refused that are described so: nobody gets 401, somebody without the role 403, each
    as problem+json that names the role; nothing is started and nothing goes on record. An operator passes, and is on
    record by name.
    """

    async def scenario() -> None:
        region = MeasuredRegion(tmp_path, 384, {"OPERATOR_AUTH": "app_role", "AUTH_ENABLED": "true"})
        async with region.running(), region.host():
            operations = await asyncio.to_thread(described, region)
            for headers, status in ((NOBODY, 401), (signed_in("reader@example.com", "Reader"), 403)):
                for one, answer in (await answers(region, operations, headers)).items():
                    assert (answer[0] == status) == one.refuses, (one, answer)
                    if one.refuses:
                        assert answer[1] == "application/problem+json"
                        assert "Warmlake.Operator" in answer[2]["detail"]
            services = region.services()
            assert await services.state.names("") == []
            operator = signed_in("operator@example.com", "Warmlake.Operator")
            status, kind, refused = await asyncio.to_thread(call, region, "POST", REBUILD, operator)
            assert (status, kind) == (422, "application/problem+json")
            assert "lists no document" in refused["detail"]
            lake = services.lake_account.get_container_client(services.settings.lake_container)
            await lake.upload_blob("a.md", b"# A")
            status, _, started = await asyncio.to_thread(call, region, "POST", REBUILD, operator)
            assert (status, started["status"]) == (202, "running")
            report = await asyncio.to_thread(finished, region, started["url"], operator)
            assert report["status"] == "completed"
            _, _, overview = await asyncio.to_thread(call, region, "GET", "/api/recovery", operator)
            (act,) = overview["acts"]
            assert (act["act"], act["who"]) == ("rebuild", "operator@example.com")
            await services.close()

    asyncio.run(scenario())


def test_a_key_is_required_otherwise_and_no_header_makes_an_operator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the function key those operations get 401 that are described so, from the host, before the app runs; so
    do they with a wrong key, and for one who claims to be an operator. With the key they pass.
    """
    monkeypatch.setenv("FUNCTIONS_HOST_KEYS", json.dumps(KEYS))

    async def scenario() -> None:
        region = MeasuredRegion(tmp_path, 384)
        async with region.running(), region.host():
            operations = await asyncio.to_thread(described, region)
            for headers in (NOBODY, {"x-functions-key": "guessed"}, signed_in("forger", "Warmlake.Operator")):
                for one, answer in (await answers(region, operations, headers)).items():
                    assert (answer[0] == 401) == (one.security == ("functionKey",)), (one, answer)
            services = region.services()
            assert await services.state.names("") == []
            await services.close()
            key = {"x-functions-key": KEYS["host"]}
            status, kind, body = await asyncio.to_thread(call, region, "POST", CANCEL, key)
            assert (status, kind) == (404, "application/problem+json")
            assert body["detail"] == "no rebuild is running or interrupted"
            status, _, body = await asyncio.to_thread(call, region, "GET", "/api/recovery/latest", key)
            assert (status, body["status"]) == (404, 404)  # it passes, and there is none

    asyncio.run(scenario())


def finished(region: MeasuredRegion, url: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """Follow a rebuild to its end."""
    while (shown := call(region, "GET", url, headers)[2])["status"] == "running":
        pass
    return dict(shown)
