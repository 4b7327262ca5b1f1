"""The templates: they evaluate, for every form of deployment, to resources that break no rule."""

import json

import pytest

from local.settings_files import defaults
from shared.settings import SETTINGS
from tests.infra import parameters
from tests.infra.checks import COMMON, VARIANTS, WEBHOOK, check, deploy_variant, faults_of
from tests.infra.evaluate import INFRA, Deployment, Sources, deploy
from tests.infra.policies import MODELS, SEARCH, SITE, STORAGE
from tests.infra.properties import allow_list, property_faults
from tests.infra.roles import PUBLISHED
from tests.infra.settings import OPTIONAL, SECRETS, TUNED, app_settings, worst_case_failover
from tests.infra.syntax import BicepFault

HOT = "standard, hot, private, signed in, scheduler"
WARM = "standard, warm"


def variant(name: str) -> Deployment:
    return deploy_variant(Sources(INFRA), name)


def test_no_template_has_a_fault_in_any_variant() -> None:
    """Every file parses, every symbol and parameter resolves, every property exists, every policy holds."""
    assert check(Sources(INFRA)) == []


def test_the_variants_take_every_declaration() -> None:
    """No resource or module of a template is left out by all variants: nothing goes unchecked behind a condition."""
    sources = Sources(INFRA)
    used: set[tuple[str, str]] = set()
    for name in VARIANTS:
        deployment = deploy_variant(sources, name)
        used |= {(resource.file, resource.symbol) for resource in deployment.resources}
    declared = {(file, found.name) for file in sources.names() for found in sources.template(file).of("resource")}
    # scripts/subscribe deploys this one, with the key of an app that exists by then
    assert declared - used == {("lake-events.bicep", "creations")}


def test_the_subscription_of_creations_evaluates_too() -> None:
    """The file that scripts/subscribe deploys with a webhook makes both subscriptions, and no fault."""
    deployment = deploy(Sources(INFRA), "lake-events.bicep", WEBHOOK, "rg-demo-lake")
    made = [found for found in deployment.resources if not found.existing]
    assert {found.name for found in made} == {"deletions-r", "documents-r"}
    assert [fault for found in deployment.resources for fault in property_faults(found)] == []


def test_types_and_versions_are_few() -> None:
    """Each resource type is used at one API version, and the committed list holds no type that nobody uses."""
    used = {f"{r.type}@{r.api_version}" for name in VARIANTS for r in variant(name).resources}
    assert used == set(allow_list()["resources"])
    assert len({one.split("@")[0] for one in used}) == len(used)


@pytest.mark.parametrize("profile", ["dev", "standard", "large"])
def test_each_profile_deploys(profile: str) -> None:
    """The one parameter file deploys each profile whole, from its name alone, and what it deploys breaks no rule."""
    given = parameters.bicepparam({"AZURE_ENV_NAME": "demo", "WARMLAKE_PROFILE": profile})
    deployment = deploy(Sources(INFRA), "main.bicep", given)
    assert faults_of(deployment, given) == []


def test_the_environment_decides_what_it_names() -> None:
    """Without any variable the standard profile is deployed, warm; each variable reaches its parameter."""
    given = parameters.bicepparam({"AZURE_ENV_NAME": "demo"})
    assert (given["profile"], given["standby"], given["regions"]) == ("standard", "", COMMON["regions"])
    assert parameters.resolved(given)["standby"] == "warm"
    values = {
        "WARMLAKE_STANDBY": "hot",
        "WARMLAKE_NETWORK": "private",
        "WARMLAKE_DURABLE_STATE": "scheduler",
        "WARMLAKE_SEARCH_PARTITIONS": "2",
        "WARMLAKE_AUTH_CLIENT_ID": "registration",
        "AZURE_PRINCIPAL_ID": "me",
        "WARMLAKE_DISABLED_REGIONS": "eastus2",
        "WARMLAKE_READ_ONLY_REGIONS": "centralus",
    }
    given = parameters.bicepparam({"AZURE_ENV_NAME": "demo", **values})
    deployment = deploy(Sources(INFRA), "main.bicep", given)
    assert faults_of(deployment, given) == []
    assert [service.get("properties.partitionCount") for service in deployment.of(SEARCH)] == [2, 2]


def test_a_profile_is_the_same_however_it_is_asked_for() -> None:
    """What large means is in one place: capacity, standby, network and scheduler follow from its name."""
    given = parameters.bicepparam({"AZURE_ENV_NAME": "demo", "WARMLAKE_PROFILE": "large"})
    deployment = deploy(Sources(INFRA), "main.bicep", given)
    capacities = {model.name: model.get("sku.capacity") for model in deployment.of(f"{MODELS}/deployments")}
    assert capacities == {"gpt-5.4-mini": 500, "text-embedding-3-small": 1000}
    assert {app_settings(app)["EMBEDDING_TOKENS_PER_MINUTE"] for app in deployment.of(SITE)} == {"1000000"}
    assert len(deployment.of("Microsoft.DurableTask/schedulers")) == 2
    assert {account.get("properties.publicNetworkAccess") for account in deployment.of(STORAGE)} == {"Disabled"}


