"""What a DPoP key is bound to: session, code, access token; and tenants that also issue bearer tokens."""

from collections.abc import Iterator

import pytest

from tests.http.issued import assert_refused, decoded
from tests.http.refusals import assert_kept, assert_oauth_refused, credential_works
from tests.protocol.jwts import b64
from tests.support.documents import document, other_tenant
from tests.support.raw_wallet import ABSENT, Key, RawWallet
from tests.support.server import RunningServer, fresh_server


class TestTheCode:
    @pytest.mark.rule("D-08")
    def test_parameter_and_proof_of_a_push_must_agree(self, wallet: RawWallet) -> None:
        refused = wallet.push({"dpop_jkt": Key().thumbprint})
        assert_oauth_refused(refused, 400, "invalid_dpop_proof")
        assert wallet.push({"dpop_jkt": wallet.key.thumbprint}).status_code == 201

    @pytest.mark.rule("DP-33", "AZ-26")
    @pytest.mark.parametrize("with_proof", [True, False])
    def test_a_code_bound_by_parameter(self, wallet: RawWallet, with_proof: bool) -> None:
        code = wallet.code({"dpop_jkt": wallet.key.thumbprint}, dpop=with_proof)
        assert_oauth_refused(wallet.exchange(code, dpop={"key": Key()}), 400, "invalid_grant")
        assert_kept(wallet, code)

    @pytest.mark.rule("DP-21")
    def test_no_token_without_a_proof(self, wallet: RawWallet) -> None:
        for code in (wallet.code(), wallet.code(dpop=False)):
            assert_oauth_refused(wallet.exchange(code, dpop=False), 400, "invalid_dpop_proof")
            assert_kept(wallet, code)

    @pytest.mark.rule("DP-35")
    @pytest.mark.parametrize(("client_id", "status", "error"), [
        ("nobody", 401, "invalid_client"),
        ("retired-wallet", 401, "invalid_client"),
        (ABSENT, 400, "invalid_request"),
    ])  # fmt: skip
    def test_a_proof_is_no_authentication(self, wallet: RawWallet, client_id: object, status: int, error: str) -> None:
        code = wallet.code()
        assert_oauth_refused(wallet.exchange(code, {"client_id": client_id}), status, error)
        assert_oauth_refused(wallet.push({"client_id": client_id}), status, error)
        assert_kept(wallet, code)


