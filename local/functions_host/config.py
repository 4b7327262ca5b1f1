"""host.json, local.settings.json and the app settings (environment variables)."""

import json
import os
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.functions_host.model import HostError

SETTING = re.compile(r"%([^%]+)%")
TIMESPAN = re.compile(r"(-)?(?:(\d+)\.)?(\d{1,2}):(\d{2})(?::(\d{2})(\.\d{1,7})?)?")
BODY_SETTING = "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"
BODY_BYTES = 104_857_600  # Azure's default for that setting
DEVELOPMENT_STORAGE = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    # Azurite's published development key: the same on every machine, no secret.
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)


@dataclass(frozen=True, slots=True)
class DurableConfig:
    """`extensions.durableTask`."""

    hub_name: str
    max_activities: int
    max_orchestrators: int
    max_entities: int
    reuse_any_state: bool  # overridableExistingInstanceStates = AnyState
    default_version: str | None


@dataclass(frozen=True, slots=True)
class QueuesConfig:
    """`extensions.queues`. Times in seconds."""

    batch_size: int
    new_batch_threshold: int
    max_dequeue_count: int
    retry_visibility: float
    polling_interval: float
    base64: bool


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """`extensions.http`. None is no limit."""

    route_prefix: str
    max_concurrent: int | None
    max_outstanding: int | None
    headers: Mapping[str, str]  # customHeaders: added to every response
    body_bytes: int


@dataclass(frozen=True, slots=True)
class LocalHost:
    """`Host` of local.settings.json. None where nothing is said."""

    port: int | None
    cors: tuple[str, ...]
    cors_credentials: bool


@dataclass(frozen=True, slots=True)
class HostConfig:
    """What the host takes from host.json."""

    http: HttpConfig
    function_timeout: float | None  # seconds; None is no limit
    durable: DurableConfig
    queues: QueuesConfig
    blob_parallelism: int
    log_levels: Mapping[str, str]
    telemetry_mode: str


def load_local_settings(folder: Path, environ: MutableMapping[str, str]) -> LocalHost:
    """Put local.settings.json's `Values` into the environment, which wins where it already has the name."""
    found = _json_object(folder / "local.settings.json")
    values = found.get("Values", {})
    if not isinstance(values, dict):
        raise HostError("local.settings.json: 'Values' must be an object")
    for name, value in values.items():
        if isinstance(value, dict | list):
            raise HostError(f"local.settings.json: the value of {name!r} must be a string")
        text = "" if value is None else ("true" if value else "false") if isinstance(value, bool) else str(value)
        environ.setdefault(name, text)
    return _local_host(found.get("Host", {}))


def load_host_config(folder: Path, environ: Mapping[str, str]) -> HostConfig:
    """Read host.json. Raises HostError for what is malformed."""
    root = _json_object(folder / "host.json")
    if root and root.get("version") != "2.0":
        raise HostError("host.json: 'version' must be \"2.0\"")
    _override(root, environ)
    extensions = _section(root, "extensions")
    return HostConfig(
        http=_http(_section(extensions, "http"), environ),
        function_timeout=_function_timeout(root),
        durable=_durable(_section(extensions, "durableTask"), environ),
        queues=_queues(_section(extensions, "queues")),
        blob_parallelism=_whole(_section(extensions, "blobs"), "maxDegreeOfParallelism", 8),
        log_levels={name: str(level) for name, level in _section(_section(root, "logging"), "logLevel").items()},
        telemetry_mode=str(root.get("telemetryMode", "")),
    )


def resolve(text: str, environ: Mapping[str, str], where: str) -> str:
    """Replace `%NAME%` by the app setting. Raises HostError when it is not set."""

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if name not in environ:
            raise HostError(f"{where}: the app setting {name!r}, used in {text!r}, is not set")
        return environ[name]

    return SETTING.sub(value, text)


def connection_string(setting: str, environ: Mapping[str, str]) -> str | None:
    """Return the storage connection string in a setting, or None. `AzureWebJobs` may be left out of the name."""
    value = environ.get(setting) or environ.get(f"AzureWebJobs{setting}") or environ.get(f"ConnectionStrings:{setting}")
    if value and value.strip().rstrip(";").lower() == "usedevelopmentstorage=true":
        return DEVELOPMENT_STORAGE
    return value or None


def timespan(text: str) -> float:
    """Return the seconds in a .NET time span such as `00:05:00` or `1.00:00:00`. Raises ValueError."""
    found = TIMESPAN.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is not a time span (hh:mm:ss)")
    sign, days, hours, minutes, seconds, fraction = found.groups()
    total = int(days or 0) * 86400 + int(hours) * 3600 + int(minutes) * 60 + int(seconds or 0) + float(fraction or 0)
    return -total if sign else total


