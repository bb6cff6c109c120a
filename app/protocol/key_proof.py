"""Key proofs of type `jwt` (OpenID4VCI Appendix F.1): the holder shows the key the credential is to be bound to."""

from collections.abc import Callable, Collection
from typing import Any, Final

from msgspec import Struct

from app.protocol import claims, jose, jwk
from app.protocol.refusal import Refusal
from app.protocol.strict_json import Malformed

TYPE: Final = "openid4vci-proof+jwt"

CLAIMS: Final = claims.ClaimTable(
    required={
        "aud": claims.text(max_length=4096),
        "iat": claims.numeric_date,
        "nonce": claims.text(max_length=1024),
    },
    optional={
        "iss": claims.text(max_length=4096),
        "exp": claims.numeric_date,
        "nbf": claims.numeric_date,
    },
    ignored=frozenset({"sub", "jti"}),
)


class KeyProof(Struct, frozen=True):
    """A key proof that is right for this issuer; only `judge_key_proof` makes one. The caller spends the nonce."""

    jwk: dict[str, str]
    """The public key: `kty`, `crv`, `x`, `y` and nothing else."""
    jkt: str
    nonce: str


def judge_key_proof(
    token: str,
    *,
    expected_audience: str,
    expected_client_id: str | None,
    live_nonce: Callable[[str], bool],
    algorithms: Collection[str],
    now: int,
) -> KeyProof:
    """Judge one `jwt` proof by OpenID4VCI Appendix F.1 and F.4.

    `expected_audience` is the credential issuer identifier. `expected_client_id` is the client of the access token,
    None for an anonymous one. `live_nonce` says whether a `c_nonce` is one of ours and alive. `algorithms` is what
    the metadata's `proof_signing_alg_values_supported` says. Raises `Refusal` `invalid_proof`, or `invalid_nonce`
    if the nonce is all that is wrong.
    """
    payload, key_jwk = _verify(token, algorithms)
    try:
        # PRF-05..PRF-07, L-03, L-05: `aud` is one string, a missing nonce is a malformed proof (GAP-15).
        claims.judge_shape(payload, CLAIMS)
        # Appendix F.4 (PRF-06, L-05)
        claims.judge_times(payload, now=now, max_age=300)
    except Malformed as problem:
        raise _refused(f"The key proof is not acceptable: {problem}.") from None
    # Appendix F.1 (PRF-05, L-04): exactly the credential issuer identifier.
    if payload["aud"] != expected_audience:
        raise _refused("The key proof is for another audience.")
    # Appendix F.1 (PRF-08, L-04): the client of the token, and absent where there is none.
    if "iss" in payload and payload["iss"] != expected_client_id:
        raise _refused("The key proof is from another client.")
    # §8.3.1.2 (PRF-07, L-02)
    if not live_nonce(payload["nonce"]):
        raise Refusal("invalid_nonce", "The key proof needs a current nonce.")
    return KeyProof(jwk=key_jwk, jkt=jwk.thumbprint(key_jwk), nonce=payload["nonce"])


def _verify(token: str, algorithms: Collection[str]) -> tuple[dict[str, Any], dict[str, str]]:
    try:
        unverified = jose.parse_jwt(token)
        header = unverified.header
        # Appendix F.1 (PRF-01, G-14)
        if header.get("typ") != TYPE:
            raise _refused(f"The key proof is not of type {TYPE}.")
        # Appendix F.1 (PRF-02, L-05): exactly one way to name the key, and `jwk` is the one offered.
        if [name for name in ("kid", "jwk", "x5c", "trust_chain") if name in header] != ["jwk"]:
            raise _refused("The key proof must name its key by jwk alone.")
        if not isinstance(header["jwk"], dict):
            raise _refused("The jwk of the key proof is not an object.")
        # Appendix F.4 (PRF-03, PRF-04, L-06): a public key, on the curve of a listed algorithm.
        key = jwk.import_public_jwk(header["jwk"], algorithm=unverified.algorithm)
        verified = jose.verify_jwt(unverified, key, algorithms=algorithms)
    except Malformed as problem:
        raise _refused(f"The key proof is malformed: {problem}.") from None
    except jose.BadSignature:
        raise _refused("The key proof is not signed by its key.") from None
    return verified.payload, jwk.bare_jwk(header["jwk"])


def _refused(public: str) -> Refusal:
    return Refusal("invalid_proof", public)
