"""The scripts: every command that they give is one that the real Azure CLI takes, and a dry run changes nothing."""

import re
import shlex
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.infra.evaluate import INFRA, Sources, deploy
from tests.infra.parameters import bicepparam
from tests.infra.policies import PROFILE, SITE
from tests.infra.recorded import (
    FIRST,
    KEY,
    REBUILD,
    REGISTRATION,
    RELEASES,
    SCRIPTS,
    SECOND,
    TOKEN,
    WEBHOOK_KEY,
    Environment,
    Ran,
)
from tests.infra.settings import app_settings
from tests.infra.stand_in_commands import unknown_options
from tests.infra.tools import tool

EXECUTABLE = sorted(path.name for path in SCRIPTS.iterdir() if path.name != "lib.sh")
# script: the options of an ordinary use
USES = {
    "check-regions": [],
    "deploy": ["--region", FIRST, "--package", "PACKAGE"],
    "subscribe": ["--region", FIRST],
    "first-rebuild": ["--region", SECOND],
    "smoke": ["--region", FIRST],
    "release": ["--package", "PACKAGE"],
    "rollback": ["--region", FIRST],
    "disable-primary": [],
    "failover": ["--to", SECOND, "--reason", "region lost"],
    "failback": [],
    "drill-azure": [],
    "warm-up": ["--region", SECOND],
    "present-state": [],
    "bind": ["--host", "chat.example.com", "--vault", "vault", "--certificate", "chat"],
    "restore": ["--prefix", "contracts/"],
}


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path)


def given(uses: list[str], folder: Path) -> list[str]:
    package = folder / "package.zip"
    package.write_bytes(b"zip")
    return [str(package) if word == "PACKAGE" else word for word in uses]


def test_every_script_is_here() -> None:
    """Each script has a use below, so none is left untried."""
    assert sorted([*USES, "package"]) == EXECUTABLE


def test_shellcheck_finds_nothing() -> None:
    """Hooks and scripts pass shellcheck."""
    files = [str(SCRIPTS / name) for name in [*EXECUTABLE, "lib.sh"]]
    done = subprocess.run([tool("shellcheck"), "-x", "-s", "bash", *files], capture_output=True, text=True, check=False)
    assert done.stdout == "" and done.returncode == 0


@pytest.mark.parametrize("script", USES)
def test_dry_run_shows_real_commands_and_changes_nothing(script: str, environment: Environment, tmp_path: Path) -> None:
    """A dry run asks what is there, shows what it would do with real names, and does none of it."""
    ran = environment.run(script, *given(USES[script], tmp_path), "--dry-run")
    assert ran.code == 0, ran.output
    assert ran.changes() == []
    assert KEY not in ran.output and WEBHOOK_KEY not in ran.output
    for line in ran.output.splitlines():
        assert not re.search(r"would (run|post|get).*(None|//api|--name ''|-group '')", line), line
        if line.startswith("would run: az ") and "..." not in line:
            assert unknown_options(shlex.split(line.removeprefix("would run: az "))) == []


@pytest.mark.parametrize("script", USES)
def test_unknown_option_and_missing_environment_are_named(script: str, environment: Environment) -> None:
    """A wrong call is one line that names the fault; nothing is asked of Azure."""
    wrong = environment.run(script, "--frobnicate", "x")
    assert wrong.code == 1 and "--frobnicate" in wrong.output and wrong.calls == []
    nowhere = environment.run(script, AZURE_ENV_NAME="")
    assert nowhere.code == 1 and "--environment NAME" in nowhere.output


@pytest.mark.parametrize("script", USES)
def test_help_says_how_it_is_called(script: str, environment: Environment) -> None:
    """--help prints the script's own manual."""
    ran = environment.run(script, "--help")
    assert ran.code == 0 and f"scripts/{script}" in ran.output and ran.calls == []


def acts(ran: Ran) -> list[str]:
    """Return what changed something, in order: routing as REGION=STATUS, everything else by its name."""
    found = []
    for call in ran.changes():
        argv = call["argv"]
        if "--endpoint-status" in argv:
            found.append(f"{argv[argv.index('--name') + 1]}={argv[argv.index('--endpoint-status') + 1]}")
        elif call["program"] != "azd":
            found.append(call.get("command") or call["path"])
    return found


