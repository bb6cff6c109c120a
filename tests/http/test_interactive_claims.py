"""Credentials of the tests' own making: their claims are data whatever they look like; their faults end the session."""

import html
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.http.interactive import assert_code, assert_dead, assert_denied, no_code
from tests.http.issued import issued
from tests.protocol.certificates import certificate
from tests.support.interactive_wallet import InteractiveWallet, interactive_wallet
from tests.support.presented import PERSON, PID_CA, PID_ISSUER, PID_KEY, Authority, Issuer, digest, disclosure
from tests.support.raw_wallet import Browser, redirect_parameters
from tests.support.server import RunningServer

TEMPLATES = [
    "{{7*7}}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "$(id)", "`id`", "{0.__class__}", "{given_name}", "%(x)s", "%s",
    "{% raw %}", "$..*", "@.length", "'; DROP TABLE sessions;--", "=cmd|' /C calc'!A0", "\u202egnp.exe", "é\u0301",
]  # fmt: skip
MARKUP = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onfocus='alert(1)",
    "</title><h1>",
    "&lt;b&gt;",
]


@pytest.fixture
def wallet(campus_server: RunningServer) -> Iterator[InteractiveWallet]:
    """A wallet at `academy`."""
    with interactive_wallet(campus_server, "academy") as wallet:
        yield wallet


def pid(wallet: InteractiveWallet, claims: dict[str, Any] | None = None, **bends: Any) -> str:
    """A personal ID by the issuer that `academy` trusts."""
    return PID_ISSUER.issue({**PERSON, **(claims or {})}, holder=wallet.holder.private, **bends).text


@pytest.mark.rule("J-15")
def test_what_looks_like_a_template_is_issued_as_it_is(wallet: InteractiveWallet) -> None:
    for value in TEMPLATES + MARKUP:
        asked = wallet.begin()
        code = assert_code(wallet.show(asked, pid(wallet, {"given_name": value, "family_name": value})))
        found = issued(wallet.derived(wallet.exchange(code).json()["access_token"])).disclosed
        assert (found["given_name"], found["family_name"]) == (value, value)


@pytest.mark.rule("J-15")
@pytest.mark.parametrize(
    "value", [{"a": [1, None, {"b": "{{7*7}}"}]}, ["x", ["y"]], 7, True, 0, "", {"_x": 1}], ids=str
)
def test_values_of_other_kinds_too(wallet: InteractiveWallet, value: Any) -> None:
    code = assert_code(wallet.show(wallet.begin(), pid(wallet, {"given_name": value})))
    found = issued(wallet.derived(wallet.exchange(code).json()["access_token"])).disclosed
    assert found["given_name"] == value
    assert type(found["given_name"]) is type(value)


@pytest.mark.rule("AG-08")
@pytest.mark.parametrize(
    "value", [{"...": "x"}, {"a": {"_sd_alg": "md5"}}, [{"...": "x", "k": 1}], {"_sd": "x"}], ids=str
)
def test_placeholders_where_none_belong(campus_server: RunningServer, wallet: InteractiveWallet, value: Any) -> None:
    with no_code(campus_server):
        asked = wallet.begin()
        assert_denied(wallet.show(asked, pid(wallet, {"given_name": value})))
        assert_dead(wallet, asked, pid(wallet))


@pytest.mark.rule("AG-08")
@pytest.mark.parametrize(("value", "seen"), [({"_sd": ["x"]}, {}), ([{"...": "x"}, "y"], ["y"])], ids=str)
def test_placeholders_of_what_is_hidden_are_not_issued_again(wallet: InteractiveWallet, value: Any, seen: Any) -> None:
    code = assert_code(wallet.show(wallet.begin(), pid(wallet, {"given_name": value})))
    found = issued(wallet.derived(wallet.exchange(code).json()["access_token"])).disclosed
    assert found["given_name"] == seen


@pytest.mark.rule("J-16")
@pytest.mark.parametrize("value", MARKUP)
def test_what_looks_like_markup_is_shown_as_text(wallet: InteractiveWallet, browser: Browser, value: str) -> None:
    wallet.scope = "award"
    asked = wallet.show(wallet.begin(), pid(wallet, {"given_name": value}))
    page = browser.sign_in(browser.get(wallet.web_url(asked)))
    # It is there, as text: without what escapes it, it would be markup.
    assert value not in page.text
    assert value in html.unescape(page.text)
    assert redirect_parameters(browser.submit(page)).keys() == {"code", "state", "iss"}


@pytest.mark.rule("AG-15", "J-03")
@pytest.mark.parametrize(
    "vct",
    [
        "urn:eudi:pid:2",
        "urn:eudi:pid:1/",
        "URN:EUDI:PID:1",
        "urn:eudi:pid",
        "urn:eudi:pid:1 ",
        "urn:example:residence:1",
    ],
)
def test_another_type_with_the_right_claims(campus_server: RunningServer, wallet: InteractiveWallet, vct: str) -> None:
    with no_code(campus_server):
        asked = wallet.begin()
        assert_denied(wallet.show(asked, pid(wallet, vct=vct, payload={"aka_vcts": ["urn:eudi:pid:1"]})))
        assert_dead(wallet, asked, pid(wallet))


