// What @sd-jwt/sd-jwt-vc does with a credential.
import './node18.mjs'
import { X509Certificate } from 'node:crypto'
import { ES256, digest } from '@sd-jwt/crypto-nodejs'
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc'
import * as jose from 'jose'

/** Verify a credential by the key of the certificate it came with. */
export async function verify(credential) {
  const { x5c } = jose.decodeProtectedHeader(credential.split('~')[0])
  const leaf = new X509Certificate(Buffer.from(x5c[0], 'base64'))
  const verifier = await ES256.getVerifier(leaf.publicKey.export({ format: 'jwk' }))
  return await new SDJwtVcInstance({ hasher: digest, verifier }).verify(credential)
}

/** Present a credential with nothing disclosed but the claims at the top that `query` asks for. */
export async function present(credential, query, { nonce, audience, holderKey }) {
  const kbSigner = async (text) => {
    const algorithm = { name: 'ECDSA', hash: 'SHA-256' }
    return jose.base64url.encode(new Uint8Array(await crypto.subtle.sign(algorithm, holderKey, Buffer.from(text))))
  }
  const asked = Object.fromEntries((query.claims ?? []).map(({ path: [name] }) => [name, true]))
  const kb = { payload: { iat: Math.floor(Date.now() / 1000), aud: audience, nonce } }
  return await new SDJwtVcInstance({ hasher: digest, kbSigner, kbSignAlg: 'ES256' }).present(credential, asked, { kb })
}