REBUILT = "/api/recovery/rebuild"
SETTINGS_SET = "functionapp config appsettings set"


def test_failover_takes_a_lost_primary_out_then_rebuilds_then_waits(environment: Environment) -> None:
    """A region that does not answer is out of routing first; then lake read-only, rebuild from the copy, in routing."""
    environment.says("GET", FIRST, "/api/health", (0, ""))
    environment.says("GET", SECOND, "/api/health", (503, {}), (503, {}), (200, {}))
    ran = environment.run("failover", "--to", SECOND, "--reason", "region lost")
    assert ran.code == 0, ran.output
    assert acts(ran) == [f"{FIRST}=Disabled", SETTINGS_SET, REBUILT, f"{SECOND}=Enabled"]
    assert environment.endpoints() == {FIRST: "Disabled", SECOND: "Enabled"}
    (settings,) = ran.commands(*SETTINGS_SET.split())
    assert "LAKE_READ_ONLY=true" in settings
    (post,) = ran.posts()
    assert post[1:] == (REBUILT, {"reason": "region lost", "source": "secondary"})
    assert SECOND in post[0]
    noted = [call["argv"] for call in ran.calls if call["program"] == "azd" and "DISABLED" in call["argv"][2]]
    assert noted[-1] == ["env", "set", "WARMLAKE_DISABLED_REGIONS", FIRST, "--environment", "demo"]
    assert f"rebuild {REBUILD}: completed" in ran.output
    assert KEY not in ran.output


@pytest.mark.parametrize("source", ["primary", "secondary"])
def test_a_region_that_answers_keeps_its_users_until_the_other_is_ready(environment: Environment, source: str) -> None:
    """Nobody loses an answer to a failover from a region that has them: routing changes after the rebuild."""
    environment.says("GET", SECOND, "/api/health", (503, {}), (200, {}))
    ran = environment.run("failover", "--to", SECOND, "--source", source)
    assert ran.code == 0, ran.output
    order = acts(ran)
    assert order[-2:] == [f"{SECOND}=Enabled", f"{FIRST}=Disabled"]
    assert order.index(REBUILT) < order.index(f"{SECOND}=Enabled")
    failed = environment.run("failover", "--to", "mars")
    assert failed.code == 1 and acts(failed) == []


def test_every_region_before_the_target_goes_out_of_routing(tmp_path: Path) -> None:
    """Users reach the third region only when the two before it are out; a region that was out already stays noted."""
    environment = Environment(tmp_path, regions=f"{FIRST},{SECOND},francecentral")
    environment.says("GET", FIRST, "/api/health", (0, ""))
    environment.says("GET", "francecentral", "/api/health", (503, {}), (200, {}))
    assert environment.run("failover", "--to", "francecentral").code == 0
    assert environment.endpoints() == {FIRST: "Disabled", SECOND: "Disabled", "francecentral": "Enabled"}
    back = environment.run("disable-primary", "--region", SECOND)
    noted = [call["argv"][3] for call in back.calls if call["program"] == "azd"]
    assert noted == [f"{FIRST},{SECOND}"]
    environment.says("GET", FIRST, "/api/health", (200, {}))
    home = environment.run("failback")
    assert next(call["argv"][3] for call in home.calls if call["program"] == "azd") == SECOND


def test_failover_beside_a_lake_that_is_well(environment: Environment) -> None:
    """With --source primary the lake stays writable and its events reach the region that answers now."""
    environment.says("GET", SECOND, "/api/health", (503, {}), (200, {}))
    ran = environment.run("failover", "--to", SECOND, "--source", "primary")
    assert ran.code == 0, ran.output
    assert ran.commands("functionapp config appsettings set") == []
    (subscribed,) = ran.commands("deployment group create")
    assert f"lake-events-{SECOND}" in subscribed
    assert ran.posts()[0][2]["source"] == "primary"


def test_the_key_reaches_the_app_and_no_command_line(environment: Environment) -> None:
    """The function key is given to curl on its standard input."""
    environment.says("GET", SECOND, "/api/health", (503, {}), (200, {}))
    ran = environment.run("failover", "--to", SECOND)
    (post,) = [call for call in ran.calls if call["program"] == "curl" and call["method"] == "POST"]
    assert KEY in post["config"]
    assert all(KEY not in " ".join(call["argv"]) for call in ran.calls)


