// What one region's app may do in the lake: read documents, keep embeddings, ask how far the copy is.
// A module of its own because the lake is in another resource group than the region.

@description('Name of the lake\'s storage account.')
param account string
@description('Principal of the region\'s identity.')
param principalId string
@description('Id of the role that reads the Last Sync Time.')
param lastSyncTimeReader string

var roles = loadJsonContent('roles.json')

resource lake 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: account

  resource blobs 'blobServices' existing = {
    name: 'default'

    resource documents 'containers' existing = {
      name: 'documents'
    }

    resource embeddings 'containers' existing = {
      name: 'embeddings'
    }
  }
}

resource readsDocuments 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(lake::blobs::documents.id, principalId, roles.blobDataReader)
  scope: lake::blobs::documents
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.blobDataReader)
    description: 'The app reads documents and their versions, and never writes them.'
  }
}

resource keepsEmbeddings 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(lake::blobs::embeddings.id, principalId, roles.blobDataContributor)
  scope: lake::blobs::embeddings
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.blobDataContributor)
    description: 'The app stores chunks and vectors beside the documents, so that another region need not pay for them again.'
  }
}

resource readsLastSyncTime 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(lake.id, principalId, 'last-sync-time-reader')
  scope: lake
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: lastSyncTimeReader
    description: 'The app asks up to when the copy in the other region has every write.'
  }
}
