// One region, whole. Every region is this module with the same parameters but its location and its priority; what a standby leaves out
// follows from those two and `standby`, in here, so that no region can be described differently from the others by mistake.

@description('Region of everything in here.')
param location string
@description('Place in the order of preference: 1 is where users go while it is healthy.')
@minValue(1)
param priority int

@description('Name of the whole deployment.')
param environmentName string
@description('Short text that makes names unique; the same in every region.')
param token string
@description('Sizes and forms: a profile of profiles.json, with what shall be different.')
param sizes object
@description('Regions, separated by commas, in which Flex Consumption or storage has no zones.')
param regionsWithoutZones string
@description('Regions, separated by commas, whose app must not write to the lake.')
param readOnlyRegions string
@description('The lake.')
param lake object
@description('Principal of the lake\'s Event Grid topic, which puts deletions into the region\'s queue.')
param topicPrincipalId string
@description('Chat model.')
param chatModel object
@description('Embedding model.')
param embeddingModel object
@description('Length of the embedding vectors.')
param embeddingDimensions int
@description('Have scans and images read by Document Intelligence.')
param readScans bool
@description('Application id of the Entra registration that signs users in; empty: anonymous users, and a function key for operators.')
param authClientId string
@description('Principals of those who deploy, separated by commas, for keeping released packages.')
param deployerPrincipalIds string
@description('Settings of the app that differ from their defaults (infra/settings.bicep).')
param tuning object
@description('Action group that alerts call; empty: alerts are only shown.')
param actionGroupId string
@description('Tags of every resource.')
param tags object

var standby = sizes.standby
var durableState = sizes.durableState
var form = priority == 1 ? 'hot' : standby
var privateNetworking = sizes.privateNetworking
// A cold region has its network, its storage and its identity; what is missing is deployed when it is needed.
var complete = form != 'cold'
var zones = sizes.zones && !contains(split(regionsWithoutZones, ','), location)
var suffix = '${environmentName}-${location}'

module identity 'identity.bicep' = {
  name: 'identity'
  params: { name: 'id-${suffix}', location: location, tags: tags }
}

module monitoring 'monitoring.bicep' = {
  name: 'monitoring'
  params: {
    suffix: suffix
    location: location
    retentionDays: sizes.retentionDays
    principalId: identity.outputs.principalId
    tags: tags
  }
}

module network 'network.bicep' = if (privateNetworking) {
  name: 'network'
  params: { name: 'vnet-${suffix}', location: location, tags: tags }
}

module storage 'host-storage.bicep' = {
  name: 'host-storage'
  params: {
    name: 'st${take(uniqueString(token, location), 13)}'
    location: location
    zoneRedundant: zones
    privateNetworking: privateNetworking
    principalId: identity.outputs.principalId
    topicPrincipalId: topicPrincipalId
    deployerPrincipalIds: deployerPrincipalIds
    workspaceId: monitoring.outputs.workspaceId
    tags: tags
  }
}

module search 'search.bicep' = if (complete) {
  name: 'search'
  params: {
    name: 'srch-${token}-${location}'
    location: location
    sku: sizes.searchSku
    replicas: sizes.searchReplicas
    partitions: sizes.searchPartitions
    privateNetworking: privateNetworking
    principalId: identity.outputs.principalId
    workspaceId: monitoring.outputs.workspaceId
    tags: tags
  }
}

module models 'models.bicep' = if (complete) {
  name: 'models'
  params: {
    name: 'oai-${token}-${location}'
    location: location
    chat: union(chatModel, { capacity: sizes.chatCapacity })
    embedding: union(embeddingModel, { capacity: sizes.embeddingCapacity })
    privateNetworking: privateNetworking
    principalId: identity.outputs.principalId
    workspaceId: monitoring.outputs.workspaceId
    tags: tags
  }
}

module scans 'scans.bicep' = if (complete && readScans) {
  name: 'scans'
  params: {
    name: 'scan-${token}-${location}'
    location: location
    privateNetworking: privateNetworking
    principalId: identity.outputs.principalId
    workspaceId: monitoring.outputs.workspaceId
    tags: tags
  }
}

