"""Token requests: what an authorization code turns into, and what an access token says.

RFC 6749 §4.1.3, RFC 7636 §4.6, RFC 9449 §5 and §10, RFC 9068 §2.2, OpenID4VCI §6.
"""

import hmac
from collections.abc import Mapping
from typing import Any, Final, Literal, Protocol

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from msgspec import Struct

from app.document.model import Dpop
from app.protocol import claims, jose, pkce
from app.protocol.client_auth import AuthenticatedClient
from app.protocol.dpop import DpopProof
from app.protocol.refusal import Refusal

GRANT_TYPES: Final = ("authorization_code",)
"""What `grant_types_supported` says."""

ACCESS_TOKEN_TYPE: Final = "at+jwt"  # noqa: S105  a media type, RFC 9068 §2.1

ACCESS_TOKEN_CLAIMS: Final = claims.ClaimTable(
    # RFC 9068 §2.2, all made by `access_token_claims`.
    required={
        "iss": claims.text(max_length=4096),
        "aud": claims.text(max_length=4096),
        "sub": claims.text(max_length=256),
        "client_id": claims.text(max_length=256),
        "jti": claims.text(max_length=256),
        "iat": claims.numeric_date,
        "exp": claims.numeric_date,
    },
    # RFC 9449 §6.1
    optional={"cnf": lambda value: isinstance(value, dict) and isinstance(value.get("jkt"), str)},
    ignored=frozenset({"scope", "nbf"}),
)


class IssuedCode(Protocol):
    """What a code was issued with, as the rules need it."""

    @property
    def client_id(self) -> str: ...  # noqa: D102  named by the specification
    @property
    def redirect_uri(self) -> str | None: ...  # noqa: D102  as above
    @property
    def delivered(self) -> Literal["redirect", "json"]: ...  # noqa: D102  as above
    @property
    def code_challenge(self) -> str | None: ...  # noqa: D102  as above
    @property
    def dpop_jkt(self) -> str | None: ...  # noqa: D102  as above
    @property
    def expires_at(self) -> int: ...  # noqa: D102  as above
    @property
    def used_at(self) -> int | None: ...  # noqa: D102  as above


def check_grant_type(form: Mapping[str, str]) -> None:
    """Refuse what is not an offered grant (RFC 6749 §5.2, TOK-02, TOK-03)."""
    grant_type = form.get("grant_type")
    if grant_type is None:
        raise Refusal("invalid_request", "grant_type is missing.")
    if grant_type not in GRANT_TYPES:
        raise Refusal("unsupported_grant_type", "This grant type is not offered.")


def sent_code(form: Mapping[str, str]) -> str:
    """Return the `code` of a form. Raises `Refusal("invalid_request")` where there is none."""
    if code := form.get("code"):
        return code
    raise Refusal("invalid_request", "code is missing.")


def check_sender_constraint(proof: DpopProof | None, *, dpop: Dpop) -> None:
    """Refuse a token without a key to bind it to, where the tenant demands one (RFC 9449 §5.2, DP-21)."""
    if proof is None and dpop.tokens == "required":
        raise Refusal("invalid_dpop_proof", "A DPoP proof is required.")


def judge_code(
    code: IssuedCode | None,
    form: Mapping[str, str],
    *,
    client: AuthenticatedClient,
    proof: DpopProof | None,
    now: int,
) -> None:
    """Judge a redemption. Raises `Refusal("invalid_grant")`, the same for every reason.

    A code that was used before passes if all else is right: the caller then revokes what came of it
    (RFC 6749 §4.1.2, TOK-10). Its expiry no longer matters then.
    """
    if code is None:
        raise code_refused("code unknown")
    # RFC 6749 §4.1.3 (TOK-05, C-12)
    if code.client_id != client.client_id:
        raise code_refused("code of another client")
    # RFC 6749 §4.1.3 (TOK-07, C-02); a code delivered in JSON was never redirected (TOK-08, GAP-08).
    redirect_uri = form.get("redirect_uri")
    if redirect_uri != code.redirect_uri and not (redirect_uri is None and code.delivered == "json"):
        raise code_refused("redirect_uri differs")
    # RFC 7636 §4.6 (TOK-12..TOK-14, C-13, C-14)
    if not pkce.verifier_matches(form.get("code_verifier"), code.code_challenge):
        raise code_refused("code_verifier does not match")
    # RFC 9449 §10 (DP-33, DP-34, D-08)
    if code.dpop_jkt is not None and (proof is None or not hmac.compare_digest(code.dpop_jkt, proof.jkt)):
        raise code_refused("code is bound to another DPoP key")
    if code.used_at is None and code.expires_at <= now:
        raise code_refused("code expired")


def code_refused(reason: str) -> Refusal:
    """Return the refusal of a code; to the wallet every reason is the same."""
    return Refusal("invalid_grant", "The authorization code is not valid here.", reason=reason)


def access_token_claims(
    *,
    issuer: str,
    subject: str,
    client_id: str,
    token_id: str,
    scope: str | None,
    jkt: str | None,
    issued_at: int,
    expires_at: int,
) -> dict[str, Any]:
    """Return the claims of an access token for this issuer itself (RFC 9068 §2.2, RFC 9449 §6.1, TOK-21)."""
    payload: dict[str, Any] = {
        "iss": issuer,
        "aud": issuer,
        "sub": subject,
        "client_id": client_id,
        "jti": token_id,
        "iat": issued_at,
        "exp": expires_at,
    }
    if scope is not None:
        payload["scope"] = scope
    if jkt is not None:
        payload["cnf"] = {"jkt": jkt}
    return payload


class VerifiedAccessToken(Struct, frozen=True, kw_only=True):
    """An access token of ours whose signature, issuer, audience and time are right; made by `verify_access_token` only.

    Whether it was revoked is for the look-up of its grant to say.
    """

    token_id: str
    client_id: str
    jkt: str | None


def verify_access_token(
    token: str, *, issuer: str, keys: Mapping[str, EllipticCurvePublicKey], now: int
) -> VerifiedAccessToken:
    """Verify an access token of this issuer. Raises `Refusal("invalid_token")`."""
    try:
        unverified = jose.parse_jwt(token)
        # The key is looked up exactly, in our own published set; nothing in the header is fetched (E-04..E-06).
        kid = unverified.header.get("kid")
        key = keys.get(kid) if isinstance(kid, str) else None
        if key is None or unverified.header.get("typ") != ACCESS_TOKEN_TYPE:
            raise _invalid_token("not an access token of ours")
        payload = jose.verify_jwt(unverified, key, algorithms=("ES256",)).payload
        claims.judge_shape(payload, ACCESS_TOKEN_CLAIMS)
    except (jose.Malformed, jose.BadSignature):
        raise _invalid_token("malformed or wrongly signed") from None
    # RFC 9068 §4 (CR-02, L-11, M-02)
    if payload["iss"] != issuer or payload["aud"] != issuer:
        raise _invalid_token("another issuer's")
    if payload["exp"] <= now:
        raise _invalid_token("expired")
    return VerifiedAccessToken(
        token_id=payload["jti"], client_id=payload["client_id"], jkt=payload["cnf"]["jkt"] if "cnf" in payload else None
    )


def _invalid_token(reason: str) -> Refusal:
    return Refusal("invalid_token", "The access token is not valid here.", reason=reason)


def token_type(jkt: str | None) -> Literal["DPoP", "Bearer"]:
    """Return the `token_type` of a token bound to that key, or to none (RFC 9449 §5, TOK-17)."""
    return "Bearer" if jkt is None else "DPoP"
