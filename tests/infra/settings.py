"""App settings and routing, held to the app itself: its table of settings, its routes, its health check."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from shared.errors import SettingsError
from shared.health import CACHE_SECONDS, CHECK_SECONDS
from shared.settings import SETTINGS, Settings
from tests.infra.evaluate import Deployment
from tests.infra.policies import CONTAINER, PROFILE, QUEUE, SITE, STORAGE
from tests.infra.values import Resource

APP = Path(__file__).parent.parent.parent / "function_app.py"
# Keys are for one machine; on Azure identities take their place.
SECRETS = frozenset(row.name for row in SETTINGS if row.name.endswith("_KEY"))
# What a parameter brings; without it the setting keeps its empty default.
OPTIONAL = frozenset({"DOCUMENT_INTELLIGENCE_ENDPOINT"})
# What nobody decides but who deploys, by `tuning`: empty means nothing is allowed.
TUNED = frozenset({"CHAT_LINK_HOSTS"})
REGIONAL = frozenset({"REGION", "SEARCH_ENDPOINT", "OPENAI_ENDPOINT", "AZURE_CLIENT_ID", "LAKE_READ_ONLY", *OPTIONAL})
# Not in the table: what the host, the trigger extensions, telemetry and the platform read.
PLATFORM = frozenset(
    {
        *(f"AzureWebJobsStorage__{part}" for part in ("credential", "clientId", "blobServiceUri", "queueServiceUri")),
        "AzureWebJobsStorage__tableServiceUri",
        *(f"LAKE_STORAGE__{part}" for part in ("credential", "clientId", "blobServiceUri", "queueServiceUri")),
        "APPLICATIONINSIGHTS_CONNECTION_STRING",
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
        "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
        "OTEL_SERVICE_NAME",
        "OTEL_RESOURCE_ATTRIBUTES",
        "AzureFunctionsJobHost__extensions__durableTask__storageProvider__type",
        "AzureFunctionsJobHost__extensions__durableTask__storageProvider__connectionStringName",
        "DURABLE_TASK_SCHEDULER",
        "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID",
    }
)
# Of these the ones that every app needs, whatever the parameters.
NEEDED = frozenset(
    name for name in PLATFORM if not name.startswith(("AzureFunctionsJobHost__", "DURABLE_TASK_", "OVERRIDE_"))
)
SECRET_WORDS = ("AccountKey=", "SharedAccessKey", "SharedAccessSignature", "sig=", "Password", "api-key")
# Flex Consumption knows its runtime from functionAppConfig and refuses or ignores these.
REFUSED_BY_FLEX = frozenset(
    {
        *("FUNCTIONS_WORKER_RUNTIME", "FUNCTIONS_EXTENSION_VERSION", "WEBSITE_RUN_FROM_PACKAGE", "WEBSITE_TIME_ZONE"),
        *("WEBSITE_CONTENTAZUREFILECONNECTIONSTRING", "WEBSITE_CONTENTSHARE", "SCM_DO_BUILD_DURING_DEPLOYMENT"),
        *("ENABLE_ORYX_BUILD", "WEBSITE_VNET_ROUTE_ALL", "FUNCTIONS_WORKER_PROCESS_COUNT"),
    }
)
# A probe must not be told "no answer" by a check that was about to answer: what is left for TLS and the way there.
PROBE_MARGIN_SECONDS = 0.9


def app_settings(app: Resource) -> dict[str, str]:
    """Return the settings of an app, as its process sees them."""
    return {entry["name"]: entry["value"] for entry in app.get("properties.siteConfig.appSettings")}


def settings_faults(deployment: Deployment, parameters: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the app would not start with, what is secret, what is unknown, and how regions differ."""
    table = {row.name for row in SETTINGS}
    seen: list[dict[str, str]] = []
    for app in deployment.of(SITE):
        given = app_settings(app)
        try:
            Settings.from_env(given)
        except SettingsError as fault:
            yield f"{app}: the app does not start: {fault}"
        for name in sorted(table - SECRETS - OPTIONAL - TUNED - set(given)):
            yield f"{app}: {name} is not set"
        for name in sorted(NEEDED - set(given)):
            yield f"{app}: {name} is not set"
        for name in ("AzureWebJobsStorage__clientId", "LAKE_STORAGE__clientId"):
            if given.get(name) != given.get("AZURE_CLIENT_ID"):
                yield f"{app}: {name} is another identity than the app's"
        if given.get(sign := "APPLICATIONINSIGHTS_AUTHENTICATION_STRING") != (
            f"Authorization=AAD;ClientId={given.get('AZURE_CLIENT_ID')}"
        ):
            yield f"{app}: {sign} does not sign telemetry in as the app's identity"
        for name in sorted(set(given) - table - PLATFORM):
            yield f"{app}: nothing reads the setting {name}"
        for name in sorted(set(given) & (SECRETS | REFUSED_BY_FLEX)):
            yield f"{app}: {name} must not be set"
        for name, value in given.items():
            if any(word in value for word in SECRET_WORDS):
                yield f"{app}: {name} holds a secret"
        yield from _addresses(deployment, app, given)
        yield from _read_only(app, given, parameters)
        seen.append({name: value for name, value in given.items() if name in table - REGIONAL})
    if any(other != seen[0] for other in seen[1:]):
        yield "the settings of the regions differ in more than what their resources decide"


