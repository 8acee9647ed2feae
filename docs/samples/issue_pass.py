"""Issues a visit pass from a clinic's own server; reads {seed, visit, participant, role, jwk, name, iat, exp}."""
import base64, hashlib, json, sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def b64u(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


ask = json.load(sys.stdin)
key = Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(ask["seed"] + "="))
x = b64u(key.public_key().public_bytes_raw())
kid = b64u(hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()).digest())

header = {"alg": "EdDSA", "typ": "sv-pass+jwt", "kid": kid}
claims = {"v": 1, "visit": ask["visit"], "sub": ask["participant"], "role": ask["role"], "cnf": {"jwk": ask["jwk"]},
          "name": ask["name"], "iat": ask["iat"], "exp": ask["exp"]}
text = b64u(json.dumps(header).encode()) + "." + b64u(json.dumps(claims).encode())
print(text + "." + b64u(key.sign(text.encode())))
