"""What a tenant chose that is weaker than the default; the service names it when it starts."""

from collections.abc import Iterator

from app.document.model import TenantDocument


def unsafe_choices(document: TenantDocument) -> list[str]:
    """Return one phrase for each weaker choice of a document."""
    return list(_choices(document))


def _choices(document: TenantDocument) -> Iterator[str]:
    if document.dpop.tokens == "optional":
        yield "dpop.tokens is optional: bearer tokens are issued"
    if document.dpop.nonce == "off":
        yield "dpop.nonce is off: proofs are bounded by the wallet's clock"
    if document.clients.unknown_public is not None:
        yield "clients.unknown_public: wallets nobody registered are accepted"
    if document.clients.allow_private_use_schemes:
        yield "clients.allow_private_use_schemes: redirects to schemes any app can claim"
    for name, sequence in document.sequences.items():
        if sequence.holder_binding == "unlinked":
            yield f"sequences.{name}.holder_binding is unlinked: credentials go to keys that presented nothing"
    for name, configuration in document.credentials.items():
        if configuration.same_person == "unchecked":
            yield f"credentials.{name}.same_person is unchecked: claims of two people can be in one credential"
    for name, presentation in document.presentations.items():
        if presentation.status == "unchecked":
            yield f"presentations.{name}.status is unchecked: revoked credentials are taken"
