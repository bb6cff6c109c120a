"""Presentations that do not hold, over HTTP: refused without a reason, and the session is over.

What the verifier makes of each fault is shown where it is tested alone; here every kind of fault meets the endpoint.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.http.interactive import assert_code, assert_dead, assert_denied, assert_killed_by, assert_live, no_code
from tests.http.issued import issued
from tests.http.refusals import assert_oauth_refused
from tests.protocol.jwts import public_jwk
from tests.support.campus import Person, person
from tests.support.interactive_wallet import InteractiveWallet, interactive_wallet
from tests.support.presented import OTHER_ISSUER, PID_ISSUER, PID_KEY, Issuer, disclosure
from tests.support.raw_wallet import ABSENT, Key
from tests.support.server import RunningServer

Made = Callable[[InteractiveWallet, httpx2.Response, Person], Any]
"""What is sent as `vp_token` in place of the rightful presentation."""


def bent(**bends: Any) -> Made:
    """The rightful presentation but for its key binding."""
    return lambda wallet, asked, person: wallet.present(asked, person.pid, **bends)


def altered(change: Callable[[str], str]) -> Made:
    """The rightful presentation, altered after it was signed."""
    return lambda wallet, asked, person: change(wallet.present(asked, person.pid))


def of(credential: Callable[[InteractiveWallet, Person], str]) -> Made:
    """A rightful presentation of another credential."""
    return lambda wallet, asked, person: wallet.present(asked, credential(wallet, person))


def self_made(issuer: Issuer, **bends: Any) -> Made:
    """Credentials of anybody's own making, rightly bound and presented."""
    return of(lambda wallet, person: issuer.issue(holder=wallet.holder.private, **bends).text)


def _flip(text: str) -> str:
    """Change one character in the middle."""
    middle = len(text) // 2
    return text[:middle] + ("A" if text[middle] != "A" else "B") + text[middle + 1 :]


def _part(index: int, change: Callable[[str], str]) -> Callable[[str], str]:
    """Change one of the parts between tildes; 0 is the issuer's JWT, -1 the key binding."""

    def changed(presentation: str) -> str:
        parts = presentation.split("~")
        parts[index] = change(parts[index])
        return "~".join(parts)

    return changed


def _inserted(text: str) -> Callable[[str], str]:
    return lambda presentation: "~".join([*presentation.split("~")[:-1], text, presentation.split("~")[-1]])


_OWN = Key()
_MINE = disclosure("c2FsdHNhbHRzYWx0c2FsdA", "family_name", "Whatever")

UNBOUND = [
    pytest.param(altered(_part(-1, lambda _: "")), id="no key binding", marks=pytest.mark.rule("A-10", "VPB-14")),
    pytest.param(bent(key=_OWN), id="another key", marks=pytest.mark.rule("IA-27", "A-10")),
    pytest.param(
        bent(key=_OWN, header={"jwk": _OWN.public_jwk}), id="a key of its own", marks=pytest.mark.rule("AG-12")
    ),
    pytest.param(bent(header={"typ": "JWT"}), id="not typed", marks=pytest.mark.rule("AG-14")),
    pytest.param(bent(header={"alg": "none"}), id="unsigned", marks=pytest.mark.rule("IA-27")),
    pytest.param(bent(claims={"nonce": "another"}), id="another nonce", marks=pytest.mark.rule("IA-18")),
    pytest.param(bent(claims={"nonce": ABSENT}), id="no nonce", marks=pytest.mark.rule("IA-18")),
    pytest.param(bent(claims={"iat": 1_900_000_000 - 3600}), id="old", marks=pytest.mark.rule("AG-16")),
    pytest.param(bent(claims={"iat": 1_900_000_000 + 3600}), id="from the future", marks=pytest.mark.rule("AG-16")),
    pytest.param(bent(claims={"sd_hash": "x" * 43}), id="of another SD-JWT", marks=pytest.mark.rule("VPB-04")),
    pytest.param(altered(_part(-1, _flip)), id="key binding altered", marks=pytest.mark.rule("VPB-04")),
    pytest.param(altered(_part(1, _flip)), id="disclosure altered", marks=pytest.mark.rule("VPB-04")),
    pytest.param(altered(_inserted(_MINE)), id="disclosure added", marks=pytest.mark.rule("AG-03", "AG-05")),
    pytest.param(
        altered(lambda text: "~".join([text.split("~")[0], *text.split("~")[2:]])),
        id="disclosure removed",
        marks=pytest.mark.rule("AG-03"),
    ),
    pytest.param(altered(_part(0, _flip)), id="issuer's JWT altered", marks=pytest.mark.rule("IA-27")),
]

