// The lake's events for one region. Event Grid puts deletions into the region's queue, signed in with the topic's identity. Creations go
// to the app's webhook, whose key exists only after the app has run: scripts/subscribe deploys this file again, with the webhook.

@description('Event Grid system topic of the lake.')
param topic string
@description('Region whose queue gets the events; the subscription is named after it.')
param region string
@description('Resource id of the region\'s own storage account.')
param storageId string
@description('Queue in that account.')
param queue string
@description('Resource id of the lake\'s account, which keeps events that could not be delivered.')
param lakeId string

@description('Address of the blob trigger\'s webhook with its key; empty: the subscription of creations is left as it is.')
@secure()
param webhook string = ''

resource source 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: topic
}

resource deletions 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: source
  name: 'deletions-${region}'
  properties: {
    eventDeliverySchema: 'EventGridSchema'
    filter: {
      includedEventTypes: ['Microsoft.Storage.BlobDeleted']
      subjectBeginsWith: '/blobServices/default/containers/documents/'
    }
    deliveryWithResourceIdentity: {
      identity: { type: 'SystemAssigned' }
      destination: {
        endpointType: 'StorageQueue'
        properties: { resourceId: storageId, queueName: queue, queueMessageTimeToLiveInSeconds: 604800 }
      }
    }
    deadLetterWithResourceIdentity: {
      identity: { type: 'SystemAssigned' }
      deadLetterDestination: {
        endpointType: 'StorageBlob'
        properties: { resourceId: lakeId, blobContainerName: 'dead-letters' }
      }
    }
    retryPolicy: { eventTimeToLiveInMinutes: 1440, maxDeliveryAttempts: 30 }
  }
}

resource creations 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = if (!empty(webhook)) {
  parent: source
  name: 'documents-${region}'
  properties: {
    eventDeliverySchema: 'EventGridSchema'
    filter: {
      includedEventTypes: ['Microsoft.Storage.BlobCreated']
      subjectBeginsWith: '/blobServices/default/containers/documents/'
    }
    destination: {
      endpointType: 'WebHook'
      properties: { endpointUrl: webhook, maxEventsPerBatch: 1 }
    }
    deadLetterWithResourceIdentity: {
      identity: { type: 'SystemAssigned' }
      deadLetterDestination: {
        endpointType: 'StorageBlob'
        properties: { resourceId: lakeId, blobContainerName: 'dead-letters' }
      }
    }
    retryPolicy: { eventTimeToLiveInMinutes: 1440, maxDeliveryAttempts: 30 }
  }
}
