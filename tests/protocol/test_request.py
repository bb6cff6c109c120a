"""Authorization requests: which are in order, and which error every other gets."""

import json
from typing import Any

import pytest

from app.document.model import TenantDocument
from app.protocol.client_auth import AuthenticatedClient, KnownClient
from app.protocol.dpop import DpopProof
from app.protocol.refusal import Refusal
from app.protocol.request import AuthorizationRequest, check_redirect_uri, enabled_configuration
from app.protocol.request import read_authorization_request as read
from tests.support.documents import document
from tests.support.raw_wallet import ABSENT, REDIRECT_URI, merged

ISSUER = "https://issuer.example/pid-provider"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
JKT, OTHER_JKT = "A" * 43, "B" * 43
DOCUMENT = document()
CLIENT = AuthenticatedClient(
    client_id="demo-wallet", name="Demo", redirect_uris=[REDIRECT_URI, "https://wallet.example/cb"]
)
FORM = {
    "client_id": "demo-wallet",
    "response_type": "code",
    "redirect_uri": REDIRECT_URI,
    "scope": "pid",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


def request(proof: DpopProof | None = None, tenant: TenantDocument = DOCUMENT, **changes: Any) -> AuthorizationRequest:
    """Read the request `FORM` with changes."""
    return read(merged(FORM, changes), client=CLIENT, proof=proof, document=tenant, issuer=ISSUER)


def refusal(**changes: Any) -> str:
    """Return the code `FORM` with changes is refused with."""
    with pytest.raises(Refusal) as refused:
        request(**changes)
    return refused.value.code


def details(*entries: Any) -> str:
    """Return an `authorization_details` parameter."""
    return json.dumps(entries)


def entry(**members: Any) -> dict[str, Any]:
    """Return an entry for `pid` with changes."""
    return merged({"type": "openid_credential", "credential_configuration_id": "pid"}, members)


def claims(*paths: Any) -> str:
    """Return details that ask for claims with these paths."""
    return details(entry(claims=[{"path": path} for path in paths]))


@pytest.mark.rule("G-06", "PAR-23")
def test_a_request_is_read_as_sent_and_what_is_unknown_changes_nothing() -> None:
    plain = request(state="s")
    assert plain == AuthorizationRequest(
        client_id="demo-wallet",
        redirect_uri=REDIRECT_URI,
        scope="pid",
        granted_scope="pid",
        state="s",
        code_challenge=CHALLENGE,
        code_challenge_method="S256",
        authorization_details=None,
        configuration_ids=["pid"],
        issuer_state=None,
        dpop_jkt=None,
    )
    noise: dict[str, Any] = {
        "x_unknown": "1",
        "grant_type": "x",
        "code": "x",
        "code_verifier": "x",
        "prompt": "none",
        "nonce": "n",
    }
    assert request(state="s", **noise) == plain


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"request_uri": "urn:x"}, "invalid_request", marks=pytest.mark.rule("PAR-02")),
        pytest.param({"request": "e30.e30."}, "invalid_request", marks=pytest.mark.rule("PAR-02")),
        pytest.param({"response_type": ABSENT}, "invalid_request", marks=pytest.mark.rule("AZ-03")),
        pytest.param({"response_type": "token"}, "unsupported_response_type", marks=pytest.mark.rule("AZ-03")),
        pytest.param({"response_type": "code id_token"}, "unsupported_response_type", marks=pytest.mark.rule("AZ-03")),
        pytest.param({"response_type": "code token"}, "unsupported_response_type", marks=pytest.mark.rule("AZ-03")),
        pytest.param({"response_type": "Code"}, "unsupported_response_type", marks=pytest.mark.rule("AZ-03")),
        pytest.param({"code_challenge": ABSENT}, "invalid_request", marks=pytest.mark.rule("AZ-15", "PAR-22")),
        pytest.param({"code_challenge_method": ABSENT}, "invalid_request", marks=pytest.mark.rule("AZ-16")),
        pytest.param({"code_challenge_method": "plain"}, "invalid_request", marks=pytest.mark.rule("AZ-15")),
        pytest.param({"code_challenge_method": "S512"}, "invalid_request", marks=pytest.mark.rule("AZ-16")),
        pytest.param({"code_challenge": CHALLENGE[:10]}, "invalid_request", marks=pytest.mark.rule("AZ-17")),
        pytest.param({"code_challenge": CHALLENGE[:-1] + "="}, "invalid_request", marks=pytest.mark.rule("AZ-17")),
        pytest.param({"code_challenge": CHALLENGE + "A"}, "invalid_request", marks=pytest.mark.rule("AZ-17")),
        ({"state": "s" * 2049}, "invalid_request"),
        pytest.param({"resource": "https://issuer.example/other"}, "invalid_target", marks=pytest.mark.rule("AZ-25")),
        pytest.param({"resource": ISSUER + "/"}, "invalid_target", marks=pytest.mark.rule("AZ-25")),
        pytest.param({"resource": ISSUER.upper()}, "invalid_target", marks=pytest.mark.rule("AZ-25")),
        ({"scope": ABSENT}, "invalid_scope"),
        ({"scope": "unknown"}, "invalid_scope"),
        ({"scope": "withdrawn"}, "invalid_scope"),
        ({"scope": "PID"}, "invalid_scope"),
        ({"scope": " pid"}, "invalid_scope"),
        ({"scope": "pid "}, "invalid_scope"),
        ({"scope": "pid  residence"}, "invalid_scope"),
        ({"scope": "pid\tresidence"}, "invalid_scope"),
        ({"scope": 'pid "'}, "invalid_scope"),
        ({"scope": "pid \\"}, "invalid_scope"),
        ({"scope": "pid é"}, "invalid_scope"),
        ({"scope": "pid\n"}, "invalid_scope"),
        ({"dpop_jkt": "A" * 42}, "invalid_request"),
        ({"dpop_jkt": "A" * 44}, "invalid_request"),
        ({"dpop_jkt": "A" * 42 + "="}, "invalid_request"),
        ({"dpop_jkt": "A" * 43 + "\n"}, "invalid_request"),
    ],
)
def test_what_breaks_a_rule_is_refused(changes: dict[str, Any], code: str) -> None:
    assert refusal(**changes) == code