UNTRUSTED = [
    pytest.param(self_made(PID_ISSUER), id="by an authority of another tenant", marks=pytest.mark.rule("A-22")),
    pytest.param(self_made(OTHER_ISSUER), id="by an unknown authority", marks=pytest.mark.rule("A-22")),
    pytest.param(
        self_made(PID_ISSUER, header={"x5c": ABSENT, "kid": "1"}), id="by a kid", marks=pytest.mark.rule("A-22")
    ),
    pytest.param(self_made(PID_ISSUER, header={"x5c": []}), id="by nobody", marks=pytest.mark.rule("A-22")),
    pytest.param(
        self_made(PID_ISSUER, header={"x5c": ABSENT, "jwk": public_jwk(PID_KEY)}),
        id="by a key of its own",
        marks=pytest.mark.rule("A-22"),
    ),
    pytest.param(
        of(lambda wallet, person: person.residence), id="another type", marks=pytest.mark.rule("J-03", "A-22")
    ),
]

INCOMPLETE: list[Any] = [
    pytest.param(lambda *_: {"pid": ["x"]}, id="no SD-JWT", marks=pytest.mark.rule("A-11")),
    pytest.param(lambda *_: {"pid": [""]}, id="nothing", marks=pytest.mark.rule("A-11")),
    pytest.param(lambda *_: {"pid": []}, id="none", marks=pytest.mark.rule("A-11", "J-01")),
    pytest.param(lambda *_: {}, id="no answer", marks=pytest.mark.rule("A-11", "IA-28", "J-01")),
    pytest.param(bent(disclose=[]), id="no claim", marks=pytest.mark.rule("J-01", "IA-27")),
    pytest.param(bent(disclose=["given_name"]), id="a claim missing", marks=pytest.mark.rule("J-01")),
    pytest.param(
        lambda wallet, asked, person: {"pid": [wallet.present(asked, person.pid)] * 2},
        id="twice",
        marks=pytest.mark.rule("J-02", "IA-28"),
    ),
]


@pytest.mark.parametrize("made", [*UNBOUND, *UNTRUSTED, *INCOMPLETE])
def test_what_does_not_hold_ends_the_session(
    campus_server: RunningServer, speaker: InteractiveWallet, victim: Person, made: Made
) -> None:
    assert_killed_by(campus_server, speaker, victim, lambda asked: speaker.respond(asked, made(speaker, asked, victim)))


@pytest.mark.rule("B-21")
def test_the_first_that_does_not_hold_is_the_last(speaker: InteractiveWallet, victim: Person) -> None:
    asked = speaker.begin()
    answers = [speaker.show(asked, victim.pid, key=_OWN) for _ in range(20)]
    assert_denied(answers[0])
    for answer in answers[1:]:
        assert_oauth_refused(answer, 400, "invalid_request")


@pytest.mark.rule("A-11", "IA-27")
def test_every_fault_is_answered_alike(speaker: InteractiveWallet, victim: Person) -> None:
    bodies = set()
    for made in (bent(key=_OWN), bent(claims={"nonce": "x"}), bent(disclose=[]), self_made(OTHER_ISSUER)):
        asked = speaker.begin()
        bodies.add(speaker.respond(asked, made(speaker, asked, victim)).content)
    assert len(bodies) == 1


class TestAudience:
    @pytest.mark.rule("VPB-01", "A-15", "IA-29")
    def test_only_the_exact_origin_of_the_endpoint(
        self, campus_server: RunningServer, speaker: InteractiveWallet, victim: Person
    ) -> None:
        url = campus_server.url
        host, port = urlsplit(url).hostname or "", urlsplit(url).port
        for audience in (
            url, f"iae:{url}/", f"iae:{speaker.endpoint}", f"iae:{speaker.issuer}", f"ia:{url}", f"iar:{url}",
            f"ia:{speaker.endpoint}", f"origin:{url}", f"iae:https://{host}:{port}", f"iae:http://{host}",
            f"iae:http://{host.upper()}:{port}", f"iae:http://{host}.:{port}", f"iae:http://127.0.0.1:{port}",
            f"iae: {url}", f"IAE:{url}", f"iae:{url}#", f"iae:{url}?", f"iae:http://user@{host}:{port}",
            speaker.endpoint, speaker.issuer, "demo-wallet", "", [f"iae:{url}"], [f"iae:{url}", "x"], None, ABSENT,
        ):  # fmt: skip
            assert_killed_by(
                campus_server,
                speaker,
                victim,
                lambda asked, audience=audience: speaker.show(asked, victim.pid, claims={"aud": audience}),  # type: ignore[misc]  # bound early
            )
        assert_code(speaker.show(speaker.begin(), victim.pid, claims={"aud": f"iae:{url}"}))

    @pytest.mark.rule("VPB-12", "A-16", "A-14")
    @pytest.mark.parametrize(
        "audience",
        [
            "iae:https://evil.example",
            "x509_san_dns:verifier.example",
            "origin:https://evil.example",
            "https://evil.example",
        ],
    )
    def test_what_was_made_for_somebody_else(
        self, campus_server: RunningServer, speaker: InteractiveWallet, victim: Person, audience: str
    ) -> None:
        assert_killed_by(
            campus_server, speaker, victim, lambda asked: speaker.show(asked, victim.pid, claims={"aud": audience})
        )

    @pytest.mark.rule("VPB-13", "D1-07")
    def test_headers_of_proxies_change_nothing(
        self, campus_server: RunningServer, speaker: InteractiveWallet, victim: Person
    ) -> None:
        spoofed = {
            "X-Forwarded-Host": "evil.example",
            "X-Forwarded-Proto": "https",
            "Forwarded": "host=evil.example;proto=https",
            "X-Forwarded-Prefix": "/evil",
            "Origin": "https://evil.example",
            "Referer": "https://evil.example/",
        }
        for audience in ("iae:https://evil.example", "iae:https://evil.example/evil"):
            asked = speaker.begin(headers=spoofed)
            evil = {"pid": [speaker.present(asked, victim.pid, claims={"aud": audience})]}
            assert_denied(speaker.respond(asked, evil, headers=spoofed))
        asked = speaker.begin(headers=spoofed)
        assert_code(speaker.respond(asked, speaker.present(asked, victim.pid), headers=spoofed))

    @pytest.mark.rule("VPB-02", "D2-04")
    def test_one_value_for_both_token_tables(self, speaker: InteractiveWallet, victim: Person) -> None:
        for prefix in ("ia:", "iae:"):
            asked = speaker.begin()
            shown = speaker.present(asked, victim.pid, claims={"aud": prefix + speaker.endpoint})
            assert_denied(speaker.respond(asked, shown))