# script: the options of an ordinary use where people sign in; none of them may lack its token
SIGNED_IN = {name: uses for name, uses in USES.items() if name not in ("check-regions", "restore", "present-state")}


@pytest.mark.parametrize("script", SIGNED_IN)
def test_scripts_work_where_people_sign_in(script: str, tmp_path: Path) -> None:
    """With an Entra registration every call carries a bearer token instead of a key; nothing has to be told so."""
    environment = Environment(tmp_path / "e", signed_in=True)
    if script in ("failover", "drill-azure", "first-rebuild"):
        environment.says("GET", SECOND, "/api/health", (503, {}), (200, {}))
    ran = environment.run(script, *given(SIGNED_IN[script], tmp_path))
    assert ran.code == 0, ran.output
    asked = [call for call in ran.calls if call["program"] == "curl"]
    assert all(call["config"] == f'header = "Authorization: Bearer {TOKEN}"\n' for call in asked)
    assert TOKEN not in ran.output


@pytest.mark.parametrize("source", ["primary", "secondary"])
def test_an_operator_who_is_refused_changes_nothing(tmp_path: Path, source: str) -> None:
    """Without a token that the app takes a failover ends before any region is out of routing, and says what to do."""
    environment = Environment(tmp_path, signed_in=True)
    environment.says("GET", FIRST, "/api/health", (0, ""))
    environment.answers["guard"]["header"] = "Authorization: Bearer of another registration"
    ran = environment.run("failover", "--to", SECOND, "--source", source)
    assert ran.code == 1 and "does not take you for an operator (it answers 302)" in ran.output
    assert acts(ran) == [] and set(environment.endpoints().values()) == {"Enabled"}
    environment.answers["az"] = [
        one for one in environment.answers["az"] if one["command"] != "account get-access-token"
    ]
    ran = environment.run("failover", "--to", SECOND, "--source", source)
    assert ran.code == 1 and f"no token for api://{REGISTRATION}" in ran.output and acts(ran) == []


@pytest.mark.parametrize("answers", [(200, {"status": "running"}), (200, {"status": "interrupted"}), (503, "no")])
def test_a_rebuild_that_never_ends_is_not_waited_for_without_end(
    environment: Environment, answers: tuple[int, object]
) -> None:
    """Silence, an interrupted rebuild and one that runs on and on each end the script, which says where to look."""
    environment.says("GET", SECOND, f"/api/recovery/{REBUILD}", answers)
    ran = environment.run("failover", "--to", SECOND, WARMLAKE_REBUILD_POLLS="5", WARMLAKE_SILENT_POLLS="3")
    assert ran.code == 1 and f"/api/recovery/{REBUILD} of {SECOND} shows it" in ran.output
    asked = [call for call in ran.calls if call.get("path") == f"/api/recovery/{REBUILD}"]
    assert len(asked) == (5 if answers[1] == {"status": "running"} else 3)
    assert environment.endpoints()[FIRST] == "Enabled"


def test_an_interrupted_rebuild_that_goes_on_is_waited_for(environment: Environment) -> None:
    """The app takes a rebuild up again after a restart; the script sees it through."""
    said = [(200, {"status": status}) for status in ("running", "interrupted", "running", "completed")]
    environment.says("GET", SECOND, f"/api/recovery/{REBUILD}", *said)
    environment.says("GET", SECOND, "/api/health", (503, {}), (200, {}))
    assert environment.run("failover", "--to", SECOND).code == 0


def test_a_refused_rebuild_is_told_with_its_reason(environment: Environment) -> None:
    """What the app answers to a request that it refuses is shown, not swallowed."""
    environment.says("POST", SECOND, REBUILT, (409, {"detail": "rebuild 7 is running"}))
    ran = environment.run("failover", "--to", SECOND)
    assert ran.code == 1 and "rebuild 7 is running" in ran.output


def test_a_hot_standby_is_not_rebuilt(tmp_path: Path) -> None:
    """A region that is healthy already only gets the users."""
    ran = Environment(tmp_path, standby="hot").run("failover", "--to", SECOND)
    assert ran.code == 0, ran.output
    assert ran.posts() == []


