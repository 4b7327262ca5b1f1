"""The parameters of a deployment: `main.bicepparam` as it reads an environment, and what a profile makes of them."""

import json
import re
from collections.abc import Mapping
from typing import Any

from tests.infra.evaluate import INFRA, Sources, deploy
from tests.infra.syntax import parse

FILE = INFRA / "main.bicepparam"
_READ = re.compile(r"readEnvironmentVariable\('(\w+)', ('[^']*')\)")


def variables() -> dict[str, list[str]]:
    """Return which environment variables each parameter is read from."""
    text = FILE.read_text(encoding="utf-8")
    lines = re.findall(r"^param (\w+) = (.*)$", text, re.MULTILINE)
    return {name: [found[0] for found in _READ.findall(value)] for name, value in lines}


def bicepparam(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters that the file makes of an environment, by evaluating it as a template that outputs them."""
    text = FILE.read_text(encoding="utf-8")
    if "using './main.bicep'" not in text:
        raise ValueError("main.bicepparam is not for main.bicep")
    names = re.findall(r"^param (\w+) = ", text, re.MULTILINE)
    body = re.sub(r"^using .*$", "", text, flags=re.MULTILINE)
    body = _READ.sub(lambda found: f"'{environ[found[1]]}'" if found[1] in environ else found[2], body)
    body = re.sub(r"^param (\w+) = ", r"var \1 = ", body, flags=re.MULTILINE)
    outputs = "".join(f"output {one} {_kind(one)} = {one}\n" for one in names)
    sources = Sources(INFRA, {"parameters.bicep": f"{body}\n{outputs}"})
    return deploy(sources, "parameters.bicep", {}).outputs


def resolved(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters with everything that their profile decides: what the policies hold a deployment to."""
    profiles = json.loads((INFRA / "profiles.json").read_text(encoding="utf-8"))
    profile = parameters.get("profile", "standard")
    given = {name: value for name, value in parameters.items() if value != ""}
    sizes = {**profiles[profile], **parameters.get("overrides", {}), **given, "profile": profile}
    if network := given.get("network"):
        sizes["privateNetworking"] = network == "private"
    return sizes


def _kind(name: str) -> str:
    template = parse(INFRA / "main.bicep", (INFRA / "main.bicep").read_text(encoding="utf-8"))
    return template.declarations[name].type
