from typing import Any

import pytest

from app.protocol.metadata import authorization_server_metadata, credential_issuer_metadata
from tests.support.documents import document

ISSUER = "https://issuer.example/pid-provider"


def empty_arrays(value: Any, path: str = "") -> list[str]:
    if isinstance(value, dict):
        return [found for name, member in value.items() for found in empty_arrays(member, f"{path}/{name}")]
    if isinstance(value, list):
        return [found for member in value for found in empty_arrays(member, path)] if value else [path]
    return []


def authorization_server(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    endpoints = {"token_endpoint": f"{ISSUER}/token"}
    return authorization_server_metadata(document(changes), issuer=ISSUER, endpoints=endpoints)


def credential_issuer(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    endpoints = {"credential_endpoint": f"{ISSUER}/credential"}
    return credential_issuer_metadata(document(changes), issuer=ISSUER, endpoints=endpoints)


NOTHING_ENABLED = {"credentials": {name: {"enabled": False} for name in ("pid", "residence", "withdrawn")}}


def test_endpoints_are_told_as_they_are_wired() -> None:
    assert [name for name in authorization_server() if name.endswith("_endpoint")] == ["token_endpoint"]
    assert [name for name in credential_issuer() if name.endswith("_endpoint")] == ["credential_endpoint"]


@pytest.mark.rule("ASM-27")
def test_scopes_are_those_of_enabled_configurations() -> None:
    assert authorization_server()["scopes_supported"] == ["pid", "residence"]
    withdrawn = authorization_server({"credentials": {"residence": {"enabled": False}}})
    assert withdrawn["scopes_supported"] == ["pid"]


@pytest.mark.rule("ASM-04")
@pytest.mark.parametrize("changes", [None, NOTHING_ENABLED])
def test_no_array_is_empty(changes: dict[str, Any] | None) -> None:
    assert empty_arrays(authorization_server(changes)) == []
    assert empty_arrays(credential_issuer(changes)) == []


@pytest.mark.rule("CIM-15")
def test_the_configurations_are_an_object_even_where_all_are_disabled() -> None:
    assert credential_issuer(NOTHING_ENABLED)["credential_configurations_supported"] == {}


@pytest.mark.rule("CIM-17", "CIM-24", "CIM-26")
def test_a_configuration_in_full() -> None:
    changes = {
        "credentials": {
            "residence": {
                "display": [
                    {"name": "Residence", "description": "Where you live", "background_color": "#12107c"},
                    {"name": "Wohnsitz", "locale": "de", "text_color": "#ffffff"},
                ],
                "claims": [
                    {
                        "path": ["address", "locality"],
                        "source": {"from": "user", "path": ["secret", "place"]},
                        "mandatory": True,
                        "display": [{"name": "Town"}, {"name": "Ort", "locale": "de"}],
                    },
                    {"path": ["kind"], "source": {"from": "constant", "value": "main"}},
                ],
            }
        }
    }
    assert credential_issuer(changes)["credential_configurations_supported"]["residence"] == {
        "format": "dc+sd-jwt",
        "vct": "urn:example:residence:1",
        "scope": "residence",
        "cryptographic_binding_methods_supported": ["jwk"],
        "credential_signing_alg_values_supported": ["ES256"],
        "proof_types_supported": {"jwt": {"proof_signing_alg_values_supported": ["ES256"]}},
        "credential_metadata": {
            "display": [
                {
                    "name": "Residence",
                    "locale": "en",
                    "description": "Where you live",
                    "background_color": "#12107c",
                },
                {"name": "Wohnsitz", "locale": "de", "text_color": "#ffffff"},
            ],
            "claims": [
                {
                    "path": ["address", "locality"],
                    "mandatory": True,
                    "display": [{"name": "Town", "locale": "en"}, {"name": "Ort", "locale": "de"}],
                },
                {"path": ["kind"], "mandatory": False},
            ],
        },
    }


def test_the_issuers_own_names() -> None:
    changes = {"tenant": {"display": [{"name": "Office"}, {"name": "Amt", "locale": "de"}]}}
    assert credential_issuer(changes)["display"] == [
        {"name": "Office", "locale": "en"},
        {"name": "Amt", "locale": "de"},
    ]
