// Warmlake in two regions or more: one lake, the same stamp in every region, and Traffic Manager in front.
//
//   az deployment sub create --location LOCATION --template-file infra/main.bicep --parameters infra/main.bicepparam
//
// Resource groups are one a region, one for the lake, and one for what belongs to none. The last two are kept in the last region: whoever
// must take the first region out of routing, or give a standby its roles, must not depend on it.

targetScope = 'subscription'

@description('Name of the whole deployment: small letters and digits.')
@minLength(3)
@maxLength(16)
param environmentName string
@description('Regions in order of preference, separated by commas. The lake is written in the first one.')
param regions string
@description('Sizes: dev, standard or large.')
@allowed(['dev', 'standard', 'large'])
param profile string = 'standard'
@description('What stands in the regions after the first: hot, warm or cold; empty: as the profile says.')
@allowed(['', 'hot', 'warm', 'cold'])
param standby string = ''
@description('Reach storage, search and models through private endpoints only, or not; empty: as the profile says.')
@allowed(['', 'open', 'private'])
param network string = ''
@description('Where Durable keeps its state; empty: as the profile says.')
@allowed(['', 'storage', 'scheduler'])
param durableState string = ''
@description('Partitions of each search service; empty: as the profile says.')
param searchPartitions string = ''
@description('Anything of the profile (profiles.json) that shall be different.')
param overrides object = {}
@description('Regions, separated by commas, in which Flex Consumption or storage has no zones.')
param regionsWithoutZones string = ''
@description('Regions, separated by commas, that Traffic Manager must not use: the runbook puts a dead one here.')
param disabledRegions string = ''
@description('Regions, separated by commas, whose app must not write to the lake: the runbook puts one here that answers from the lake\'s copy.')
param readOnlyRegions string = ''
@description('Redundancy of the lake; Standard_RAGRS only where the first region has no zones.')
@allowed(['Standard_RAGZRS', 'Standard_RAGRS'])
param lakeRedundancy string = 'Standard_RAGZRS'
@description('Length of the embedding vectors.')
@minValue(64)
@maxValue(3072)
param embeddingDimensions int = 1536
@description('Have scans and images read by Document Intelligence; it is paid by the page.')
param readScans bool = false
@description('Application id of the Entra registration that signs users in; empty: anonymous users.')
param authClientId string = ''
@description('Principals of those who deploy, separated by commas: a person, the identity of the pipeline.')
param deployerPrincipalIds string = ''
@description('Address that alerts are sent to.')
param alertEmail string = ''
@description('Host name that users see; empty: the profile\'s own, NAME.trafficmanager.net.')
param hostName string = ''
@description('Seconds between two probes.')
@allowed([10, 30])
param probeInterval int = 10
@description('Seconds that a probe waits.')
@minValue(5)
@maxValue(9)
param probeTimeout int = 5
@description('Failed probes in a row that are forgiven.')
@minValue(0)
@maxValue(9)
param toleratedFailures int = 1
@description('Seconds that resolvers may keep an answer.')
@minValue(0)
@maxValue(300)
param ttl int = 10
@description('Settings of the app that differ from their defaults (infra/settings-defaults.json).')
param tuning object = {}

var profiles = loadJsonContent('profiles.json')
// GlobalStandard is in every region that has the models at all; DataZoneStandard keeps processing within the EU or the US.
var models = loadJsonContent('models.json')
var sizes = union(
  profiles[profile],
  overrides,
  empty(standby) ? {} : { standby: standby },
  empty(network) ? {} : { privateNetworking: network == 'private' },
  empty(durableState) ? {} : { durableState: durableState },
  empty(searchPartitions) ? {} : { searchPartitions: int(searchPartitions) }
)
var form = sizes.standby
var places = split(regions, ',')
var token = take(uniqueString(subscription().id, environmentName), 8)
var tags = { 'azd-env-name': environmentName, application: 'warmlake' }
var globalLocation = last(places)

