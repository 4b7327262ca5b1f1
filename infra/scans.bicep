// Reading scans and images, for lakes that have any: it costs money by the page, so it is a parameter.

@description('Name of the account, and first part of its address.')
param name string
@description('Region.')
param location string
@description('Reach the account only through a private endpoint.')
param privateNetworking bool
@description('Principal of the region\'s identity.')
param principalId string
@description('Log Analytics workspace.')
param workspaceId string
@description('Tags of every resource.')
param tags object

var roles = loadJsonContent('roles.json')

resource account 'Microsoft.CognitiveServices/accounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'FormRecognizer'
  sku: { name: 'S0' }
  identity: { type: 'SystemAssigned' }
  properties: {
    customSubDomainName: name
    disableLocalAuth: true
    publicNetworkAccess: privateNetworking ? 'Disabled' : 'Enabled'
    networkAcls: { defaultAction: privateNetworking ? 'Deny' : 'Allow' }
    restrictOutboundNetworkAccess: true
    allowedFqdnList: []
  }
}

resource readsScans 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, principalId, roles.cognitiveServicesUser)
  scope: account
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.cognitiveServicesUser)
    description: 'Indexing has scans and images read.'
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'requests'
  scope: account
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'Audit', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

output id string = account.id
output endpoint string = 'https://${name}.cognitiveservices.azure.com'
