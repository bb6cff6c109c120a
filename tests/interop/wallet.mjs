// A wallet made of libraries that are not ours: oauth4webapi speaks OAuth and DPoP, jose signs and verifies JWTs,
// @sd-jwt/sd-jwt-vc verifies the credential. Only the pages' forms and the OpenID4VCI requests are written here.
//
//   node wallet.mjs '{"issuer", "redirectUri", "username", "password", "by": "scope" | "authorization_details"}'
//
// prints what it got as JSON, or fails.
import './node18.mjs'
import * as jose from 'jose'
import * as oauth from 'oauth4webapi'
import { verify } from './credential.mjs'
import { walkPages } from './pages.mjs'

const { issuer, redirectUri, username, password, by } = JSON.parse(process.argv[2])
const loopback = { [oauth.allowInsecureRequests]: true }
const client = { client_id: 'demo-wallet' }
const nonceErrors = []

/** Do what needs a DPoP proof, once more where the server asks for its nonce. */
async function withNonce(name, work) {
  try {
    return await work()
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error
    nonceErrors.push(name)
    return await work()
  }
}

async function fetchJson(url, options) {
  const response = await fetch(url, options)
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`)
  return await response.json()
}

/** RFC 8414 §3: the well-known segment goes between host and path. */
function wellKnown(name) {
  const url = new URL(issuer)
  url.pathname = `/.well-known/${name}${url.pathname}`
  return url
}

// Discovery: the credential issuer's metadata, then its authorization server's.
const credentialIssuer = await fetchJson(wellKnown('openid-credential-issuer'))
if (credentialIssuer.credential_issuer !== issuer) throw new Error('metadata of another credential issuer')
const authorizationServer = new URL(credentialIssuer.authorization_servers?.[0] ?? issuer)
const as = await oauth.processDiscoveryResponse(
  authorizationServer,
  await oauth.discoveryRequest(authorizationServer, { algorithm: 'oauth2', ...loopback }),
)
const configuration = credentialIssuer.credential_configurations_supported.pid

// The push, with DPoP and PKCE.
const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'))
const codeVerifier = oauth.generateRandomCodeVerifier()
const state = oauth.generateRandomState()
const details = [{ type: 'openid_credential', credential_configuration_id: 'pid' }]
const asked = by === 'scope' ? { scope: configuration.scope } : { authorization_details: JSON.stringify(details) }
const parameters = {
  response_type: 'code',
  redirect_uri: redirectUri,
  code_challenge: await oauth.calculatePKCECodeChallenge(codeVerifier),
  code_challenge_method: 'S256',
  state,
  ...asked,
}
const pushed = await withNonce('par', async () =>
  oauth.processPushedAuthorizationResponse(
    as,
    client,
    await oauth.pushedAuthorizationRequest(as, client, oauth.None(), parameters, { DPoP, ...loopback }),
  ),
)

// The browser, and what comes back (`iss` by RFC 9207, `state`).
const authorize = new URL(as.authorization_endpoint)
authorize.searchParams.set('client_id', client.client_id)
authorize.searchParams.set('request_uri', pushed.request_uri)
const redirected = await walkPages(authorize, { redirectUri, username, password })
const callback = oauth.validateAuthResponse(as, client, redirected, state)

// The exchange.
const tokens = await withNonce('token', async () =>
  oauth.processAuthorizationCodeResponse(
    as,
    client,
    await oauth.authorizationCodeGrantRequest(as, client, oauth.None(), callback, redirectUri, codeVerifier, {
      DPoP,
      ...loopback,
    }),
  ),
)
const { payload: accessToken } = await jose.jwtVerify(
  tokens.access_token,
  jose.createRemoteJWKSet(new URL(as.jwks_uri)),
  { issuer, typ: 'at+jwt' },
)

// The credential, for a key of the holder's.
const holder = await jose.generateKeyPair('ES256')
const holderJwk = await jose.exportJWK(holder.publicKey)
const { c_nonce } = await fetchJson(credentialIssuer.nonce_endpoint, { method: 'POST' })
const proof = await new jose.SignJWT({ nonce: c_nonce })
  .setProtectedHeader({ typ: 'openid4vci-proof+jwt', alg: 'ES256', jwk: holderJwk })
  .setAudience(issuer)
  .setIssuedAt()
  .sign(holder.privateKey)
const wanted =
  by === 'scope'
    ? { credential_configuration_id: 'pid' }
    : { credential_identifier: tokens.authorization_details[0].credential_identifiers[0] }
const answer = await withNonce('credential', () =>
  oauth.protectedResourceRequest(
    tokens.access_token,
    'POST',
    new URL(credentialIssuer.credential_endpoint),
    new Headers({ 'content-type': 'application/json' }),
    JSON.stringify({ ...wanted, proofs: { jwt: [proof] } }),
    { DPoP, ...loopback },
  ),
)
if (answer.status !== 200) throw new Error(`credential: ${answer.status} ${await answer.text()}`)
const [{ credential }] = (await answer.json()).credentials

const verified = await verify(credential)

console.log(
  JSON.stringify({
    nonceErrors,
    callback: [...callback.keys()],
    tokens: { ...tokens, access_token: undefined },
    accessToken,
    holderJwk,
    header: verified.header,
    claims: verified.payload,
    disclosures: credential.split('~').length - 2,
  }),
)