resource globalGroup 'Microsoft.Resources/resourceGroups@2024-11-01' = {
  name: 'rg-${environmentName}-global'
  location: globalLocation
  tags: tags
}

resource lakeGroup 'Microsoft.Resources/resourceGroups@2024-11-01' = {
  name: 'rg-${environmentName}-lake'
  location: globalLocation
  tags: tags
}

resource regionGroups 'Microsoft.Resources/resourceGroups@2024-11-01' = [
  for place in places: {
    name: 'rg-${environmentName}-${place}'
    location: place
    tags: tags
  }
]

module central 'central.bicep' = {
  name: 'central'
  scope: globalGroup
  params: {
    environmentName: environmentName
    location: globalLocation
    retentionDays: sizes.retentionDays
    email: alertEmail
    tags: tags
  }
}

module lake 'lake.bicep' = {
  name: 'lake'
  scope: lakeGroup
  params: {
    name: 'lake${token}${take(uniqueString(environmentName), 6)}'
    location: places[0]
    redundancy: lakeRedundancy
    geoPriorityReplication: sizes.geoPriorityReplication
    privateNetworking: sizes.privateNetworking
    workspaceId: central.outputs.workspaceId
    tags: tags
  }
}

module stamps 'stamp.bicep' = [
  for (place, index) in places: {
    name: 'stamp-${place}'
    scope: regionGroups[index]
    params: {
      location: place
      priority: index + 1
      environmentName: environmentName
      token: token
      sizes: sizes
      regionsWithoutZones: regionsWithoutZones
      readOnlyRegions: readOnlyRegions
      lake: {
        resourceGroup: lakeGroup.name
        account: lake.outputs.account
        id: lake.outputs.id
        topic: lake.outputs.topic
        lastSyncTimeReader: lake.outputs.lastSyncTimeReader
      }
      topicPrincipalId: lake.outputs.topicPrincipalId
      chatModel: models.chat
      embeddingModel: models.embedding
      embeddingDimensions: embeddingDimensions
      readScans: readScans
      authClientId: authClientId
      deployerPrincipalIds: deployerPrincipalIds
      tuning: tuning
      actionGroupId: central.outputs.actionGroupId
      tags: tags
    }
  }
]

module trafficManager 'traffic-manager.bicep' = {
  name: 'traffic-manager'
  scope: globalGroup
  params: {
    name: 'tm-${environmentName}-${token}'
    // A cold standby has no app that could be probed; it joins when it is deployed.
    endpoints: [
      for index in range(0, form == 'cold' ? 1 : length(places)): {
        region: places[index]
        appId: stamps[index].outputs.appId
        priority: index + 1
        enabled: !contains(split(disabledRegions, ','), places[index])
      }
    ]
    probeInterval: probeInterval
    probeTimeout: probeTimeout
    toleratedFailures: toleratedFailures
    ttl: ttl
    hostName: hostName
    workspaceId: central.outputs.workspaceId
    actionGroupId: central.outputs.actionGroupId
    tags: tags
  }
}

output WARMLAKE_ADDRESS string = 'https://${empty(hostName) ? trafficManager.outputs.fqdn : hostName}'
output WARMLAKE_GLOBAL_GROUP string = globalGroup.name
output WARMLAKE_LAKE_GROUP string = lakeGroup.name
output WARMLAKE_LAKE_ACCOUNT string = lake.outputs.account
output WARMLAKE_LAKE_TOPIC string = lake.outputs.topic
output WARMLAKE_TRAFFIC_MANAGER string = 'tm-${environmentName}-${token}'
output WARMLAKE_REGIONS string = join(places, ',')
output WARMLAKE_APPS array = [for (place, index) in places: { region: place, app: stamps[index].outputs.appName }]
output WARMLAKE_WORST_CASE_FAILOVER_SECONDS int = trafficManager.outputs.worstCaseFailoverSeconds
