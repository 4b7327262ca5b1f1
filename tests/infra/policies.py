"""The policies: what must hold for every resource of a deployment, whatever its parameters.

Each is a function from a deployment to what is wrong with it. The first group is the security baseline, the second is
what keeps the lake, the third what regions have in common; routing and settings have files of their own.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.infra.evaluate import Deployment
from tests.infra.values import Opaque, Resource

Policy = Callable[[Deployment, Mapping[str, Any]], Iterator[str]]

STORAGE = "Microsoft.Storage/storageAccounts"
CONTAINER = f"{STORAGE}/blobServices/containers"
QUEUE = f"{STORAGE}/queueServices/queues"
SEARCH = "Microsoft.Search/searchServices"
MODELS = "Microsoft.CognitiveServices/accounts"
SITE = "Microsoft.Web/sites"
PLAN = "Microsoft.Web/serverfarms"
PROFILE = "Microsoft.Network/trafficManagerProfiles"
DIAGNOSTICS = "Microsoft.Insights/diagnosticSettings"
ENDPOINT = "Microsoft.Network/privateEndpoints"
NETWORK = "Microsoft.Network/virtualNetworks"
SUBSCRIPTION = "Microsoft.EventGrid/systemTopics/eventSubscriptions"

# type: dotted property -> the only value allowed
BASELINE: Mapping[str, Mapping[str, Any]] = {
    STORAGE: {
        "kind": "StorageV2",
        "properties.allowSharedKeyAccess": False,
        "properties.allowBlobPublicAccess": False,
        "properties.allowCrossTenantReplication": False,
        "properties.defaultToOAuthAuthentication": True,
        "properties.minimumTlsVersion": "TLS1_2",
        "properties.supportsHttpsTrafficOnly": True,
        "properties.encryption.requireInfrastructureEncryption": True,
    },
    CONTAINER: {"properties.publicAccess": "None"},
    SEARCH: {"properties.disableLocalAuth": True, "properties.semanticSearch": "standard"},
    MODELS: {"properties.disableLocalAuth": True, "properties.restrictOutboundNetworkAccess": True},
    f"{MODELS}/deployments": {"properties.versionUpgradeOption": "NoAutoUpgrade"},
    PLAN: {"sku.name": "FC1", "properties.reserved": True},
    SITE: {
        "kind": "functionapp,linux",
        "identity.type": "UserAssigned",
        "properties.httpsOnly": True,
        "properties.siteConfig.minTlsVersion": "1.2",
        "properties.siteConfig.scmMinTlsVersion": "1.2",
        "properties.siteConfig.ftpsState": "Disabled",
        "properties.siteConfig.remoteDebuggingEnabled": False,
        "properties.siteConfig.cors.allowedOrigins": [],
        "properties.functionAppConfig.runtime": {"name": "python", "version": "3.13"},
        "properties.functionAppConfig.deployment.storage.authentication.type": "UserAssignedIdentity",
    },
    f"{SITE}/basicPublishingCredentialsPolicies": {"properties.allow": False},
    "Microsoft.Insights/components": {"properties.DisableLocalAuth": True},
    "Microsoft.OperationalInsights/workspaces": {"properties.features.disableLocalAuth": True},
}
# What answers or keeps something also says so: each needs diagnostic settings, of itself or of its blob service.
OBSERVED = (SEARCH, MODELS, SITE, PROFILE, f"{STORAGE}/blobServices")
# type: what it can be asked to log; a category that it does not have is refused only by the deployment itself
# https://learn.microsoft.com/azure/azure-monitor/reference/logs-index
CATEGORIES: Mapping[str, frozenset[str]] = {
    SEARCH: frozenset({"OperationLogs"}),
    MODELS: frozenset({"Audit", "RequestResponse", "Trace"}),
    SITE: frozenset({"FunctionAppLogs"}),
    PROFILE: frozenset({"ProbeHealthStatusEvents"}),
    f"{STORAGE}/blobServices": frozenset({"StorageRead", "StorageWrite", "StorageDelete"}),
}
# metric namespace, metric: the threshold that is worth waking somebody for
# https://learn.microsoft.com/azure/azure-monitor/reference/metrics-index
METRICS: Mapping[tuple[str, str], int] = {
    ("Microsoft.Search/searchServices", "ThrottledSearchQueriesPercentage"): 5,
    ("Microsoft.CognitiveServices/accounts", "AzureOpenAIRequests"): 50,
    ("Microsoft.Network/trafficManagerProfiles", "ProbeAgentCurrentEndpointStateByProfileResourceId"): 1,
}
DEPLOYMENT_TYPES = frozenset({"Standard", "GlobalStandard", "DataZoneStandard"})
READY_GROUPS = frozenset({"http", "durable", "blob"})  # of Flex Consumption; other triggers are `function:NAME`
# In these the network is closed when networking is private.
CLOSED = {STORAGE: "Disabled", SEARCH: "disabled", MODELS: "Disabled"}
# group of a private endpoint: the zone in which its names are
# https://learn.microsoft.com/azure/private-link/private-endpoint-dns
DNS_ZONES: Mapping[str, frozenset[str]] = {
    "blob": frozenset({"privatelink.blob.core.windows.net"}),
    "blob_secondary": frozenset({"privatelink.blob.core.windows.net"}),
    "queue": frozenset({"privatelink.queue.core.windows.net"}),
    "table": frozenset({"privatelink.table.core.windows.net"}),
    "searchService": frozenset({"privatelink.search.windows.net"}),
    "account": frozenset({"privatelink.openai.azure.com", "privatelink.cognitiveservices.azure.com"}),
}
# type: what its names are made of, and how long they may be
# https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
NAMES: Mapping[str, str] = {
    STORAGE: r"[a-z0-9]{3,24}",
    CONTAINER: r"(?=.{3,63}$)[a-z0-9](-?[a-z0-9])+",
    QUEUE: r"(?=.{3,63}$)[a-z0-9](-?[a-z0-9])+",
    SEARCH: r"(?=.{2,60}$)[a-z0-9](-?[a-z0-9])+",
    MODELS: r"[a-zA-Z0-9][a-zA-Z0-9.-]{1,63}",
    SITE: r"[a-z0-9][a-z0-9-]{0,58}[a-z0-9]",
    PLAN: r"[a-zA-Z0-9-]{1,60}",
    PROFILE: r"[a-z0-9][a-z0-9-]{0,61}[a-z0-9]",
    ENDPOINT: r"[a-zA-Z0-9][\w.-]{0,62}\w",
    NETWORK: r"[a-zA-Z0-9][\w.-]{0,62}\w",
    "Microsoft.DurableTask/schedulers": r"[a-zA-Z0-9-]{3,64}",
    "Microsoft.EventGrid/systemTopics": r"[a-zA-Z0-9-]{3,50}",
    SUBSCRIPTION: r"[a-zA-Z0-9-]{3,64}",
    "Microsoft.ManagedIdentity/userAssignedIdentities": r"[a-zA-Z0-9][\w-]{2,127}",
    "Microsoft.OperationalInsights/workspaces": r"[a-zA-Z0-9][a-zA-Z0-9-]{2,61}[a-zA-Z0-9]",
    "Microsoft.Resources/resourceGroups": r"[\w.()-]{1,90}",
}
# Days for which Application Insights keeps data; it refuses any other number.
RETENTION_DAYS = frozenset({30, 60, 90, 120, 180, 270, 365, 550, 730})
PRIVATE_GROUPS = {"blob", "blob_secondary", "queue", "table", "searchService", "account"}


def baseline(deployment: Deployment, _: Mapping[str, Any]) -> Iterator[str]:
    """Every resource has the values of the security baseline."""
    for kind, wanted in BASELINE.items():
        for resource in deployment.of(kind):
            for path, value in wanted.items():
                if (given := resource.get(path)) != value:
                    yield f"{resource}: {path} is {given!r}, not {value!r}"


def passwords(deployment: Deployment, _: Mapping[str, Any]) -> Iterator[str]:
    """No app can be published to with a password."""
    for app in deployment.of(SITE):
        policies = deployment.of(f"{SITE}/basicPublishingCredentialsPolicies")
        found = {policy.name for policy in policies if policy.id.startswith(app.id)}
        if found != {"ftp", "scm"}:
            yield f"{app}: publishing by password is switched off for {sorted(found)}, not for ftp and scm"


def observed(deployment: Deployment, _: Mapping[str, Any]) -> Iterator[str]:
    """What answers or keeps something has diagnostic settings; they end in a workspace, never in a storage account."""
    settings = deployment.of(DIAGNOSTICS)
    for kind in OBSERVED:
        for resource in deployment.of(kind):
            if not any(setting.of is resource for setting in settings):
                yield f"{resource}: has no diagnostic settings"
    for setting in settings:
        kind = setting.of.type if setting.of is not None else ""
        for entry in setting.get("properties.logs") or []:
            if entry["category"] not in CATEGORIES.get(kind, frozenset()):
                yield f"{setting}: {kind} has no category {entry['category']!r}"
        if not setting.get("properties.workspaceId") or setting.get("properties.storageAccountId"):
            yield f"{setting}: does not end in a workspace alone"


def networks(deployment: Deployment, parameters: Mapping[str, Any]) -> Iterator[str]:
    """With private networking nothing but the app and Traffic Manager can be reached from the internet."""
    if not parameters.get("privateNetworking"):
        return
    for kind, word in CLOSED.items():
        for resource in deployment.of(kind):
            if resource.get("properties.publicNetworkAccess") != word:
                yield f"{resource}: can be reached from the internet"
            if (rules := resource.get("properties.networkAcls")) and rules["defaultAction"] != "Deny":
                yield f"{resource}: its network rules let everybody in"
    for app in deployment.of(SITE):
        if not app.get("properties.virtualNetworkSubnetId"):
            yield f"{app}: is in no network"
        made = [endpoint for endpoint in deployment.of(ENDPOINT) if endpoint.group == app.group]
        groups = {group for endpoint in made for group in _connections(endpoint)}
        if missing := PRIVATE_GROUPS - groups:
            yield f"{app}: has no private way to {sorted(missing)}"

    for subnet in (subnet for net in deployment.of(NETWORK) for subnet in net.get("properties.subnets")):
        services = [one["properties"]["serviceName"] for one in subnet["properties"].get("delegations", ())]
        if services != (["Microsoft.App/environments"] if subnet["name"] == "app" else []):
            yield f"subnet {subnet['name']} is delegated to {services}; the app needs Microsoft.App/environments"
    yield from _private_names(deployment)


def _private_names(deployment: Deployment) -> Iterator[str]:
    zones = {zone.id: zone.name for zone in deployment.of("Microsoft.Network/privateDnsZones")}
    named = {
        found.id.split("/privateDnsZoneGroups")[0]: found for found in deployment.of(f"{ENDPOINT}/privateDnsZoneGroups")
    }
    for endpoint in deployment.of(ENDPOINT):
        configs = named[endpoint.id].get("properties.privateDnsZoneConfigs") if endpoint.id in named else []
        found = {zones.get(config["properties"]["privateDnsZoneId"], "") for config in configs}
        for group in _connections(endpoint):
            if not found or not found <= DNS_ZONES.get(group, frozenset()):
                yield f"{endpoint}: names of {group!r} are not in {sorted(found)}"


def _connections(endpoint: Resource) -> Iterator[str]:
    for connection in endpoint.get("properties.privateLinkServiceConnections"):
        yield from connection["properties"]["groupIds"]


def zones(deployment: Deployment, parameters: Mapping[str, Any]) -> Iterator[str]:
    """Beyond dev everything that has zones uses them, in every region that has any."""
    if parameters["profile"] == "dev":
        return
    without = parameters.get("regionsWithoutZones", "").split(",")
    for plan in deployment.of(PLAN):
        if plan.get("location") not in without and plan.get("properties.zoneRedundant") is not True:
            yield f"{plan}: is not zone-redundant"
    for app in deployment.of(SITE):
        if app.get("location") in without:
            continue
        ready = app.get("properties.functionAppConfig.scaleAndConcurrency.alwaysReady") or []
        if not ready or any(group["instanceCount"] < 2 for group in ready):
            yield f"{app}: zones need two always-ready instances in each group"
    for account in deployment.of(STORAGE):
        wanted = ("Standard_RAGZRS", "Standard_RAGRS") if is_lake(account) else ("Standard_ZRS",)
        if account.get("location") in without and not is_lake(account):
            wanted = ("Standard_LRS",)
        if account.get("sku.name") not in wanted:
            yield f"{account}: redundancy is {account.get('sku.name')!r}, not one of {wanted}"
    for service in deployment.of(SEARCH):
        if service.get("properties.replicaCount") < 3:
            yield f"{service}: fewer than 3 replicas have no SLA for indexing"


def is_lake(account: Resource) -> bool:
    """Tell the lake from a region's own storage."""
    return account.file == "lake.bicep"


