"""The answer a wallet did not receive: given once more to the same wallet for the same octets, and to nobody else."""

import json
from typing import Any

import httpx2
import pytest

from tests.http.interactive import assert_asks_for_browser, assert_code, assert_session_error, no_code
from tests.http.refusals import assert_kept, assert_oauth_refused
from tests.support.campus import Person, campus_university
from tests.support.interactive_wallet import InteractiveWallet, interactive_wallet
from tests.support.raw_wallet import Key
from tests.support.server import RunningServer


def accepted(wallet: InteractiveWallet, credential: str, **options: Any) -> tuple[dict[str, str], httpx2.Response]:
    """Send a follow-up that is accepted; return its form and answer."""
    asked = wallet.begin(**options)
    response = json.dumps({"vp_token": {"pid": [wallet.present(asked, credential)]}})
    form = {"auth_session": asked.json()["auth_session"], "openid4vp_response": response}
    return form, send(wallet, form, **options)


def send(wallet: InteractiveWallet, form: dict[str, str], **options: Any) -> httpx2.Response:
    """Send these octets, with a fresh proof unless the options say otherwise."""
    return wallet.post("/interactive", family="as", data=form, **options)


@pytest.mark.rule("IA-12", "B-01", "IA-19")
def test_the_code_is_told_again_once_and_is_the_same(
    campus_server: RunningServer, speaker: InteractiveWallet, victim: Person
) -> None:
    form, answer = accepted(speaker, victim.pid)
    with no_code(campus_server):
        again = send(speaker, form)
        assert (again.status_code, again.json()) == (200, answer.json())
        assert_session_error(speaker, send(speaker, form))
    assert_kept(speaker, assert_code(again))


@pytest.mark.rule("IA-12")
def test_so_is_the_next_step(speaker: InteractiveWallet, victim: Person) -> None:
    speaker.scope = "diploma"
    form, answer = accepted(speaker, victim.pid)
    again = send(speaker, form)
    assert_asks_for_browser(speaker, again)
    assert again.json() == answer.json()
    assert_session_error(speaker, send(speaker, form))
    assert "code" in speaker.agree(again)


@pytest.mark.rule("B-01", "B-03", "IA-06")
def test_only_the_same_wallet_is_told(speaker: InteractiveWallet, victim: Person) -> None:
    form, answer = accepted(speaker, victim.pid)
    assert_session_error(speaker, send(speaker, form, dpop=False))
    assert_session_error(speaker, send(speaker, form, dpop={"key": Key()}))
    assert_session_error(speaker, send(speaker, {**form, "client_id": "other-wallet"}))
    assert_oauth_refused(send(speaker, {**form, "client_id": "nobody"}), 401, "invalid_client")
    # And only for the same octets
    assert_session_error(speaker, send(speaker, {**form, "x": "1"}))
    assert_session_error(speaker, send(speaker, dict(reversed(form.items()))))
    assert send(speaker, form).json() == answer.json()


@pytest.mark.rule("D-01")
def test_it_takes_a_fresh_proof(speaker: InteractiveWallet, victim: Person) -> None:
    asked = speaker.begin()
    form = {"auth_session": asked.json()["auth_session"]}
    form["openid4vp_response"] = json.dumps({"vp_token": {"pid": [speaker.present(asked, victim.pid)]}})
    proof = speaker.dpop("POST", speaker.endpoint, nonce=speaker.nonces["as"])
    answer = send(speaker, form, dpop=proof)
    assert_oauth_refused(send(speaker, form, dpop=proof), 400, "invalid_dpop_proof")
    assert send(speaker, form).json() == answer.json()


@pytest.mark.rule("B-01")
def test_a_wallet_without_a_key_is_told_nothing_twice(speaker: InteractiveWallet, victim: Person) -> None:
    form, answer = accepted(speaker, victim.pid, dpop=False)
    assert_code(answer)
    assert_session_error(speaker, send(speaker, form, dpop=False))
    assert_session_error(speaker, send(speaker, form))


@pytest.mark.rule("IA-12")
def test_only_the_latest_is_told_again(speaker: InteractiveWallet, victim: Person) -> None:
    speaker.scope = "alumni-card"
    form, answer = accepted(speaker, victim.pid)
    handle = speaker.agree(answer)["auth_session"]
    assert speaker.follow_up(handle, {"code_verifier": speaker.verifier}).status_code == 200
    assert_session_error(speaker, send(speaker, form))


class TestTheTime:
    def test_after_half_a_minute_it_is_gone(self, own_campus: RunningServer, own_victim: Person) -> None:
        with interactive_wallet(own_campus, holder=own_victim.holder) as wallet:
            in_time, answer = accepted(wallet, own_victim.pid)
            own_campus.clock.advance(29)
            assert send(wallet, in_time).json() == answer.json()
            late, _ = accepted(wallet, own_victim.pid)
            own_campus.clock.advance(30)
            assert_session_error(wallet, send(wallet, late))

    def test_a_tenant_may_do_without(self, own_campus: RunningServer, own_victim: Person) -> None:
        own_campus.apply(campus_university(changes={"interactive": {"repeat_lost_answers": False}}))
        with interactive_wallet(own_campus, holder=own_victim.holder) as wallet:
            form, answer = accepted(wallet, own_victim.pid)
            assert_code(answer)
            assert_session_error(wallet, send(wallet, form))