def test_a_rebuild_that_fails_stops_the_failover(environment: Environment) -> None:
    """What did not verify is said, with the report; the script does not claim success."""
    environment.says("GET", SECOND, f"/api/recovery/{REBUILD}", (200, {"status": "verification_failed"}))
    ran = environment.run("failover", "--to", SECOND)
    assert ran.code == 1
    assert "ended as verification_failed" in ran.output and "runbook" in ran.output


def test_failback_serves_until_the_first_region_is_verified(environment: Environment) -> None:
    """The first region is rebuilt and healthy before it is in routing again; then the standby may write."""
    ran = environment.run("failback")
    assert ran.code == 0, ran.output
    assert ran.posts() == [
        (environment.host(FIRST).split(".")[0], "/api/recovery/rebuild", {"reason": "failback", "source": "primary"})
    ]
    order = [call.get("command") or call.get("path") for call in ran.changes()]
    assert order.index("/api/recovery/rebuild") < order.index("network traffic-manager endpoint update")
    (settings,) = ran.commands("functionapp config appsettings set")
    assert "LAKE_READ_ONLY=false" in settings


def test_drill_goes_there_and_back_and_says_how_long(environment: Environment) -> None:
    """The drill is a failover and a failback, with the time between; users always have a region that answers."""
    environment.says("GET", SECOND, "/api/health", (503, {}), (200, {}))
    ran = environment.run("drill-azure")
    assert ran.code == 0, ran.output
    order = acts(ran)
    assert order[:4] == [SETTINGS_SET, REBUILT, f"{SECOND}=Enabled", f"{FIRST}=Disabled"]
    assert order[-2:] == [f"{FIRST}=Enabled", SETTINGS_SET]
    assert environment.endpoints() == {FIRST: "Enabled", SECOND: "Enabled"}
    assert re.search(r"RTO: \d+ s until centralus was healthy", ran.output)


@pytest.mark.parametrize("place", [FIRST, SECOND])
def test_a_drill_that_fails_leaves_the_first_region_in_routing(environment: Environment, place: str) -> None:
    """Whether the rebuild there or the one back is refused: users are in the first region, the lake can be written."""
    environment.says("GET", SECOND, "/api/health", (503, {}), (200, {}))
    environment.says("POST", place, REBUILT, (409, {"detail": "rebuild 7 is running"}))
    ran = environment.run("drill-azure")
    assert ran.code == 1 and "rebuild 7 is running" in ran.output and "put back into routing" in ran.output
    assert environment.endpoints()[FIRST] == "Enabled"
    assert list(environment.state["settings"].values()) == [{"LAKE_READ_ONLY": "false"}]
    noted = [call["argv"][3] for call in ran.calls if call["program"] == "azd" and "DISABLED" in call["argv"][2]]
    assert noted[-1] == ""


def test_no_drill_while_the_first_region_is_ill(environment: Environment) -> None:
    """A drill does not begin when the users' region is not healthy."""
    environment.says("GET", FIRST, "/api/health", (503, {}))
    ran = environment.run("drill-azure")
    assert ran.code == 1 and "no time for a drill" in ran.output and ran.changes() == []


def test_release_deploys_the_same_package_region_after_region(environment: Environment, tmp_path: Path) -> None:
    """Region one is deployed and tried before region two; both get the same file; a warm standby gets no events."""
    ran = environment.run("release", *given(USES["release"], tmp_path))
    assert ran.code == 0, ran.output
    deployed = ran.commands("functionapp deployment source config-zip")
    assert [argv[argv.index("--resource-group") + 1] for argv in deployed] == [f"rg-demo-{FIRST}", f"rg-demo-{SECOND}"]
    assert len({argv[argv.index("--src") + 1] for argv in deployed}) == 1
    (subscribed,) = ran.commands("deployment group create")
    assert f"lake-events-{FIRST}" in subscribed and WEBHOOK_KEY not in " ".join(subscribed)
    asked = [call["path"] for call in ran.calls if call["program"] == "curl" and SECOND in call["host"]]
    chat = next(number for number, call in enumerate(ran.calls) if call.get("path") == "/api/chat")
    second = next(
        number for number, call in enumerate(ran.calls) if SECOND in str(call["argv"]) and "config-zip" in call["argv"]
    )
    assert chat < second and "/api/health" in asked


