"""What the wallet finds out about a credential before it keeps or shows it."""

import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from msgspec import Struct

from app.formats import sd_jwt_vc, sd_jwt_vc_verification
from app.protocol import jose, jwk
from app.protocol.strict_json import Malformed
from app.protocol.x509 import read_pem
from app.wallet.errors import Misused, WalletRefused
from app.wallet.keys import WalletKey

NO_ANCHOR = "issuer certificate not checked against an anchor (--trust FILE does)"


class Verified(Struct, frozen=True):
    """A credential that passed; what was found, line by line, and what it says."""

    anchored: bool
    """Whether the issuer's certificate was checked against trust anchors."""
    checks: Sequence[tuple[str, str]]
    """Name of the check, and its finding."""
    claims: Mapping[str, Any]
    """The person's claims; what the format needs for itself is among the checks."""


def verify_credential(
    credential: str,
    *,
    now: int,
    anchors: Sequence[x509.Certificate] | None,
    holder_key: WalletKey | None = None,
    vct: str | None = None,
) -> Verified:
    """Verify signature, certificate chain, disclosures and times, and that it is ours and of the expected type.

    Without `anchors` the chain is not checked, without `holder_key` not whose it is; both is said in the findings.
    Raises `WalletRefused`.
    """
    algorithms = jose.ALGORITHMS.keys()
    try:
        found: sd_jwt_vc_verification.IntactCredential
        if anchors is None:
            found = sd_jwt_vc_verification.inspect(credential, algorithms=algorithms, now=now)
        else:
            found = sd_jwt_vc_verification.verify(credential, anchors=anchors, algorithms=algorithms, now=now)
    except (Malformed, jose.BadSignature) as error:
        raise WalletRefused("bad_credential", str(error)) from None
    # SD-JWT VC §2.2.2.1 (CR-20): the type is what was asked for.
    if vct is not None and found.vct != vct:
        raise WalletRefused("bad_credential", f"the credential is a {found.vct}, expected {vct}")
    certificate = found.issuer_certificate.subject.rfc4514_string()
    return Verified(
        anchored=anchors is not None,
        checks=[
            ("type", found.vct),
            ("issuer", found.issuer or "not named"),
            ("signature", f"{found.header['alg']}, by {certificate}"),
            ("trust", NO_ANCHOR if anchors is None else "issuer certificate leads to a trust anchor"),
            ("holder", _holder(found.holder_jwk, holder_key)),
            ("valid", _validity(found.claims)),
        ],
        claims=personal_claims(found.claims),
    )


def personal_claims(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a credential's claims say of the person; what the format needs for itself is left out."""
    return {name: value for name, value in claims.items() if name not in sd_jwt_vc.RESERVED}


def load_anchors(file: Path) -> list[x509.Certificate]:
    """Read trust anchors from a PEM file. Raises `Misused` if there are none in it."""
    try:
        return read_pem(file.read_bytes())
    except (OSError, Malformed):
        raise Misused("unreadable_file", f"{file} holds no PEM certificates") from None


def _holder(bound_to: Mapping[str, Any] | None, holder_key: WalletKey | None) -> str:
    if holder_key is None:
        return "not checked, no key at hand" if bound_to else "bound to nobody"
    # OpenID4VCI §8.1 (CR-19): otherwise somebody else could present it, and we could not.
    if bound_to is None or not hmac.compare_digest(jwk.thumbprint(bound_to), holder_key.thumbprint):
        raise WalletRefused("bad_credential", "the credential is not bound to the wallet's key")
    return f"bound to the wallet's key {holder_key.thumbprint}"


def _validity(claims: Mapping[str, Any]) -> str:
    limits = [("from", claims.get("nbf", claims.get("iat"))), ("until", claims.get("exp"))]
    return " ".join(f"{word} {_moment(limit)}" for word, limit in limits if limit is not None) or "without limit"


def _moment(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError, OSError):
        return str(seconds)
