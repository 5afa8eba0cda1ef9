// An OpenID provider as the world uses it, for tests: prints its issuer, then gives signed access tokens to one client.
import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import Provider from 'oidc-provider'

const server = createServer((request, response) => handle(request, response))
let handle
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`
  const jwk = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' })
  const provider = new Provider(issuer, {
    jwks: { keys: [{ ...jwk, use: 'sig', alg: 'RS256' }] },
    clients: [{
      client_id: 'robot',
      client_secret: 'a secret of the tests',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    }],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, audience) => ({ scope: '', audience, accessTokenFormat: 'jwt', accessTokenTTL: 600 }),
      },
    },
  })
  handle = provider.callback()
  console.log(issuer)
})
