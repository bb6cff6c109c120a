"""Access tokens as they are presented to the credential issuer (RFC 6750 §2.1, RFC 9449 §7)."""

import hmac

from app.document.model import Dpop
from app.protocol.dpop import DpopProof
from app.protocol.refusal import Refusal
from app.protocol.token import VerifiedAccessToken


def read_authorization(header: str | None) -> tuple[str, str]:
    """Return scheme (lower case) and token of an Authorization header; a token elsewhere is none (CR-03, C-25).

    Raises `Refusal`: `missing_token`, `invalid_token`, or `two_tokens` where it holds more than one credential.
    """
    if header is None:
        raise Refusal("missing_token")
    scheme, _, token = header.partition(" ")
    # RFC 9449 §7.2 (DP-25), as far as one header can carry two credentials.
    if "," in token:
        raise Refusal("two_tokens", "The Authorization header is malformed.")
    if scheme.lower() not in ("dpop", "bearer") or not token:
        raise Refusal("invalid_token", "The Authorization header is malformed.")
    return scheme.lower(), token


def check_scheme(scheme: str, token: VerifiedAccessToken, *, dpop: Dpop) -> None:
    """Refuse with `invalid_token` a token that is presented by the other scheme or that the tenant no longer takes."""
    # RFC 9449 §7.2 (DP-22, DP-23, D-06): a bound token is never a bearer token, nor the other way round.
    if (scheme == "dpop") != (token.jkt is not None):
        raise Refusal("invalid_token", "The access token needs another scheme.", reason="scheme mismatch")
    # C-29: a tenant that has become stricter meant it for the tokens that are out, too.
    if token.jkt is None and dpop.tokens == "required":
        raise Refusal("invalid_token", "The access token is not valid here.", reason="bearer token, DPoP required")


def check_key(token: VerifiedAccessToken, proof: DpopProof | None) -> None:
    """Refuse a bound token without a proof by its key (RFC 9449 §7.1); a bearer token needs none."""
    if token.jkt is None:
        return
    if proof is None:
        raise Refusal("invalid_dpop_proof", "A DPoP proof is required.")
    # DP-17
    if not hmac.compare_digest(proof.jkt, token.jkt):
        raise Refusal("invalid_token", "The access token is bound to another key.", reason="jkt mismatch")
