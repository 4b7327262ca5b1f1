"""Alerts, workbook and runbook: queries ask for what the app tells, alerts have their section, commands exist."""

import argparse
import json
import re
import subprocess
import sys
from typing import Any

import pytest

from local import capacity
from tests.infra.checks import deploy_variant
from tests.infra.evaluate import INFRA, Sources
from tests.infra.stand_in_commands import COMMANDS, unknown_options
from tests.infra.tools import ROOT

QUERIES = sorted((INFRA / "queries").glob("*.kql"))
SOURCES = [*ROOT.glob("shared/**/*.py"), *ROOT.glob("orchestrations/*.py"), ROOT / "function_app.py"]
DOCUMENTS = {name: (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("runbook.md", "deployment.md")}
_EVENT = re.compile(r'Message startswith "(\w+) "')
_FIELDS = re.compile(r"parse-kv Message as \(([^)]*)\)")


def workbook_queries() -> dict[str, str]:
    items = json.loads((INFRA / "workbook.json").read_text(encoding="utf-8"))["items"]
    return {item["name"]: item["content"]["query"] for item in items if item["type"] == 3}


def all_queries() -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in QUERIES} | workbook_queries()


def source_of(event: str) -> str:
    """Return the sources that record an event."""
    found = [text for path in SOURCES if f'"{event}"' in (text := path.read_text(encoding="utf-8"))]
    return "\n".join(found)


@pytest.mark.parametrize("name", all_queries())
def test_query_asks_for_what_the_app_tells(name: str) -> None:
    """An event that a query looks for is recorded, with each field that it reads; requests are those of routes."""
    query = all_queries()[name]
    kv = """with (pair_delimiter=" ", kv_delimiter="=", quote='"', escape="\\\\")"""
    assert query.count("parse-kv") == query.count(kv)  # as shared/telemetry.py quotes what has a blank in it
    events = _EVENT.findall(query)
    for event in events:
        text = source_of(event)
        assert f'record(logger, "{event}"' in text, event
        for field in re.findall(r"(\w+): \w+", " ".join(_FIELDS.findall(query))):
            assert f'"{field}"' in text or f'{field}_ms"' in text, f"{event} has no {field}"
    if not events:
        (path,) = re.findall(r'"(/api/\w+)"', query)
        assert f'@route("{path[1:]}"' in (ROOT / "function_app.py").read_text(encoding="utf-8")


def alert_name(resource: str) -> str:
    """Return what an alert is called in the runbook: its name without the deployment's."""
    return re.sub(r"^alert-|(-tm)?-demo-.*$", "", resource)


def test_every_query_becomes_an_alert_with_its_section() -> None:
    """Each query file is an alert's, and the runbook says what to do about each alert."""
    deployment = deploy_variant(Sources(INFRA), "standard, warm")
    rules = deployment.of("Microsoft.Insights/scheduledQueryRules")
    names = {alert_name(rule.name) for rule in rules}
    assert names == {path.stem for path in QUERIES}
    metrics = {alert_name(rule.name) for rule in deployment.of("Microsoft.Insights/metricAlerts")}
    for name in names | metrics:
        assert f"`{name}`" in DOCUMENTS["runbook.md"], name
    for rule in rules:
        group = rule.get("properties.actions.actionGroups")
        assert len(group) == 1 and "actionGroups" in group[0]


# ---- commands in the documents ---------------------------------------------------------------------------------------


def commands(document: str) -> list[str]:
    """Return the commands in a document's code blocks, continued lines joined."""
    blocks = re.findall(r"^```(?:bash|sh|)\n(.*?)^```", DOCUMENTS[document], re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    known = ("scripts/", "az ", "azd ", "make ", "curl ", "python -m ", "gh ")
    return [line.strip() for line in lines if line.strip().startswith(known)]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_exists(document: str) -> None:
    """Scripts are there with the options shown, az takes its options, make has its targets, the API has its routes."""
    found = commands(document)
    assert len(found) >= 10
    for line in found:
        assert fault(line) == "", line


def fault(line: str) -> str:
    """Return what is wrong with a command, "" when it exists."""
    words = re.findall(r"'[^']*'|\"[^\"]*\"|[^\s'\"]+", line)
    program = words[0]
    if program.startswith("scripts/"):
        return _script_fault(words)
    if program == "az":
        unknown = unknown_options([word.strip("'\"") for word in words[1:]])
        return f"az takes no {unknown}" if unknown else ""
    if program == "make":
        target = next(word for word in words[1:] if "=" not in word)
        return (
            "" if re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE) else target
        )
    if program == "python":
        return "" if importable(words[2]) else f"no module {words[2]}"
    if program == "curl":
        path = re.search(r"https?://[^/\s'\"]+(/[^\s'\"?]*)", line)
        return "" if path and is_route(path[1]) else f"no route in {line!r}"
    return ""