module scheduler 'scheduler.bicep' = if (complete && durableState == 'scheduler') {
  name: 'scheduler'
  params: {
    name: 'dts-${suffix}'
    location: location
    zoneRedundant: zones
    principalId: identity.outputs.principalId
    tags: tags
  }
}

module endpoints 'private-endpoints.bicep' = if (privateNetworking) {
  name: 'private-endpoints'
  params: {
    suffix: suffix
    location: location
    networkId: network.?outputs.id ?? ''
    subnetId: network.?outputs.endpointSubnetId ?? ''
    lakeId: lake.id
    storageId: storage.outputs.id
    searchId: search.?outputs.id ?? ''
    modelsId: models.?outputs.id ?? ''
    scansId: scans.?outputs.id ?? ''
    tags: tags
  }
}

module settings 'settings.bicep' = if (complete) {
  name: 'settings'
  params: {
    region: location
    lakeAccount: lake.account
    storageAccount: storage.outputs.name
    searchEndpoint: search.?outputs.endpoint ?? ''
    modelEndpoint: models.?outputs.endpoint ?? ''
    scansEndpoint: scans.?outputs.endpoint ?? ''
    chatModel: chatModel.name
    embeddingModel: embeddingModel.name
    embeddingDimensions: embeddingDimensions
    embeddingTokensPerMinute: sizes.embeddingCapacity * 1000
    clientId: identity.outputs.clientId
    telemetry: monitoring.outputs.connectionString
    scheduler: scheduler.?outputs.endpoint ?? ''
    authClientId: authClientId
    readOnly: contains(split(readOnlyRegions, ','), location)
    tuning: tuning
  }
}

module app 'app.bicep' = if (complete) {
  name: 'app'
  dependsOn: [endpoints] // with private networking there is no other way from the app to its storage
  params: {
    name: 'func-${token}-${location}'
    planName: 'plan-${suffix}'
    location: location
    identityId: identity.outputs.id
    storageAccount: storage.outputs.name
    settings: settings.?outputs.values ?? {}
    zoneRedundant: zones
    instanceMemory: sizes.instanceMemory
    maximumInstances: sizes.maximumInstances
    alwaysReady: sizes.alwaysReady
    subnetId: network.?outputs.appSubnetId ?? ''
    authClientId: authClientId
    workspaceId: monitoring.outputs.workspaceId
    // scripts find the apps of a deployment by these tags: their order, what each is for, and how an operator is known there
    tags: union(
      tags,
      { 'warmlake-environment': environmentName, 'warmlake-priority': string(priority), 'warmlake-form': form },
      empty(authClientId) ? {} : { 'warmlake-sign-in': authClientId }
    )
  }
}

module lakeAccess 'lake-access.bicep' = {
  name: 'lake-access-${location}'
  scope: resourceGroup(lake.resourceGroup)
  params: {
    account: lake.account
    principalId: identity.outputs.principalId
    lastSyncTimeReader: lake.lastSyncTimeReader
  }
}

// A warm or cold standby gets no events: without a live generation they would be ignored, and its rebuild reads the lake itself.
module lakeEvents 'lake-events.bicep' = if (form == 'hot') {
  name: 'lake-events-${location}'
  scope: resourceGroup(lake.resourceGroup)
  params: {
    topic: lake.topic
    region: location
    storageId: storage.outputs.id
    queue: storage.outputs.deletionsQueue
    lakeId: lake.id
  }
}

module alerts 'alerts.bicep' = if (complete) {
  name: 'alerts'
  params: {
    suffix: suffix
    location: location
    workspaceId: monitoring.outputs.workspaceId
    searchId: search.?outputs.id ?? ''
    modelsId: models.?outputs.id ?? ''
    actionGroupId: actionGroupId
    tags: tags
  }
}

output appId string = app.?outputs.id ?? ''
output appName string = app.?outputs.name ?? ''
output hostName string = app.?outputs.hostName ?? ''
output workspaceId string = monitoring.outputs.workspaceId
output principalId string = identity.outputs.principalId