def lake(deployment: Deployment, _: Mapping[str, Any]) -> Iterator[str]:
    """The lake keeps versions, brings deleted things back, is copied to another region, and cannot be deleted."""
    accounts = [account for account in deployment.of(STORAGE) if is_lake(account)]
    if len(accounts) != 1:
        yield f"there are {len(accounts)} lakes, not one"
        return
    account = accounts[0]
    if account.get("properties.isHnsEnabled") is not False:
        yield f"{account}: a hierarchical namespace has no versions"
    if account.get("sku.name") not in ("Standard_RAGZRS", "Standard_RAGRS"):
        yield f"{account}: has no readable copy in another region"
    services = [found for found in deployment.of(f"{STORAGE}/blobServices") if found.id.startswith(account.id)]
    for service in services:
        if service.get("properties.isVersioningEnabled") is not True:
            yield f"{service}: keeps no versions"
        for policy in ("deleteRetentionPolicy", "containerDeleteRetentionPolicy"):
            kept = service.get(f"properties.{policy}") or {}
            if not kept.get("enabled") or kept.get("days", 0) < 30:
                yield f"{service}: {policy} keeps deleted things for less than 30 days"
        if (service.get("properties.changeFeed") or {}).get("enabled"):
            yield f"{service}: the change feed writes append blobs; geo priority replication ends with them"
    locks = [found for found in deployment.of("Microsoft.Authorization/locks") if found.of is account]
    if [found.get("properties.level") for found in locks] != ["CanNotDelete"]:
        yield f"{account}: is not locked against deletion"
    yield from _lifecycle(deployment, account)