def test_a_region_that_fails_its_smoke_test_goes_back_and_the_next_is_untouched(
    environment: Environment, tmp_path: Path
) -> None:
    """The package of before is deployed again to that region, and region two sees nothing."""
    environment.says("POST", FIRST, "/api/chat", (500, {}))
    ran = environment.run("release", *given(USES["release"], tmp_path))
    assert ran.code == 1
    assert f"{FIRST} did not take the release" in ran.output
    deployed = ran.commands("functionapp deployment source config-zip")
    assert [argv[argv.index("--resource-group") + 1] for argv in deployed] == [f"rg-demo-{FIRST}"] * 2
    assert environment.runs(FIRST) == environment.runs(SECOND) == RELEASES[0]


# ---- going back ------------------------------------------------------------------------------------------------------


def release(environment: Environment, folder: Path, content: str) -> Ran:
    """Release a package; its content is what the stand-in says that an app runs."""
    package = folder / "package.zip"
    package.write_text(content)
    return environment.run("deploy", "--region", FIRST, "--package", str(package))


def test_rollback_after_a_deployment_that_failed_keeps_what_ran(environment: Environment, tmp_path: Path) -> None:
    """The new package is stored but never ran: the one before it is deployed again, not the one before that."""
    environment.fails("functionapp deployment source config-zip")
    assert release(environment, tmp_path, "new").code != 0
    assert environment.runs(FIRST) == RELEASES[0]
    ran = environment.run("rollback", "--region", FIRST)
    assert ran.code == 0, ran.output
    assert environment.runs(FIRST) == RELEASES[0]


def test_rollback_of_a_release_that_was_good_at_first(environment: Environment, tmp_path: Path) -> None:
    """Going back from a good package takes the good one before it, and going back again the one before that."""
    assert release(environment, tmp_path, "new").code == 0
    assert environment.runs(FIRST) == "new"
    for wanted in RELEASES:
        assert environment.run("rollback", "--region", FIRST).code == 0
        assert environment.runs(FIRST) == wanted
    ran = environment.run("rollback", "--region", FIRST)
    assert ran.code == 1 and f"no good package but {RELEASES[-1]}" in ran.output


def test_rollback_after_a_provisioning(environment: Environment, tmp_path: Path) -> None:
    """A provisioning takes away tags that the templates do not have; packages keep their marks."""
    release(environment, tmp_path, "new")
    for record in environment.answers["az"]:
        if record["command"] == "functionapp show":
            assert "warmlake-release" not in record["answer"]["tags"]
    assert environment.run("rollback", "--region", FIRST).code == 0
    assert environment.runs(FIRST) == RELEASES[0]


def test_rollback_after_an_earlier_rollback_skips_what_was_left(environment: Environment, tmp_path: Path) -> None:
    """What was gone back from is not good any more: a later release that fails goes back to what ran before it."""
    release(environment, tmp_path, "bad")
    environment.run("rollback", "--region", FIRST)
    environment.says("POST", FIRST, "/api/chat", (500, {}))
    assert release(environment, tmp_path, "worse").code == 1
    assert environment.runs(FIRST) == "worse"
    environment.says("POST", FIRST, "/api/chat", (200, {}))
    assert environment.run("rollback", "--region", FIRST).code == 0
    assert environment.runs(FIRST) == RELEASES[0]


def test_a_package_that_fails_its_smoke_test_is_not_good(environment: Environment, tmp_path: Path) -> None:
    """Only what passed is marked, and a named package can be had whatever its marks."""
    environment.says("POST", FIRST, "/api/chat", (500, {}))
    assert release(environment, tmp_path, "worse").code == 1
    environment.says("POST", FIRST, "/api/chat", (200, {}))
    (kept,) = [marks for marks in environment.state["releases"].values() if len(marks) > len(RELEASES)]
    (worse,) = set(kept) - set(RELEASES)
    assert set(kept[worse]) == {"deployed"}
    assert environment.run("rollback", "--region", FIRST, "--release", worse).code == 0
    assert environment.runs(FIRST) == worse


