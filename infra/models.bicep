// The model endpoint of a region. Model, version and dimensions of the embeddings are the same in every region, or stored vectors would
// not fit; so versions are pinned and never upgraded by the service.

@description('Name of the account, and first part of its address.')
param name string
@description('Region.')
param location string
@description('Chat model.')
param chat object
@description('Embedding model.')
param embedding object
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
  kind: 'OpenAI'
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

// One after the other: the service refuses two changes of one account at once.
@batchSize(1)
resource deployments 'Microsoft.CognitiveServices/accounts/deployments@2025-06-01' = [
  for model in [chat, embedding]: {
    parent: account
    name: model.name
    sku: { name: model.sku, capacity: model.capacity }
    properties: {
      model: { format: 'OpenAI', name: model.name, version: model.version }
      versionUpgradeOption: 'NoAutoUpgrade'
    }
  }
]

resource usesModels 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, principalId, roles.openAIUser)
  scope: account
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.openAIUser)
    description: 'Chat and indexing call the models; health lists them.'
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
output endpoint string = 'https://${name}.openai.azure.com/openai/v1'
