// Issues a visit pass from a clinic's own server. Usage: node issue-pass.mjs < {seed, visit, participant, role, jwk, name, iat, exp}
import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'

const b64u = (bytes) => Buffer.from(bytes).toString('base64url')
const { seed, visit, participant, role, jwk, name, iat, exp } = JSON.parse(readFileSync(0, 'utf8'))

// PKCS #8 wrapping of an Ed25519 seed (RFC 8410).
const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.from(seed, 'base64url')])
const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
const { x } = createPublicKey(key).export({ format: 'jwk' })
const kid = createHash('sha256').update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`).digest('base64url')

const header = { alg: 'EdDSA', typ: 'sv-pass+jwt', kid }
const claims = { v: 1, visit, sub: participant, role, cnf: { jwk }, name, iat, exp }
const input = `${b64u(JSON.stringify(header))}.${b64u(JSON.stringify(claims))}`
console.log(`${input}.${b64u(sign(null, input, key))}`)
