// The region's network, for private networking: one subnet that the app goes out through, one for private endpoints.

@description('Name of the virtual network.')
param name string
@description('Region.')
param location string
@description('Tags of every resource.')
param tags object

// Regions are not connected with each other, so all may have the same addresses.
var addresses = { network: '10.20.0.0/22', app: '10.20.0.0/24', endpoints: '10.20.1.0/24' }

resource guard 'Microsoft.Network/networkSecurityGroups@2024-10-01' = {
  name: 'nsg-${name}'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'no-way-in-from-the-internet'
        properties: {
          priority: 4000
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: 'Internet'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource network 'Microsoft.Network/virtualNetworks@2024-10-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addresses.network] }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: addresses.app
          networkSecurityGroup: { id: guard.id }
          delegations: [{ name: 'flex', properties: { serviceName: 'Microsoft.App/environments' } }]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: addresses.endpoints
          networkSecurityGroup: { id: guard.id }
          privateEndpointNetworkPolicies: 'Enabled'
        }
      }
    ]
  }
}

output id string = network.id
output appSubnetId string = '${network.id}/subnets/app'
output endpointSubnetId string = '${network.id}/subnets/endpoints'
