// Users sign in with Entra before a request reaches the app; the app reads who they are and what they may do from the platform's headers.

@description('Name of the app.')
param app string
@description('Application id of the Entra registration.')
param authClientId string

resource site 'Microsoft.Web/sites@2025-03-01' existing = {
  name: app
}

resource signIn 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: site
  name: 'authsettingsV2'
  properties: {
    platform: { enabled: true }
    globalValidation: {
      requireAuthentication: true
      unauthenticatedClientAction: 'RedirectToLoginPage'
      redirectToProvider: 'azureactivedirectory'
      // Probes and Event Grid's webhook have no user; the webhook has its own key.
      excludedPaths: ['/api/health', '/runtime/webhooks/blobs']
    }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          clientId: authClientId
          openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
          // The app proves itself by its identity, not by a secret: the setting of this name has the identity's client id.
          clientSecretSettingName: 'OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID'
        }
        validation: { allowedAudiences: ['api://${authClientId}', authClientId] }
      }
    }
    login: { tokenStore: { enabled: false } }
    httpSettings: { requireHttps: true }
  }
}