def _script_fault(words: list[str]) -> str:
    path = ROOT / words[0]
    if not path.exists() or not path.stat().st_mode & 0o111:
        return f"{words[0]} is no script"
    options = {word for word in words[1:] if word.startswith("--")} - {"--dry-run", "--environment"}
    known = set(re.findall(r"--[\w-]+", path.read_text(encoding="utf-8")))
    return f"{words[0]} has no {sorted(options - known)}" if options - known else ""


def importable(module: str) -> bool:
    path = ROOT / module.replace(".", "/")
    return (path / "__main__.py").exists() or path.with_suffix(".py").exists()


def is_route(path: str) -> bool:
    source = (ROOT / "function_app.py").read_text(encoding="utf-8")
    templates = re.findall(r'@route\("([^"]+)"', source)
    return any(re.fullmatch(re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(one)), path.strip("/")) for one in templates)


def test_a_command_that_does_not_exist_is_found() -> None:
    """The check above fails for a script, an option, an az option, a target and a route that are not there."""
    for line in (
        "scripts/fallover --to x",
        "scripts/failover --too x",
        "az functionapp show --nam x",
        "az functionapp shou --name x",
        "make check-moon",
        "python -m local.moon",
        "curl http://localhost:7071/api/recover",
    ):
        assert fault(line) != "", line


def test_the_stand_in_knows_the_commands_of_a_real_cli() -> None:
    """The list of commands is the real Azure CLI's, with required options."""
    assert len(COMMANDS) > 30
    assert COMMANDS["functionapp keys list"]["--name"]["required"] is True


# ---- capacity --------------------------------------------------------------------------------------------------------


def ask(*words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "local", "capacity", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def lake(**changes: Any) -> capacity.Lake:
    parser = argparse.ArgumentParser()
    capacity.add_command(parser.add_subparsers())
    values = vars(parser.parse_args(["capacity", "--documents", "100000"]))
    fields = capacity.Lake.__dataclass_fields__
    known = {name: values[name] for name in fields} | {"quota": 350_000, "partitions": 0}
    return capacity.Lake(**{**known, **changes})


def test_capacity_by_hand() -> None:
    """One figure of each kind, computed here a second time by hand."""
    size = capacity.size_index(lake(partitions=2), capacity.PROFILES["standard"])
    assert size.chunks == 100_000 * 30  # 3,750 tokens in chunks of 127.5
    assert size.vector_gb == pytest.approx(3_000_000 * 1536 * 4 * 1.1 * 1.1 * 2 / 1e9)
    assert (size.tier, size.partitions, size.replicas, size.fits) == ("standard", 2, 3, True)
    times = capacity.recovery(lake(rate=500.0))
    assert times.rebuild_minutes == pytest.approx(100.0)
    assert times.embedding_minutes == pytest.approx(375_000_000 / 350_000)
    assert times.hot < times.warm < times.cold[0] < times.cold[1]


def test_capacity_grows_with_the_lake_and_the_standby() -> None:
    """More documents need no less of anything; cold costs less than warm."""
    profile = capacity.PROFILES["standard"]
    small, large = lake(documents=10_000), lake(documents=200_000)
    assert capacity.size_index(small, profile).partitions < capacity.size_index(large, profile).partitions

    def low(one: capacity.Lake) -> float:
        index = capacity.size_index(one, profile)
        return sum(cost for cost, _ in capacity.monthly_costs(one, profile, index).values())

    assert low(lake(standby="cold")) < low(lake(standby="warm"))
    assert all(
        0 <= cheap <= dear
        for cheap, dear in capacity.monthly_costs(small, profile, capacity.size_index(small, profile)).values()
    )


def test_capacity_says_what_does_not_fit_and_what_is_wrong() -> None:
    """A lake beyond the tier, or beyond what is deployed, has exit code 1; a number that is none is named."""
    code, text = ask("--documents", "100,000")
    assert code == 1 and "WARMLAKE_SEARCH_PARTITIONS 2" in text
    assert ask("--documents", "100,000", "--partitions", "2")[0] == 0
    code, text = ask("--documents", "20,000", "--peak", "60")
    assert code == 1 and "4 replicas are needed" in text
    code, text = ask("--documents", "5,000,000", "--profile", "dev")
    assert code == 1 and "DOES NOT FIT" in text
    code, text = ask("--documents", "many")
    assert code == 2 and "'many' is not a number above 0" in text


def test_capacity_in_the_documents_is_what_the_command_prints() -> None:
    """The example in docs/capacity.md is the command's present output."""
    document = (ROOT / "docs" / "capacity.md").read_text(encoding="utf-8")
    shown = re.search(r"^\$ python -m local capacity ([^\n]*)\n(.*?)^```", document, re.MULTILINE | re.DOTALL)
    assert shown
    code, text = ask(*shown[1].split())
    assert (code, text.strip()) == (0, shown[2].strip())
