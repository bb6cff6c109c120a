"""Which key a credential may be bound to: the one that presented, whoever owns the session (attack A1)."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.http.interactive import assert_code, assert_dead, assert_denied, no_code
from tests.http.issued import assert_refused, issued
from tests.http.state import count_rows
from tests.protocol.certificates import certificate
from tests.support.campus import Person, person
from tests.support.interactive_wallet import InteractiveWallet, interactive_wallet
from tests.support.raw_wallet import ABSENT, Key, merged
from tests.support.server import RunningServer


@pytest.fixture(params=[False, True], ids=["bare", "urn"])
def thief(
    request: pytest.FixtureRequest, campus_server: RunningServer, attacker: Person
) -> Iterator[InteractiveWallet]:
    """The attacker's wallet: the session, the DPoP key and `Ka` are his; in both token tables."""
    with interactive_wallet(campus_server, urn=request.param, holder=attacker.holder) as wallet:
        yield wallet


def relayed(thief: InteractiveWallet, victim: Person, scope: str = "student-card") -> str:
    """The victim's wallet answers a request of the attacker's session; return the access token he gets for it."""
    thief.scope = scope
    asked = thief.begin()
    answer = thief.show(asked, victim.pid, key=victim.holder)
    code = answer.json().get("code") or thief.agree(answer)["code"]
    token: str = thief.exchange(code).json()["access_token"]
    return token


def assert_bound(credential: Any, holder: Key) -> dict[str, Any]:
    """The credential is bound to that key; return its claims."""
    found = issued(credential)
    assert found.payload["cnf"]["jwk"] == holder.public_jwk
    return found.disclosed


class TestTheWholeAttack:
    @pytest.mark.rule("A-01", "T-A1-1")
    @pytest.mark.parametrize("scope", ["student-card", "diploma", "alumni-card"])
    def test_the_attackers_key_gets_nothing_and_the_holders_works(
        self, campus_server: RunningServer, thief: InteractiveWallet, attacker: Person, victim: Person, scope: str
    ) -> None:
        if scope == "alumni-card":
            thief.scope = scope
            redirect = thief.agree(thief.show(thief.begin(), victim.pid, key=victim.holder))
            again = thief.follow_up(redirect["auth_session"], {"code_verifier": thief.verifier})
            code = assert_code(thief.show(again, victim.pid, key=victim.holder))
            token = thief.exchange(code).json()["access_token"]
        else:
            token = relayed(thief, victim, scope)
        before = count_rows(campus_server, "issuances")
        for _ in range(6):
            assert_refused(thief.derived(token, key=attacker.holder), 400, "invalid_proof")
        assert_refused(thief.derived(token, key=Key()), 400, "invalid_proof")
        assert count_rows(campus_server, "issuances") == before
        claims = assert_bound(thief.derived(token, key=victim.holder), victim.holder)
        assert claims["given_name"] == "Erika"

    @pytest.mark.rule("A-02", "T-A1-2")
    def test_no_nonce_of_the_session_makes_the_key_another(
        self, thief: InteractiveWallet, attacker: Person, victim: Person
    ) -> None:
        asked = thief.begin()
        request = asked.json()["openid4vp_request"]
        code = assert_code(thief.show(asked, victim.pid, key=victim.holder))
        token = thief.exchange(code).json()["access_token"]
        c_nonce = thief.c_nonce()
        additions: list[dict[str, Any]] = [
            {"presentation_nonce": request["nonce"]},
            {"nonce": c_nonce, "jti": request["nonce"]},
            {"auth_session": asked.json()["auth_session"], "cnf": {"jkt": victim.holder.thumbprint}},
            {"sub": victim.holder.thumbprint},
        ]
        for claims in additions:
            assert_refused(thief.derived(token, key=attacker.holder, claims=claims), 400, "invalid_proof")
        with_the_nonce = thief.derived(token, key=attacker.holder, claims={"nonce": request["nonce"]})
        assert with_the_nonce.status_code == 400
        assert "credentials" not in with_the_nonce.json()
        proof = thief.key_proof(c_nonce, key=victim.holder)
        assert thief.derived(token, changes={"proofs": {"jwt": [proof]}}).status_code == 200

    @pytest.mark.rule("T-A1-11")
    def test_where_a_web_step_comes_first(self, thief: InteractiveWallet, attacker: Person, victim: Person) -> None:
        thief.scope = "guest-card"
        handle = thief.agree(thief.begin(), sign_in_as="max")["auth_session"]
        asked = thief.follow_up(handle, {"code_verifier": thief.verifier})
        answer = thief.show(asked, victim.pid, key=victim.holder)
        token = thief.exchange(thief.agree(answer)["code"]).json()["access_token"]
        assert_refused(thief.derived(token, key=attacker.holder), 400, "invalid_proof")
        assert_bound(thief.derived(token, key=victim.holder), victim.holder)

    @pytest.mark.rule("T-A1-1")
    def test_without_the_rule_the_attack_works(
        self, thief: InteractiveWallet, attacker: Person, victim: Person
    ) -> None:
        """What the refusals are worth: a sequence that says `unlinked` gives the attacker his credential."""
        token = relayed(thief, victim, "diploma-unlinked")
        claims = assert_bound(thief.derived(token, key=attacker.holder), attacker.holder)
        assert claims["given_name"] == "Erika"


