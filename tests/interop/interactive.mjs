// A wallet of the published OpenID4VCI library: @openid4vc/openid4vci walks the interactive, token, nonce and credential
// endpoints. Here is only what an application has to bring: keys, what to present, and the person at the pages.
//
//   node interactive.mjs '{"offers": [link, ...], "redirectUri", "username", "password", ...}'
//
// takes up offers of one credential each, one after the other, presenting what it got before where it is asked to, and
// prints what happened as JSON. What bends it: "by": "requests" (each by itself) | "helpers" (what the library's client
// makes of them), "interactionTypes", "sendIssuerState", "answerNonce" (presents for this nonce).
import './node18.mjs'
import { createHash, randomBytes } from 'node:crypto'
import { clientAuthenticationNone, createPkce, setGlobalConfig } from '@openid4vc/oauth2'
import {
  AuthorizationFlow,
  Openid4vciClient,
  Openid4vciClientInteractiveAuthorizationError,
  extractScopesForCredentialConfigurationIds,
} from '@openid4vc/openid4vci'
import { createOpenid4vpAuthorizationRequest } from '@openid4vc/openid4vp'
import * as jose from 'jose'
import { present, verify } from './credential.mjs'
import { walkPages } from './pages.mjs'

const {
  offers,
  redirectUri,
  username,
  password,
  by = 'requests',
  interactionTypes = 'openid4vp_presentation,redirect_to_web',
  sendIssuerState = false,
  answerNonce,
} = JSON.parse(process.argv[2])
const clientId = 'demo-wallet'
// The service under test listens on a loopback host.
setGlobalConfig({ allowInsecureUrls: true })

const privateKeys = new Map()

/** Make a key, and return it in the form the library signs with. */
async function newSigner() {
  const { publicKey, privateKey } = await jose.generateKeyPair('ES256')
  const publicJwk = await jose.exportJWK(publicKey)
  privateKeys.set(await jose.calculateJwkThumbprint(publicJwk), privateKey)
  return { method: 'jwk', alg: 'ES256', publicJwk }
}

const keyOf = async ({ publicJwk }) => privateKeys.get(await jose.calculateJwkThumbprint(publicJwk))

/** What the library sent to the interactive endpoints, and what it was answered. */
const exchanges = []

async function recordingFetch(url, options) {
  const response = await fetch(url, options)
  if (String(url).endsWith('/interactive')) {
    exchanges.push({
      form: Object.fromEntries(new URLSearchParams(options.body)),
      dpop: options.headers.has('DPoP'),
      status: response.status,
      answer: await response.clone().json(),
    })
  }
  return response
}

const callbacks = {
  fetch: recordingFetch,
  generateRandom: randomBytes,
  hash: (data, algorithm) => createHash(algorithm.replace('-', '')).update(data).digest(),
  signJwt: async (signer, { header, payload }) => ({
    jwt: await new jose.SignJWT(payload).setProtectedHeader(header).sign(await keyOf(signer)),
    signerJwk: signer.publicJwk,
  }),
  clientAuthentication: clientAuthenticationNone({ clientId }),
}
const client = new Openid4vciClient({ callbacks })

// One key for all credentials: the service links what is presented with what is issued.
const holder = await newSigner()
const wallet = []

/** Answer a request for presentations with credentials of this wallet, as the text of `openid4vp_response`. */
async function answerFor(request, as) {
  // What the library has for wallets wants a client_id, which an unsigned request must not hold; its verifiers' side has
  // the schema of requests at this endpoint.
  const made = await createOpenid4vpAuthorizationRequest({ authorizationRequestPayload: request, callbacks })
  const { nonce, dcql_query: asked } = made.authorizationRequestPayload
  const bound = {
    nonce: answerNonce ?? nonce,
    audience: `iae:${new URL(as.interactive_authorization_endpoint).origin}`,
    holderKey: await keyOf(holder),
  }
  const presentations = {}
  for (const query of asked.credentials) {
    const { credential } = wallet.find(({ claims }) => query.meta.vct_values.includes(claims.vct))
    presentations[query.id] = [await present(credential, query, bound)]
  }
  return JSON.stringify({ vp_token: presentations })
}

/** Send the person through the pages, and read the code in the redirect. */
async function codeFromPages(authorizationUrl, { as, state }) {
  const redirected = await walkPages(authorizationUrl, { redirectUri, username, password })
  const options = { url: redirected.href, authorizationServerMetadata: as }
  const answer = client.parseAndVerifyAuthorizationResponseRedirectUrl(options)
  if (answer.state !== state) throw new Error('the redirect holds another state')
  return answer.code
}

