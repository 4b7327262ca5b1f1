// What is deployed, from the environment: azd, the pipeline and a person at a prompt all give the same variables, so all get the same.
// docs/deployment.md has the table. An empty one is as the profile says (profiles.json).
using './main.bicep'

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'warmlake')
param regions = readEnvironmentVariable('WARMLAKE_REGIONS', 'eastus2,centralus')
param profile = readEnvironmentVariable('WARMLAKE_PROFILE', 'standard')
param standby = readEnvironmentVariable('WARMLAKE_STANDBY', '')
param network = readEnvironmentVariable('WARMLAKE_NETWORK', '')
param durableState = readEnvironmentVariable('WARMLAKE_DURABLE_STATE', '')
param searchPartitions = readEnvironmentVariable('WARMLAKE_SEARCH_PARTITIONS', '')
param regionsWithoutZones = readEnvironmentVariable('WARMLAKE_REGIONS_WITHOUT_ZONES', '')
param disabledRegions = readEnvironmentVariable('WARMLAKE_DISABLED_REGIONS', '')
param readOnlyRegions = readEnvironmentVariable('WARMLAKE_READ_ONLY_REGIONS', '')
param authClientId = readEnvironmentVariable('WARMLAKE_AUTH_CLIENT_ID', '')
param alertEmail = readEnvironmentVariable('WARMLAKE_ALERT_EMAIL', '')
param hostName = readEnvironmentVariable('WARMLAKE_HOST_NAME', '')
param deployerPrincipalIds = '${readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')},${readEnvironmentVariable('WARMLAKE_DEPLOYERS', '')}'
