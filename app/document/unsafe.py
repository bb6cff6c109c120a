"""What a tenant chose that is weaker than the default; the service names it when it starts."""

from app.document.model import TenantDocument


def unsafe_choices(document: TenantDocument) -> list[str]:
    """Return one phrase for each weaker choice of a document."""
    choices = {
        "dpop.tokens is optional: bearer tokens are issued": document.dpop.tokens == "optional",
        "dpop.nonce is off: proofs are bounded by the wallet's clock": document.dpop.nonce == "off",
        "clients.unknown_public: wallets nobody registered are accepted": document.clients.unknown_public is not None,
        "clients.allow_private_use_schemes: redirects to schemes any app can claim": (
            document.clients.allow_private_use_schemes
        ),
    }
    return [phrase for phrase, chosen in choices.items() if chosen]