def test_a_deployment_waits_for_its_role(environment: Environment, tmp_path: Path) -> None:
    """Right after provisioning the role on the container may not be known yet: the upload is tried again."""
    environment.fails("storage blob upload", times=3)
    assert release(environment, tmp_path, "new").code == 0
    assert environment.runs(FIRST) == "new"


def test_a_region_without_the_app_is_named(environment: Environment) -> None:
    """A wrong region is told apart from a missing one, with those that there are."""
    ran = environment.run("smoke", "--region", "mars")
    assert ran.code == 1 and "'mars'" in ran.output and f"{FIRST} {SECOND}" in ran.output


def current(environment: Environment) -> dict[str, str]:
    """Return the documents that are there, each with its current version."""
    return {one["name"]: one["versionId"] for one in environment.state["versions"] if one["isCurrentVersion"]}


def test_restore_brings_back_the_newest_version_of_what_is_deleted(environment: Environment) -> None:
    """The newest version of a deleted document is copied over it, undeleted first where it must be; others are left."""
    there = current(environment)
    ran = environment.run("restore", "--prefix", "contracts/")
    assert ran.code == 0 and "2 documents brought back" in ran.output, ran.output
    newest = "copy of 2026-11-21T10:00:00.0000000Z"
    assert current(environment) == {**there, "contracts/a b.pdf": newest, "contracts/purged.pdf": newest}
    (undeleted,) = ran.commands("storage blob undelete")
    assert undeleted[undeleted.index("--name") + 1] == "contracts/purged.pdf"
    sources = [copy[copy.index("--source-uri") + 1] for copy in ran.commands("storage blob copy start")]
    assert sources[0].endswith("/documents/contracts/a%20b.pdf?versionId=2026-11-21T10:00:00.0000000Z")
    again = environment.run("restore", "--prefix", "contracts/")
    assert again.code == 1 and "nothing below 'contracts/' is deleted" in again.output and again.changes() == []


@pytest.mark.parametrize(("path", "day", "undeletes"), [("contracts/kept.pdf", 20, 0), ("contracts/purged.pdf", 21, 1)])
def test_restore_of_one_version(environment: Environment, path: str, day: int, undeletes: int) -> None:
    """One version becomes the current one again, also one that was deleted itself."""
    ran = environment.run("restore", "--path", path, "--version", f"2026-11-{day}T10:00:00.0000000Z")
    assert ran.code == 0, ran.output
    assert current(environment)[path] == f"copy of 2026-11-{day}T10:00:00.0000000Z"
    assert len(ran.commands("storage blob undelete")) == undeletes


def test_restore_says_what_it_needs_and_what_is_not_there(environment: Environment) -> None:
    """Without a folder or a version, and for a version that is not there, it changes nothing and says so."""
    nothing = environment.run("restore")
    assert nothing.code == 1 and "--prefix FOLDER/" in nothing.output
    unknown = environment.run("restore", "--path", "contracts/kept.pdf", "--version", "2020")
    assert unknown.code == 1 and "contracts/kept.pdf has no version 2020" in unknown.output and unknown.changes() == []


def test_regions_without_flex_consumption_are_refused_before_anything_is_provisioned(environment: Environment) -> None:
    """The check names the region and those that would do."""
    ran = environment.run("check-regions", WARMLAKE_REGIONS=f"{FIRST},antarctica")
    assert ran.code == 1 and "antarctica has no Flex Consumption" in ran.output


def test_every_app_gets_the_name_and_its_certificate(environment: Environment) -> None:
    """Each region's app is bound to the name that users see, for Traffic Manager may send them to any."""
    ran = environment.run("bind", *USES["bind"])
    assert ran.code == 0, ran.output
    for word in ("hostname add", "ssl import", "ssl bind"):
        found = ran.commands("functionapp config", word)
        assert [argv[argv.index("--resource-group") + 1] for argv in found] == [f"rg-demo-{FIRST}", f"rg-demo-{SECOND}"]
    assert all("AB12" in argv for argv in ran.commands("functionapp config ssl bind"))