_HIDDEN_EXPIRY = disclosure("c2FsdHNhbHRzYWx0c2FsdA", "exp", 2_500_000_000)
_SECOND_NAME = disclosure("c2FsdHNhbHRzYWx0c2FsdA", "given_name", "Max")


@pytest.mark.parametrize(
    ("payload", "added"),
    [
        pytest.param({"exp": 1_899_999_000}, (), id="expired", marks=pytest.mark.rule("AG-16")),
        pytest.param({"nbf": 1_900_001_000}, (), id="not yet valid", marks=pytest.mark.rule("AG-16")),
        pytest.param({"_sd_alg": "md5"}, (), id="weak hash", marks=pytest.mark.rule("AG-10")),
        pytest.param({"given_name": "Max"}, (), id="collision", marks=pytest.mark.rule("AG-07")),
        pytest.param(
            {"_sd": [digest(_SECOND_NAME)]}, (_SECOND_NAME,), id="two of one name", marks=pytest.mark.rule("AG-07")
        ),
        pytest.param(
            {"_sd": [digest(_HIDDEN_EXPIRY)]}, (_HIDDEN_EXPIRY,), id="hidden expiry", marks=pytest.mark.rule("AG-09")
        ),
        pytest.param({"cnf": {"kid": "1"}}, (), id="key by name", marks=pytest.mark.rule("AG-13")),
        pytest.param({"status": {"status_list": {"idx": 1, "uri": "https://x.example/1"}}}, (), id="with a status"),
    ],
)
def test_faults_that_only_an_issuer_can_make(
    campus_server: RunningServer, wallet: InteractiveWallet, payload: dict[str, Any], added: tuple[str, ...]
) -> None:
    made = PID_ISSUER.issue(holder=wallet.holder.private)
    if "_sd" in payload:
        payload = {**payload, "_sd": sorted([*made.payload["_sd"], *payload["_sd"]])}
    bent = made.bent(payload=payload, disclosures=[*made.disclosures[:2], *added])
    with no_code(campus_server):
        asked = wallet.begin()
        shown = bent.text + wallet.key_binding(bent.text, asked.json()["openid4vp_request"])
        assert_denied(wallet.respond(asked, shown))
        assert_dead(wallet, asked, pid(wallet))


_ROGUE = ec.derive_private_key(0x5066, ec.SECP256R1())
_LEAF = PID_ISSUER.chain[0]
_LOOK_ALIKE = Authority.named("PID CA", ec.derive_private_key(0xC9, ec.SECP256R1()))
_LEAF_AS_CA = Authority(name="PID Issuer", key=PID_KEY, certificate=_LEAF)


@pytest.mark.parametrize(
    "issuer",
    [
        pytest.param(
            Issuer(key=PID_KEY, chain=(certificate("PID Issuer", PID_KEY, issuer="PID Issuer", issuer_key=PID_KEY),)),
            id="self-signed",
            marks=pytest.mark.rule("I-01"),
        ),
        pytest.param(
            Issuer(key=PID_CA.key, chain=(PID_CA.certificate,)),  # type: ignore[arg-type]  # it is a P-256 key
            id="the anchor",
            marks=pytest.mark.rule("I-01"),
        ),
        pytest.param(
            Issuer(key=PID_KEY, chain=(_LEAF, PID_CA.certificate)), id="with anchor", marks=pytest.mark.rule("I-02")
        ),
        pytest.param(
            Issuer(key=_ROGUE, chain=(_LEAF_AS_CA.certify("Rogue", _ROGUE), _LEAF)),
            id="by a leaf",
            marks=pytest.mark.rule("I-03"),
        ),
        pytest.param(
            Issuer(key=_ROGUE, chain=(_LOOK_ALIKE.certify("PID Issuer", _ROGUE),)),
            id="look-alike root",
            marks=pytest.mark.rule("I-11"),
        ),
        pytest.param(
            Issuer(key=PID_KEY, chain=(PID_CA.certify("PID Issuer", PID_KEY, ends=1_899_999_999),)),
            id="expired",
            marks=pytest.mark.rule("I-06"),
        ),
        pytest.param(Issuer(key=_ROGUE, chain=(_LEAF,)), id="somebody else's leaf", marks=pytest.mark.rule("E-07")),
    ],
)
def test_chains_that_lead_nowhere(campus_server: RunningServer, wallet: InteractiveWallet, issuer: Issuer) -> None:
    with no_code(campus_server):
        asked = wallet.begin()
        assert_denied(wallet.show(asked, issuer.issue(holder=wallet.holder.private).text))
        assert_dead(wallet, asked, pid(wallet))
