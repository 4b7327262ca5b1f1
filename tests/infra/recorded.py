"""What the stand-ins of az and curl answer: an environment as the templates would make it, as ARM would show it."""

import functools
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.body import json_bytes
from tests.infra.checks import COMMON
from tests.infra.evaluate import INFRA, Deployment, Sources, deploy
from tests.infra.policies import PROFILE, SITE, STORAGE, plain
from tests.infra.stand_in_commands import ASKING, stand_ins
from tests.infra.tools import TOOLS

ROOT = INFRA.parent
SCRIPTS = ROOT / "scripts"
KEY = "a-function-key-that-must-not-be-shown"
WEBHOOK_KEY = "a-system-key-that-must-not-be-shown"
TOKEN = "a-token-that-must-not-be-shown"
REGISTRATION = "22222222-registration"
REBUILD = "20261123121552"
# Packages that a region had before, the last one first; the newest is what it runs.
RELEASES = ("aaaaaaaaaaaa.zip", "bbbbbbbbbbbb.zip", "cccccccccccc.zip")
FIRST, SECOND = COMMON["regions"].split(",")


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of running a script: its exit code, what it printed, and every call that it made."""

    code: int
    output: str
    calls: list[dict[str, Any]]

    def commands(self, *words: str) -> list[list[str]]:
        """Return the argument lists of the az commands that begin with these words."""
        head = " ".join(words)
        return [call["argv"] for call in self.calls if call["program"] == "az" and call["command"].startswith(head)]

    def posts(self) -> list[tuple[str, str, Any]]:
        """Return host, path and body of every POST."""
        found = [call for call in self.calls if call["program"] == "curl" and call["method"] == "POST"]
        return [(call["host"].split(".")[0], call["path"], json.loads(call["body"])) for call in found]

    def changes(self) -> list[dict[str, Any]]:
        """Return every call that is more than a look."""
        reads = ("list", "show", "get-access-token", "list-flexconsumption-locations", "list-locations")
        return [
            call
            for call in self.calls
            if (call["program"] == "az" and call["command"].rsplit(" ", 1)[-1] not in reads)
            or (call["program"] == "curl" and call["method"] == "POST")
            or call["program"] == "azd"
        ]


def written(value: Any) -> str:
    """Return JSON as the app writes it."""
    return json_bytes(value).decode()


class Environment:
    """A recorded environment in a folder, where the stand-ins find it. What scripts change stays changed."""

    def __init__(
        self, folder: Path, standby: str = "warm", signed_in: bool = False, regions: str = COMMON["regions"]
    ) -> None:
        self.folder = folder
        self.deployment = _deployment(standby, signed_in, regions)
        self.standby = standby
        self.answers: dict[str, Any] = {
            "az": _az(self.deployment),
            "curl": self._curl(),
            "guard": _guard(self.deployment, signed_in),
        }
        folder.mkdir(parents=True, exist_ok=True)
        self._state.write_text(json.dumps(_state(self.deployment)))

    @property
    def _state(self) -> Path:
        return self.folder / "state.json"

    @property
    def state(self) -> dict[str, Any]:
        """What the scripts made of it: `releases` by account, what apps `runs`, `endpoints`, `settings`, `versions`."""
        found: dict[str, Any] = json.loads(self._state.read_text())
        return found

    def runs(self, region: str) -> str:
        """Return the package that a region's app runs."""
        return str(self.state["runs"][self.host(region).split(".")[0]])

    def endpoints(self) -> dict[str, str]:
        """Return which endpoints are in routing."""
        return dict(self.state["endpoints"])

    def fails(self, command: str, times: int = 1, **given: str) -> None:
        """Let a command fail from now on, so many times."""
        wanted = {f"--{name.replace('_', '-')}": value for name, value in given.items()}
        self.answers["fails"] = [{"command": command, "with": wanted, "times": times}]
        (self.folder / "failed.json").unlink(missing_ok=True)

    def host(self, region: str) -> str:
        """Return the host name of a region's app."""
        return next(
            f"{app.name}.azurewebsites.net" for app in self.deployment.of(SITE) if app.get("location") == region
        )

    def says(self, method: str, region: str, path: str, *answers: tuple[int, Any]) -> None:
        """Record what a region answers, one after the other; the last one again and again."""
        shown = [[status, value if isinstance(value, str) else written(value)] for status, value in answers]
        self.answers["curl"][f"{method} {self.host(region)} {path}"] = shown

    def run(self, script: str, *arguments: str, **environ: str) -> Ran:
        """Run a script against the stand-ins."""
        (self.folder / "answers.json").write_text(json.dumps(self.answers))
        log = self.folder / "log.jsonl"
        log.unlink(missing_ok=True)
        (self.folder / "used.json").unlink(missing_ok=True)
        path = f"{ASKING}{os.pathsep}{TOOLS}{os.pathsep}{os.environ['PATH']}"
        known = {
            "PATH": path,
            "STAND_IN": str(self.folder),
            "STAND_IN_PORT": stand_ins(),
            "HOME": str(self.folder),
            "WARMLAKE_POLL_SECONDS": "0",
        }
        known["WARMLAKE_PACKAGE_NO_DEPENDENCIES"] = "1"
        done = subprocess.run(
            [str(SCRIPTS / script), *arguments],
            env={**known, "AZURE_ENV_NAME": "demo", "TMPDIR": str(self.folder), **environ},
            capture_output=True,
            text=True,
            timeout=300,  # a guard against hanging, also on a machine with much else to do
            check=False,
        )
        calls = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return Ran(done.returncode, done.stdout + done.stderr, calls)

    def _curl(self) -> dict[str, list[list[Any]]]:
        """Return the answers of a first region that is well, and of a standby that is as its form says."""
        made: dict[str, list[list[Any]]] = {}
        for number, app in enumerate(self.deployment.of(SITE)):
            host = f"{app.name}.azurewebsites.net"
            ready = number == 0 or self.standby == "hot"
            status = {"region": app.get("location"), "ready": ready}
            checks = {"switch": "", "index": "" if ready else "there is no verified generation", "model": ""}
            health = {"status": "healthy" if ready else "unhealthy", "checks": checks}
            report = {"id": REBUILD, "status": "completed", "phase": "completed", "plan": {"status": "-"}}
            progress = {"id": REBUILD, "status": "running", "phase": "indexing"}
            rebuild = {"id": REBUILD, "status": "running", "url": f"/api/recovery/{REBUILD}"}
            recorded: dict[str, list[tuple[int, Any]]] = {
                "GET /": [(200, "<html>")],
                "GET /api/status": [(200, status)],
                "GET /api/health": [(200 if ready else 503, health)],
                "POST /api/chat": [(200, {"message": {}})],
                "POST /api/recovery/rebuild": [(202, rebuild)],
                f"GET /api/recovery/{REBUILD}": [(200, progress), (200, report)],
                "GET /api/recovery/latest": [(200, report)],
            }
            for key, answers in recorded.items():
                method, path = key.split()
                made[f"{method} {host} {path}"] = [
                    [code, value if isinstance(value, str) else written(value)] for code, value in answers
                ]
        return made