def _lifecycle(deployment: Deployment, account: Resource) -> Iterator[str]:
    policies = [found for found in deployment.of(f"{STORAGE}/managementPolicies") if found.id.startswith(account.id)]
    if not policies:
        yield f"{account}: replaced embeddings are kept for ever"
    for policy in policies:
        covered = set()
        for rule in policy.get("properties.policy")["rules"]:
            actions, filters = rule["definition"]["actions"], rule["definition"]["filters"]
            if set(actions) != {"version"}:
                yield f"{policy}: rule {rule['name']!r} touches more than old versions: {sorted(actions)}"
            covered |= set(filters["prefixMatch"])
            age = (actions.get("version", {}).get("delete") or {}).get("daysAfterCreationGreaterThan")
            if age is not None and (filters["prefixMatch"] != ["embeddings/"] or age < 7):
                yield f"{policy}: rule {rule['name']!r} deletes what a document was, {age} days after it was written"
        if covered != {"documents/", "embeddings/"}:
            yield f"{policy}: covers {sorted(covered)}"


def events(deployment: Deployment, parameters: Mapping[str, Any]) -> Iterator[str]:
    """Deletions in `documents` reach a queue of every region that keeps its index true, by identity; none is lost."""
    regions = parameters["regions"].split(",")
    wanted = {f"deletions-{region}" for region in (regions if parameters["standby"] == "hot" else regions[:1])}
    found = deployment.of(SUBSCRIPTION)
    if (names := {subscription.name for subscription in found}) != wanted:
        yield f"deletions are delivered to {sorted(names)}, not to {sorted(wanted)}"
    queues = {(queue.names[0], queue.name) for queue in deployment.of(QUEUE)}
    yield from subscriptions(deployment)
    for subscription in found:
        target = subscription.get("properties.deliveryWithResourceIdentity.destination.properties") or {}
        queue = (str(target.get("resourceId")).rsplit("/", 1)[-1], target.get("queueName"))
        if queue not in queues:
            yield f"{subscription}: goes to a queue that does not exist, {queue}"


