"""Keys and ID tokens of the library PyJWT.

Reads {"claims": {…}} and prints {"jwks": {…}, "tokens": {name: token}}: two valid tokens for each
algorithm, and invalid ones.
"""

import json
import sys

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

CLAIMS = json.load(sys.stdin)["claims"]

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
KEYS = {
    "RS256": RSA,
    "RS384": RSA,
    "RS512": RSA,
    "PS256": RSA,
    "PS384": RSA,
    "PS512": RSA,
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}


def public_jwk(name: str, key) -> dict:
    jwk = get_default_algorithms()[name].to_jwk(key.public_key(), as_dict=True)
    jwk.pop("key_ops", None)
    return {**jwk, "kid": name, "use": "sig"}


def token(name: str, **changes) -> str:
    # Each token is unique because it can be used only once.
    claims = {**CLAIMS, "jti": f"{name} {changes} {len(TOKENS)}", **changes}
    return jwt.encode(claims, KEYS[name], algorithm=name, headers={"kid": name})


TOKENS = {}
for name in KEYS:
    TOKENS[f"session {name}"] = token(name)
    TOKENS[f"device {name}"] = token(name)
TOKENS["expired"] = token("RS256", exp=CLAIMS["iat"] - 600, iat=CLAIMS["iat"] - 900)
TOKENS["for another"] = token("RS256", aud="another")
TOKENS["not verified"] = token("RS256", email_verified=False)
TOKENS["of another domain"] = token("RS256", email="alice@elsewhere.example")
TOKENS["of another issuer"] = token("RS256", iss="https://evil.example")
TOKENS["unsigned"] = jwt.encode(CLAIMS, None, algorithm="none", headers={"kid": "RS256"}) + "AA"
TOKENS["signed with a symmetric key"] = jwt.encode(CLAIMS, "0123456789abcdef" * 4, algorithm="HS256", headers={"kid": "RS256"})
TOKENS["with another key identifier"] = jwt.encode(CLAIMS, RSA, algorithm="RS256", headers={"kid": "ES256"})
TOKENS["an access token"] = jwt.encode(CLAIMS, RSA, algorithm="RS256", headers={"kid": "RS256", "typ": "at+jwt"})

json.dump({"jwks": {"keys": [public_jwk(name, key) for name, key in KEYS.items()]}, "tokens": TOKENS}, sys.stdout)
