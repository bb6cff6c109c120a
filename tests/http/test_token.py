"""The token endpoint: what a code can be exchanged for, by whom, and what every refusal leaves behind."""

from typing import Any
from urllib.parse import urlencode

import pytest

from tests.http.issued import decoded
from tests.http.refusals import assert_kept, assert_oauth_refused, credential_works
from tests.support.raw_wallet import ABSENT, Key, RawWallet
from tests.support.server import RunningServer


class TestTheAnswer:
    @pytest.mark.rule("TOK-15", "TOK-16", "G-05")
    def test_it_names_the_scope_that_was_granted_and_is_not_stored(self, wallet: RawWallet) -> None:
        answer = wallet.exchange(wallet.code({"scope": "unheard-of pid"}))
        assert answer.status_code == 200
        body = answer.json()
        assert body.keys() == {"access_token", "token_type", "expires_in", "scope"}
        assert (body["scope"], body["expires_in"]) == ("pid", 300)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["pragma"] == "no-cache"

    @pytest.mark.rule("TOK-17", "TOK-21", "DP-20")
    def test_the_token_is_a_jwt_bound_to_the_key_of_the_proof(self, server: RunningServer, wallet: RawWallet) -> None:
        answer = wallet.exchange(wallet.code(dpop=False)).json()
        assert answer["token_type"] == "DPoP"
        header, claims = (decoded(segment) for segment in answer["access_token"].split(".")[:2])
        assert (header["typ"], header["alg"]) == ("at+jwt", "ES256")
        assert header["kid"] in {key["kid"] for key in wallet.http.get(f"{wallet.issuer}/jwks.json").json()["keys"]}
        now = server.clock.now()
        assert claims.pop("sub") != claims.pop("jti")
        assert claims == {
            "iss": wallet.issuer,
            "aud": wallet.issuer,
            "client_id": "demo-wallet",
            "scope": "pid",
            "iat": now,
            "exp": now + 300,
            "cnf": {"jkt": wallet.key.thumbprint},
        }


class TestTheRequest:
    @pytest.mark.rule("TOK-01")
    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
    def test_it_is_posted(self, wallet: RawWallet, method: str) -> None:
        answer = wallet.http.request(method, f"{wallet.issuer}/token", params={"grant_type": "authorization_code"})
        assert answer.status_code == 405
        assert "POST" in answer.headers["allow"]

    @pytest.mark.rule("TOK-01")
    def test_it_is_a_form_in_the_body(self, wallet: RawWallet) -> None:
        code = wallet.code()
        form = wallet.exchange_form(code)
        url = f"{wallet.issuer}/token"

        def proof() -> dict[str, str]:
            return {"DPoP": wallet.dpop("POST", url, nonce=wallet.nonces["as"])}

        assert_oauth_refused(wallet.http.post(url, params=form, headers=proof()), 415, "invalid_request")
        in_query = wallet.http.post(url, params={"code": code}, data=form, headers=proof())
        assert_oauth_refused(in_query, 400, "invalid_request")
        as_json = wallet.http.post(url, json=form, headers=proof())
        assert_oauth_refused(as_json, 415, "invalid_request")
        assert_kept(wallet, code)

    @pytest.mark.rule("TOK-02", "TOK-03")
    def test_only_the_code_grant_is_offered(self, wallet: RawWallet) -> None:
        code = wallet.code()
        assert_oauth_refused(wallet.exchange(code, {"grant_type": ABSENT}), 400, "invalid_request")
        for other in (
            "password",
            "client_credentials",
            "refresh_token",
            "urn:ietf:params:oauth:grant-type:pre-authorized_code",
            "authorization_code ",
        ):
            refused = wallet.exchange(code, {"grant_type": other, "username": "erika", "password": "correct horse"})
            assert_oauth_refused(refused, 400, "unsupported_grant_type")
        assert_oauth_refused(wallet.exchange(code, {"code": ABSENT}), 400, "invalid_request")
        assert_kept(wallet, code)

    @pytest.mark.rule("AZ-25")
    def test_the_token_is_for_this_issuer(self, wallet: RawWallet) -> None:
        code = wallet.code()
        elsewhere = wallet.exchange(code, {"resource": "https://evil.example"})
        assert_oauth_refused(elsewhere, 400, "invalid_target")
        assert wallet.exchange(code, {"resource": wallet.issuer}).status_code == 200

    @pytest.mark.rule("C-27")
    def test_no_parameter_is_sent_twice(self, wallet: RawWallet) -> None:
        code = wallet.code()
        form = wallet.exchange_form(code, {"x_unknown": "1"})
        url = f"{wallet.issuer}/token"
        for name in form:
            for again in (form[name], "another", ""):
                answer = wallet.http.post(
                    url,
                    content=urlencode([*form.items(), (name, again)]),
                    headers={
                        "Content-Type": "application/x-www-form-urlencoded",
                        "DPoP": wallet.dpop("POST", url, nonce=wallet.nonces["as"]),
                    },
                )
                assert_oauth_refused(answer, 400, "invalid_request")
        assert_kept(wallet, code)


