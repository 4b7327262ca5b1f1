// Durable's state outside the region's storage, for rebuilds whose history is read by people in its dashboard.

@description('Name of the scheduler.')
param name string
@description('Region.')
param location string
@description('Keep it in several zones.')
param zoneRedundant bool
@description('Principal of the region\'s identity.')
param principalId string
@description('Tags of every resource.')
param tags object

var roles = loadJsonContent('roles.json')

resource scheduler 'Microsoft.DurableTask/schedulers@2026-02-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    ipAllowlist: ['0.0.0.0/0'] // who may call is decided by identity; Functions has no fixed addresses
    sku: zoneRedundant ? { name: 'Dedicated', capacity: 3 } : { name: 'Consumption' }
  }
}

resource hub 'Microsoft.DurableTask/schedulers/taskHubs@2026-02-01' = {
  parent: scheduler
  name: 'warmlake'
}

resource runsOrchestrations 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(hub.id, principalId, roles.durableTaskDataContributor)
  scope: hub
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.durableTaskDataContributor)
    description: 'The host runs rebuilds through this one task hub.'
  }
}

output endpoint string = scheduler.properties.endpoint