@functools.cache
def _deployment(standby: str, signed_in: bool, regions: str) -> Deployment:
    """Return what the templates come to; nobody changes it, so one evaluation serves every environment like it."""
    parameters = {**COMMON, "profile": "standard", "standby": standby, "regions": regions}
    if signed_in:
        parameters["authClientId"] = REGISTRATION
    return deploy(Sources(INFRA), "main.bicep", parameters)


def _az(deployment: Deployment) -> list[dict[str, Any]]:
    """Return the records of the Azure CLI: the resources of the templates, as it shows them."""
    apps = deployment.of(SITE)
    profile = deployment.of(PROFILE)[0]
    found: list[dict[str, Any]] = [
        {"command": "resource list", "answer": [_shown(app) for app in reversed(apps)]},
        {
            "command": "network traffic-manager profile list",
            "with": {"--resource-group": profile.group},
            "answer": [{"name": profile.name}],
        },
        {"command": "functionapp list-flexconsumption-locations", "answer": [{"name": FIRST}, {"name": SECOND}]},
        *(
            {"command": "provider show", "with": {"--namespace": name}, "answer": _provider(kind)}
            for name, kind in PROVIDERS
        ),
        {
            "command": "provider show",
            "with": {"--namespace": "Microsoft.App"},
            "answer": {"registrationState": "Registered"},
        },
        {"command": "cognitiveservices model list", "answer": _models()},
        {"command": "keyvault certificate show", "answer": {"x509ThumbprintHex": "AB12"}},
        {
            "command": "account list-locations",
            "answer": [{"name": FIRST, "metadata": {"pairedRegion": [{"name": SECOND}]}}],
        },
    ]
    for app in apps:
        where = {"--resource-group": app.group, "--name": app.name}
        shown = {**_shown(app), "properties": {"defaultHostName": f"{app.name}.azurewebsites.net"}}
        keys = {"functionKeys": {"default": KEY}, "systemKeys": {"blobs_extension": WEBHOOK_KEY}}
        found += [
            {"command": "functionapp show", "with": where, "answer": shown},
            {"command": "functionapp keys list", "with": where, "answer": keys},
        ]
    for account in deployment.of(STORAGE):
        endpoint = f"https://{account.name}.blob.core.windows.net/"
        found.append(
            {
                "command": "storage account list",
                "with": {"--resource-group": account.group},
                "answer": [{"name": account.name, "id": account.id, "primaryEndpoints": {"blob": endpoint}}],
            }
        )
    for topic in deployment.of("Microsoft.EventGrid/systemTopics"):
        where = {"--resource-group": topic.group}
        found.append({"command": "eventgrid system-topic list", "with": where, "answer": [{"name": topic.name}]})
    found.append(
        {
            "command": "account get-access-token",
            "with": {"--resource": f"api://{REGISTRATION}"},
            "answer": {"accessToken": TOKEN},
        }
    )
    stamps = [module for module in deployment.modules if module.file == "stamp.bicep"]
    for stamp in stamps:
        where = {"--name": stamp.name}
        values = {
            name: {"type": "Object" if isinstance(value, dict) else "String", "value": plain(value)}
            for name, value in stamp.parameters.items()
        }
        found.append(
            {"command": "deployment group show", "with": where, "answer": {"properties": {"parameters": values}}}
        )
    return found


