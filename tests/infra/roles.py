"""Who may do what: every role assignment of a deployment, held to the list of those that are needed, and as a table."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.infra.evaluate import Deployment
from tests.infra.values import Opaque, Resource

ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
# Written here a second time, from the published list, so that a wrong id in infra/roles.json is found.
# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
PUBLISHED = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": ("blobDataOwner", "Storage Blob Data Owner"),
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": ("blobDataContributor", "Storage Blob Data Contributor"),
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": ("blobDataReader", "Storage Blob Data Reader"),
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": ("queueDataContributor", "Storage Queue Data Contributor"),
    "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a": ("queueDataMessageSender", "Storage Queue Data Message Sender"),
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": ("tableDataContributor", "Storage Table Data Contributor"),
    "7ca78c08-252a-4471-8644-bb5ff32d4ba0": ("searchServiceContributor", "Search Service Contributor"),
    "8ebe5a00-799e-43f5-93ac-243d3dce84a7": ("searchIndexDataContributor", "Search Index Data Contributor"),
    "5e0bd9bd-7b93-4f28-af87-19fc36ad61bd": ("openAIUser", "Cognitive Services OpenAI User"),
    "3913510d-42f4-4e42-8a64-420c390055eb": ("metricsPublisher", "Monitoring Metrics Publisher"),
    "0ad04412-c4d5-4796-b79c-f76d14c8d402": ("durableTaskDataContributor", "Durable Task Data Contributor"),
    "a97b65f3-24c7-4388-baec-2e87135dc908": ("cognitiveServicesUser", "Cognitive Services User"),
}
CUSTOM = ("lastSyncTimeReader", "Warmlake Last Sync Time Reader (custom)")
TITLES = dict([*PUBLISHED.values(), CUSTOM])
# principal, role, scope: all that a region needs, and nothing else
REGION = {
    ("app", "blobDataReader", "lake/documents"),
    ("app", "blobDataContributor", "lake/embeddings"),
    ("app", "lastSyncTimeReader", "lake"),
    ("app", "blobDataOwner", "host storage"),
    ("app", "queueDataContributor", "host storage"),
    ("app", "tableDataContributor", "host storage"),
    ("app", "metricsPublisher", "Application Insights"),
    ("Event Grid", "queueDataMessageSender", "host storage/lake-deletions"),
}
COMPLETE = {
    ("app", "searchServiceContributor", "search"),
    ("app", "searchIndexDataContributor", "search"),
    ("app", "openAIUser", "models"),
}
SCANS = {("app", "cognitiveServicesUser", "scans")}
SCHEDULER = {("app", "durableTaskDataContributor", "scheduler/warmlake")}
DEPLOYER = {("deployer", "blobDataContributor", "host storage/releases")}
LAKE = {("Event Grid", "blobDataContributor", "lake/dead-letters")}
_SCOPES = {
    "lake.bicep": "lake",
    "lake-access.bicep": "lake",
    "host-storage.bicep": "host storage",
    "search.bicep": "search",
    "models.bicep": "models",
    "scans.bicep": "scans",
    "monitoring.bicep": "Application Insights",
    "scheduler.bicep": "scheduler",
}


@dataclass(frozen=True, slots=True, order=True)
class Assignment:
    """One role that somebody has somewhere."""

    principal: str
    role: str
    scope: str
    reason: str
    group: str


def assignments(deployment: Deployment) -> list[Assignment]:
    """Return every role assignment of a deployment."""
    found = []
    for resource in deployment.of(ASSIGNMENT):
        definition = str(resource.get("properties.roleDefinitionId")).rsplit("/", 1)[-1]
        known = CUSTOM[0] if _is_custom(deployment, resource) else PUBLISHED.get(definition, (definition,))[0]
        principal = resource.get("properties.principalId")
        found.append(
            Assignment(
                _principal(principal),
                known,
                _scope(resource),
                resource.get("properties.description") or "",
                _home(principal),
            )
        )
    return found


def role_faults(deployment: Deployment, parameters: Mapping[str, Any]) -> Iterator[str]:
    """Yield each assignment that is missing, that nobody needs, or that says no reason."""
    regions = parameters["regions"].split(",")
    found = assignments(deployment)
    for resource in deployment.of(ASSIGNMENT):
        if resource.of is None:
            yield f"{resource}: is given on a whole group or subscription"
        made = isinstance(resource.get("properties.principalId"), Opaque)
        if made and resource.get("properties.principalType") != "ServicePrincipal":
            yield f"{resource}: without its type, a principal that was just made is not found"
    for one in found:
        if not one.reason:
            yield f"{one.principal}: {one.role} on {one.scope} has no reason"
    for number, region in enumerate(regions):
        whole = number == 0 or parameters["standby"] != "cold"
        wanted = REGION | (COMPLETE if whole else set())
        if whole and parameters.get("durableState") == "scheduler":
            wanted = wanted | SCHEDULER
        if whole and parameters.get("readScans"):
            wanted = wanted | SCANS
        home = f"rg-{parameters['environmentName']}-{region}"
        given = {(one.principal, one.role, one.scope) for one in found if one.group == home}
        wanted_here = {entry for entry in wanted if entry[0] == "app"}
        yield from _difference(region, given, wanted_here)
    shared = {(one.principal, one.role, one.scope) for one in found if one.principal != "app"}
    everybody = {entry for entry in REGION if entry[0] != "app"} | LAKE
    if parameters.get("deployerPrincipalIds", "").strip(","):
        everybody |= DEPLOYER
    yield from _difference("all regions", shared, everybody)


def table(deployment: Deployment) -> str:
    """Return the table of docs/security.md: each kind of assignment once, with its reason."""
    rows = sorted({(one.principal, one.scope, TITLES[one.role], one.reason) for one in assignments(deployment)})
    lines = [f"| {who} | {where} | {role} | {why} |\n" for who, where, role, why in rows]
    return "| who | on what | role | why |\n|---|---|---|---|\n" + "".join(lines)


def _difference(where: str, given: set[tuple[str, str, str]], wanted: set[tuple[str, str, str]]) -> Iterator[str]:
    for who, role, scope in sorted(wanted - given):
        yield f"{where}: {who} lacks {role} on {scope}"
    for who, role, scope in sorted(given - wanted):
        yield f"{where}: {who} has {role} on {scope}, which nothing needs"


def _principal(principal: Any) -> str:
    if not isinstance(principal, Opaque):
        return "deployer"
    return {"identity.bicep": "app", "lake.bicep": "Event Grid"}.get(principal.resource.file, str(principal))


def _home(principal: Any) -> str:
    return principal.resource.group if isinstance(principal, Opaque) else ""


def _scope(resource: Resource) -> str:
    scope = resource.of
    if scope is None:
        return "group"
    base = _SCOPES.get(resource.file, resource.file)
    parts = scope.type.count("/")
    return base if parts == 1 else f"{base}/{scope.name}"


def _is_custom(deployment: Deployment, resource: Resource) -> bool:
    given = str(resource.get("properties.roleDefinitionId"))
    return any(given == role.id for role in deployment.of("Microsoft.Authorization/roleDefinitions"))