def test_wrong_parameters_are_refused() -> None:
    """A value outside its list or bounds, a missing and an unknown parameter each stop with the parameter's name."""
    good = dict(VARIANTS[WARM])
    for change, word in (
        ({"profile": "huge"}, "profile"),
        ({"probeTimeout": 4}, "probeTimeout"),
        ({"environmentName": "ab"}, "environmentName"),
        ({"standbi": "hot"}, "standbi"),
    ):
        with pytest.raises(BicepFault, match=word):
            deploy(Sources(INFRA), "main.bicep", {**good, **change})
    with pytest.raises(BicepFault, match="'regions' is not given"):
        deploy(Sources(INFRA), "main.bicep", {"environmentName": "demo"})


# ---- forms of the standby --------------------------------------------------------------------------------------------


def in_region(deployment: Deployment, region: str) -> set[str]:
    return {found.type for found in deployment.resources if found.group == f"rg-demo-{region}" and not found.existing}


def test_hot_and_warm_hold_the_same_and_differ_in_events() -> None:
    """A warm standby has every resource of the first region; only the lake's events do not reach it."""
    warm = variant(WARM)
    first, second = COMMON["regions"].split(",")
    assert in_region(warm, first) == in_region(warm, second)
    subscriptions = [found.name for found in warm.of("Microsoft.EventGrid/systemTopics/eventSubscriptions")]
    assert subscriptions == [f"deletions-{first}"]
    hot = variant(HOT)
    assert len(hot.of("Microsoft.EventGrid/systemTopics/eventSubscriptions")) == 2


def test_cold_holds_network_and_storage_only() -> None:
    """A cold standby has no app, no search and no models, but its identity has its roles in the lake already."""
    cold = variant("large, cold, private")
    second = COMMON["regions"].split(",")[1]
    kinds = in_region(cold, second)
    assert not kinds & {SITE, "Microsoft.Search/searchServices", "Microsoft.CognitiveServices/accounts"}
    assert {STORAGE, "Microsoft.Network/virtualNetworks", "Microsoft.ManagedIdentity/userAssignedIdentities"} <= kinds


# ---- settings --------------------------------------------------------------------------------------------------------


def test_the_infrastructure_has_the_table_of_settings() -> None:
    """Names and defaults are those of the app's own table; only keys are left out, for identities take their place."""
    assert json.loads((INFRA / "settings-defaults.json").read_text(encoding="utf-8")) == defaults()
    for app in variant(WARM).of(SITE):
        given = app_settings(app)
        names = {row.name for row in SETTINGS}
        assert names - set(given) == SECRETS | OPTIONAL | TUNED
        assert given["SEARCH_SEMANTIC"] == "true"  # the ranker is provisioned, so it is used
        for row in SETTINGS:  # what the resources do not decide has its default, and all of it is of its type
            if row.name in given:
                row.parse(given[row.name])


def test_tuned_settings_reach_every_region() -> None:
    """A setting given at deployment replaces its default in all regions; switches may be booleans."""
    for app in variant("standard, hot, one region without zones").of(SITE):
        given = app_settings(app)
        assert (given["CHAT_PASSAGES"], given["SERVING"].lower()) == ("8", "true")


def test_optional_settings_come_with_their_parameter() -> None:
    """Where scans are to be read, every region has the service, its address, and no key."""
    for app in variant(HOT).of(SITE):
        given = app_settings(app)
        assert set(given) >= OPTIONAL and app.get("location") in given["DOCUMENT_INTELLIGENCE_ENDPOINT"]


def test_role_ids_are_the_published_ones() -> None:
    """infra/roles.json has the ids of Azure's own list, under the names that the templates use."""
    given = json.loads((INFRA / "roles.json").read_text(encoding="utf-8"))
    assert {guid: name for name, guid in given.items()} == {guid: name for guid, (name, _) in PUBLISHED.items()}


@pytest.mark.parametrize(("numbers", "seconds"), [((10, 1, 5, 10), 45), ((10, 3, 9, 30), 89), ((30, 3, 10, 30), 170)])
def test_worst_case_failover(numbers: tuple[int, int, int, int], seconds: int) -> None:
    """The arithmetic gives the known figures for interval, tolerated failures, timeout and TTL."""
    assert worst_case_failover(*numbers) == seconds


def test_default_failover_time() -> None:
    """With the defaults users are sent elsewhere within 45 s."""
    assert variant(WARM).outputs["WARMLAKE_WORST_CASE_FAILOVER_SECONDS"] == 45
