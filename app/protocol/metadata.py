"""The two well-known documents, computed from the tenant's current revision and from what is wired.

RFC 8414 §2, RFC 9126 §5, RFC 9207 §3, RFC 9449 §5.1, OpenID4VCI §12.2.4.
"""

from collections.abc import Mapping
from typing import Any, Final

from app.document.model import CredentialConfiguration, Display, TenantDocument, WebStep
from app.protocol import dpop
from app.protocol.client_auth import AUTH_METHODS
from app.protocol.credential import PROOF_ALGORITHMS
from app.protocol.pkce import METHODS
from app.protocol.token import GRANT_TYPES

AUTHORIZATION_SERVER: Final = "oauth-authorization-server"
CREDENTIAL_ISSUER: Final = "openid-credential-issuer"
CREDENTIAL_ALGORITHMS: Final = ("ES256",)
"""What credentials are signed with."""


def authorization_server_metadata(
    document: TenantDocument, *, issuer: str, endpoints: Mapping[str, str]
) -> dict[str, Any]:
    """Return the authorization server metadata; `endpoints` maps member names to the URLs that are wired."""
    scopes = [configuration.scope for configuration in document.credentials.values() if configuration.enabled]
    return {
        "issuer": issuer,
        **endpoints,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(GRANT_TYPES),
        "token_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "code_challenge_methods_supported": list(METHODS),
        "require_pushed_authorization_requests": True,
        # OpenID4VCI 1.1 §6: said where nothing of the tenant's can be had through a browser alone.
        **({"require_interactive_authorization_request": True} if _interactive_only(document) else {}),
        "authorization_response_iss_parameter_supported": True,
        "dpop_signing_alg_values_supported": list(dpop.ALGORITHMS),
        "authorization_details_types_supported": ["openid_credential"],
        # RFC 8414 §3.2 (ASM-04): an array without elements is left out.
        **({"scopes_supported": scopes} if scopes else {}),
    }


def _interactive_only(document: TenantDocument) -> bool:
    sequences = {each.sequence for each in document.credentials.values() if each.enabled}
    return bool(sequences) and not any(
        all(isinstance(step, WebStep) for step in document.sequences[name].steps) for name in sequences
    )


def credential_issuer_metadata(
    document: TenantDocument, *, issuer: str, endpoints: Mapping[str, str]
) -> dict[str, Any]:
    """Return the credential issuer metadata; the issuer is its own authorization server, so none is named."""
    return {
        "credential_issuer": issuer,
        **endpoints,
        "display": [_display(display) for display in document.tenant.display],
        "credential_configurations_supported": {
            name: _configuration(configuration)
            for name, configuration in document.credentials.items()
            if configuration.enabled
        },
    }


def _configuration(configuration: CredentialConfiguration) -> dict[str, Any]:
    return {
        "format": configuration.format,
        "vct": configuration.vct,
        "scope": configuration.scope,
        "cryptographic_binding_methods_supported": ["jwk"],
        "credential_signing_alg_values_supported": list(CREDENTIAL_ALGORITHMS),
        "proof_types_supported": {"jwt": {"proof_signing_alg_values_supported": list(PROOF_ALGORITHMS)}},
        "credential_metadata": {
            "display": [_display(display) for display in configuration.display],
            "claims": [
                {
                    "path": claim.path,
                    "mandatory": claim.mandatory,
                    **({"display": [_display(display) for display in claim.display]} if claim.display else {}),
                }
                for claim in configuration.claims
            ],
        },
    }


def _display(display: Display) -> dict[str, str]:
    members = {
        "name": display.name,
        "locale": display.locale,
        "description": display.description,
        "background_color": display.background_color,
        "text_color": display.text_color,
    }
    return {name: value for name, value in members.items() if value is not None}