PROVIDERS = (("Microsoft.Search", "searchServices"), ("Microsoft.DurableTask", "schedulers"))


def _provider(kind: str) -> dict[str, Any]:
    """Return a provider's type as `az provider show` has it: regions by the names that people read."""
    return {"resourceTypes": [{"resourceType": kind, "locations": ["East US 2", "Central US"]}]}


def _models() -> list[dict[str, Any]]:
    """Return the models that every region of the record has: those of the templates."""
    wanted = json.loads((INFRA / "models.json").read_text(encoding="utf-8")).values()
    shown = (
        {"format": "OpenAI", "name": one["name"], "version": one["version"], "skus": [{"name": one["sku"]}]}
        for one in wanted
    )
    return [{"model": one} for one in shown]


def _state(deployment: Deployment) -> dict[str, Any]:
    """Return what the first script finds: three packages in each region, all of them good in their time."""
    homes = [account.name for account in deployment.of(STORAGE) if account.file == "host-storage.bicep"]
    marks = [f"2026-11-2{day}T10:00:00.000000+00:00" for day in (3, 2, 1)]
    kept = {name: {"deployed": at, "good": at} for name, at in zip(RELEASES, marks, strict=True)}
    endpoints = deployment.of(PROFILE)[0].get("properties.endpoints")
    return {
        "releases": dict.fromkeys(homes, kept),
        "runs": {app.name: RELEASES[0] for app in deployment.of(SITE)},
        "endpoints": {endpoint["name"]: endpoint["properties"]["endpointStatus"] for endpoint in endpoints},
        "settings": {},
        "versions": [_version(*one) for one in DOCUMENTS],
    }


# Versions of documents: path, day, the current one, itself deleted. One document is there, one was deleted, and of one
# somebody deleted the newest version too.
DOCUMENTS = (
    ("contracts/a b.pdf", 20, False, False),
    ("contracts/a b.pdf", 21, False, False),
    ("contracts/kept.pdf", 20, False, False),
    ("contracts/kept.pdf", 22, True, False),
    ("contracts/purged.pdf", 20, False, False),
    ("contracts/purged.pdf", 21, False, True),
    ("other/gone.pdf", 20, False, False),
)


def _version(path: str, day: int, current: bool, deleted: bool) -> dict[str, Any]:
    at = f"2026-11-{day}T10:00:00.0000000Z"
    return {"name": path, "versionId": at, "isCurrentVersion": current, "deleted": deleted}


def _guard(deployment: Deployment, signed_in: bool) -> dict[str, Any]:
    """Return who is let in: by the app's sign-in, as the templates configure it, else by the Functions host's key."""
    if not signed_in:
        return {"header": f"x-functions-key: {KEY}", "paths": ["/api/recovery"], "open": [], "refusal": 401}
    rules = deployment.of(f"{SITE}/config")[0].get("properties.globalValidation")
    return {"header": f"Authorization: Bearer {TOKEN}", "paths": ["/"], "open": rules["excludedPaths"], "refusal": 302}


def _shown(app: Any) -> dict[str, Any]:
    keys = ("location", "tags")
    return {**{key: app.get(key) for key in keys}, "id": app.id, "name": app.name, "resourceGroup": app.group}
