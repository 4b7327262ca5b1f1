// Users get the first region that is healthy. Health is index readiness: a standby whose index is not verified answers 503 and gets nobody.

@description('Name of the profile and first part of its address, which must be free in all of Azure.')
param name string
@description('Apps in order of preference, each with region, appId, priority and enabled. A disabled one gets nobody, whatever its health: that is how a dead region is taken out.')
param endpoints array
@description('Seconds between two probes: 10 (fast) or 30.')
@allowed([10, 30])
param probeInterval int
@description('Seconds that a probe waits. The health check answers within 4 s, whatever hangs behind it.')
@minValue(5)
@maxValue(9)
param probeTimeout int
@description('Failed probes in a row that are forgiven.')
@minValue(0)
@maxValue(9)
param toleratedFailures int
@description('Seconds that resolvers may keep an answer.')
@minValue(0)
param ttl int
@description('Host name that users see, if it is not the profile\'s own; probes then ask for it.')
param hostName string
@description('Log Analytics workspace for probe results.')
param workspaceId string
@description('Action group; empty: alerts are only shown.')
param actionGroupId string
@description('Tags of every resource.')
param tags object

var preferred = endpoints[0].region

resource profile 'Microsoft.Network/trafficManagerProfiles@2022-04-01' = {
  name: name
  location: 'global'
  tags: tags
  properties: {
    profileStatus: 'Enabled'
    trafficRoutingMethod: 'Priority'
    dnsConfig: { relativeName: name, ttl: ttl }
    monitorConfig: {
      protocol: 'HTTPS'
      port: 443
      path: '/api/health'
      intervalInSeconds: probeInterval
      timeoutInSeconds: probeTimeout
      toleratedNumberOfFailures: toleratedFailures
      expectedStatusCodeRanges: [{ min: 200, max: 200 }]
      customHeaders: empty(hostName) ? [] : [{ name: 'Host', value: hostName }]
    }
    endpoints: [
      for endpoint in endpoints: {
        name: endpoint.region
        type: 'Microsoft.Network/trafficManagerProfiles/azureEndpoints'
        properties: {
          targetResourceId: endpoint.appId
          priority: endpoint.priority
          endpointStatus: endpoint.enabled ? 'Enabled' : 'Disabled'
        }
      }
    ]
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'probes'
  scope: profile
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'ProbeHealthStatusEvents', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

// The one alert that no region can raise about itself: the first region is not healthy, as seen from outside.
resource unhealthy 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'alert-unhealthy-${name}'
  location: 'global'
  tags: tags
  properties: {
    description: 'A region that should answer does not; docs/runbook.md, "Detect".'
    severity: 1
    enabled: true
    scopes: [profile.id]
    evaluationFrequency: 'PT1M'
    windowSize: 'PT5M'
    autoMitigate: true
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'first-region-unhealthy'
          metricNamespace: 'Microsoft.Network/trafficManagerProfiles'
          metricName: 'ProbeAgentCurrentEndpointStateByProfileResourceId'
          timeAggregation: 'Maximum'
          operator: 'LessThan'
          threshold: 1
          dimensions: [{ name: 'EndpointName', operator: 'Include', values: [preferred] }]
        }
      ]
    }
    actions: empty(actionGroupId) ? [] : [{ actionGroupId: actionGroupId }]
  }
}

output id string = profile.id
output fqdn string = profile.properties.dnsConfig.fqdn
// A region dies just after a good check, which it goes on telling for as long as health keeps it (10 s, shared/health.py) if its app still
// answers; then come the failed probes, the last one's wait, and the resolvers' memory.
var healthKept = 10
output worstCaseFailoverSeconds int = healthKept + probeInterval * (toleratedFailures + 1) + probeTimeout + ttl
