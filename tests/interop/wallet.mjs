// A wallet made of libraries that are not ours: oauth4webapi speaks OAuth and DPoP, jose signs and verifies JWTs,
// @sd-jwt/sd-jwt-vc verifies the credential. Only the pages' forms and the OpenID4VCI requests are written here.
//
//   node wallet.mjs '{"issuer", "redirectUri", "username", "password", "by": "scope" | "authorization_details"}'
//
// prints what it got as JSON, or fails.
import { X509Certificate, webcrypto } from 'node:crypto'
import { ES256, digest } from '@sd-jwt/crypto-nodejs'
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc'
import * as jose from 'jose'
import * as oauth from 'oauth4webapi'

// Node 18 has the Web Crypto API but does not offer it under these names.
globalThis.crypto ??= webcrypto
globalThis.CryptoKey ??= webcrypto.CryptoKey

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

/** Walk the pages: fill and send forms until a redirect leaves the service; its target is the answer. */
async function drivePages(url) {
  const cookies = new Map()
  let request = { url, options: {} }
  for (;;) {
    const headers = { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') }
    const response = await fetch(request.url, { ...request.options, headers, redirect: 'manual' })
    // One cookie at the most comes with an answer; Node 18 cannot list several.
    for (const cookie of [response.headers.get('set-cookie') ?? []].flat()) {
      const [, name, value] = cookie.match(/^([^=]+)=([^;]*)/)
      cookies.set(name, value)
    }
    const location = response.headers.get('location')
    if (location?.startsWith(redirectUri)) return new URL(location)
    if (location) {
      request = { url: new URL(location, request.url), options: {} }
      continue
    }
    const page = await response.text()
    if (response.status !== 200) throw new Error(`a page says ${response.status}: ${page}`)
    const form = new URLSearchParams({ action: 'approve' })
    for (const [input] of page.matchAll(/<input type="hidden"[^>]*>/g)) {
      form.set(input.match(/name="([^"]*)"/)[1], input.match(/value="([^"]*)"/)[1])
    }
    if (page.includes('type="password"')) {
      form.set('username', username)
      form.set('password', password)
    }
    const action = page.match(/<form[^>]*action="([^"]*)"/)[1]
    request = { url: new URL(action, request.url), options: { method: 'POST', body: form } }
  }
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
const callback = oauth.validateAuthResponse(as, client, await drivePages(authorize), state)

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

// Verified by the key of the certificate it came with.
const { x5c } = jose.decodeProtectedHeader(credential.split('~')[0])
const leaf = new X509Certificate(Buffer.from(x5c[0], 'base64'))
const verified = await new SDJwtVcInstance({
  hasher: digest,
  verifier: await ES256.getVerifier(leaf.publicKey.export({ format: 'jwk' })),
}).verify(credential)

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