class TestTheClient:
    @pytest.mark.rule("TOK-04", "TOK-20", "C-21")
    @pytest.mark.parametrize(
        ("form", "headers", "status", "error"),
        [
            ({}, {"Authorization": "Basic ZGVtby13YWxsZXQ6eA=="}, 401, "invalid_client"),
            ({}, {"Authorization": "Bearer x"}, 401, "invalid_client"),
            ({"client_secret": "x"}, {}, 401, "invalid_client"),
            ({"client_assertion": "x", "client_assertion_type": "y"}, {}, 401, "invalid_client"),
            ({"client_assertion_type": "y"}, {}, 401, "invalid_client"),
            ({"client_secret": "x"}, {"Authorization": "Basic eDp5"}, 400, "invalid_request"),
            ({"client_secret": "x", "client_assertion": "y"}, {}, 400, "invalid_request"),
            ({"client_assertion": "x"}, {"Authorization": "Basic eDp5"}, 400, "invalid_request"),
        ],
        ids=lambda value: "+".join(value) if isinstance(value, dict) else None,
    )
    def test_credentials_are_judged_whenever_they_are_sent(
        self, wallet: RawWallet, form: dict[str, str], headers: dict[str, str], status: int, error: str
    ) -> None:
        code = wallet.code()
        answer = wallet.exchange(code, form, headers=headers)
        assert_oauth_refused(answer, status, error)
        assert answer.headers.get("www-authenticate") == ('Basic realm="clients"' if status == 401 else None)
        assert_kept(wallet, code)

    @pytest.mark.rule("G-15", "C-21")
    @pytest.mark.parametrize("client_id", ["retired-wallet", "nobody", "Demo-Wallet"])
    def test_no_client_of_this_tenant(self, wallet: RawWallet, client_id: str) -> None:
        code = wallet.code()
        answer = wallet.exchange(code, {"client_id": client_id})
        assert_oauth_refused(answer, 401, "invalid_client")
        assert answer.headers["www-authenticate"] == 'Basic realm="clients"'
        assert_oauth_refused(wallet.exchange(code, {"client_id": ABSENT}), 400, "invalid_request")
        assert_kept(wallet, code)

    @pytest.mark.rule("D-18")
    def test_identity_does_not_come_from_headers(self, wallet: RawWallet) -> None:
        code = wallet.code()
        smuggled = {
            "X-Client-Id": "demo-wallet",
            "X-Tenant": "pid-provider",
            "X-SSL-Client-Cert": "demo-wallet",
            "X-Forwarded-Client-Cert": 'Subject="CN=demo-wallet"',
            "X-Forwarded-User": "demo-wallet",
        }
        for form in ({"client_id": "other-wallet"}, {"client_id": ABSENT}, {"client_id": "nobody"}):
            without, with_headers = wallet.exchange(code, form), wallet.exchange(code, form, headers=smuggled)
            assert without.status_code in (400, 401)
            assert (with_headers.status_code, with_headers.content) == (without.status_code, without.content)
        assert wallet.exchange(code, headers=dict.fromkeys(smuggled, "other")).status_code == 200