class TestWaysAround:
    @pytest.mark.rule("A-03", "T-A1-3")
    def test_two_keys_at_once(
        self, campus_server: RunningServer, thief: InteractiveWallet, attacker: Person, victim: Person
    ) -> None:
        token = relayed(thief, victim)
        before = count_rows(campus_server, "issuances")
        for keys in (
            (victim.holder, attacker.holder),
            (attacker.holder, victim.holder),
            (victim.holder, victim.holder),
            (attacker.holder,),
        ):
            c_nonce = thief.c_nonce()
            proofs = {"proofs": {"jwt": [thief.key_proof(c_nonce, key=key) for key in keys]}}
            refused = thief.derived(token, changes=proofs)
            assert_refused(refused, 400, "invalid_proof")
        assert count_rows(campus_server, "issuances") == before
        assert_bound(thief.derived(token, key=victim.holder), victim.holder)

    @pytest.mark.rule("A-05", "T-A1-5")
    def test_a_key_named_in_another_way(self, thief: InteractiveWallet, attacker: Person, victim: Person) -> None:
        token = relayed(thief, victim)
        private = attacker.holder.private
        chain = [_base64_der(certificate("Attacker", private, issuer="Attacker", issuer_key=private))]
        did = "did:jwk:eyJrdHkiOiJFQyJ9#0"
        headers: list[dict[str, Any]] = [
            {"jwk": ABSENT, "kid": did},
            {"jwk": ABSENT, "kid": victim.holder.thumbprint},
            {"jwk": ABSENT, "kid": "did:web:evil.example#0"},
            {"jwk": ABSENT, "x5c": chain},
            {"x5c": chain},
            {"kid": victim.holder.thumbprint},
            {"kid": victim.holder.thumbprint, "jwk": merged(attacker.holder.public_jwk, {"kid": "x"})},
            {"jwk": victim.holder.public_jwk},
            {"jwk": [victim.holder.public_jwk, attacker.holder.public_jwk]},
        ]
        for header in headers:
            refused = thief.derived(token, key=attacker.holder, header=header)
            assert_refused(refused, 400, "invalid_proof")
        assert_bound(thief.derived(token, key=victim.holder), victim.holder)

    @pytest.mark.rule("T-A1-12")
    def test_other_spellings_of_the_holders_key(self, campus_server: RunningServer) -> None:
        holder = Key()
        while not holder.public_jwk["x"].startswith("AA"):
            holder = Key()
        owner = person(campus_server, "erika", holder=holder)
        own = holder.public_jwk
        short = {name: own[name].removeprefix("AA") for name in ("x", "y")}
        spellings: list[dict[str, Any]] = [
            {**own, "kid": "1", "use": "sig", "alg": "ES256"},
            {**own, "x_unknown": [1]},
            dict(reversed(own.items())),
            {**own, "x": short["x"]},
            {**own, "x": own["x"] + "="},
            {**own, "x": "AA" + own["x"]},
            {**own, "kid": "2", "d": own["x"]},
        ]
        with interactive_wallet(campus_server, holder=holder) as wallet:
            for spelling in spellings:
                token = wallet.interactive_token(owner.pid)
                answer = wallet.derived(token, header={"jwk": spelling})
                if answer.status_code == 200:
                    assert_bound(answer, holder)
                else:
                    assert_refused(answer, 400, "invalid_proof")
                    assert_bound(wallet.derived(token), holder)

    @pytest.mark.rule("A-06")
    def test_every_credential_of_the_grant(self, thief: InteractiveWallet, attacker: Person, victim: Person) -> None:
        asked = thief.begin({"scope": "student-card sports-card"})
        code = assert_code(thief.show(asked, victim.pid, key=victim.holder))
        token = thief.exchange(code).json()["access_token"]
        for scope in ("student-card", "sports-card", "student-card", "sports-card"):
            thief.scope = scope
            assert_refused(thief.derived(token, key=attacker.holder), 400, "invalid_proof")
            assert_bound(thief.derived(token, key=victim.holder), victim.holder)

    @pytest.mark.rule("A-12", "L-04")
    def test_a_relayed_key_proof_of_another_wallet(self, thief: InteractiveWallet, victim: Person) -> None:
        token = relayed(thief, victim)
        for iss in ("other-wallet", "wallet-of-the-victim", thief.issuer):
            refused = thief.derived(token, key=victim.holder, claims={"iss": iss})
            assert_refused(refused, 400, "invalid_proof")
        stale = thief.key_proof("not of ours", key=victim.holder)
        assert_refused(thief.derived(token, changes={"proofs": {"jwt": [stale]}}), 400, "invalid_nonce")
        assert_bound(thief.derived(token, key=victim.holder, claims={"iss": thief.client_id}), victim.holder)


