// The region's own storage: the host's state, Durable's task hub, leases, problems, reports, queues, the deployed package. Nothing of it
// is needed to recover, so it stays in its region; it is zone-redundant because Flex Consumption across zones asks for that.

@description('Name of the storage account.')
@minLength(3)
@maxLength(24)
param name string
@description('Region.')
param location string
@description('Keep three copies in three zones.')
param zoneRedundant bool
@description('Reach the account only through private endpoints.')
param privateNetworking bool
@description('Principal of the region\'s identity.')
param principalId string
@description('Principal of the lake\'s Event Grid topic.')
param topicPrincipalId string
@description('Principals of those who deploy, separated by commas.')
param deployerPrincipalIds string
@description('Log Analytics workspace.')
param workspaceId string
@description('Tags of every resource.')
param tags object

var roles = loadJsonContent('roles.json')

var deletions = 'lake-deletions'

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: zoneRedundant ? 'Standard_ZRS' : 'Standard_LRS' }
  properties: {
    accessTier: 'Hot'
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: privateNetworking ? 'Disabled' : 'Enabled'
    networkAcls: { bypass: 'AzureServices', defaultAction: privateNetworking ? 'Deny' : 'Allow' }
    encryption: {
      requireInfrastructureEncryption: true
      keySource: 'Microsoft.Storage'
      services: {
        blob: { enabled: true, keyType: 'Account' }
        queue: { enabled: true, keyType: 'Account' }
        table: { enabled: true, keyType: 'Account' }
      }
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: { deleteRetentionPolicy: { enabled: true, days: 7 } }
}

// app-package: what runs. releases: what ran, for going back. warmlake: the app's own state.
resource containers 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = [
  for container in ['app-package', 'releases', 'warmlake']: {
    parent: blobs
    name: container
    properties: { publicAccess: 'None' }
  }
]

resource queues 'Microsoft.Storage/storageAccounts/queueServices@2025-06-01' = {
  parent: account
  name: 'default'
}

resource deletionsQueue 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-06-01' = {
  parent: queues
  name: deletions
}

resource ownsBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, principalId, roles.blobDataOwner)
  scope: account
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.blobDataOwner)
    description: 'The Functions host keeps locks, keys, the package and Durable\'s large messages here; it asks for Owner.'
  }
}

resource usesQueues 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, principalId, roles.queueDataContributor)
  scope: account
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.queueDataContributor)
    description: 'The host takes deletions and blob events from queues; Durable\'s messages are queues too.'
  }
}

resource usesTables 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, principalId, roles.tableDataContributor)
  scope: account
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.tableDataContributor)
    description: 'Durable\'s history and the host\'s diagnostics are tables.'
  }
}

resource sendsDeletions 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(deletionsQueue.id, topicPrincipalId, roles.queueDataMessageSender)
  scope: deletionsQueue
  properties: {
    principalId: topicPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.queueDataMessageSender)
    description: 'Event Grid puts BlobDeleted events into this one queue.'
  }
}

resource keepsReleases 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for deployer in filter(union(split(deployerPrincipalIds, ','), []), id => !empty(id)): { // union: each of them once
    name: guid(containers[1].id, deployer, roles.blobDataContributor)
    scope: containers[1]
    properties: {
      principalId: deployer
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.blobDataContributor)
      description: 'Whoever deploys keeps each released package, so that going back needs no build.'
    }
  }
]

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'access'
  scope: blobs
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'StorageDelete', enabled: true }, { category: 'StorageWrite', enabled: true }]
    metrics: [{ category: 'Transaction', enabled: true }]
  }
}

output id string = account.id
output name string = account.name
output deletionsQueue string = deletionsQueue.name
