// The index. It has no copy in another region and no backup: code that rebuilds it from the lake is the restore.

@description('Name of the search service, unique in all of Azure.')
param name string
@description('Region.')
param location string
@description('Tier.')
@allowed(['basic', 'standard', 'standard2', 'standard3'])
param sku string
@description('Replicas: 2 have an SLA for queries and use zones, 3 have one for indexing too.')
@minValue(1)
@maxValue(12)
param replicas int
@description('Partitions.')
@allowed([1, 2, 3, 4, 6, 12])
param partitions int
@description('Reach the service only through a private endpoint.')
param privateNetworking bool
@description('Principal of the region\'s identity.')
param principalId string
@description('Log Analytics workspace.')
param workspaceId string
@description('Tags of every resource.')
param tags object

var roles = loadJsonContent('roles.json')

resource service 'Microsoft.Search/searchServices@2025-05-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: sku }
  identity: { type: 'SystemAssigned' }
  properties: {
    replicaCount: replicas
    partitionCount: partitions
    hostingMode: 'default'
    semanticSearch: 'standard'
    disableLocalAuth: true
    publicNetworkAccess: privateNetworking ? 'disabled' : 'enabled'
    networkRuleSet: { bypass: 'None', ipRules: [] }
  }
}

resource managesIndexes 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(service.id, principalId, roles.searchServiceContributor)
  scope: service
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.searchServiceContributor)
    description: 'A rebuild creates and deletes generations and moves the alias.'
  }
}

resource writesDocuments 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(service.id, principalId, roles.searchIndexDataContributor)
  scope: service
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.searchIndexDataContributor)
    description: 'Indexing writes chunks; chat and health read them.'
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'operations'
  scope: service
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'OperationLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

output id string = service.id
output endpoint string = 'https://${service.name}.search.windows.net'
