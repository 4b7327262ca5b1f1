// What wakes somebody. Each alert is one query in queries/, or one metric; docs/runbook.md says what to do about it.

@description('Second part of the names.')
param suffix string
@description('Region.')
param location string
@description('Log Analytics workspace of the region.')
param workspaceId string
@description('Search service.')
param searchId string
@description('Model account.')
param modelsId string
@description('Action group; empty: alerts are only shown.')
param actionGroupId string
@description('Tags of every resource.')
param tags object

var actions = empty(actionGroupId) ? [] : [actionGroupId]

// severity 1: answers are wrong or missing; 2: they will be; 3: look at it tomorrow. every: how often; over: what time it looks at.
var queries = [
  {
    name: 'index-lag'
    text: 'The index is more than 30 minutes behind the lake.'
    severity: 2
    every: 'PT15M'
    over: 'PT15M'
    query: loadTextContent('queries/index-lag.kql')
  }
  {
    name: 'not-following'
    text: 'The index does not follow the lake: the reconciler has not run for an hour or at all, or has to do what events should.'
    severity: 2
    every: 'PT15M'
    over: 'PT1H'
    query: loadTextContent('queries/not-following.kql')
  }
  {
    name: 'quarantine-growth'
    text: 'More than 20 documents became unreadable within an hour.'
    severity: 3
    every: 'PT1H'
    over: 'PT1H'
    query: loadTextContent('queries/quarantine-growth.kql')
  }
  {
    name: 'rebuild-failed'
    text: 'A rebuild ended without a verified generation, or was cut off too often to be resumed.'
    severity: 1
    every: 'PT5M'
    over: 'PT15M' // it is said once, and may arrive minutes later
    query: loadTextContent('queries/rebuild-failed.kql')
  }
  {
    name: 'rebuild-open'
    text: 'A rebuild was accepted more than a day ago and has not ended.'
    severity: 2
    every: 'PT1H'
    over: 'PT1H'
    query: loadTextContent('queries/rebuild-open.kql')
  }
  {
    name: 'rebuild-needed'
    text: 'Another pipeline has built the live index: new content waits for a rebuild.'
    severity: 2
    every: 'PT1H'
    over: 'PT1H'
    query: loadTextContent('queries/rebuild-needed.kql')
  }
  {
    name: 'replica-lag'
    text: 'The lake\'s copy is more than 30 minutes behind, or cannot be asked: a failover now would lose that much.'
    severity: 2
    every: 'PT15M'
    over: 'PT30M'
    query: loadTextContent('queries/replica-lag.kql')
  }
  {
    name: 'health-flapping'
    text: 'Health changed more than four times within half an hour.'
    severity: 2
    every: 'PT30M'
    over: 'PT30M'
    query: loadTextContent('queries/health-flapping.kql')
  }
  {
    name: 'silence'
    text: 'The region has not said for half an hour how it is.'
    severity: 2
    every: 'PT30M'
    over: 'PT30M'
    query: loadTextContent('queries/silence.kql')
  }
  {
    name: 'chat-errors'
    text: 'More than one chat answer in twenty is an error.'
    severity: 1
    every: 'PT15M'
    over: 'PT15M'
    query: loadTextContent('queries/chat-errors.kql')
  }
]

var throttling = [
  {
    name: 'search-throttling'
    target: searchId
    namespace: 'Microsoft.Search/searchServices'
    metric: 'ThrottledSearchQueriesPercentage'
    aggregation: 'Average'
    threshold: 5
    dimensions: []
  }
  {
    name: 'model-throttling'
    target: modelsId
    namespace: 'Microsoft.CognitiveServices/accounts'
    metric: 'AzureOpenAIRequests'
    aggregation: 'Total'
    threshold: 50
    dimensions: [{ name: 'StatusCode', operator: 'Include', values: ['429'] }]
  }
]

resource queryAlerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for alert in queries: {
    name: 'alert-${alert.name}-${suffix}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: 'Warmlake ${suffix}: ${alert.name}'
      description: alert.text
      severity: alert.severity
      enabled: true
      scopes: [workspaceId]
      evaluationFrequency: alert.every
      windowSize: alert.over
      skipQueryValidation: true // a new workspace has no table yet; tests/infra reads the queries
      autoMitigate: true
      criteria: {
        allOf: [
          {
            query: alert.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: actions }
    }
  }
]

resource metricAlerts 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for alert in throttling: {
    name: 'alert-${alert.name}-${suffix}'
    location: 'global'
    tags: tags
    properties: {
      description: 'A service makes Warmlake wait; docs/runbook.md, "Quota exhausted".'
      severity: 2
      enabled: true
      scopes: [alert.target]
      evaluationFrequency: 'PT5M'
      windowSize: 'PT15M'
      autoMitigate: true
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            criterionType: 'StaticThresholdCriterion'
            name: alert.name
            metricNamespace: alert.namespace
            metricName: alert.metric
            timeAggregation: alert.aggregation
            operator: 'GreaterThan'
            threshold: alert.threshold
            dimensions: alert.dimensions
          }
        ]
      }
      actions: [for id in actions: { actionGroupId: id }]
    }
  }
]