/** Send each request by itself: steps may come in any order, the last may be on the web. */
async function codeByRequests({ as, scope, issuerState, pkce, state, dpop }) {
  let request = {
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    scope,
    state,
    issuer_state: issuerState,
    code_challenge: pkce.codeChallenge,
    code_challenge_method: pkce.codeChallengeMethod,
    interaction_types_supported: interactionTypes,
  }
  for (;;) {
    const sent = await client.sendInteractiveAuthorizationRequest({ authorizationServerMetadata: as, request, dpop })
    const answer = sent.interactiveAuthorizationResponse
    if (answer.status === 'ok') return answer.code
    if (answer.type === 'redirect_to_web') {
      const query = new URLSearchParams({ request_uri: answer.request_uri, client_id: clientId })
      return await codeFromPages(`${as.authorization_endpoint}?${query}`, { as, state })
    }
    request = {
      auth_session: answer.auth_session,
      openid4vp_response: await answerFor(answer.openid4vp_request, as),
    }
    dpop = sent.dpop
  }
}

/** Leave it to the client's helpers: they know a presentation that is the last step, or pages alone. */
async function codeByHelpers({ credentialOffer, issuerMetadata, as, scope, issuerState, pkce, state, dpop }) {
  const begun = await client.initiateAuthorization({
    credentialOffer,
    issuerMetadata,
    clientId,
    redirectUri,
    scope,
    state,
    pkceCodeVerifier: pkce.codeVerifier,
    additionalRequestPayload: issuerState === undefined ? undefined : { issuer_state: issuerState },
    dpop,
  })
  if (begun.authorizationFlow === AuthorizationFlow.Oauth2Redirect) {
    return await codeFromPages(begun.authorizationRequestUrl, { as, state })
  }
  const presented = await client.retrieveAuthorizationCodeUsingInteractiveAuthorization({
    credentialOffer,
    issuerMetadata,
    authSession: begun.authSession,
    openid4vpResponse: await answerFor(begun.openid4vpRequest, as),
    dpop: begun.dpop,
  })
  return presented.authorizationCode
}

/** Take up an offer of one credential. */
async function takeUp(link) {
  const credentialOffer = await client.resolveCredentialOffer(link)
  const issuerMetadata = await client.resolveIssuerMetadata(credentialOffer.credential_issuer)
  const [as] = issuerMetadata.authorizationServers
  const [configuration] = credentialOffer.credential_configuration_ids
  const signer = await newSigner()
  const pkce = await createPkce({ allowedCodeChallengeMethods: as.code_challenge_methods_supported, callbacks })
  const authorizationCode = await { requests: codeByRequests, helpers: codeByHelpers }[by]({
    credentialOffer,
    issuerMetadata,
    as,
    scope: extractScopesForCredentialConfigurationIds({
      credentialConfigurationIds: [configuration],
      issuerMetadata,
    }).join(' '),
    issuerState: sendIssuerState ? credentialOffer.grants.authorization_code.issuer_state : undefined,
    pkce,
    state: jose.base64url.encode(randomBytes(16)),
    dpop: { signer },
  })
  const { accessTokenResponse } = await client.retrieveAuthorizationCodeAccessTokenFromOffer({
    issuerMetadata,
    credentialOffer,
    authorizationCode,
    pkceCodeVerifier: pkce.codeVerifier,
    redirectUri,
    dpop: { signer },
  })
  const { c_nonce: nonce } = await client.requestNonce({ issuerMetadata })
  const { jwt } = await client.createCredentialRequestJwtProof({
    issuerMetadata,
    credentialConfigurationId: configuration,
    clientId,
    signer: holder,
    nonce,
  })
  const { credentialResponse } = await client.retrieveCredentials({
    issuerMetadata,
    credentialConfigurationId: configuration,
    proofs: { jwt: [jwt] },
    accessToken: accessTokenResponse.access_token,
    dpop: { signer },
  })
  const [{ credential }] = credentialResponse.credentials
  const { header, payload: claims } = await verify(credential)
  wallet.push({ credential, claims })
  return {
    header,
    claims,
    token: { type: accessTokenResponse.token_type, claims: jose.decodeJwt(accessTokenResponse.access_token) },
    dpopThumbprint: await jose.calculateJwkThumbprint(signer.publicJwk),
    specification: issuerMetadata.originalDraftVersion,
    understood: Object.keys(issuerMetadata.knownCredentialConfigurations),
  }
}

const taken = []
for (const link of offers) {
  exchanges.length = 0
  const result = await takeUp(link).catch((error) => {
    if (error instanceof Openid4vciClientInteractiveAuthorizationError) return { refused: error.errorResponse.error }
    throw error
  })
  taken.push({ ...result, exchanges: [...exchanges] })
}
console.log(JSON.stringify({ holderJwk: holder.publicJwk, taken }))