class TestTheAccessToken:
    @pytest.mark.rule("D-06", "DP-22", "DP-23")
    def test_a_bound_token_needs_scheme_proof_and_hash(self, wallet: RawWallet) -> None:
        token, other = wallet.access_token(), wallet.access_token()
        assert_refused(wallet.credential(token, scheme="Bearer", dpop=False), 401, "invalid_token")
        assert_refused(wallet.credential(token, scheme="Bearer"), 401, "invalid_token")
        assert_refused(wallet.credential(token, dpop=False), 401, "invalid_dpop_proof")
        for ath in (ABSENT, "", "x", b64(b"x" * 32), token):
            refused = wallet.credential(token, dpop={"claims": {"ath": ath}})
            assert_refused(refused, 401, "invalid_dpop_proof")
        assert_refused(wallet.credential(token, dpop={"access_token": other}), 401, "invalid_dpop_proof")
        assert credential_works(wallet, token)

    @pytest.mark.rule("DP-17", "D-08")
    def test_another_key(self, wallet: RawWallet) -> None:
        token = wallet.access_token()
        assert_refused(wallet.credential(token, dpop={"key": Key()}), 401, "invalid_token")
        assert credential_works(wallet, token)


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A service whose first tenant issues bearer tokens too."""
    documents = [document({"dpop": {"tokens": "optional"}}), other_tenant()]
    with fresh_server(tmp_path_factory.mktemp("lenient"), documents) as running:
        yield running


@pytest.fixture
def lenient_wallet(lenient: RunningServer) -> Iterator[RawWallet]:
    """A wallet at that tenant."""
    with lenient.wallet() as wallet:
        yield wallet


class TestBearerTokens:
    @pytest.mark.rule("TOK-17", "TOK-18")
    def test_a_wallet_without_a_key(self, lenient_wallet: RawWallet) -> None:
        answer = lenient_wallet.exchange(lenient_wallet.code(dpop=False), dpop=False).json()
        assert answer["token_type"] == "Bearer"
        assert answer["expires_in"] <= 300
        assert "cnf" not in decoded(answer["access_token"].split(".")[1])
        issued = lenient_wallet.credential(answer["access_token"], scheme="Bearer", dpop=False)
        assert issued.status_code == 200

    @pytest.mark.rule("TOK-18")
    def test_a_bearer_token_ends(self, own_server: RunningServer) -> None:
        own_server.apply(document({"dpop": {"tokens": "optional"}}))
        with own_server.wallet() as wallet:
            token = wallet.exchange(wallet.code(dpop=False), dpop=False).json()["access_token"]
            own_server.clock.advance(299)
            assert wallet.credential(token, scheme="Bearer", dpop=False).status_code == 200
            own_server.clock.advance(1)
            assert_refused(wallet.credential(token, scheme="Bearer", dpop=False), 401, "invalid_token")

    @pytest.mark.rule("CR-02", "DP-24")
    def test_both_schemes_are_challenged(self, lenient_wallet: RawWallet) -> None:
        asked = lenient_wallet.http.post(f"{lenient_wallet.issuer}/credential", json={})
        assert asked.headers["www-authenticate"] == 'DPoP algs="ES256 ES384 ES512", Bearer'
        refused = lenient_wallet.credential("x", scheme="Bearer", dpop=False)
        assert refused.headers["www-authenticate"].endswith(', Bearer error="invalid_token"')
        without_proof = lenient_wallet.credential(lenient_wallet.access_token(), dpop=False)
        assert_refused(without_proof, 401, "invalid_dpop_proof")
        assert "Bearer" not in without_proof.headers["www-authenticate"]

    @pytest.mark.rule("D-06")
    def test_a_bearer_token_is_no_dpop_token(self, lenient_wallet: RawWallet) -> None:
        token = lenient_wallet.exchange(lenient_wallet.code(dpop=False), dpop=False).json()["access_token"]
        assert_refused(lenient_wallet.credential(token), 401, "invalid_token")
        assert_refused(lenient_wallet.credential(token, dpop=False), 401, "invalid_token")
        assert lenient_wallet.credential(token, scheme="Bearer", dpop=False).status_code == 200

    @pytest.mark.rule("DP-20", "DP-23", "D-06")
    def test_with_a_proof_the_token_is_bound_and_stays_so(self, lenient_wallet: RawWallet) -> None:
        answer = lenient_wallet.exchange(lenient_wallet.code(dpop=False)).json()
        token = answer["access_token"]
        assert answer["token_type"] == "DPoP"
        assert decoded(token.split(".")[1])["cnf"] == {"jkt": lenient_wallet.key.thumbprint}
        for dpop in (True, False):
            assert_refused(lenient_wallet.credential(token, scheme="Bearer", dpop=dpop), 401, "invalid_token")
        assert credential_works(lenient_wallet, token)

    @pytest.mark.rule("DP-34", "AZ-26")
    @pytest.mark.parametrize("by_parameter", [True, False])
    def test_a_bound_code_needs_its_key(self, lenient_wallet: RawWallet, by_parameter: bool) -> None:
        bound = {"dpop_jkt": lenient_wallet.key.thumbprint} if by_parameter else {}
        code = lenient_wallet.code(bound, dpop=not by_parameter)
        assert_oauth_refused(lenient_wallet.exchange(code, dpop=False), 400, "invalid_grant")
        assert_kept(lenient_wallet, code)

    @pytest.mark.rule("G-09", "DP-26")
    def test_a_proof_that_is_sent_is_judged(self, lenient_wallet: RawWallet) -> None:
        code = lenient_wallet.code(dpop=False)
        url = f"{lenient_wallet.issuer}/token"
        for proof, error in (
            (lenient_wallet.dpop("POST", url), "use_dpop_nonce"),
            (lenient_wallet.dpop("GET", url), "invalid_dpop_proof"),
            ("garbage", "invalid_dpop_proof"),
        ):
            assert_oauth_refused(lenient_wallet.exchange(code, dpop=proof), 400, error)
        assert lenient_wallet.exchange(code, dpop=False).status_code == 200
