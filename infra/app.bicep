// The app on Flex Consumption, Python 3.13. It has no deployment slots, so a release goes to one region, is tried there, and only then
// to the next.

@description('Name of the app, and first part of its address.')
param name string
@description('Name of the plan.')
param planName string
@description('Region.')
param location string
@description('Resource id of the region\'s identity.')
param identityId string
@description('The region\'s own storage account, which holds the package.')
param storageAccount string
@description('App settings, from settings.bicep.')
param settings object
@description('Run in several zones; needs at least two always-ready instances and zone-redundant storage.')
param zoneRedundant bool
@description('Memory of one instance in MB.')
@allowed([512, 2048, 4096])
param instanceMemory int
@description('Most instances at once.')
@minValue(1)
@maxValue(1000)
param maximumInstances int
@description('Instances that are always ready for HTTP.')
@minValue(0)
param alwaysReady int
@description('Subnet that the app goes out through; empty: the internet.')
param subnetId string
@description('Application id of the Entra registration that signs users in; empty: nobody is asked.')
param authClientId string
@description('Log Analytics workspace.')
param workspaceId string
@description('Tags of every resource.')
param tags object

// Zones need two always-ready instances in each group of triggers that has any.
var zonal = [{ name: 'durable', instanceCount: 2 }, { name: 'blob', instanceCount: 2 }]

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true, zoneRedundant: zoneRedundant }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: tags
  kind: 'functionapp,linux'
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientCertEnabled: false
    publicNetworkAccess: 'Enabled'
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
      remoteDebuggingEnabled: false
      cors: { allowedOrigins: [], supportCredentials: false }
      appSettings: [for setting in items(settings): { name: setting.key, value: string(setting.value) }]
    }
    functionAppConfig: {
      runtime: { name: 'python', version: '3.13' }
      deployment: {
        storage: {
          type: 'blobContainer'
          value: 'https://${storageAccount}.blob.${environment().suffixes.storage}/app-package'
          authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: identityId }
        }
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemory
        maximumInstanceCount: maximumInstances
        // The triggers' groups scale each for itself: a rebuild must not take the instances that answer people.
        alwaysReady: alwaysReady == 0 ? [] : concat([{ name: 'http', instanceCount: alwaysReady }], zoneRedundant ? zonal : [])
        triggers: { http: { perInstanceConcurrency: 16 } }
      }
    }
  }
}

resource noPasswords 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = [
  for policy in ['ftp', 'scm']: {
    parent: app
    name: policy
    properties: { allow: false }
  }
]

module signIn 'sign-in.bicep' = if (!empty(authClientId)) {
  name: 'sign-in'
  params: { app: app.name, authClientId: authClientId }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'metrics'
  scope: app
  properties: {
    workspaceId: workspaceId
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

output id string = app.id
output name string = app.name
output hostName string = app.properties.defaultHostName
