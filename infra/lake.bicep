// The lake: the one thing that must be kept safe. Flat namespace (a hierarchical one has no versions), zone-redundant, copied to the
// paired region and readable there. Nothing here writes append blobs: geo priority replication would not cover the account then.

@description('Name of the storage account.')
@minLength(3)
@maxLength(24)
param name string
@description('Region in which the lake is written; its copy is in the region that Azure pairs with it.')
param location string
@description('Redundancy. RA-GZRS is what recovery is built on; a region without zones takes Standard_RAGRS.')
@allowed(['Standard_RAGZRS', 'Standard_RAGRS'])
param redundancy string = 'Standard_RAGZRS'
@description('Promise a replication lag of at most 15 minutes for 99.0 % of a month, at a price.')
param geoPriorityReplication bool
@description('Days for which deleted blobs and containers can be brought back.')
@minValue(30)
@maxValue(365)
param softDeleteDays int = 30
@description('Reach the account only through private endpoints.')
param privateNetworking bool
@description('Log Analytics workspace that keeps the account\'s metrics: never a storage account that is the lake itself.')
param workspaceId string
@description('Tags of every resource.')
param tags object

var roles = loadJsonContent('roles.json')

var here = resourceGroup().id
var documents = 'documents'
var embeddings = 'embeddings'

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: redundancy }
  properties: {
    accessTier: 'Hot'
    isHnsEnabled: false
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: privateNetworking ? 'Disabled' : 'Enabled'
    networkAcls: {
      // Event Grid is a trusted service. Without private networking identities guard the account, and the network is open.
      bypass: 'AzureServices'
      defaultAction: privateNetworking ? 'Deny' : 'Allow'
    }
    encryption: {
      requireInfrastructureEncryption: true
      keySource: 'Microsoft.Storage'
      services: {
        blob: { enabled: true, keyType: 'Account' }
      }
    }
    geoPriorityReplicationStatus: { isBlobEnabled: geoPriorityReplication }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    isVersioningEnabled: true
    deleteRetentionPolicy: { enabled: true, days: softDeleteDays, allowPermanentDelete: false }
    containerDeleteRetentionPolicy: { enabled: true, days: softDeleteDays }
  }
}

resource documentsContainer 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: documents
  properties: { publicAccess: 'None' }
}

resource embeddingsContainer 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: embeddings
  properties: { publicAccess: 'None' }
}

resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = {
  parent: account
  name: 'default'
  dependsOn: [blobs]
  properties: {
    policy: {
      rules: [
        {
          // Never deleted by age: a rule counts from when a version was written, not from when it was replaced, so a document that was
          // last changed a year ago and overwritten today would lose what it was within a day.
          // https://learn.microsoft.com/azure/storage/blobs/lifecycle-management-policy-structure#action-run-conditions
          name: 'document-versions'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: { blobTypes: ['blockBlob'], prefixMatch: ['${documents}/'] }
            actions: { version: { tierToCool: { daysAfterCreationGreaterThan: 30 } } }
          }
        }
        {
          // Stored embeddings are addressed by content: a replaced pointer is worth nothing once its neighbour is written.
          name: 'embedding-versions'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: { blobTypes: ['blockBlob'], prefixMatch: ['${embeddings}/'] }
            actions: { version: { delete: { daysAfterCreationGreaterThan: 7 } } }
          }
        }
      ]
    }
  }
}

resource lock 'Microsoft.Authorization/locks@2020-05-01' = {
  name: 'keep-the-lake'
  scope: account
  properties: {
    level: 'CanNotDelete'
    notes: 'The only state that cannot be recomputed. Remove this lock only together with the company\'s documents.'
  }
}

// Metrics only: resource logs of a storage account are append blobs when they go to storage, and cost much for a busy lake.
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'metrics'
  scope: blobs
  properties: {
    workspaceId: workspaceId
    metrics: [{ category: 'Transaction', enabled: true }]
  }
}

// Reading the Last Sync Time is an act on the account, which no built-in data role allows; this role allows that and nothing else.
resource lastSyncTimeReader 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(account.id, 'last-sync-time-reader')
  properties: {
    roleName: 'Warmlake Last Sync Time Reader (${name})'
    description: 'Reads the replication statistics of the lake.'
    type: 'CustomRole'
    permissions: [{ actions: ['Microsoft.Storage/storageAccounts/blobServices/read'] }]
    assignableScopes: [here]
  }
}

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: '${name}-events'
  location: location
  tags: tags
  identity: { type: 'SystemAssigned' }
  properties: {
    source: account.id
    topicType: 'Microsoft.Storage.StorageAccounts'
  }
}

// Where an event goes that no region took within a day; the reconciler will have found what it told of.
resource deadLetters 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: 'dead-letters'
  properties: { publicAccess: 'None' }
}

resource topicWritesDeadLetters 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(deadLetters.id, topic.id, roles.blobDataContributor)
  scope: deadLetters
  properties: {
    principalId: topic.identity.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.blobDataContributor)
    description: 'Event Grid keeps events that could not be delivered.'
  }
}

output account string = account.name
output id string = account.id
output topic string = topic.name
output topicPrincipalId string = topic.identity.principalId
output lastSyncTimeReader string = lastSyncTimeReader.id
output blobEndpoint string = account.properties.primaryEndpoints.blob
output secondaryBlobEndpoint string = account.properties.secondaryEndpoints.blob
