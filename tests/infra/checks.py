"""Everything that is checked about the templates by evaluating them: one call, for the templates or a changed copy."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.infra.evaluate import Deployment, Sources, deploy
from tests.infra.parameters import resolved
from tests.infra.policies import POLICIES, subscriptions
from tests.infra.properties import property_faults
from tests.infra.roles import role_faults
from tests.infra.settings import routing_faults, settings_faults
from tests.infra.syntax import BicepFault

COMMON = {"environmentName": "demo", "regions": "eastus2,centralus", "alertEmail": "operators@example.com"}
# Together these take every branch of the templates.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "standard, warm": {
        **COMMON,
        "profile": "standard",
        "standby": "warm",
        "deployerPrincipalIds": "11111111-deployer,",
    },
    "standard, hot, private, signed in, scheduler": {
        **COMMON,
        "profile": "standard",
        "standby": "hot",
        "network": "private",
        "readScans": True,
        "durableState": "scheduler",
        "authClientId": "22222222-registration",
        "overrides": {"geoPriorityReplication": True},
        "deployerPrincipalIds": "11111111-deployer,33333333-pipeline,11111111-deployer",
        "hostName": "chat.example.com",
        "disabledRegions": "eastus2",
        "readOnlyRegions": "centralus",
    },
    "large, cold, private": {**COMMON, "profile": "large", "standby": "cold"},
    "dev, three regions, one without zones": {
        **COMMON,
        "environmentName": "warmlakeofanyone",  # names are as long as they can be
        "regions": "australiasoutheast,germanywestcentral,francecentral",
        "regionsWithoutZones": "francecentral",
        "profile": "dev",
        "standby": "warm",
        "alertEmail": "",
    },
    "standard, hot, one region without zones": {
        **COMMON,
        "regionsWithoutZones": "centralus",
        "profile": "standard",
        "standby": "hot",
        "tuning": {"CHAT_PASSAGES": 8, "SERVING": True},
    },
}


# What scripts/subscribe passes to lake-events.bicep, with the key of an app that exists by then.
WEBHOOK = {
    "topic": "t",
    "region": "r",
    "storageId": "/s",
    "queue": "q",
    "lakeId": "/l",
    "webhook": "https://x?code=k",
}


def deploy_variant(sources: Sources, name: str) -> Deployment:
    """Evaluate the templates for one set of parameters. Raises BicepFault."""
    return deploy(sources, "main.bicep", VARIANTS[name])


def faults_of(deployment: Deployment, parameters: Mapping[str, Any]) -> list[str]:
    """Return everything that is wrong with one evaluated deployment."""
    parameters = resolved(parameters)
    found = [fault for resource in deployment.resources for fault in property_faults(resource)]
    for check in (*POLICIES, role_faults, settings_faults, routing_faults):
        found.extend(check(deployment, parameters))
    ids = [resource.id for resource in deployment.resources if not resource.existing]
    found.extend(f"{one} is deployed twice" for one in sorted({one for one in ids if ids.count(one) > 1}))
    return found


def check(sources: Sources) -> list[str]:
    """Return everything that is wrong with the templates, in any variant."""
    return list(faults(sources))


def faults(sources: Sources) -> Iterator[str]:
    """Look for one fault after the other; what cannot be evaluated is the last one."""
    used: set[str] = set()
    for name, parameters in VARIANTS.items():
        try:
            deployment = deploy_variant(sources, name)
        except BicepFault as fault:
            yield str(fault)
            return
        yield from (f"{name}: {fault}" for fault in faults_of(deployment, parameters))
        used |= {module.file for module in deployment.modules}
    yield from subscriptions(deploy(sources, "lake-events.bicep", WEBHOOK, "rg-demo-lake"))
    yield from (f"{file}: nothing uses it" for file in sources.names() if file not in used | {"main.bicep"})
