"""Server nonces of DPoP (RFC 9449 §8, §9): asked for at every endpoint, two families, nothing spent by asking."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests.http.refusals import assert_oauth_refused
from tests.http.slots import DPOP_SLOTS, Slot, slot
from tests.support import raw_http
from tests.support.documents import OTHER_SLUG, document, other_tenant
from tests.support.raw_wallet import ABSENT, RawWallet
from tests.support.server import RunningServer, fresh_server


@pytest.fixture
def at(server: RunningServer, wallet: RawWallet, name: str) -> Slot:
    """The endpoint a test is run for."""
    return slot(name, server, wallet)


def family(at: Slot) -> str:
    return "resource" if at.name == "DPoP at credential" else "as"


@DPOP_SLOTS
class TestEveryEndpoint:
    @pytest.mark.rule("DP-26", "DP-27", "G-09")
    def test_a_proof_without_nonce_gets_exactly_one_and_costs_nothing(self, at: Slot) -> None:
        sent = at.message(at.bent(payload={"nonce": ABSENT}))
        answer = raw_http.exchange(sent.url, sent.octets())
        assert answer.status == at.refusal[0]
        assert answer.json()["error"] == "use_dpop_nonce"
        [nonce] = answer.headers["dpop-nonce"]
        if at.name == "DPoP at credential":
            [challenge] = answer.headers["www-authenticate"]
            assert challenge.startswith('DPoP error="use_dpop_nonce"')
        # The same `jti` once more: not even that was spent.
        assert at.send(at.bent(payload={"nonce": nonce})).status_code in (200, 201)

    @pytest.mark.rule("DP-28", "DP-30", "D-09")
    def test_only_a_nonce_of_this_server_for_this_use(self, at: Slot, server: RunningServer) -> None:
        good = at.payload["nonce"]
        at.wallet.c_nonce()  # brings a nonce of the resource's family
        with server.wallet(OTHER_SLUG) as neighbour:
            neighbour.push()
            neighbour.c_nonce()
            others = {
                "random": "x" * len(good),
                "forged": good[:-6] + ("B" if good[-6] == "A" else "A") + good[-5:],
                "cut": good[:-1],
                "longer": good + "A",
                "of the other family": at.wallet.nonces["resource" if family(at) == "as" else "as"],
                "c_nonce": at.wallet.c_nonce(),
                "another tenant's": neighbour.nonces[family(at)],
                "another tenant's, other family": neighbour.nonces["resource" if family(at) == "as" else "as"],
            }
        for what, nonce in others.items():
            answer = at.send(at.bent(payload={"nonce": nonce}))
            at.assert_refused(answer, "use_dpop_nonce")
            assert answer.headers["dpop-nonce"] not in (good, nonce), what
        at.assert_kept()

    @pytest.mark.rule("DP-29")
    def test_a_server_that_gave_a_nonce_insists(self, at: Slot) -> None:
        assert at.wallet.nonces[family(at)] == at.payload["nonce"]
        at.assert_refused(at.send(at.bent(payload={"nonce": ABSENT})), "use_dpop_nonce")
        no_texts: list[Any] = ["", None, 1, [at.payload["nonce"]], {}]
        for malformed in no_texts:
            at.assert_refused(at.send(at.bent(payload={"nonce": malformed})))
        at.assert_kept()

    @pytest.mark.rule("DP-31")
    def test_a_success_brings_the_next_one_and_is_not_stored(self, at: Slot) -> None:
        answer = at.send(at.good())
        assert answer.headers["dpop-nonce"] != at.payload["nonce"]
        assert "no-store" in answer.headers["cache-control"]
        at.assert_refused(at.send(at.good()))
        again = at.bent(payload={"nonce": answer.headers["dpop-nonce"], "jti": "the next"})
        if at.name == "DPoP at PAR":
            assert at.send(again).status_code == 201
        else:
            # The one-time value of the message is spent, the proof is right.
            spent = "invalid_grant" if at.name == "DPoP at token" else "invalid_nonce"
            assert at.send(again).json()["error"] == spent


@pytest.mark.rule("DP-28")
def test_nonces_do_not_repeat(wallet: RawWallet) -> None:
    nonces = [wallet.push().headers["dpop-nonce"] for _ in range(20)]
    assert len({nonce[:40] for nonce in nonces}) == len(nonces)


@pytest.mark.rule("DP-32", "D-09")
def test_recent_nonces_live_on_beside_newer_ones_for_five_minutes(own_server: RunningServer) -> None:
    with own_server.wallet() as wallet:
        first = wallet.push().headers["dpop-nonce"]
        own_server.clock.advance(299)
        assert wallet.push().headers["dpop-nonce"] != first
        assert wallet.push(dpop={"nonce": first}).status_code == 201
        own_server.clock.advance(1)
        expired = wallet.push(dpop={"nonce": first})
        assert expired.json()["error"] == "use_dpop_nonce"
        assert wallet.push(dpop={"nonce": expired.headers["dpop-nonce"]}).status_code == 201


@pytest.fixture(scope="module")
def without_nonces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A service whose first tenant has nonces off and whose second has them on."""
    documents = [document({"dpop": {"nonce": "off"}}), other_tenant()]
    with fresh_server(tmp_path_factory.mktemp("without-nonces"), documents) as running:
        yield running


class TestNoncesOff:
    @pytest.mark.rule("DP-31")
    def test_no_answer_has_one(self, without_nonces: RunningServer) -> None:
        with without_nonces.wallet() as wallet, without_nonces.wallet(OTHER_SLUG) as neighbour:
            answers = [wallet.push(), wallet.http.post(f"{wallet.issuer}/nonce"), wallet.exchange(wallet.code())]
            answers.append(wallet.credential(answers[-1].json()["access_token"]))
            answers.append(wallet.push(dpop={"claims": {"htm": "GET"}}))
            assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 400]
            assert not any("dpop-nonce" in answer.headers for answer in answers)
            assert "dpop-nonce" in neighbour.push().headers

    @pytest.mark.rule("DP-12", "D-05")
    @pytest.mark.parametrize(
        ("seconds", "right"),
        [(-3600, False), (-121, False), (-120, True), (-10, True), (10, True), (30, True), (31, False), (3600, False)],
    )
    def test_the_window_is_narrower(self, without_nonces: RunningServer, seconds: int, right: bool) -> None:
        with without_nonces.wallet() as wallet:
            answer = wallet.push(dpop={"claims": {"iat": without_nonces.clock.now() + seconds}})
            if right:
                assert answer.status_code == 201
            else:
                assert_oauth_refused(answer, 400, "invalid_dpop_proof")

    @pytest.mark.rule("DP-37")
    def test_tokens_are_short_lived_here_too(self, without_nonces: RunningServer) -> None:
        with without_nonces.wallet() as wallet:
            assert wallet.exchange(wallet.code()).json()["expires_in"] <= 300
        with pytest.raises(msgspec.ValidationError, match="access_token"):
            document({"dpop": {"nonce": "off"}, "lifetimes": {"access_token": 301}})