@pytest.mark.parametrize(
    ("command", "answer", "word"),
    [
        ("cognitiveservices model list", [], "has no GlobalStandard deployment of"),
        ("provider show", {"resourceTypes": []}, "has no Azure AI Search"),
        ("account list-locations", [], "note: the lake's copy is in no region"),
    ],
)
def test_regions_without_a_service_are_named(environment: Environment, command: str, answer: object, word: str) -> None:
    """Search, each model at its version and kind of deployment, and the pair of the lake's region are looked at."""
    for record in environment.answers["az"]:
        if record["command"] == command:
            record["answer"] = answer
    assert word in environment.run("check-regions").output


def test_a_profile_with_a_scheduler_needs_one_in_each_region(environment: Environment) -> None:
    """Only where Durable's state is in a scheduler has the region to have one."""
    for record in environment.answers["az"]:
        if record.get("with") == {"--namespace": "Microsoft.DurableTask"}:
            record["answer"] = {"resourceTypes": []}
    assert environment.run("check-regions").code == 0
    ran = environment.run("check-regions", WARMLAKE_PROFILE="large")
    assert ran.code == 1 and "has no Durable Task Scheduler" in ran.output


@pytest.mark.parametrize("environ", [{"WARMLAKE_NETWORK": "private"}, {"WARMLAKE_PROFILE": "large"}])
def test_private_networking_needs_a_provider_that_no_deployment_registers(
    environment: Environment, environ: dict[str, str]
) -> None:
    """Where the subnet is delegated to a provider that the subscription does not have, this is said beforehand."""
    assert environment.run("check-regions", **environ).code == 0
    for record in environment.answers["az"]:
        if record.get("with") == {"--namespace": "Microsoft.App"}:
            record["answer"] = {"registrationState": "NotRegistered"}
    assert environment.run("check-regions").code == 0
    ran = environment.run("check-regions", **environ)
    assert ran.code == 1 and "az provider register --namespace Microsoft.App" in ran.output


def test_a_deployment_in_the_midst_of_a_failover_keeps_it(environment: Environment) -> None:
    """What the failover changed is what the pipeline passes to the templates, and what azd remembers."""
    environment.says("GET", FIRST, "/api/health", (0, ""))
    environment.says("GET", SECOND, "/api/health", (503, {}), (200, {}))
    ran = environment.run("failover", "--to", SECOND)
    noted = dict(call["argv"][2:4] for call in ran.calls if call["program"] == "azd")
    kept = {"WARMLAKE_DISABLED_REGIONS": FIRST, "WARMLAKE_READ_ONLY_REGIONS": SECOND}
    assert noted == kept
    state = environment.run("present-state")
    assert dict(line.split("=", 1) for line in state.output.splitlines()) == kept
    deployment = deploy(Sources(INFRA), "main.bicep", bicepparam({"AZURE_ENV_NAME": "demo", **kept}))
    assert [app_settings(app)["LAKE_READ_ONLY"] for app in deployment.of(SITE)] == ["false", "true"]
    (profile,) = deployment.of(PROFILE)
    assert [found["properties"]["endpointStatus"] for found in profile.get("properties.endpoints")] == [
        *("Disabled", "Enabled")
    ]


def test_package_is_the_same_bytes_twice_and_holds_the_app_only(tmp_path: Path) -> None:
    """The artefact has the app and nothing of one machine, and building it again gives the same bytes."""
    first, second = tmp_path / "one.zip", tmp_path / "two.zip"
    for target in (first, second):
        command = [str(SCRIPTS / "package"), str(target)]
        environ = {"PATH": f"{tool('python3')[:-8]}:/usr/bin:/bin", "WARMLAKE_PACKAGE_NO_DEPENDENCIES": "1"}
        subprocess.run(command, env={**environ, "TMPDIR": str(tmp_path)}, check=True, capture_output=True)
    assert first.read_bytes() == second.read_bytes()
    names = zipfile.ZipFile(first).namelist()
    assert {"function_app.py", "host.json", "requirements.txt", "shared/sync.py", "web/index.html"} <= set(names)
    assert {name.split("/")[0] for name in names} == {
        *("function_app.py", "host.json", "requirements.txt", "shared", "orchestrations", "web")
    }
    assert not any("__pycache__" in name for name in names)