# name of a subscription, up to its region: what it is about
EVENT_TYPES = {"deletions": "Microsoft.Storage.BlobDeleted", "documents": "Microsoft.Storage.BlobCreated"}


def subscriptions(deployment: Deployment) -> Iterator[str]:
    """Every subscription is about one kind of event in `documents`, and none of its events is lost."""
    for subscription in deployment.of(SUBSCRIPTION):
        wanted = EVENT_TYPES.get(subscription.name.split("-")[0])
        if subscription.get("properties.filter.includedEventTypes") != [wanted]:
            yield f"{subscription}: is not about {wanted}"
        if subscription.get("properties.filter.subjectBeginsWith") != "/blobServices/default/containers/documents/":
            yield f"{subscription}: is not about documents"
        if not subscription.get("properties.deadLetterWithResourceIdentity"):
            yield f"{subscription}: what cannot be delivered is lost"


def regions_alike(deployment: Deployment, parameters: Mapping[str, Any]) -> Iterator[str]:
    """Every region is the same module with the same parameters but location and priority."""
    stamps = [module for module in deployment.modules if module.file == "stamp.bicep"]
    regions = parameters["regions"].split(",")
    if [stamp.parameters["location"] for stamp in stamps] != regions:
        yield f"stamps are in {[stamp.parameters['location'] for stamp in stamps]}, regions are {regions}"
        return
    if [stamp.parameters["priority"] for stamp in stamps] != list(range(1, len(regions) + 1)):
        yield "priorities of the stamps are not 1, 2, ..."
    shared = [_but(stamp.parameters, "location", "priority") for stamp in stamps]
    if any(plain(other) != plain(shared[0]) for other in shared[1:]):
        yield "stamps differ in more than location and priority"
    if parameters["standby"] == "cold":
        return
    kinds = [sorted(_kinds(deployment, region, parameters)) for region in regions]
    if any(other != kinds[0] for other in kinds[1:]):
        yield f"regions hold different resources: {[set(kinds[0]) ^ set(other) for other in kinds[1:]]}"


