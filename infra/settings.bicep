// The app settings of a region: one module for all of them. What has a default in the app is listed in settings-defaults.json, which
// `make settings` writes from the app's own table; here is only what a region's resources decide.

@description('Name of the region.')
param region string
@description('The lake\'s storage account.')
param lakeAccount string
@description('The region\'s own storage account.')
param storageAccount string
@description('Address of the search service.')
param searchEndpoint string
@description('Address of the model endpoint, ending in /openai/v1.')
param modelEndpoint string
@description('Address of the service that reads scans; empty: scans are quarantined.')
param scansEndpoint string
@description('Deployment of the chat model.')
param chatModel string
@description('Deployment of the embedding model.')
param embeddingModel string
@description('Length of the embedding vectors.')
param embeddingDimensions int
@description('Quota of the embedding deployment.')
param embeddingTokensPerMinute int
@description('Client id of the region\'s identity.')
param clientId string
@description('Where telemetry is sent: an address, for the component takes only what is signed in.')
param telemetry string
@description('Endpoint of a Durable Task Scheduler; empty: Durable keeps its state in the region\'s storage.')
param scheduler string
@description('Application id that signs users in; empty: nobody is asked.')
param authClientId string
@description('The lake is only read: the region answers from its copy.')
param readOnly bool
@description('Settings that differ from their defaults.')
param tuning object

var defaults = loadJsonContent('settings-defaults.json')
var storage = environment().suffixes.storage

// The host's own storage and the lake's, each by address and identity.
var connections = {
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: clientId
  AzureWebJobsStorage__blobServiceUri: 'https://${storageAccount}.blob.${storage}'
  AzureWebJobsStorage__queueServiceUri: 'https://${storageAccount}.queue.${storage}'
  AzureWebJobsStorage__tableServiceUri: 'https://${storageAccount}.table.${storage}'
  LAKE_STORAGE__credential: 'managedidentity'
  LAKE_STORAGE__clientId: clientId
  LAKE_STORAGE__blobServiceUri: 'https://${lakeAccount}.blob.${storage}'
  // The blob trigger puts an event that failed five times into the queues of its connection: the region's own, where `index_blob_failed`
  // listens. The lake has no queues: regions would take each other's failures, and a lost region's could not be written.
  LAKE_STORAGE__queueServiceUri: 'https://${storageAccount}.queue.${storage}'
}

var decided = {
  REGION: region
  SEARCH_ENDPOINT: searchEndpoint
  OPENAI_ENDPOINT: modelEndpoint
  OPENAI_MODEL: chatModel
  OPENAI_EMBEDDING_MODEL: embeddingModel
  EMBEDDING_DIMENSIONS: string(embeddingDimensions)
  EMBEDDING_TOKENS_PER_MINUTE: string(embeddingTokensPerMinute)
  AZURE_CLIENT_ID: clientId
  SEARCH_SEMANTIC: 'true' // search.bicep switches the ranker on
  LAKE_READ_ONLY: readOnly ? 'true' : 'false'
  AUTH_ENABLED: empty(authClientId) ? 'false' : 'true'
  OPERATOR_AUTH: empty(authClientId) ? 'function_key' : 'app_role'
}

// The host and the worker both send OpenTelemetry (host.json: telemetryMode), signed in with the identity.
var observed = {
  APPLICATIONINSIGHTS_CONNECTION_STRING: telemetry
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'Authorization=AAD;ClientId=${clientId}'
  PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY: 'true' // azure-monitor-opentelemetry, in requirements.txt
  // The host tells of each request; the worker's own web server would tell of it once more, and alerts would count it twice.
  OTEL_PYTHON_DISABLED_INSTRUMENTATIONS: 'django,fastapi,flask,psycopg2'
  OTEL_SERVICE_NAME: 'warmlake'
  OTEL_RESOURCE_ATTRIBUTES: 'cloud.region=${region}'
}

// host.json says that Durable's state is in storage; these three override it.
var scheduled = {
  AzureFunctionsJobHost__extensions__durableTask__storageProvider__type: 'azureManaged'
  AzureFunctionsJobHost__extensions__durableTask__storageProvider__connectionStringName: 'DURABLE_TASK_SCHEDULER'
  DURABLE_TASK_SCHEDULER: 'Endpoint=${scheduler};Authentication=ManagedIdentity;ClientID=${clientId}'
}
var durable = empty(scheduler) ? {} : scheduled

var scans = empty(scansEndpoint) ? {} : { DOCUMENT_INTELLIGENCE_ENDPOINT: scansEndpoint }
var signIn = empty(authClientId) ? {} : { OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID: clientId }

// Every value becomes text in app.bicep: string(true) is 'True', and the app reads switches in any case.
output values object = union(
  defaults,
  tuning,
  connections,
  decided,
  observed,
  durable,
  scans,
  signIn
)
