"""The documents: tables taken from the templates are up to date, tests and mutations that they name exist."""

import json
import re
from typing import Any

import pytest

from tests.infra.__main__ import SECURITY, with_roles
from tests.infra.evaluate import INFRA
from tests.infra.mutations import MUTATIONS
from tests.infra.parameters import variables
from tests.infra.syntax import parse
from tests.infra.tools import ROOT

TEXT = SECURITY.read_text(encoding="utf-8")


def test_the_table_of_roles_is_the_templates() -> None:
    """docs/security.md has every role assignment with its reason; `python -m tests.infra --write` renews it."""
    assert with_roles(TEXT) == TEXT
    assert TEXT.count("| app |") >= 12


def test_every_test_that_the_review_names_exists() -> None:
    """A threat is not answered by a test that is not there."""
    named = set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT))
    assert len(named) > 25
    for file, name in named:
        source = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"^(async )?def {name}\(", source, re.MULTILINE), f"{file}::{name}"


def test_every_mutation_that_the_review_names_exists() -> None:
    """Mutations are named as they are called."""
    rows = [line for line in TEXT.splitlines() if "mutation" in line and line.startswith("|")]
    named = {name for row in rows for name in re.findall(r'"([^"]+)"', row)}
    assert len(named) > 10
    assert named <= {mutation.name for mutation in MUTATIONS}


def test_every_threat_has_its_proof() -> None:
    """No row of the review is without a test or a mutation."""
    flows = TEXT.split("## Threats, by flow (STRIDE)")[1].split("## What remains")[0]
    rows = [line for line in flows.splitlines() if line.startswith("| ") and not line.startswith(("| threat", "|--"))]
    assert len(rows) > 25
    for row in rows:
        proof = row.rstrip(" |").rsplit("|", 1)[1]
        assert "::" in proof or '"' in proof or "the same" in proof or "| none, because " in row, row


STRIDE = frozenset(
    {
        *("Spoofing", "Tampering", "Repudiation"),
        *("Information disclosure", "Denial of service", "Elevation of privilege"),
    }
)


def test_every_flow_is_looked_at_from_six_sides() -> None:
    """Each flow of the trust boundaries has its section, and each section every letter of STRIDE and no other."""
    boundaries = TEXT.split("## Trust boundaries")[1].split("\n## ")[0]
    sections = re.split(r"^\*\*(\d)\. ", TEXT.split("## Threats, by flow")[1].split("## What remains")[0], flags=re.M)[
        1:
    ]
    flows = dict(zip(sections[::2], sections[1::2], strict=True))
    assert list(flows) == re.findall(r"^(\d)\. ", boundaries, re.MULTILINE) == list("1234567")
    for number, section in flows.items():
        assert set(re.findall(r"^\| ([A-Z][a-z ]+):", section, re.MULTILINE)) == STRIDE, number


def test_parameters_are_documented_and_reach_the_pipeline() -> None:
    """docs/deployment.md has each variable of main.bicepparam with its parameter; the pipeline passes each of them."""
    document = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    declared = parse(INFRA / "main.bicep", (INFRA / "main.bicep").read_text(encoding="utf-8")).declarations
    workflow = (ROOT / ".github" / "workflows" / "infrastructure.yml").read_text(encoding="utf-8")
    asked = (ROOT / "scripts" / "present-state").read_text(encoding="utf-8")
    for parameter, names in variables().items():
        assert declared[parameter].kind == "param"
        assert f"`{parameter}`" in document, parameter
        for name in names:
            assert f"`{name}`" in document, name
            passed = workflow.count(f"      {name}: ${{{{ vars.") == 2 or f'echo "{name}=' in asked
            assert passed or name == "AZURE_PRINCIPAL_ID", name


def test_host_json_is_explained() -> None:
    """docs/deployment.md has each key of host.json that is not Functions' own boilerplate."""
    document = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    host = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
    keys = set(host) - {"version", "logging", "extensionBundle", "extensions"} | {
        f"extensions.{k}" for k in host["extensions"]
    }
    for key in keys:
        assert f"`{key}" in document, key


@pytest.mark.parametrize("name", ["deployment.md", "capacity.md", "security.md", "runbook.md"])
def test_files_that_a_document_names_exist(name: str) -> None:
    """Paths in the documents are paths of the repository."""
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    found: set[Any] = set(re.findall(r"`((?:infra|scripts|tests|shared|local|docs|\.github)/[\w./-]+)`", text))
    for path in found:
        assert (ROOT / path.rstrip("/")).exists(), path