def _json_object(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        value = json.loads(_without_comments(path.read_text(encoding="utf-8-sig")))
    except (ValueError, OSError) as fault:
        raise HostError(f"{path.name}: {fault}") from None
    if not isinstance(value, dict):
        raise HostError(f"{path.name}: an object is expected")
    return value


def _without_comments(text: str) -> str:
    """Drop `//` and `/* */` comments, which both files may hold, but not inside strings."""
    pattern = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
    return pattern.sub(lambda found: found.group() if found.group().startswith('"') else " ", text)


def _override(root: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Apply `AzureFunctionsJobHost__a__b` settings, which override host.json."""
    for name, value in environ.items():
        if not name.startswith("AzureFunctionsJobHost__"):
            continue
        *path, last = name.split("__")[1:]
        section = root
        for step in path:
            key = next((key for key in section if key.lower() == step.lower()), step)
            section = section.setdefault(key, {})
            if not isinstance(section, dict):
                raise HostError(f"{name} overrides {step!r} of host.json, which is not a section")
        section[next((key for key in section if key.lower() == last.lower()), last)] = value


def _section(parent: Mapping[str, Any], name: str) -> dict[str, Any]:
    value: Any = next((value for key, value in parent.items() if key.lower() == name.lower()), {})
    if not isinstance(value, dict):
        raise HostError(f"host.json: {name!r} must be an object")
    return value


def _whole(section: Mapping[str, Any], name: str, default: int, least: int = 1) -> int:
    value = section.get(name, default)
    try:
        number = int(value)
    except (TypeError, ValueError):
        raise HostError(f"host.json: {name!r} must be a whole number, not {value!r}") from None
    if number < least:
        raise HostError(f"host.json: {name!r} must be at least {least}, not {number}")
    return number


def _seconds(section: Mapping[str, Any], name: str, default: float) -> float:
    if name not in section:
        return default
    try:
        return timespan(str(section[name]))
    except ValueError as fault:
        raise HostError(f"host.json: {name!r}: {fault}") from None


def _http(section: Mapping[str, Any], environ: Mapping[str, str]) -> HttpConfig:
    headers = _section(section, "customHeaders")
    if not all(isinstance(value, str) for value in headers.values()):
        raise HostError("host.json: 'customHeaders' must be an object of texts")
    size = environ.get(BODY_SETTING) or str(BODY_BYTES)
    if not size.isdecimal():
        raise HostError(f"{BODY_SETTING} must be a number of bytes, not {size!r}")
    return HttpConfig(
        route_prefix=str(section.get("routePrefix", "api")).strip("/"),
        max_concurrent=_bound(section, "maxConcurrentRequests"),
        max_outstanding=_bound(section, "maxOutstandingRequests"),
        headers=headers,
        body_bytes=int(size),
    )


def _bound(section: Mapping[str, Any], name: str) -> int | None:
    """Return a bound of at least 1; None for -1, no bound, which is the default outside of a consumption plan."""
    return None if str(section.get(name, -1)) == "-1" else _whole(section, name, -1)


def _function_timeout(root: Mapping[str, Any]) -> float | None:
    """Return the seconds that a function may take. As in Core Tools there is no limit unless one is set."""
    if str(root.get("functionTimeout", -1)) == "-1":
        return None
    seconds = _seconds(root, "functionTimeout", 0.0)
    if seconds <= 0:
        raise HostError(f"host.json: 'functionTimeout' must be above zero, or -1 for no limit, not {seconds:g} s")
    return seconds


def _local_host(section: Any) -> LocalHost:
    if not isinstance(section, dict):
        raise HostError("local.settings.json: 'Host' must be an object")
    port = section.get("LocalHttpPort")
    if port is not None and (not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= 65535):
        raise HostError(f"local.settings.json: 'LocalHttpPort' must be a port, not {port!r}")
    cors = section.get("CORS", "")
    if not isinstance(cors, str):
        raise HostError(f"local.settings.json: 'CORS' must be origins separated by commas, not {cors!r}")
    return LocalHost(port, tuple(cors.split(",")), section.get("CORSCredentials") is True)


def _durable(section: Mapping[str, Any], environ: Mapping[str, str]) -> DurableConfig:
    cores = os.cpu_count() or 1
    orchestrators = _whole(section, "maxConcurrentOrchestratorFunctions", 10 * cores)
    version = section.get("defaultVersion")
    return DurableConfig(
        hub_name=resolve(str(section.get("hubName", "TestHubName")), environ, "host.json: hubName"),
        max_activities=_whole(section, "maxConcurrentActivityFunctions", 10 * cores),
        max_orchestrators=orchestrators,
        max_entities=_whole(section, "maxConcurrentEntityFunctions", orchestrators),
        reuse_any_state=str(section.get("overridableExistingInstanceStates", "")).lower() == "anystate",
        default_version=str(version) if version else None,
    )


def _queues(section: Mapping[str, Any]) -> QueuesConfig:
    batch = _whole(section, "batchSize", 16)
    if batch > 32:
        raise HostError(f"host.json: 'batchSize' must be at most 32, not {batch}")
    encoding = str(section.get("messageEncoding", "base64")).lower()
    if encoding not in ("base64", "none"):
        raise HostError(f"host.json: 'messageEncoding' must be base64 or none, not {encoding!r}")
    return QueuesConfig(
        batch_size=batch,
        new_batch_threshold=_whole(section, "newBatchThreshold", batch // 2, least=0),
        max_dequeue_count=_whole(section, "maxDequeueCount", 5),
        retry_visibility=_seconds(section, "visibilityTimeout", 0.0),
        # A minute, Azure's default, saves transactions there; one machine has none to save.
        polling_interval=min(0.5, max(0.05, _seconds(section, "maxPollingInterval", 0.5))),
        base64=encoding == "base64",
    )