class TestReplay:
    @pytest.mark.rule("A-13", "IA-18", "VPT-04")
    def test_of_another_session_of_the_same_wallet(
        self, campus_server: RunningServer, speaker: InteractiveWallet, victim: Person
    ) -> None:
        first, second = speaker.begin(), speaker.begin()
        shown = speaker.present(first, victim.pid)
        with no_code(campus_server):
            assert_denied(speaker.respond(second, shown))
            assert_dead(speaker, second, victim.pid)
        assert_code(speaker.respond(first, shown))
        # Used by now: no later session takes it either.
        assert_denied(speaker.respond(speaker.begin(), shown))

    @pytest.mark.rule("B-24", "REQ-04")
    def test_crosswise(
        self, campus_server: RunningServer, speaker: InteractiveWallet, victim: Person, attacker: Person
    ) -> None:
        # One backend, two of its people.
        hers, his = speaker.begin(), speaker.begin()
        with no_code(campus_server):
            assert_denied(speaker.respond(his, speaker.present(hers, victim.pid, key=victim.holder)))
            assert_dead(speaker, his, attacker.pid)
        assert_live(speaker, hers, victim.pid)
        hers, his = speaker.begin(), speaker.begin()
        with no_code(campus_server):
            assert_denied(speaker.respond(hers, speaker.present(his, attacker.pid, key=attacker.holder)))
            assert_dead(speaker, hers, victim.pid)
        assert_code(speaker.show(his, attacker.pid, key=attacker.holder))

    @pytest.mark.rule("IA-19", "KB-14")
    def test_within_one_session(self, speaker: InteractiveWallet, victim: Person) -> None:
        speaker.scope = "alumni-card"
        first = speaker.begin()
        shown = speaker.present(first, victim.pid)
        handle = speaker.agree(speaker.respond(first, shown))["auth_session"]
        again = speaker.follow_up(handle, {"code_verifier": speaker.verifier})
        assert_denied(speaker.respond(again, shown))


class TestWhatIsIssued:
    @pytest.mark.rule("A-21", "OUT-03", "J-02")
    def test_a_claim_comes_from_the_credential_the_tenant_named(
        self, speaker: InteractiveWallet, victim: Person
    ) -> None:
        speaker.scope = "parking-permit"
        asked = speaker.begin()
        residence = speaker.present(asked, victim.residence, disclose=["locality", "given_name"])
        assert len(residence.split("~")) == 4
        pid = speaker.present(asked, victim.pid, disclose=["given_name", "family_name", "birthdate", "locality"])
        code = assert_code(speaker.respond(asked, {"pid": [pid], "residence": [residence]}))
        found = issued(speaker.derived(speaker.exchange(code).json()["access_token"])).disclosed
        assert (found["given_name"], found["locality"]) == ("Erika", "Köln")
        assert "birthdate" not in found
        assert "family_name" not in found

    @pytest.mark.rule("A-22", "M-21")
    def test_another_issuers_credential_of_the_right_type(self, campus_server: RunningServer) -> None:
        stranger = person(campus_server, "erika", issuer="other-tenant")
        with interactive_wallet(campus_server, holder=stranger.holder) as wallet, no_code(campus_server):
            asked = wallet.begin()
            assert_denied(wallet.show(asked, stranger.pid))
            assert_dead(wallet, asked, stranger.pid)
