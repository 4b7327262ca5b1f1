// The private ways from a region to what it uses. `blob_secondary` is the lake's copy: recovery reads it when the lake's region is gone.

@description('Second part of the names.')
param suffix string
@description('Region.')
param location string
@description('Virtual network whose names resolve to the private addresses.')
param networkId string
@description('Subnet of the private endpoints.')
param subnetId string
@description('Lake account.')
param lakeId string
@description('The region\'s own storage account.')
param storageId string
@description('Search service; empty in a cold region.')
param searchId string
@description('Model account; empty in a cold region.')
param modelsId string
@description('Account that reads scans; empty where none is deployed.')
param scansId string
@description('Tags of every resource.')
param tags object

var storage = environment().suffixes.storage
var zones = [
  'privatelink.blob.${storage}'
  'privatelink.queue.${storage}'
  'privatelink.table.${storage}'
  'privatelink.search.windows.net'
  'privatelink.openai.azure.com'
  'privatelink.cognitiveservices.azure.com'
]
var storageLinks = [
  { name: 'lake-blob', target: lakeId, group: 'blob', zone: 0 }
  { name: 'lake-blob-secondary', target: lakeId, group: 'blob_secondary', zone: 0 }
  { name: 'host-blob', target: storageId, group: 'blob', zone: 0 }
  { name: 'host-queue', target: storageId, group: 'queue', zone: 1 }
  { name: 'host-table', target: storageId, group: 'table', zone: 2 }
]
var serviceLinks = [
  { name: 'search', target: searchId, group: 'searchService', zone: 3 }
  { name: 'models', target: modelsId, group: 'account', zone: 4 }
  { name: 'scans', target: scansId, group: 'account', zone: 5 }
]
var links = concat(storageLinks, filter(serviceLinks, link => !empty(link.target)))

resource dnsZones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for zone in zones: {
    name: zone
    location: 'global'
    tags: tags
  }
]

resource zoneLinks 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (zone, index) in zones: {
    parent: dnsZones[index]
    name: 'link-${suffix}'
    location: 'global'
    properties: { registrationEnabled: false, virtualNetwork: { id: networkId } }
  }
]

resource endpoints 'Microsoft.Network/privateEndpoints@2024-10-01' = [
  for link in links: {
    name: 'pe-${link.name}-${suffix}'
    location: location
    tags: tags
    properties: {
      subnet: { id: subnetId }
      privateLinkServiceConnections: [
        {
          name: link.name
          properties: { privateLinkServiceId: link.target, groupIds: [link.group] }
        }
      ]
    }
  }
]

resource names 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-10-01' = [
  for (link, index) in links: {
    parent: endpoints[index]
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [{ name: link.name, properties: { privateDnsZoneId: dnsZones[link.zone].id } }]
    }
  }
]
