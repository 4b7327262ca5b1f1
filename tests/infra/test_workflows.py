"""The workflows: valid by schema, signed in without a secret, one package, region by region."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra.stand_in_commands import unknown_options
from tests.infra.tools import ROOT, tool

FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))


def load(name: str) -> dict[Any, Any]:
    loaded: dict[Any, Any] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return loaded


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in load(name)["jobs"].values() for step in job["steps"]]


def test_schema(tmp_path: Path) -> None:
    """Every workflow is valid by GitHub's schema; a broken one is not."""
    command = [tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*command, *map(str, FILES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    broken = tmp_path / "broken.yml"
    broken.write_text(FILES[0].read_text(encoding="utf-8").replace("runs-on:", "run-on:"), encoding="utf-8")
    assert subprocess.run([*command, str(broken)], capture_output=True, check=False).returncode == 1


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_secret_and_pinned_actions(file: Path) -> None:
    """No workflow has a secret; every action is pinned to a commit; rights are read-only but for signing in."""
    text = file.read_text(encoding="utf-8")
    assert "secrets." not in text
    for step in steps(file.name):
        if "uses" in step:
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"]), step
    workflow = load(file.name)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job.get("permissions", {}).items() <= {"contents": "read", "id-token": "write"}.items()
        assert job["timeout-minutes"] <= 90


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_nothing_from_outside_is_put_into_a_script(file: Path) -> None:
    """Values reach scripts through the environment: an expression inside a script would be run as code."""
    assert [step["run"] for step in steps(file.name) if "${{" in step.get("run", "")] == []


def test_commands_of_the_azure_cli_exist() -> None:
    """What a workflow asks of az directly, az takes."""
    runs = [step.get("run", "") for file in FILES for step in steps(file.name)]
    lines = [line.split("#")[0].split(" >")[0] for run in runs for line in run.splitlines() if line.startswith("az ")]
    assert len(lines) == 3
    for line in lines:
        assert unknown_options(shlex.split(line)[1:]) == [], line


def test_scripts_that_are_called_exist() -> None:
    """Each script that a workflow or azure.yaml runs is in the repository and can be executed."""
    texts = [file.read_text(encoding="utf-8") for file in [*FILES, ROOT / "azure.yaml"]]
    called = {found for text in texts for found in re.findall(r"(?:run: |^\s+)(\.?[\w.]+/[\w-]+)", text, re.MULTILINE)}
    scripts = {name for name in called if name.startswith(("scripts/", ".ci/"))}
    assert {"scripts/deploy", "scripts/rollback", "scripts/package", "scripts/release", ".ci/run"} <= scripts
    for name in scripts:
        assert (ROOT / name).stat().st_mode & 0o111, name


def test_one_package_region_one_then_the_others() -> None:
    """The package is built and tested once; region one is deployed and tried before any other; each can go back."""
    jobs = load("release.yml")["jobs"]
    assert [step["run"] for step in jobs["package"]["steps"] if "run" in step][:2] == [
        ".ci/run",
        "scripts/package warmlake.zip",
    ]
    assert sum("scripts/package" in step.get("run", "") for job in jobs.values() for step in job["steps"]) == 1
    assert jobs["region-one"]["needs"] == "package"
    assert "region-one" in jobs["other-regions"]["needs"]
    assert jobs["other-regions"]["strategy"]["max-parallel"] == 1
    for name in ("region-one", "other-regions"):
        runs = [(step.get("run", ""), step.get("if", "")) for step in jobs[name]["steps"]]
        assert ('scripts/deploy --region "$REGION" --package warmlake.zip', "") in runs
        assert any("scripts/rollback" in run and "failure()" in condition for run, condition in runs)
        assert jobs[name]["environment"] == "production"
        logins = [step for step in jobs[name]["steps"] if step.get("uses", "").startswith("azure/login@")]
        assert set(logins[0]["with"]) == {"client-id", "tenant-id", "subscription-id"}