def _read_only(app: Resource, given: Mapping[str, str], parameters: Mapping[str, Any]) -> Iterator[str]:
    """Yield a region that may write to the lake though it is told not to, or the other way round."""
    told = app.get("location") in parameters.get("readOnlyRegions", "").split(",")
    if (given.get("LAKE_READ_ONLY") == "true") != told:
        yield f"{app}: LAKE_READ_ONLY is {given.get('LAKE_READ_ONLY')!r}"


def _addresses(deployment: Deployment, app: Resource, given: Mapping[str, str]) -> Iterator[str]:
    """Yield accounts, containers and queues that settings name and nobody deploys."""
    accounts = {account.name for account in deployment.of(STORAGE)}
    for name, value in given.items():
        if name.endswith("ServiceUri") and value.removeprefix("https://").split(".")[0] not in accounts:
            yield f"{app}: {name} is {value!r}, an account that is not deployed"
    if given.get("LAKE_STORAGE__queueServiceUri") != given.get("AzureWebJobsStorage__queueServiceUri"):
        yield f"{app}: the blob trigger puts failed events where index_blob_failed does not listen"
    lake, host = (given.get(f"{prefix}__blobServiceUri", "") for prefix in ("LAKE_STORAGE", "AzureWebJobsStorage"))
    containers = {(found.names[0], found.name) for found in deployment.of(CONTAINER)}
    for name, where in (("LAKE_CONTAINER", lake), ("EMBEDDINGS_CONTAINER", lake), ("STATE_CONTAINER", host)):
        if (where.removeprefix("https://").split(".")[0], given.get(name)) not in containers:
            yield f"{app}: {name} is {given.get(name)!r}, a container that is not deployed"
    queues = {(found.names[0], found.name) for found in deployment.of(QUEUE)}
    if (host.removeprefix("https://").split(".")[0], given.get("DELETIONS_QUEUE")) not in queues:
        yield f"{app}: DELETIONS_QUEUE is {given.get('DELETIONS_QUEUE')!r}, a queue that is not deployed"