class TestTheCode:
    @pytest.mark.parametrize(
        "changes",
        [
            pytest.param({"code": "x" * 43}, id="unknown", marks=pytest.mark.rule("TOK-09")),
            pytest.param({"client_id": "other-wallet"}, id="client", marks=pytest.mark.rule("TOK-05", "C-12")),
            pytest.param({"redirect_uri": ABSENT}, id="no redirect", marks=pytest.mark.rule("TOK-07", "C-02")),
            pytest.param(
                {"redirect_uri": "https://wallet.example/cb"},
                id="another of its redirects",
                marks=pytest.mark.rule("TOK-07", "C-02"),
            ),
            pytest.param(
                {"redirect_uri": "http://localhost:9556/callback"},
                id="another port",
                marks=pytest.mark.rule("TOK-07", "C-02"),
            ),
            pytest.param({"code_verifier": ABSENT}, id="no verifier", marks=pytest.mark.rule("TOK-12", "C-14")),
            pytest.param({"code_verifier": "x" * 43}, id="verifier", marks=pytest.mark.rule("TOK-12", "C-13")),
            pytest.param({"code_verifier": "x" * 129}, id="long verifier", marks=pytest.mark.rule("TOK-14")),
        ],
    )
    @pytest.mark.rule("TOK-11")
    def test_a_wrong_redemption_changes_nothing(self, wallet: RawWallet, changes: dict[str, Any]) -> None:
        code = wallet.code()
        assert_oauth_refused(wallet.exchange(code, changes), 400, "invalid_grant")
        assert_kept(wallet, code)

    @pytest.mark.rule("C-13")
    def test_a_code_injected_into_another_session(self, server: RunningServer, wallet: RawWallet) -> None:
        with server.wallet(key=wallet.key) as victim:
            stolen, own = wallet.code(), victim.code()
            assert_oauth_refused(victim.exchange(stolen), 400, "invalid_grant")
            assert_kept(victim, own)
        assert_kept(wallet, stolen)

    @pytest.mark.rule("C-14")
    def test_the_challenge_is_no_verifier(self, wallet: RawWallet) -> None:
        code = wallet.code()
        challenge = wallet.push_form()["code_challenge"]
        plain = wallet.exchange(code, {"code_verifier": challenge, "code_challenge_method": "plain"})
        assert_oauth_refused(plain, 400, "invalid_grant")
        assert_kept(wallet, code)

    @pytest.mark.rule("TOK-14")
    @pytest.mark.parametrize(
        ("verifier", "right"),
        [("a" * 42, False), ("a" * 43, True), ("~._-" * 32, True), ("a" * 129, False), ("ä" * 43, False)],
    )
    def test_the_verifiers_syntax(self, server: RunningServer, verifier: str, right: bool) -> None:
        # The digest is right for each of them: it is the syntax alone that differs.
        with server.wallet(verifier=verifier) as wallet:
            answer = wallet.exchange(wallet.code())
        if right:
            assert answer.status_code == 200
        else:
            assert_oauth_refused(answer, 400, "invalid_grant")

    @pytest.mark.rule("TOK-09", "AZ-14")
    def test_it_lives_for_a_minute(self, own_server: RunningServer) -> None:
        with own_server.wallet() as wallet:
            early, late = wallet.code(), wallet.code()
            own_server.clock.advance(59)
            assert_kept(wallet, early)
            own_server.clock.advance(1)
            assert_oauth_refused(wallet.exchange(late), 400, "invalid_grant")

    @pytest.mark.rule("AZ-14", "AZ-26", "D-08")
    @pytest.mark.parametrize("bound_by", ["header", "parameter"])
    def test_it_is_bound_to_the_key_of_the_push(self, wallet: RawWallet, bound_by: str) -> None:
        by_parameter = {"dpop_jkt": wallet.key.thumbprint}
        code = wallet.code() if bound_by == "header" else wallet.code(by_parameter, dpop=False)
        assert_oauth_refused(wallet.exchange(code, dpop={"key": Key()}), 400, "invalid_grant")
        assert_kept(wallet, code)


class TestReuse:
    @pytest.mark.rule("TOK-10", "C-10", "TOK-09")
    def test_a_rightful_second_use_revokes_what_came_of_the_first(self, wallet: RawWallet) -> None:
        code = wallet.code()
        token = wallet.exchange(code).json()["access_token"]
        assert credential_works(wallet, token)
        assert_oauth_refused(wallet.exchange(code), 400, "invalid_grant")
        assert not credential_works(wallet, token)
        assert_oauth_refused(wallet.exchange(code), 400, "invalid_grant")

    @pytest.mark.rule("TOK-10")
    def test_reuse_is_noticed_after_the_codes_own_life(self, own_server: RunningServer) -> None:
        with own_server.wallet() as wallet:
            code = wallet.code()
            token = wallet.exchange(code).json()["access_token"]
            own_server.clock.advance(120)
            assert_oauth_refused(wallet.exchange(code), 400, "invalid_grant")
            assert not credential_works(wallet, token)

    @pytest.mark.rule("TOK-10", "C-10")
    @pytest.mark.parametrize(
        ("changes", "dpop", "refusal"),
        [
            ({"code_verifier": "x" * 43}, {}, "invalid_grant"),
            ({"code_verifier": ABSENT}, {}, "invalid_grant"),
            ({"client_id": "other-wallet"}, {}, "invalid_grant"),
            ({"redirect_uri": ABSENT}, {}, "invalid_grant"),
            ({}, {"key": Key()}, "invalid_grant"),
            ({}, {"claims": {"htm": "GET"}}, "invalid_dpop_proof"),
        ],
        ids=["verifier", "no verifier", "client", "redirect", "key", "proof"],
    )
    def test_anybody_elses_second_use_revokes_nothing(
        self, wallet: RawWallet, changes: dict[str, Any], dpop: dict[str, Any], refusal: str
    ) -> None:
        code = wallet.code()
        token = wallet.exchange(code).json()["access_token"]
        assert_oauth_refused(wallet.exchange(code, changes, dpop=dpop or True), 400, refusal)
        assert credential_works(wallet, token)

    @pytest.mark.rule("D-01", "DP-13")
    def test_a_replayed_proof_is_not_a_second_use(self, wallet: RawWallet) -> None:
        code = wallet.code()
        proof = wallet.dpop("POST", f"{wallet.issuer}/token", nonce=wallet.nonces["as"])
        first = wallet.exchange(code, dpop=proof)
        assert first.status_code == 200
        assert_oauth_refused(wallet.exchange(code, dpop=proof), 400, "invalid_dpop_proof")
        assert credential_works(wallet, first.json()["access_token"])