def _kinds(deployment: Deployment, region: str, parameters: Mapping[str, Any]) -> Iterator[str]:
    group = f"rg-{parameters['environmentName']}-{region}"
    for resource in deployment.resources:
        if resource.group == group and not resource.existing:
            yield f"{resource.type} {resource.file}:{resource.line}"


def _but(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def plain(value: Any) -> Any:
    """Return a value with what only a deployment knows as text."""
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Opaque) else value


def models(deployment: Deployment, parameters: Mapping[str, Any]) -> Iterator[str]:
    """Every region has the same models at the same versions: stored vectors are good in all of them."""
    found: dict[str, set[tuple[str, str]]] = {}
    for model in deployment.of(f"{MODELS}/deployments"):
        if model.get("sku.name") not in DEPLOYMENT_TYPES:
            yield f"{model}: there is no deployment of type {model.get('sku.name')!r}"
        if not model.get("properties.model.version"):
            yield f"{model}: its version is not pinned"
        found.setdefault(model.group, set()).add((model.name, model.get("properties.model.version")))
    if len({frozenset(items) for items in found.values()}) > 1:
        yield f"regions have different models: {found}"
    if any(len(items) != 2 for items in found.values()):
        yield f"a region has not two models: {found}"


def independence(deployment: Deployment, parameters: Mapping[str, Any]) -> Iterator[str]:
    """What belongs to no region is not in the first one: it is needed when that one is lost."""
    first = parameters["regions"].split(",")[0]
    for group in deployment.of("Microsoft.Resources/resourceGroups"):
        if group.name.endswith(("-global", "-lake")) and group.get("location") == first:
            yield f"{group}: is in the first region"
    for resource in deployment.resources:
        where = resource.body.get("location")
        if resource.group.endswith("-global") and where not in (None, "global") and where == first:
            yield f"{resource}: is in the first region"


# Probes and Event Grid have no user; everything else asks for one where users sign in.
OPEN_PATHS = frozenset({"/api/health", "/runtime/webhooks/blobs"})


def sign_in(deployment: Deployment, parameters: Mapping[str, Any]) -> Iterator[str]:
    """Where users sign in, every app asks them to, on every path but those that have no user."""
    configs = {found.names[0]: found for found in deployment.of(f"{SITE}/config")}
    wanted = {app.name for app in deployment.of(SITE)} if parameters.get("authClientId") else set()
    if set(configs) != wanted:
        yield f"users sign in at {sorted(configs)}, not at {sorted(wanted)}"
    for config in configs.values():
        rules = config.get("properties.globalValidation")
        if not rules.get("requireAuthentication") or not config.get("properties.platform.enabled"):
            yield f"{config}: nobody has to sign in"
        if set(rules.get("excludedPaths", ())) != OPEN_PATHS:
            yield f"{config}: open to everybody are {rules.get('excludedPaths')}, not {sorted(OPEN_PATHS)}"
        if not config.get("properties.httpSettings.requireHttps"):
            yield f"{config}: takes plain http"


