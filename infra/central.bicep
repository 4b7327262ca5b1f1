// What belongs to no region: the workspace for probes and for the lake, and who is told when an alert fires.

@description('Name of the whole deployment.')
param environmentName string
@description('Region; not the first one, so that it is there when that one is lost.')
param location string
@description('Days for which logs are kept.')
param retentionDays int
@description('Address that alerts are sent to; empty: alerts are only shown.')
param email string
@description('Tags of every resource.')
param tags object

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: 'log-${environmentName}-global'
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: retentionDays
    features: { disableLocalAuth: true, enableLogAccessUsingOnlyResourcePermissions: true }
    publicNetworkAccessForIngestion: 'Enabled'
    publicNetworkAccessForQuery: 'Enabled'
  }
}

resource operators 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(email)) {
  name: 'ag-${environmentName}'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'warmlake'
    emailReceivers: [{ name: 'operators', emailAddress: email, useCommonAlertSchema: true }]
  }
}

output workspaceId string = workspace.id
output actionGroupId string = empty(email) ? '' : (operators.id)