class TestOnePerson:
    @pytest.mark.rule("A-09", "DE-19")
    def test_credentials_of_two_holders(
        self, campus_server: RunningServer, thief: InteractiveWallet, attacker: Person, victim: Person
    ) -> None:
        thief.scope = "parking-permit"

        def show(pid_of: Person, residence_of: Person) -> Any:
            asked = thief.begin()
            return asked, thief.respond(
                asked,
                {
                    "pid": [thief.present(asked, pid_of.pid, key=pid_of.holder)],
                    "residence": [thief.present(asked, residence_of.residence, key=residence_of.holder)],
                },
            )

        for pid_of, residence_of in ((victim, attacker), (attacker, victim)):
            with no_code(campus_server):
                asked, answer = show(pid_of, residence_of)
                assert_denied(answer)
                assert_dead(thief, asked, attacker.pid)
        _, answer = show(attacker, attacker)
        token = thief.exchange(assert_code(answer)).json()["access_token"]
        assert assert_bound(thief.derived(token), attacker.holder)["given_name"] == "Max"

    @pytest.mark.rule("A-18")
    def test_who_signs_in_and_who_presents(
        self, campus_server: RunningServer, thief: InteractiveWallet, attacker: Person, victim: Person
    ) -> None:
        thief.scope = "library-card"

        def shown_to(person: Person) -> Any:
            handle = thief.agree(thief.begin(), sign_in_as="max")["auth_session"]
            asked = thief.follow_up(handle, {"code_verifier": thief.verifier})
            return asked, thief.show(asked, person.pid, key=person.holder)

        with no_code(campus_server):
            asked, answer = shown_to(victim)
            assert_denied(answer)
            assert_dead(thief, asked, attacker.pid)
        _, answer = shown_to(attacker)
        token = thief.exchange(assert_code(answer)).json()["access_token"]
        claims = assert_bound(thief.derived(token), attacker.holder)
        assert (claims["given_name"], claims["family_name"]) == ("Max", "Power")

    @pytest.mark.rule("A-18")
    def test_two_people_are_told_apart_before_the_next_step(
        self, campus_server: RunningServer, thief: InteractiveWallet, attacker: Person, victim: Person
    ) -> None:
        thief.scope = "member-card"
        for shown_by, status in ((victim, 400), (attacker, 200)):
            handle = thief.agree(thief.begin(), sign_in_as="max")["auth_session"]
            asked = thief.follow_up(handle, {"code_verifier": thief.verifier})
            answer = thief.show(asked, shown_by.pid, key=shown_by.holder)
            assert answer.status_code == status, answer.text
            if status == 400:
                assert_denied(answer)
                assert_dead(thief, asked, attacker.pid)

    @pytest.mark.rule("A-09")
    def test_another_key_in_a_later_step(
        self, campus_server: RunningServer, thief: InteractiveWallet, attacker: Person, victim: Person
    ) -> None:
        thief.scope = "alumni-card"
        redirect = thief.agree(thief.show(thief.begin(), victim.pid, key=victim.holder))
        again = thief.follow_up(redirect["auth_session"], {"code_verifier": thief.verifier})
        with no_code(campus_server):
            assert_denied(thief.show(again, attacker.pid))
            assert_dead(thief, again, attacker.pid)


def _base64_der(made: x509.Certificate) -> str:
    return base64.b64encode(made.public_bytes(Encoding.DER)).decode()
