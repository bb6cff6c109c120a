"""What the credential issuer and its authorization server say about themselves, checked before anything is sent."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from app.wallet.addresses import endpoint_of, issuer_identifier, well_known
from app.wallet.errors import WalletRefused
from app.wallet.http import Http
from app.wallet.keys import ALGORITHM
from app.wallet.offer import CredentialOffer

FORMAT = "dc+sd-jwt"
"""The one credential format this wallet holds."""


class Configuration(Struct, frozen=True):
    """One credential configuration this wallet can ask for."""

    id: str
    vct: str
    scope: str | None


class CredentialIssuer(Struct, frozen=True):
    """Credential issuer metadata (OpenID4VCI §12.2.4) as far as the wallet uses it."""

    identifier: str
    credential_endpoint: str
    nonce_endpoint: str | None
    authorization_servers: tuple[str, ...]
    configurations: Mapping[str, Any]

    def configuration(self, configuration_id: str) -> Configuration:
        """Return one configuration. Raises `WalletRefused` if it is unknown or beyond this wallet."""
        entry = self.configurations.get(configuration_id)
        if not isinstance(entry, dict):
            known = ", ".join(self.configurations) or "nothing"
            raise WalletRefused("unknown_configuration", f"the issuer has no {configuration_id}; it has {known}")
        vct, scope = entry.get("vct"), entry.get("scope")
        if entry.get("format") != FORMAT or not isinstance(vct, str):
            raise WalletRefused("unsupported_configuration", f"{configuration_id} is not a {FORMAT} credential")
        if not (scope is None or isinstance(scope, str)):
            raise WalletRefused("unusable_metadata", f"scope of {configuration_id} is not a string")
        algorithms = _member(_member(entry, "proof_types_supported", dict), "jwt", dict)
        if ALGORITHM not in _member(algorithms, "proof_signing_alg_values_supported", list):
            raise WalletRefused("unsupported_configuration", f"{configuration_id} takes no jwt proof with {ALGORITHM}")
        return Configuration(configuration_id, vct, scope)


class AuthorizationServer(Struct, frozen=True):
    """Authorization server metadata (RFC 8414 §2) as far as the wallet uses it."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    pushed_authorization_request_endpoint: str | None = None
    interactive_authorization_endpoint: str | None = None
    interactive_required: bool = False
    """Whether only the interactive endpoint takes authorization requests."""


def discover_issuer(http: Http, identifier: str) -> CredentialIssuer:
    """Fetch and check the credential issuer's metadata."""
    issuer_identifier(identifier, "the credential issuer")
    url = well_known(identifier, "openid-credential-issuer")
    metadata = http.send("GET", url, "reads what the issuer offers").require(200)
    # OpenID4VCI §12.2.4 (CIM-06): otherwise somebody else's document could stand in for the issuer's.
    if metadata.get("credential_issuer") != identifier:
        raise WalletRefused("issuer_mismatch", f"{url} describes another issuer than {identifier}")
    nonce_endpoint = metadata.get("nonce_endpoint")
    servers = metadata.get("authorization_servers", [])
    if not isinstance(servers, list) or not all(isinstance(server, str) for server in servers):
        raise WalletRefused("unusable_metadata", "authorization_servers is not a list of issuers")
    return CredentialIssuer(
        identifier=identifier,
        credential_endpoint=endpoint_of(identifier, metadata.get("credential_endpoint"), "credential_endpoint"),
        nonce_endpoint=endpoint_of(identifier, nonce_endpoint, "nonce_endpoint") if nonce_endpoint else None,
        authorization_servers=tuple(servers),
        configurations=_member(metadata, "credential_configurations_supported", dict),
    )


def choose_server(issuer: CredentialIssuer, offer: CredentialOffer) -> str:
    """Return the authorization server's issuer identifier: the offered one, the first one, or the issuer itself."""
    servers = issuer.authorization_servers
    if offer.authorization_server is None:
        return servers[0] if servers else issuer.identifier
    # OpenID4VCI §4.1.1 (OFR-07): the offer chooses among the issuer's servers, it adds none.
    if offer.authorization_server not in servers:
        raise WalletRefused("invalid_offer", "the offer names an authorization server its issuer does not")
    return offer.authorization_server


def discover_server(http: Http, issuer: str) -> AuthorizationServer:
    """Fetch and check the authorization server's metadata."""
    issuer_identifier(issuer, "the authorization server")
    url = well_known(issuer, "oauth-authorization-server")
    metadata = http.send("GET", url, "reads how to ask for authorization").require(200)
    # RFC 8414 §3.3 (ASM-03): the document must be of the issuer it was asked of.
    if metadata.get("issuer") != issuer:
        raise WalletRefused("issuer_mismatch", f"{url} describes another issuer than {issuer}")
    for member, needed in (
        ("code_challenge_methods_supported", "S256"),
        ("dpop_signing_alg_values_supported", ALGORITHM),
    ):
        if needed not in _member(metadata, member, list):
            raise WalletRefused("unsupported_server", f"the authorization server's {member} lacks {needed}")
    pushed, interactive = (
        endpoint_of(issuer, metadata[name], name) if name in metadata else None
        for name in ("pushed_authorization_request_endpoint", "interactive_authorization_endpoint")
    )
    if pushed is None and interactive is None:
        raise WalletRefused(
            "unsupported_server", "the authorization server takes neither pushed nor interactive requests"
        )
    # OpenID4VCI 1.1 §13.3: it may not be there without the endpoint.
    required = _member(metadata, "require_interactive_authorization_request", bool)
    if required and interactive is None:
        raise WalletRefused("unusable_metadata", "interactive authorization is required, and no endpoint is named")
    return AuthorizationServer(
        issuer,
        endpoint_of(issuer, metadata.get("authorization_endpoint"), "authorization_endpoint"),
        endpoint_of(issuer, metadata.get("token_endpoint"), "token_endpoint"),
        pushed_authorization_request_endpoint=pushed,
        interactive_authorization_endpoint=interactive,
        interactive_required=required,
    )


def _member(container: Mapping[str, Any], name: str, kind: type) -> Any:
    """Return a member of this JSON kind, or an empty one of the kind when absent."""
    value = container.get(name, kind())
    if not isinstance(value, kind):
        raise WalletRefused("unusable_metadata", f"{name} is not of the kind the specification asks for")
    return value