def test_a_state_of_2048_characters_is_kept() -> None:
    assert request(state="s" * 2048).state == "s" * 2048


@pytest.mark.rule("AZ-25")
def test_this_issuer_may_be_named_as_the_resource() -> None:
    assert request(resource=ISSUER) == request()


@pytest.mark.rule("AZ-22")
def test_every_scope_value_is_handled_on_its_own() -> None:
    read_request = request(scope="openid residence unknown pid residence withdrawn")
    assert read_request.configuration_ids == ["residence", "pid"]
    assert read_request.granted_scope == "residence pid"
    assert read_request.scope == "openid residence unknown pid residence withdrawn"


@pytest.mark.rule("AZ-18", "PAR-24")
@pytest.mark.parametrize(
    "sent",
    [
        "",
        "{",
        "null",
        "[]",
        "{}",
        '"pid"',
        details("pid"),
        details(None),
        details([entry()]),
        details(entry(), 1),
        details(entry(type=ABSENT)),
        details(entry(type="payment")),
        details(entry(type="Openid_credential")),
        details(entry(type=["openid_credential"])),
        details(entry(), entry(type="payment", credential_configuration_id="residence")),
        details(entry(credential_configuration_id=ABSENT)),
        details(entry(credential_configuration_id="unknown")),
        details(entry(credential_configuration_id="withdrawn")),
        details(entry(credential_configuration_id="")),
        details(entry(credential_configuration_id=None)),
        details(entry(credential_configuration_id=["pid"])),
        details(entry(credential_configuration_id={"pid": 1})),
        details(entry(), entry()),
        details(entry(locations=[])),
        details(entry(locations=["https://other.example"])),
        details(entry(locations=ISSUER)),
        details(entry(locations=None)),
        details(entry(locations=[[ISSUER]])),
        '[{"type":"openid_credential","credential_configuration_id":"pid","credential_configuration_id":"pid"}]',
        "[" * 40 + "]" * 40,
        '[{"type":"openid_credential","credential_configuration_id":"pid","x":NaN}]',
    ],
)
def test_details_with_anything_wrong_are_refused(sent: str) -> None:
    # Even next to a scope that would do.
    assert refusal(authorization_details=sent, scope="pid") == "invalid_authorization_details"


@pytest.mark.rule("AZ-21")
@pytest.mark.parametrize(
    "sent",
    [
        details(entry(claims=[])),
        details(entry(claims={})),
        details(entry(claims=None)),
        details(entry(claims="given_name")),
        details(entry(claims=["given_name"])),
        details(entry(claims=[{}])),
        details(entry(claims=[{"path": ["given_name"], "mandatory": "yes"}])),
        details(entry(claims=[{"path": ["given_name"], "mandatory": None}])),
        claims([]),
        claims("given_name"),
        claims(None),
        claims([["given_name"]]),
        claims([{}]),
        claims([True]),
        claims([-1]),
        claims([1.5]),
        claims(["given_name"], ["given_name"]),
        claims(["address", "locality"], ["given_name"], ["address", "locality"]),
    ],
)
def test_claims_that_are_malformed_or_repeated_are_refused(sent: str) -> None:
    assert refusal(authorization_details=sent) == "invalid_authorization_details"


