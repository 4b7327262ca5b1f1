"""Deliberately broken copies of the templates. Each must be caught, and for the reason it was broken for."""

from dataclasses import dataclass

from tests.infra.checks import faults
from tests.infra.evaluate import INFRA, Sources


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change: `old` becomes `new` in a file, and a fault must say `caught`."""

    name: str
    file: str
    old: str
    new: str
    caught: str


MUTATIONS: tuple[Mutation, ...] = (
    # ---- what a compiler would find --------------------------------------------------------------------------------
    Mutation("a bracket is missing", "search.bicep", "sku: { name: sku }", "sku: { name: sku", "cannot be parsed"),
    Mutation("a typo in a property", "lake.bicep", "isVersioningEnabled", "isVersionningEnabled", "is unknown"),
    Mutation("a typo in a deep property", "app.bicep", "instanceMemoryMB:", "instanceMemory:", "is unknown"),
    Mutation("a value outside its list", "lake.bicep", "accessTier: 'Hot'", "accessTier: 'Warm'", "known are"),
    Mutation(
        "a number as text",
        "models.bicep",
        "versionUpgradeOption: '",
        "raiPolicyName: 7, versionUpgradeOption: '",
        "is no string",
    ),
    Mutation(
        "a version that is not known",
        "search.bicep",
        "searchServices@2025-05-01",
        "searchServices@2031-01-01",
        "not in the list of types",
    ),
    Mutation(
        "a property that only the service writes",
        "search.bicep",
        "replicaCount: replicas",
        "replicaCount: replicas, provisioningState: 'succeeded'",
        "written by the service",
    ),
    Mutation(
        "a required property is left out",
        "app.bicep",
        "location: location\n  tags: tags\n  kind: 'functionapp,linux'",
        "tags: tags\n  kind: 'functionapp,linux'",
        "location is missing",
    ),
    Mutation(
        "a symbol that nobody declares",
        "stamp.bicep",
        "zoneRedundant: zones\n    privateNetworking",
        "zoneRedundant: zonal\n    privateNetworking",
        "'zonal' is not declared",
    ),
    Mutation(
        "a parameter is not passed on", "stamp.bicep", "    planName: 'plan-${suffix}'\n", "", "'planName' is not given"
    ),
    Mutation(
        "a parameter that the module does not have",
        "stamp.bicep",
        "planName: 'plan-",
        "plan: 'plan-",
        "has no parameter 'plan'",
    ),
    Mutation(
        "an output that the module does not have",
        "stamp.bicep",
        "storage.outputs.deletionsQueue",
        "storage.outputs.queue",
        "has no output 'queue'",
    ),
    Mutation(
        "a value that the resource does not have",
        "identity.bicep",
        "identity.properties.principalId",
        "identity.properties.principal",
        "does not exist",
    ),
    Mutation(
        "a parameter of the wrong type",
        "stamp.bicep",
        "replicas: sizes.searchReplicas",
        "replicas: sizes.searchSku",
        "is no int",
    ),
    Mutation(
        "a parameter that nobody uses",
        "search.bicep",
        "param sku string",
        "param sku string\n@description('x')\nparam tier string = 'x'",
        "is not used",
    ),
    Mutation(
        "a module that is not there in a cold region",
        "stamp.bicep",
        "    searchId: search.?outputs.id ?? ''\n    modelsId: models.?outputs.id ?? ''\n    scansId",
        "    searchId: search.outputs.id\n    modelsId: models.?outputs.id ?? ''\n    scansId",
        "is not deployed here",
    ),
    # ---- security --------------------------------------------------------------------------------------------------
    Mutation(
        "shared keys on, at the lake",
        "lake.bicep",
        "allowSharedKeyAccess: false",
        "allowSharedKeyAccess: true",
        "allowSharedKeyAccess is True",
    ),
    Mutation(
        "shared keys on, in a region",
        "host-storage.bicep",
        "allowSharedKeyAccess: false",
        "allowSharedKeyAccess: true",
        "allowSharedKeyAccess is True",
    ),
    Mutation(
        "documents are public", "lake.bicep", "publicAccess: 'None'", "publicAccess: 'Blob'", "publicAccess is 'Blob'"
    ),
    Mutation("old TLS", "host-storage.bicep", "'TLS1_2'", "'TLS1_0'", "minimumTlsVersion"),
    Mutation(
        "keys for search",
        "search.bicep",
        "disableLocalAuth: true",
        "disableLocalAuth: false",
        "disableLocalAuth is False",
    ),
    Mutation(
        "keys for models",
        "models.bicep",
        "disableLocalAuth: true",
        "disableLocalAuth: false",
        "disableLocalAuth is False",
    ),
    Mutation(
        "telemetry from anybody",
        "monitoring.bicep",
        "DisableLocalAuth: true",
        "DisableLocalAuth: false",
        "DisableLocalAuth is False",
    ),
    Mutation("plain http", "app.bicep", "httpsOnly: true", "httpsOnly: false", "httpsOnly is False"),
    Mutation(
        "publishing by password",
        "app.bicep",
        "for policy in ['ftp', 'scm']",
        "for policy in ['ftp']",
        "publishing by password",
    ),
    Mutation(
        "scans are read with a key",
        "scans.bicep",
        "disableLocalAuth: true",
        "disableLocalAuth: false",
        "disableLocalAuth is False",
    ),
    Mutation(
        "models let everybody in with private networking",
        "models.bicep",
        "networkAcls: { defaultAction: privateNetworking ? 'Deny' : 'Allow' }",
        "networkAcls: { defaultAction: 'Allow' }",
        "network rules let everybody in",
    ),
    Mutation(
        "storage lets everybody in with private networking",
        "host-storage.bicep",
        "defaultAction: privateNetworking ? 'Deny' : 'Allow'",
        "defaultAction: 'Allow'",
        "network rules let everybody in",
    ),
    Mutation(
        "private names in a zone that nobody asks",
        "private-endpoints.bicep",
        "privatelink.search.windows.net",
        "privatelink.search.azure.net",
        "names of 'searchService' are not in",
    ),
    Mutation(
        "a subnet that Flex Consumption cannot use",
        "network.bicep",
        "Microsoft.App/environments",
        "Microsoft.Web/serverFarms",
        "needs Microsoft.App/environments",
    ),
    Mutation(
        "telemetry is not signed in",
        "settings.bicep",
        "  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'Authorization=AAD;ClientId=${clientId}'\n",
        "",
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING is not set",
    ),
    Mutation(
        "requests are counted twice",
        "settings.bicep",
        "  OTEL_PYTHON_DISABLED_INSTRUMENTATIONS: 'django,fastapi,flask,psycopg2'\n",
        "",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS is not set",
    ),
    Mutation(
        "the host does not know who it is",
        "settings.bicep",
        "  AzureWebJobsStorage__clientId: clientId\n",
        "",
        "AzureWebJobsStorage__clientId is not set",
    ),
    Mutation(
        "a key in a setting",
        "settings.bicep",
        "SEARCH_ENDPOINT: searchEndpoint",
        "SEARCH_ENDPOINT: searchEndpoint, SEARCH_API_KEY: 'k'",
        "SEARCH_API_KEY must not be set",
    ),
    Mutation(
        "a connection string in a setting",
        "settings.bicep",
        "AzureWebJobsStorage__credential: 'managedidentity'",
        "AzureWebJobsStorage__credential: 'AccountKey=abc'",
        "holds a secret",
    ),
    Mutation(
        "search stays open with private networking",
        "search.bicep",
        "privateNetworking ? 'disabled' : 'enabled'",
        "privateNetworking ? 'enabled' : 'enabled'",
        "can be reached from the internet",
    ),
    Mutation(
        "no private way to the lake's copy",
        "private-endpoints.bicep",
        "group: 'blob_secondary'",
        "group: 'blob'",
        "no private way to ['blob_secondary']",
    ),
    Mutation(
        "no diagnostics of search",
        "search.bicep",
        "scope: service\n  properties: {\n    workspaceId",
        "scope: managesIndexes\n  properties: {\n    workspaceId",
        "has no diagnostic settings",
    ),
    Mutation(
        "anybody may ask",
        "sign-in.bicep",
        "requireAuthentication: true",
        "requireAuthentication: false",
        "nobody has to sign in",
    ),
    Mutation(
        "the recovery API is open",
        "sign-in.bicep",
        "excludedPaths: ['/api/health',",
        "excludedPaths: ['/api/health', '/api/recovery',",
        "open to everybody",
    ),
    Mutation(
        "a lock on something else",
        "lake.bicep",
        "name: 'keep-the-lake'\n  scope: account",
        "name: 'keep-the-lake'\n  scope: blobs",
        "not locked against deletion",
    ),
    # ---- roles -----------------------------------------------------------------------------------------------------
    Mutation(
        "the role on documents is missing",
        "lake-access.bicep",
        "scope: lake::blobs::documents\n",
        "scope: lake::blobs::embeddings\n",
        "app lacks blobDataReader on lake/documents",
    ),
    Mutation(
        "the app may write documents",
        "lake-access.bicep",
        "'Microsoft.Authorization/roleDefinitions', roles.blobDataReader)",
        "'Microsoft.Authorization/roleDefinitions', roles.blobDataContributor)",
        "which nothing needs",
    ),
    Mutation(
        "a role on the whole account",
        "lake-access.bicep",
        "scope: lake::blobs::embeddings\n",
        "scope: lake\n",
        "which nothing needs",
    ),
    Mutation(
        "a wrong role id",
        "roles.json",
        "5e0bd9bd-7b93-4f28-af87-19fc36ad61bd",
        "a97b65f3-24c7-4388-baec-2e87135dc908",
        "app lacks openAIUser on models",
    ),
    Mutation(
        "a role without a reason",
        "search.bicep",
        "    description: 'Indexing writes chunks; chat and health read them.'\n",
        "",
        "has no reason",
    ),
    Mutation(
        "a custom role for everything",
        "lake.bicep",
        "['Microsoft.Storage/storageAccounts/blobServices/read']",
        "['*']",
        "more than to read the Last Sync Time",
    ),
    Mutation(
        "a custom role for the whole account",
        "lake.bicep",
        "['Microsoft.Storage/storageAccounts/blobServices/read']",
        "['Microsoft.Storage/storageAccounts/*']",
        "more than to read the Last Sync Time",
    ),
    # ---- the lake --------------------------------------------------------------------------------------------------
    Mutation(
        "versioning off", "lake.bicep", "isVersioningEnabled: true", "isVersioningEnabled: false", "keeps no versions"
    ),
    Mutation(
        "the lake in one place",
        "lake.bicep",
        "sku: { name: redundancy }",
        "sku: { name: empty(redundancy) ? redundancy : 'Standard_LRS' }",
        "no readable copy",
    ),
    Mutation(
        "a hierarchical namespace", "lake.bicep", "isHnsEnabled: false", "isHnsEnabled: true", "hierarchical namespace"
    ),
    Mutation("no lock", "lake.bicep", "level: 'CanNotDelete'", "level: 'ReadOnly'", "not locked against deletion"),
    Mutation(
        "no soft delete of containers",
        "lake.bicep",
        "containerDeleteRetentionPolicy: { enabled: true",
        "containerDeleteRetentionPolicy: { enabled: false",
        "keeps deleted things",
    ),
    Mutation(
        "the lifecycle deletes documents",
        "lake.bicep",
        "actions: { version: { delete: { daysAfterCreationGreaterThan: 7 } } }",
        "actions: { baseBlob: { delete: { daysAfterCreationGreaterThan: 7 } } }",
        "more than old versions",
    ),
    Mutation(
        "the lifecycle deletes what a document was yesterday",
        "lake.bicep",
        "actions: { version: { tierToCool: { daysAfterCreationGreaterThan: 30 } } }",
        "actions: { version: { delete: { daysAfterCreationGreaterThan: 365 } } }",
        "deletes what a document was",
    ),
    Mutation(
        "soft delete of a week",
        "lake.bicep",
        "@minValue(30)\n@maxValue(365)\nparam softDeleteDays int = 30",
        "@minValue(7)\n@maxValue(365)\nparam softDeleteDays int = 7",
        "for less than 30 days",
    ),
    Mutation(
        "failed events where nobody listens",
        "settings.bicep",
        "LAKE_STORAGE__queueServiceUri: 'https://${storageAccount}.queue",
        "LAKE_STORAGE__queueServiceUri: 'https://${lakeAccount}.queue",
        "where index_blob_failed does not listen",
    ),
    Mutation(
        "creations of another kind",
        "lake-events.bicep",
        "['Microsoft.Storage.BlobCreated']",
        "['Microsoft.Storage.BlobCreate']",
        "is not about Microsoft.Storage.BlobCreated",
    ),
    Mutation(
        "creations of another container",
        "lake-events.bicep",
        "      includedEventTypes: ['Microsoft.Storage.BlobCreated']\n"
        "      subjectBeginsWith: '/blobServices/default/containers/documents/'",
        "      includedEventTypes: ['Microsoft.Storage.BlobCreated']\n      subjectBeginsWith: '/blobServices/'",
        "is not about documents",
    ),
    Mutation(
        "change feed on",
        "lake.bicep",
        "isVersioningEnabled: true",
        "isVersioningEnabled: true\n    changeFeed: { enabled: true }",
        "append blobs",
    ),
    Mutation(
        "deletions of another container",
        "lake-events.bicep",
        "containers/documents/",
        "containers/embeddings/",
        "not about documents",
    ),
    Mutation(
        "lost events",
        "lake-events.bicep",
        "deadLetterWithResourceIdentity",
        "deadLetterWithResourceIdentityOff",
        "is unknown",
    ),
    # ---- regions and zones -----------------------------------------------------------------------------------------
    Mutation(
        "host storage in one zone",
        "host-storage.bicep",
        "zoneRedundant ? 'Standard_ZRS' : 'Standard_LRS'",
        "zoneRedundant ? 'Standard_LRS' : 'Standard_LRS'",
        "redundancy is 'Standard_LRS'",
    ),
    Mutation(
        "a plan in one zone",
        "app.bicep",
        "zoneRedundant: zoneRedundant }",
        "zoneRedundant: false }",
        "is not zone-redundant",
    ),
    Mutation(
        "one instance for two zones",
        "app.bicep",
        "{ name: 'durable', instanceCount: 2 }",
        "{ name: 'durable', instanceCount: 1 }",
        "two always-ready",
    ),
    Mutation(
        "too few replicas", "profiles.json", '"searchReplicas": 3', '"searchReplicas": 2', "fewer than 3 replicas"
    ),
    Mutation(
        "one region without a setting",
        "stamp.bicep",
        "tuning: tuning",
        "tuning: priority == 1 ? tuning : {}",
        "settings of the regions differ",
    ),
    Mutation(
        "a region is told something else",
        "main.bicep",
        "embeddingDimensions: embeddingDimensions",
        "embeddingDimensions: embeddingDimensions + index",
        "differ in more than location and priority",
    ),
    Mutation(
        "another model in the second region",
        "stamp.bicep",
        "embedding: union(embeddingModel, { capacity",
        "embedding: union(embeddingModel, priority == 1 ? {} : { version: '2' }, { capacity",
        "regions have different models",
    ),
    Mutation(
        "a deployment type that does not exist",
        "models.bicep",
        "sku: { name: model.sku, capacity",
        "sku: { name: 'Nonsense', capacity",
        "there is no deployment of type",
    ),
    Mutation(
        "a group of triggers that does not exist",
        "app.bicep",
        "name: 'durable', instanceCount",
        "name: 'durabel', instanceCount",
        "has no group of triggers",
    ),
    Mutation(
        "a package in a container that is not there",
        "app.bicep",
        "/app-package'",
        "/app-pakage'",
        "a container that is not deployed",
    ),
    Mutation(
        "models upgrade themselves",
        "models.bicep",
        "'NoAutoUpgrade'",
        "'OnceNewDefaultVersionAvailable'",
        "versionUpgradeOption",
    ),
    Mutation(
        "routing depends on the first region",
        "main.bicep",
        "globalLocation = last(places)",
        "globalLocation = places[0]",
        "is in the first region",
    ),
    # ---- settings --------------------------------------------------------------------------------------------------
    Mutation(
        "a required setting is missing",
        "settings.bicep",
        "  OPENAI_MODEL: chatModel\n",
        "  OPENAI_CHAT: chatModel\n",
        "OPENAI_MODEL is missing",
    ),
    Mutation(
        "a default of the wrong kind",
        "settings-defaults.json",
        '"CHAT_PASSAGES": "6"',
        '"CHAT_PASSAGES": "six"',
        "CHAT_PASSAGES is not a whole number",
    ),
    Mutation(
        "a container that nobody deploys",
        "settings-defaults.json",
        '"EMBEDDINGS_CONTAINER": "embeddings"',
        '"EMBEDDINGS_CONTAINER": "vectors"',
        "a container that is not deployed",
    ),
    Mutation(
        "a setting that nothing reads",
        "settings-defaults.json",
        '"CHAT_PASSAGES"',
        '"CHAT_PASAGES"',
        "nothing reads the setting",
    ),
    Mutation(
        "a setting that Flex Consumption refuses",
        "settings.bicep",
        "REGION: region",
        "REGION: region, FUNCTIONS_WORKER_RUNTIME: 'python'",
        "FUNCTIONS_WORKER_RUNTIME must not be set",
    ),
    # ---- what only a deployment would refuse -----------------------------------------------------------------
    Mutation(
        "a storage name with a hyphen",
        "stamp.bicep",
        "name: 'st${take(",
        "name: 'st-${take(",
        "is no name for it",
    ),
    Mutation(
        "a search name that is too long",
        "stamp.bicep",
        "name: 'srch-${token}-${location}'",
        "name: 'search-service-of-${environmentName}-${token}-${location}'",
        "is no name for it",
    ),
    Mutation(
        "an app name with an underscore",
        "stamp.bicep",
        "name: 'func-${token}-${location}'",
        "name: 'func_${token}-${location}'",
        "is no name for it",
    ),
    Mutation(
        "a short name that is too long",
        "central.bicep",
        "groupShortName: 'warmlake'",
        "groupShortName: 'warmlake-alerts'",
        "short name is too long",
    ),
    Mutation(
        "a deployment name that is too long",
        "stamp.bicep",
        "name: 'lake-access-${location}'",
        "name: 'lake-access-of-the-region-${location}-in-${environmentName}-and-more'",
        "deployment's name",
    ),
    Mutation(
        "two modules that wait for each other",
        "stamp.bicep",
        "    retentionDays: sizes.retentionDays\n    principalId: identity.outputs.principalId",
        "    retentionDays: sizes.retentionDays\n    principalId: storage.outputs.name",
        "waits for itself",
    ),
    Mutation(
        "a role for a principal that is not known yet",
        "search.bicep",
        "    principalType: 'ServicePrincipal'\n",
        "",
        "that was just made is not found",
    ),
    Mutation(
        "a deployer who is named twice",
        "host-storage.bicep",
        "union(split(deployerPrincipalIds, ','), [])",
        "split(deployerPrincipalIds, ',')",
        "is deployed twice",
    ),
    Mutation(
        "a topic in another region than its lake",
        "lake.bicep",
        "name: '${name}-events'\n  location: location",
        "name: '${name}-events'\n  location: 'global'",
        "its source is not",
    ),
    Mutation(
        "a retention that there is not",
        "profiles.json",
        '"retentionDays": 30',
        '"retentionDays": 45',
        "cannot keep data",
    ),
    Mutation(
        "a query that a new workspace refuses",
        "alerts.bicep",
        "skipQueryValidation: true",
        "skipQueryValidation: false",
        "a new workspace has no table yet",
    ),
    Mutation(
        "an alert that looks away",
        "alerts.bicep",
        "    every: 'PT15M'\n    over: 'PT1H'",
        "    every: 'PT1H'\n    over: 'PT15M'",
        "at nothing between",
    ),
    # ---- alerts ------------------------------------------------------------------------------------------------------
    Mutation(
        "an alert that is off",
        "alerts.bicep",
        "      enabled: true\n      scopes: [workspaceId]",
        "      enabled: false\n      scopes: [workspaceId]",
        "the alert is switched off",
    ),
    Mutation(
        "an alert that never goes off", "alerts.bicep", "threshold: 0", "threshold: 100000", "its query says what"
    ),
    Mutation(
        "a metric that does not exist",
        "alerts.bicep",
        "ThrottledSearchQueriesPercentage",
        "ThrottledSearchQueryPercentage",
        "is no metric that goes off",
    ),
    Mutation(
        "a threshold that nothing reaches",
        "alerts.bicep",
        "threshold: 5\n",
        "threshold: 5000\n",
        "is no metric that goes",
    ),
    Mutation(
        "a log that does not exist",
        "traffic-manager.bicep",
        "ProbeHealthStatusEvents",
        "ProbeHealthStatusEvent",
        "has no category",
    ),
    # ---- routing ---------------------------------------------------------------------------------------------------
    Mutation(
        "a probe path that the app does not have",
        "traffic-manager.bicep",
        "path: '/api/health'",
        "path: '/api/healthz'",
        "does not answer without a key",
    ),
    Mutation(
        "a probe path that needs a key",
        "traffic-manager.bicep",
        "path: '/api/health'",
        "path: '/api/recovery'",
        "does not answer without a key",
    ),
    Mutation(
        "routing is switched off",
        "traffic-manager.bicep",
        "profileStatus: 'Enabled'",
        "profileStatus: 'Disabled'",
        "nobody",
    ),
    Mutation(
        "the first region under two names",
        "main.bicep",
        "appId: stamps[index].outputs.appId",
        "appId: stamps[0].outputs.appId",
        "is not that region's app",
    ),
    Mutation(
        "redirects are healthy",
        "traffic-manager.bicep",
        "{ min: 200, max: 200 }",
        "{ min: 200, max: 399 }",
        "for healthy",
    ),
    Mutation(
        "an app as a nested profile",
        "traffic-manager.bicep",
        "trafficManagerProfiles/azureEndpoints'",
        "trafficManagerProfiles/nestedEndpoints'",
        "is no endpoint of type",
    ),
    Mutation(
        "a region that may write after all",
        "settings.bicep",
        "readOnly ? 'true' : 'false'",
        "readOnly ? 'false' : 'false'",
        "LAKE_READ_ONLY is 'false'",
    ),
    Mutation("routing by weight", "traffic-manager.bicep", "'Priority'", "'Weighted'", "not by priority"),
    Mutation(
        "wrong arithmetic",
        "traffic-manager.bicep",
        "probeInterval * (toleratedFailures + 1)",
        "probeInterval * toleratedFailures",
        "the arithmetic",
    ),
    Mutation(
        "a probe shorter than the health check",
        "traffic-manager.bicep",
        "timeoutInSeconds: probeTimeout",
        "timeoutInSeconds: 3",
        "the health check may take",
    ),
    Mutation(
        "the dead region comes back",
        "traffic-manager.bicep",
        "endpoint.enabled ? 'Enabled' : 'Disabled'",
        "endpoint.enabled ? 'Enabled' : 'Enabled'",
        "is Enabled",
    ),
    Mutation(
        "all users to the standby",
        "main.bicep",
        "        priority: index + 1\n        enabled",
        "        priority: 2 - index\n        enabled",
        "do not follow the order",
    ),
)


def mutated(mutation: Mutation) -> Sources:
    """Return the templates with the change. Raises ValueError where there is nothing to change."""
    content = (INFRA / mutation.file).read_text(encoding="utf-8")
    if mutation.old not in content:
        raise ValueError(f"{mutation.name}: {mutation.file} does not contain {mutation.old!r}")
    return Sources(INFRA, {mutation.file: content.replace(mutation.old, mutation.new, 1)})


def surviving(mutation: Mutation) -> str:
    """Return "" when the change is caught for its reason, else what was found instead."""
    found = []
    for fault in faults(mutated(mutation)):  # the first that says it is enough
        if mutation.caught in fault:
            return ""
        found.append(fault)
    return f"{mutation.name}: not caught ({found[0] if found else 'no fault at all'})"
