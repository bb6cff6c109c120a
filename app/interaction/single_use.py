"""What works once, spent in the transaction of what it is good for."""

from app.protocol import offer
from app.protocol.claims import CLOCK_SKEW
from app.protocol.dpop import DpopProof
from app.protocol.refusal import Refusal
from app.storage import TenantStore
from app.tenancy import Tenancy


def spend_proof(store: TenantStore, proof: DpopProof | None) -> None:
    """Spend a DPoP proof's `jti` (RFC 9449 §11.1, DP-13, D-01); per key, so nobody burns another's."""
    if proof is not None:
        used = Refusal("invalid_dpop_proof", "The DPoP proof was used before.")
        store.spent.spend("dpop_jti", f"{proof.jkt}.{proof.jti}", expires_at=proof.jti_expires_at, otherwise=used)


def spend_issuer_state(tenancy: Tenancy, store: TenantStore, issuer_state: str | None) -> None:
    """Spend the `issuer_state` of an offer: one of ours, of this tenant, once; it carries no rights."""
    if issuer_state is None:
        return
    # OpenID4VCI §5.1.3 (OFR-13, L-28)
    lifetime = offer.ISSUER_STATE_LIFETIME
    refusal = Refusal("invalid_request", "This offer (issuer_state) is not of this issuer, has expired, or was used.")
    if not tenancy.is_live_nonce("issuer_state", issuer_state, lifetime=lifetime):
        raise refusal
    expires_at = tenancy.clock.now() + lifetime + CLOCK_SKEW
    store.spent.spend("issuer_state", issuer_state, expires_at=expires_at, otherwise=refusal)