def names(deployment: Deployment, _: Mapping[str, Any]) -> Iterator[str]:
    """Every name is one that its service takes; only the deployment itself would refuse another."""
    for kind, pattern in NAMES.items():
        for resource in deployment.of(kind):
            if not re.fullmatch(pattern, resource.name):
                yield f"{resource}: {resource.name!r} is no name for it ({pattern})"
    for module in deployment.modules:
        if len(module.name) > 64:
            yield f"{module.file}: the deployment's name {module.name!r} is too long"
    for group in deployment.of("Microsoft.Insights/actionGroups"):
        if len(group.get("properties.groupShortName")) > 12:
            yield f"{group}: its short name is too long"


def places(deployment: Deployment, _: Mapping[str, Any]) -> Iterator[str]:
    """What belongs to something is where that is, and what is kept is kept for a time that there is."""
    lakes = {account.id: account.get("location") for account in deployment.of(STORAGE)}
    for topic in deployment.of("Microsoft.EventGrid/systemTopics"):
        if topic.get("location") != lakes.get(topic.get("properties.source")):
            yield f"{topic}: is in {topic.get('location')!r}, its source is not"
    for component in deployment.of("Microsoft.Insights/components"):
        if (days := component.get("properties.RetentionInDays")) not in RETENTION_DAYS:
            yield f"{component}: cannot keep data for {days} days"


def custom_roles(deployment: Deployment, _: Mapping[str, Any]) -> Iterator[str]:
    """A role of our own allows one act, spelled out."""
    for role in deployment.of("Microsoft.Authorization/roleDefinitions"):
        wanted = [{"actions": ["Microsoft.Storage/storageAccounts/blobServices/read"]}]
        if (given := role.get("properties.permissions")) != wanted:
            yield f"{role}: allows {given}, which is more than to read the Last Sync Time"


def package(deployment: Deployment, _: Mapping[str, Any]) -> Iterator[str]:
    """An app finds its package in a container that is deployed, and keeps only groups ready that there are."""
    containers = {f"https://{found.names[0]}.blob.core.windows.net/{found.name}" for found in deployment.of(CONTAINER)}
    for app in deployment.of(SITE):
        if (where := app.get("properties.functionAppConfig.deployment.storage.value")) not in containers:
            yield f"{app}: its package is in {where!r}, a container that is not deployed"
        ready = {group["name"] for group in app.get("properties.functionAppConfig.scaleAndConcurrency.alwaysReady")}
        if unknown := ready - READY_GROUPS:
            yield f"{app}: Flex Consumption has no group of triggers {sorted(unknown)}"


def alerts(deployment: Deployment, _: Mapping[str, Any]) -> Iterator[str]:
    """Every alert is on, and goes off at what it was written for."""
    for rule in deployment.of("Microsoft.Insights/scheduledQueryRules"):
        (criterion,) = rule.get("properties.criteria.allOf")
        if rule.get("properties.enabled") is not True:
            yield f"{rule}: the alert is switched off"
        if rule.get("properties.skipQueryValidation") is not True:
            yield f"{rule}: a new workspace has no table yet, and would refuse the query"
        every, over = (_minutes(rule.get(f"properties.{name}")) for name in ("evaluationFrequency", "windowSize"))
        if over < every:
            yield f"{rule}: looks every {every} minutes at the last {over}, and at nothing between"
        if (criterion["operator"], criterion["threshold"]) != ("GreaterThan", 0):
            yield f"{rule}: goes off at {criterion['operator']} {criterion['threshold']}; its query says what is much"
    for rule in deployment.of("Microsoft.Insights/metricAlerts"):
        (criterion,) = rule.get("properties.criteria.allOf")
        metric = (criterion["metricNamespace"], criterion["metricName"])
        if rule.get("properties.enabled") is not True:
            yield f"{rule}: the alert is switched off"
        if METRICS.get(metric) != criterion["threshold"]:
            yield f"{rule}: {metric} is no metric that goes off at {criterion['threshold']}"


def _minutes(duration: str) -> int:
    return int(duration[2:-1]) * (60 if duration.endswith("H") else 1)


POLICIES: tuple[Policy, ...] = (
    *(baseline, passwords, sign_in, observed, networks, zones, lake, events, regions_alike, models, independence),
    *(custom_roles, package, alerts, names, places),
)