@pytest.mark.rule("AZ-19")
@pytest.mark.parametrize(
    "sent",
    [
        details(entry()),
        details(entry(x_unknown={"a": [1, None]}, credential_identifiers=["x"], format="mso_mdoc")),
        details(entry(locations=["https://other.example", ISSUER])),
        claims(["given_name"], ["address"], ["address", "locality"], ["nationalities", None], ["nationalities", 0]),
        details(entry(claims=[{"path": ["unheard_of"], "mandatory": False, "x_unknown": 1}])),
    ],
)
def test_details_in_order_are_kept_as_sent(sent: str) -> None:
    read_request = request(authorization_details=sent, scope=ABSENT)
    assert read_request.configuration_ids == ["pid"]
    assert read_request.authorization_details == json.loads(sent)
    assert (read_request.scope, read_request.granted_scope) == (None, None)


@pytest.mark.rule("AZ-23", "AZ-24")
def test_scope_and_details_are_merged_and_a_credential_named_by_both_comes_once() -> None:
    residence = details(entry(credential_configuration_id="residence"))
    read_request = request(authorization_details=residence, scope="pid residence unknown")
    assert read_request.configuration_ids == ["residence", "pid"]
    assert read_request.granted_scope == "pid residence"


def test_whether_a_redirect_uri_is_needed_is_for_the_plan_to_say() -> None:
    assert request(redirect_uri=ABSENT).redirect_uri is None


@pytest.mark.rule("AZ-05", "PAR-18")
@pytest.mark.parametrize(
    "sent",
    ["", "https://wallet.example/cb/", "https://other.example/cb", "https://WALLET.example/cb", "com.example:/"],
)
def test_a_redirect_uri_that_is_not_on_the_clients_list_is_refused(sent: str) -> None:
    with pytest.raises(Refusal) as refused:
        check_redirect_uri(sent, CLIENT, document=DOCUMENT)
    assert refused.value.code == "invalid_request"


@pytest.mark.rule("AZ-06", "C-03")
@pytest.mark.parametrize(
    "listed",
    ["http://wallet.example/cb", "http://localhost.evil.example/cb", "javascript:alert(1)", "data:text/html,x", "/cb"],
)
def test_a_listed_uri_nobody_may_be_sent_to_is_refused_all_the_same(listed: str) -> None:
    client = KnownClient(client_id="demo-wallet", name="Demo", redirect_uris=[listed])
    with pytest.raises(Refusal) as refused:
        check_redirect_uri(listed, client, document=document({"clients": {"allow_private_use_schemes": True}}))
    assert refused.value.code == "invalid_request"


def test_a_private_use_scheme_needs_the_tenants_leave() -> None:
    uri = "com.example.wallet:/cb"
    client = KnownClient(client_id="demo-wallet", name="Demo", redirect_uris=[uri])
    check_redirect_uri(uri, client, document=document({"clients": {"allow_private_use_schemes": True}}))
    with pytest.raises(Refusal):
        check_redirect_uri(uri, client, document=DOCUMENT)


def test_a_disabled_configuration_is_as_good_as_none() -> None:
    assert enabled_configuration(DOCUMENT, "pid") is DOCUMENT.credentials["pid"]
    assert enabled_configuration(DOCUMENT, "withdrawn") is None
    assert enabled_configuration(DOCUMENT, "unknown") is None


@pytest.mark.rule("PAR-19")
@pytest.mark.parametrize(("parameter", "key"), [(None, None), (JKT, None), (None, JKT), (JKT, JKT)])
def test_the_session_is_bound_by_parameter_or_header(parameter: str | None, key: str | None) -> None:
    proof = DpopProof(key, "jti", 0) if key else None
    assert request(proof, dpop_jkt=parameter or ABSENT).dpop_jkt == (parameter or key)


@pytest.mark.rule("PAR-20")
def test_parameter_and_header_that_disagree_are_refused() -> None:
    assert refusal(proof=DpopProof(JKT, "jti", 0), dpop_jkt=OTHER_JKT) == "invalid_dpop_proof"
