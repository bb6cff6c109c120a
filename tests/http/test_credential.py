"""The credential endpoint (OpenID4VCI §8): what is issued, to which request, and how often."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cryptography import x509

from app.formats import sd_jwt_vc_verification
from app.protocol.x509 import read_x5c, verify_chain
from app.records import Grant
from app.storage import TenantStore
from tests.http.issued import Issued, assert_refused, decoded, issued
from tests.support.documents import document
from tests.support.raw_wallet import ABSENT, Browser, Key, RawWallet, redirect_parameters
from tests.support.server import RunningServer

DAY = 86_400
NESTED = {
    "credentials": {
        "pid": {
            "claims": [
                {"path": ["given_name"], "source": {"from": "user"}, "mandatory": True},
                {"path": ["address", "locality"], "source": {"from": "user"}},
                {"path": ["address", "country"], "source": {"from": "constant", "value": "DE"}, "disclosure": "always"},
                {"path": ["place", "of", "birth"], "source": {"from": "user", "path": ["address", "locality"]}},
                {"path": ["levels"], "source": {"from": "constant", "value": [1, {"a": None}]}},
                {"path": ["nickname"], "source": {"from": "user"}},
            ]
        }
    }
}


def by_details(*configuration_ids: str) -> dict[str, Any]:
    """Changes of a push that asks by authorization_details instead of scope."""
    entries = [{"type": "openid_credential", "credential_configuration_id": name} for name in configuration_ids]
    return {"scope": ABSENT, "authorization_details": json.dumps(entries)}


def details_token(wallet: RawWallet, *configuration_ids: str) -> tuple[str, dict[str, str]]:
    """An access token by authorization_details, and its identifiers by configuration."""
    answer = wallet.exchange(wallet.code(by_details(*configuration_ids)))
    assert answer.status_code == 200, answer.text
    granted = answer.json()["authorization_details"]
    return answer.json()["access_token"], {
        entry["credential_configuration_id"]: entry["credential_identifiers"][0] for entry in granted
    }


def grant_of(server: RunningServer, access_token: str) -> Grant:
    """The grant behind an access token, as it is stored."""
    grant_id = decoded(access_token.split(".")[1])["sub"]
    grant = server.store(lambda store: store.grants.by_id(grant_id))
    assert grant is not None
    return grant


def development_ca(server: RunningServer, slug: str = "pid-provider") -> x509.Certificate:
    """The certificate credentials of a tenant lead to."""
    [ca] = [
        key for key in server.store(lambda store: store.signing_keys.all(), slug) if key.purpose == "development_ca"
    ]
    return x509.load_der_x509_certificate(ca.certificate_chain[0])


@pytest.mark.rule("CR-16", "CR-18", "CR-20")
def test_the_credential_in_full(server: RunningServer, wallet: RawWallet) -> None:
    credential = issued(wallet.credential(wallet.access_token()))
    midnight = server.clock.now() // DAY * DAY
    assert credential.header.keys() == {"typ", "alg", "x5c"}
    assert (credential.header["typ"], credential.header["alg"]) == ("dc+sd-jwt", "ES256")
    assert {name: value for name, value in credential.payload.items() if name not in ("_sd", "address")} == {
        "iss": wallet.issuer,
        "iat": midnight,
        "exp": midnight + 30 * DAY,
        "vct": "urn:eudi:pid:1",
        "cnf": {"jwk": wallet.holder.public_jwk},
        "issuing_country": "DE",
        "_sd_alg": "sha-256",
    }
    # The claim on top of the house is withheld for itself: the house is plain.
    assert (len(credential.payload["_sd"]), credential.payload["address"].keys()) == (3, {"_sd"})
    assert credential.disclosed == {
        "given_name": "Erika",
        "family_name": "Mustermann",
        "birthdate": "1964-08-12",
        "locality": "Köln",
    }
    assert all(len(salt) >= 22 for salt in credential.salts)


@pytest.mark.rule("IS-02", "IS-03", "IS-15")
def test_each_configuration_has_its_type(wallet: RawWallet) -> None:
    token, identifiers = details_token(wallet, "residence", "pid")
    for identifier, vct in (("residence", "urn:example:residence:1"), ("pid", "urn:eudi:pid:1")):
        named = {"credential_identifier": identifiers[identifier], "credential_configuration_id": ABSENT}
        credential = issued(wallet.credential(token, named))
        assert (credential.payload["vct"], credential.payload["iss"]) == (vct, wallet.issuer)
        assert credential.text.endswith("~")


@pytest.mark.rule("CR-18", "X-01", "IS-01")
def test_the_chain_leads_to_the_tenants_ca_without_holding_it(server: RunningServer, wallet: RawWallet) -> None:
    credential, ca = issued(wallet.credential(wallet.access_token())), development_ca(server)
    chain = read_x5c(credential.header["x5c"])
    verify_chain(chain, anchors=[ca], now=credential.payload["iat"])
    assert ca not in chain
    verified = sd_jwt_vc_verification.verify(
        credential.text, anchors=[ca], algorithms=["ES256"], now=server.clock.now()
    )
    assert verified.claims["address"] == {"locality": "Köln"}


@pytest.mark.rule("CR-19", "CR-13", "IS-05")
def test_it_is_bound_to_the_proofs_key_not_to_the_dpop_key(wallet: RawWallet) -> None:
    token, keys = wallet.access_token(), [Key(), Key()]
    bound = []
    for key in keys:
        proofs = {"jwt": [wallet.key_proof(wallet.c_nonce(), key=key)]}
        bound.append(issued(wallet.credential(token, {"proofs": proofs})).payload["cnf"])
    assert bound == [{"jwk": key.public_jwk} for key in keys]


@pytest.mark.rule("CR-14", "CR-21", "IS-07")
def test_two_credentials_of_one_grant_have_nothing_in_common(wallet: RawWallet) -> None:
    token = wallet.access_token()
    first, second = (issued(wallet.credential(token)) for _ in range(2))
    assert len(first.salts) == len(first.digests) == 4
    # 128 bits in base64url
    assert all(len(salt) >= 22 for salt in first.salts)
    assert not first.salts & second.salts
    assert not first.digests & second.digests
    assert first.signature != second.signature
    assert first.disclosed == second.disclosed


@pytest.mark.rule("CR-14", "IS-06", "IS-14")
@pytest.mark.parametrize(("validity", "days"), [(3600, 1), (DAY, 1), (40 * 3600, 2)])
def test_times_are_whole_days_and_not_over_before_they_begin(
    own_server: RunningServer, validity: int, days: int
) -> None:
    own_server.apply(document({"credentials": {"pid": {"validity": validity}}}))
    with own_server.wallet() as wallet:
        own_server.clock.advance(0.75)
        payload = issued(wallet.credential(wallet.access_token())).payload
    assert payload["iat"] == own_server.clock.now() // DAY * DAY
    assert payload["exp"] == payload["iat"] + days * DAY


@pytest.mark.rule("CIM-25")
def test_constants_nested_paths_and_what_a_person_lacks(own_server: RunningServer) -> None:
    own_server.apply(document(NESTED))
    with own_server.wallet() as wallet:
        credential = issued(wallet.credential(wallet.access_token()))
    ca, now = development_ca(own_server), own_server.clock.now()
    verified = sd_jwt_vc_verification.verify(credential.text, anchors=[ca], algorithms=["ES256"], now=now)
    protected = {"iss", "iat", "exp", "vct", "cnf"}
    assert {name: value for name, value in verified.claims.items() if name not in protected} == {
        "given_name": "Erika",
        "address": {"locality": "Köln", "country": "DE"},
        "place": {"of": {"birth": "Köln"}},
        "levels": [1, {"a": None}],
    }
    assert credential.payload["address"]["country"] == "DE"
    assert credential.disclosed.keys() == {"given_name", "locality", "birth", "levels"}


@pytest.mark.rule("CR-26", "L-29")
def test_two_people_at_one_wallet_are_not_mixed_up(server: RunningServer) -> None:
    with server.wallet() as wallet:
        browsers = {"erika": Browser(), "max": Browser()}
        pages = {name: browser.get(wallet.authorize_url(wallet.push())) for name, browser in browsers.items()}
        pages = {name: browsers[name].sign_in(page, name) for name, page in pages.items()}
        codes = {
            name: redirect_parameters(browsers[name].submit(page))["code"] for name, page in reversed(pages.items())
        }
        tokens = {name: wallet.exchange(codes[name]).json()["access_token"] for name in browsers}
        names = {name: issued(wallet.credential(token)).disclosed["given_name"] for name, token in tokens.items()}
        for browser in browsers.values():
            browser.close()
    assert names == {"erika": "Erika", "max": "Max"}


# Which credential


@pytest.mark.rule("CR-04", "TAD-07", "L-09")
def test_after_details_the_identifier_is_the_only_name(wallet: RawWallet) -> None:
    token, identifiers = details_token(wallet, "residence", "pid")
    _, others = details_token(wallet, "pid")
    for identifier, vct in (("residence", "urn:example:residence:1"), ("pid", "urn:eudi:pid:1")):
        named = {"credential_identifier": identifiers[identifier], "credential_configuration_id": ABSENT}
        assert issued(wallet.credential(token, named)).payload["vct"] == vct
    assert_refused(wallet.credential(token), 400, "invalid_credential_request")
    for foreign in (others["pid"], "pid", "unknown"):
        named = {"credential_identifier": foreign, "credential_configuration_id": ABSENT}
        assert_refused(wallet.credential(token, named), 400, "unknown_credential_identifier")


@pytest.mark.rule("CR-05", "CR-07", "CR-08")
@pytest.mark.parametrize(
    ("named", "status", "code"),
    [
        ({"credential_configuration_id": "residence"}, 403, "insufficient_scope"),
        ({"credential_configuration_id": "withdrawn"}, 400, "unknown_credential_configuration"),
        ({"credential_configuration_id": "unknown"}, 400, "unknown_credential_configuration"),
        ({"credential_identifier": "pid"}, 400, "unknown_credential_identifier"),
    ],
)
def test_after_scope_the_configuration_is_the_only_name(
    wallet: RawWallet, named: dict[str, str], status: int, code: str
) -> None:
    token = wallet.access_token()
    changes = {"credential_configuration_id": ABSENT, **named}
    assert_refused(wallet.credential(token, changes), status, code)
    assert wallet.credential(token).status_code == 200


# How often


@pytest.mark.rule("L-10", "CR-22", "CR-21")
def test_a_grant_issues_five_credentials(wallet: RawWallet) -> None:
    token, other = wallet.access_token(), wallet.access_token()
    assert len({issued(wallet.credential(token)).text for _ in range(5)}) == 5
    for _ in range(2):
        assert_refused(wallet.credential(token), 400, "credential_request_denied")
    assert wallet.credential(other).status_code == 200


@pytest.mark.rule("L-10", "L-30")
def test_what_was_answered_counts_and_what_was_refused_does_not(own_server: RunningServer) -> None:
    own_server.apply(document({"credentials": {"pid": {"credentials_per_grant": 2}}}))
    with own_server.wallet() as wallet:
        token = wallet.access_token()
        proofs = {"jwt": [wallet.key_proof(wallet.c_nonce())]}
        assert wallet.credential(token, {"proofs": proofs}).status_code == 200
        assert_refused(wallet.credential(token, {"proofs": proofs}), 400, "invalid_nonce")
        assert grant_of(own_server, token).credentials_issued == 1
        assert wallet.credential(token).status_code == 200
        spent = grant_of(own_server, token)
        # Nothing can use the claims any more.
        assert (spent.credentials_issued, spent.authorization) == (2, None)
        assert_refused(wallet.credential(token), 400, "credential_request_denied")


@pytest.mark.rule("L-10")
def test_each_configuration_of_a_grant_has_its_own_quota(own_server: RunningServer) -> None:
    once = {"credentials_per_grant": 1}
    own_server.apply(document({"credentials": {"pid": once, "residence": once}}))
    with own_server.wallet() as wallet:
        token = wallet.access_token({"scope": "pid residence"})
        assert wallet.credential(token).status_code == 200
        # One of the other is left, and none of this.
        assert_refused(wallet.credential(token), 400, "credential_request_denied")
        assert wallet.credential(token, {"credential_configuration_id": "residence"}).status_code == 200
        assert_refused(
            wallet.credential(token, {"credential_configuration_id": "residence"}), 400, "credential_request_denied"
        )


@pytest.mark.rule("L-01")
def test_of_twenty_equal_proofs_at_once_one_is_taken(server: RunningServer, wallet: RawWallet) -> None:
    token = wallet.access_token()
    proofs = {"jwt": [wallet.key_proof(wallet.c_nonce())]}
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: wallet.credential(token, {"proofs": proofs}), range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 19
    for answer in answers:
        if answer.status_code == 400:
            assert_refused(answer, 400, "invalid_nonce")
    assert grant_of(server, token).credentials_issued == 1


# What changed since the token was issued


@pytest.mark.rule("L-15", "L-11", "CR-02")
def test_a_revoked_grant_issues_nothing(server: RunningServer, wallet: RawWallet) -> None:
    token = wallet.access_token()
    grant, now = grant_of(server, token), server.clock.now()
    assert server.store(lambda store: store.grants.revoke(grant.grant_id, now=now))
    assert_refused(wallet.credential(token), 401, "invalid_token")
    assert grant_of(server, token).credentials_issued == 0


@pytest.mark.rule("C-29", "CR-02")
@pytest.mark.parametrize("gone", ["inactive", "deleted"])
def test_a_person_who_left_gets_nothing(own_server: RunningServer, gone: str) -> None:
    users = [
        {"username": "erika", "password": "x" * 8, "active": False, "claims": {}},
        {"username": "max", "password": "x" * 8, "claims": {}},
    ]
    with own_server.wallet() as wallet:
        token = wallet.access_token()
        own_server.apply(document({"users": users[gone == "deleted" :]}))
        assert_refused(wallet.credential(token), 401, "invalid_token")
        assert grant_of(own_server, token).credentials_issued == 0


@pytest.mark.rule("CR-22", "CR-07")
def test_a_configuration_that_was_disabled_is_no_longer_issued(own_server: RunningServer) -> None:
    with own_server.wallet() as wallet:
        token, (by_identifier, identifiers) = wallet.access_token(), details_token(wallet, "pid")
        own_server.apply(document({"credentials": {"pid": {"enabled": False}}}))
        assert_refused(wallet.credential(token), 400, "unknown_credential_configuration")
        named = {"credential_identifier": identifiers["pid"], "credential_configuration_id": ABSENT}
        assert_refused(wallet.credential(by_identifier, named), 400, "credential_request_denied")
        own_server.apply(document())
        assert wallet.credential(token).status_code == 200


@pytest.mark.rule("CR-24")
def test_no_part_of_the_credential_stays_here(own_server: RunningServer) -> None:
    def issuances(store: TenantStore) -> Grant | None:
        return store.grants.by_id(decoded(token.split(".")[1])["sub"])

    with own_server.wallet() as wallet:
        token = wallet.access_token()
        credential: Issued = issued(wallet.credential(token))
    grant = own_server.store(issuances)
    assert grant is not None
    stored = b"".join(file.read_bytes() for file in own_server.settings.data_directory.rglob("*") if file.is_file())
    assert grant.grant_id.encode() in stored
    parts = [credential.signature, *credential.salts, *credential.digests, *credential.text.split("~")[1:-1]]
    for part in [*parts, "Mustermann", "1964-08-12"]:
        assert part.encode() not in stored
