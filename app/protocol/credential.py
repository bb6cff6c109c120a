"""Credential requests (OpenID4VCI §8.2) and which credential of a grant they name."""

from collections.abc import Sequence
from typing import Any, Final, Protocol, TypeVar

from msgspec import Struct

from app.document.model import TenantDocument
from app.protocol.refusal import Refusal

PROOF_ALGORITHMS: Final = ("ES256",)
"""What `proof_signing_alg_values_supported` says."""


CREDENTIALS_PER_GRANT: Final = 5
"""How many credentials a grant issues at the most, over all its configurations (L-10)."""


def allowed_credentials(document: TenantDocument, configuration_ids: Sequence[str]) -> int:
    """Return how many credentials a grant of these configurations issues."""
    wanted = sum(document.credentials[name].credentials_per_grant for name in configuration_ids)
    return min(CREDENTIALS_PER_GRANT, wanted)


class CredentialRequest(Struct, frozen=True, kw_only=True):
    """A credential request that is in order; exactly one of the two names is set."""

    credential_identifier: str | None
    credential_configuration_id: str | None
    proofs: Any
    """As sent: judged by `sole_jwt_proof`, after it is known that the credential may be asked for."""


def read_credential_request(body: dict[str, Any]) -> CredentialRequest:
    """Read the body of a credential request; unknown members are ignored (G-06). Raises `Refusal`."""
    # OpenID4VCI §8.2: no encryption is offered in the metadata, so none can be asked for (CR-09).
    if "credential_response_encryption" in body:
        raise Refusal("invalid_encryption_parameters", "Encrypted responses are not offered.")
    # OpenID4VCI §8.2 has no `proof` any more; beside `proofs` it would be a second answer to one question (L-07).
    if "proof" in body and "proofs" in body:
        raise Refusal("invalid_credential_request", "proof and proofs exclude each other.")
    identifier, configuration_id = body.get("credential_identifier"), body.get("credential_configuration_id")
    # OpenID4VCI §8.2 (CR-06, L-09)
    if (identifier is None) == (configuration_id is None):
        raise Refusal(
            "invalid_credential_request", "Exactly one of credential_identifier and credential_configuration_id."
        )
    if not isinstance(identifier, str | None) or not isinstance(configuration_id, str | None):
        raise Refusal("invalid_credential_request", "The credential must be named by a string.")
    return CredentialRequest(
        credential_identifier=identifier, credential_configuration_id=configuration_id, proofs=body.get("proofs")
    )


def sole_jwt_proof(proofs: Any) -> str:
    """Return the one `jwt` proof of a request. Raises `Refusal("invalid_proof")` or `invalid_credential_request`."""
    if proofs is None:
        # OpenID4VCI §8.3.1.2 (CR-10)
        raise Refusal("invalid_proof", "proofs is missing.")
    # OpenID4VCI §8.2, Appendix F (CR-11, CR-12, L-07, L-08): counted before anything is verified.
    if not isinstance(proofs, dict) or len(proofs) != 1:
        raise Refusal("invalid_credential_request", "proofs must have exactly one member.")
    sent = proofs.get("jwt")
    if sent is None:
        raise Refusal("invalid_proof", "Only proofs of type jwt are supported.")
    if not isinstance(sent, list) or not all(isinstance(proof, str) for proof in sent):
        raise Refusal("invalid_credential_request", "A proof type holds an array of strings.")
    if len(sent) != 1:
        raise Refusal("invalid_proof", "Exactly one proof is accepted.")
    proof: str = sent[0]
    return proof


class Grantable(Protocol):
    """A credential a grant allows."""

    @property
    def configuration_id(self) -> str: ...  # noqa: D102  named by the specification
    @property
    def credential_identifier(self) -> str | None: ...  # noqa: D102  as above


G = TypeVar("G", bound=Grantable)


def choose_credential(request: CredentialRequest, granted: Sequence[G], *, known: Sequence[str]) -> G:
    """Return the granted credential a request names; `known` are the configurations the tenant has.

    By identifier iff identifiers were returned (CR-04, CR-05). Raises `Refusal` per OpenID4VCI §8.3.1 (GAP-16).
    """
    by_identifier = any(credential.credential_identifier is not None for credential in granted)
    if request.credential_identifier is not None:
        for credential in granted:
            if by_identifier and credential.credential_identifier == request.credential_identifier:
                return credential
        raise Refusal("unknown_credential_identifier", "This credential identifier was not granted.")
    if request.credential_configuration_id not in known:
        raise Refusal("unknown_credential_configuration", "This issuer has no such credential configuration.")
    if by_identifier:
        raise Refusal("invalid_credential_request", "credential_identifier must be used with this access token.")
    for credential in granted:
        if credential.configuration_id == request.credential_configuration_id:
            return credential
    raise Refusal("insufficient_scope", "The access token does not allow this credential.")