@cache
def routes() -> frozenset[str]:
    """Return the routes of the app that answer GET without a key, from its source."""
    found = set()
    for node in ast.walk(ast.parse(APP.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "route":
            texts = [str(argument.value) for argument in node.args if isinstance(argument, ast.Constant)]
            if "GET" in texts[1:] and not node.keywords:
                found.add(f"/{texts[0]}")
    return frozenset(found)


def worst_case_failover(interval: int, tolerated: int, timeout: int, ttl: int) -> int:
    """Return the most seconds until users are sent elsewhere: kept health, failed probes, last wait, resolvers' memory.

    https://learn.microsoft.com/azure/traffic-manager/traffic-manager-monitoring
    """
    return round(CACHE_SECONDS) + interval * (tolerated + 1) + timeout + ttl


def routing_faults(deployment: Deployment, parameters: Mapping[str, Any]) -> Iterator[str]:
    """Yield what would send users to a region that cannot answer, or keep them from one that can."""
    profiles = deployment.of(PROFILE)
    if len(profiles) != 1:
        yield f"there are {len(profiles)} Traffic Manager profiles"
        return
    profile = profiles[0]
    monitor = profile.get("properties.monitorConfig")
    if profile.get("properties.profileStatus") != "Enabled":
        yield f"{profile}: probes nobody and answers nobody"
    if profile.get("properties.trafficRoutingMethod") != "Priority":
        yield f"{profile}: routes by {profile.get('properties.trafficRoutingMethod')!r}, not by priority"
    if monitor["path"] not in routes():
        yield f"{profile}: probes {monitor['path']!r}, which the app does not answer without a key"
    if (monitor["protocol"], monitor["port"]) != ("HTTPS", 443):
        yield f"{profile}: probes {monitor['protocol']} on port {monitor['port']}"
    if monitor["expectedStatusCodeRanges"] != [{"min": 200, "max": 200}]:
        yield f"{profile}: takes {monitor['expectedStatusCodeRanges']} for healthy"
    interval, timeout = monitor["intervalInSeconds"], monitor["timeoutInSeconds"]
    if timeout < CHECK_SECONDS + PROBE_MARGIN_SECONDS:
        yield f"{profile}: a probe waits {timeout} s, the health check may take {CHECK_SECONDS:g} s"
    if timeout >= interval:
        yield f"{profile}: a probe that waits {timeout} s is not over when the next begins after {interval} s"
    tolerated, ttl = monitor["toleratedNumberOfFailures"], profile.get("properties.dnsConfig.ttl")
    said = deployment.outputs.get("WARMLAKE_WORST_CASE_FAILOVER_SECONDS")
    worst = worst_case_failover(interval, tolerated, timeout, ttl)
    if said != worst:
        yield f"{profile}: the output says {said} s, the arithmetic {worst} s"
    yield from _endpoints(deployment, profile, parameters)


def _endpoints(deployment: Deployment, profile: Resource, parameters: Mapping[str, Any]) -> Iterator[str]:
    regions = parameters["regions"].split(",")
    endpoints = profile.get("properties.endpoints")
    if kinds := {endpoint["type"] for endpoint in endpoints} - {f"{PROFILE}/azureEndpoints"}:
        yield f"{profile}: an app is no endpoint of type {sorted(kinds)}"
    wanted = regions[:1] if parameters["standby"] == "cold" else regions
    if [endpoint["name"] for endpoint in endpoints] != wanted:
        yield f"{profile}: its endpoints are {[endpoint['name'] for endpoint in endpoints]}, not {wanted}"
    if [endpoint["properties"]["priority"] for endpoint in endpoints] != list(range(1, len(endpoints) + 1)):
        yield f"{profile}: priorities do not follow the order of the regions"
    apps = {app.id: app.get("location") for app in deployment.of(SITE)}
    disabled = parameters.get("disabledRegions", "").split(",")
    for endpoint in endpoints:
        if apps.get(endpoint["properties"]["targetResourceId"]) != endpoint["name"]:
            yield f"{profile}: endpoint {endpoint['name']!r} is not that region's app"
        if (endpoint["properties"]["endpointStatus"] == "Disabled") != (endpoint["name"] in disabled):
            yield f"{profile}: endpoint {endpoint['name']!r} is {endpoint['properties']['endpointStatus']}"
