"""The holder's part of a presentation (RFC 9901 §4.3, §7.3 step 5): by whom, when, for whom, over what."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest

from app.formats.key_binding import bind
from app.formats.sd_jwt import withhold
from app.protocol.jose import BadSignature
from app.protocol.strict_json import Malformed
from app.protocol.trust import KEY_BINDING_ALGORITHMS
from tests.formats.judged import GOOD, judge
from tests.protocol.certificates import NOW, der
from tests.protocol.jwts import KEY, KEY_384, KEY_521, OTHER_KEY, b64, make_jwt, public_jwk, sign
from tests.support.presented import (
    AUDIENCE,
    NONCE,
    PID_CA,
    PID_ISSUER,
    digest,
    disclosure,
    present,
)
from tests.support.raw_wallet import ABSENT

YEAR = 365 * 86_400
TEXT = GOOD.text
"""Signed once: another signature makes another SD-JWT."""


def refused(text: str, **bent: Any) -> None:
    """Assert that a presentation whose key binding is bent is refused, and why."""
    with pytest.raises(Malformed, match=text):
        judge(present(GOOD, **bent))


@pytest.mark.rule("KB-02", "AG-14")
@pytest.mark.parametrize("typ", ["JWT", "KB+JWT", "application/kb+jwt", "dc+sd-jwt", "dpop+jwt", "", None, ABSENT])
def test_the_type_is_key_binding(typ: Any) -> None:
    refused("kb\\+jwt", header={"typ": typ})


@pytest.mark.rule("KB-03", "E-01")
@pytest.mark.parametrize(
    "alg", ["none", "nOnE", "HS256", "RS256", "PS256", "ES256K", "EdDSA", "ES384", "", None, ABSENT]
)
def test_the_algorithm_is_one_of_the_list_and_of_the_key(alg: Any) -> None:
    refused("alg", header={"alg": alg})


@pytest.mark.rule("REQ-10")
def test_every_algorithm_of_the_list_will_do_and_no_other() -> None:
    keys = {"ES256": OTHER_KEY, "ES384": KEY_384, "ES512": KEY_521}
    assert set(keys) == set(KEY_BINDING_ALGORITHMS)
    for key in keys.values():
        judge(present(PID_ISSUER.issue(holder=key), holder=key))


@pytest.mark.rule("KB-04", "AG-12", "E-04")
@pytest.mark.parametrize(
    "header",
    [
        {},
        {"kid": "1"},
        {"jwk": public_jwk(OTHER_KEY)},
        {"x5c": [b64(*der(PID_CA.certify("Holder", OTHER_KEY)))]},
        {"jku": "https://a.example/jwks"},
        {"x5u": "https://a.example/chain"},
    ],
)
def test_the_key_is_the_credentials(header: Mapping[str, Any]) -> None:
    with pytest.raises((Malformed, BadSignature), match=r"names a key|does not verify"):
        judge(present(GOOD, holder=OTHER_KEY, header=header))


@pytest.mark.rule("KB-04")
def test_a_key_in_the_header_is_refused_though_it_is_the_right_one() -> None:
    refused("names a key", header={"jwk": public_jwk(KEY)})


@pytest.mark.rule("SD-25")
@pytest.mark.parametrize("member", [{"crit": ["x"]}, {"crit": []}, {"b64": False}])
def test_no_extension_is_understood(member: Mapping[str, Any]) -> None:
    refused("critical", header=member)


@pytest.mark.rule("KB-05", "AG-16")
@pytest.mark.parametrize(
    ("iat", "right"),
    [
        (NOW, True),
        (NOW - 300, True),
        (NOW - 301, False),
        (NOW + 60, True),
        (NOW + 61, False),
        *((NOW + seconds, False) for seconds in (-YEAR, -3600, 3600, YEAR)),
        (str(NOW), False),
        (None, False),
        (True, False),
        (ABSENT, False),
    ],
)
def test_it_is_fresh(iat: Any, right: bool) -> None:
    if right:
        judge(present(GOOD, payload={"iat": iat}))
    else:
        refused("iat", payload={"iat": iat})


@pytest.mark.rule("KB-11")
@pytest.mark.parametrize(
    ("payload", "right"),
    [
        ({"exp": NOW + 1}, True),
        ({"exp": NOW}, False),
        ({"exp": "x"}, False),
        ({"nbf": NOW + 60}, True),
        ({"nbf": NOW + 61}, False),
        ({"nbf": None}, False),
        ({"iss": "x", "sub": 1, "more": {}}, True),
    ],
)
def test_it_is_a_valid_jwt_in_other_respects(payload: Mapping[str, Any], right: bool) -> None:
    if right:
        judge(present(GOOD, payload=payload))
    else:
        refused("exp|nbf", payload=payload)


@pytest.mark.rule("KB-06", "AG-17", "VPB-01")
@pytest.mark.parametrize(
    "audience",
    [
        [AUDIENCE],
        [AUDIENCE, "https://other.example"],
        AUDIENCE + "/",
        AUDIENCE + "/interactive",
        AUDIENCE.upper(),
        AUDIENCE.removeprefix("iae:"),
        AUDIENCE.replace("iae:", "ia:"),
        AUDIENCE.replace("iae:", "origin:"),
        AUDIENCE + ":443",
        AUDIENCE[:-1],
        " " + AUDIENCE,
        AUDIENCE.replace("y.e", "y\u3002e"),
        "iae:https://other.example",
        "",
        1,
        None,
        ABSENT,
    ],
)
def test_it_is_for_us_to_the_letter(audience: Any) -> None:
    refused("aud", payload={"aud": audience})


@pytest.mark.rule("KB-08", "AG-17")
@pytest.mark.parametrize(
    "nonce", [NONCE[:-1], NONCE + "x", NONCE.lower(), [NONCE], "\u0578" + NONCE[1:], "", 1, None, ABSENT]
)
def test_it_answers_this_request(nonce: Any) -> None:
    refused("nonce", payload={"nonce": nonce})


# Over what it is


@pytest.mark.rule("KB-09", "AG-02")
@pytest.mark.parametrize(
    "sd_hash",
    [
        digest(TEXT[:-1]),
        digest(TEXT.split("~")[0]),
        digest(TEXT.split("~")[0] + "~"),
        digest(TEXT[: TEXT.rindex("~", 0, -1) + 1]),
        digest(TEXT, "sha-512"),
        hashlib.sha256(TEXT.encode()).hexdigest(),
        digest(TEXT) + "=",
        "",
        1,
        None,
        ABSENT,
    ],
    # Signatures are random, so a name made of a value would be another in every process.
    ids=range(11),
)
def test_it_is_over_this_sd_jwt(sd_hash: Any) -> None:
    judge(present(TEXT))
    with pytest.raises(Malformed, match=r"another SD-JWT|sd_hash"):
        judge(present(TEXT, payload={"sd_hash": sd_hash}))


@pytest.mark.rule("KB-09", "AG-03")
def test_disclosures_are_not_added_removed_or_moved_afterwards() -> None:
    *kept, last = GOOD.text.removesuffix("~").split("~")
    without, whole = "~".join([*kept, ""]), "~".join([*kept, last, ""])
    swapped = "~".join([kept[0], last, *kept[1:], ""])
    for signed, sent in ((whole, without), (without, whole), (whole, swapped)):
        judge(present(signed))
        with pytest.raises(Malformed, match="another SD-JWT"):
            judge(sent + present(signed).removeprefix(signed))


@pytest.mark.rule("KB-09")
def test_the_key_binding_of_another_credential_is_not_taken() -> None:
    first, second = GOOD.text, GOOD.text
    assert first != second
    with pytest.raises(Malformed, match="another SD-JWT"):
        judge(second + present(first).removeprefix(first))


@pytest.mark.rule("SD-23", "AG-18")
@pytest.mark.parametrize("double", ['"nonce":"x",', f'"nonce":"{NONCE}",', f'"aud":"{AUDIENCE}",', '"x":1,"x":1,'])
def test_a_name_occurs_once(double: str) -> None:
    text = GOOD.text
    claims = {"iat": NOW, "aud": AUDIENCE, "nonce": NONCE, "sd_hash": digest(text)}
    header = {"typ": "kb+jwt", "alg": "ES256"}
    judge(text + make_jwt(header, json.dumps(claims).encode(), KEY))
    with pytest.raises(Malformed, match="repeated member"):
        judge(text + make_jwt(header, ("{" + double + json.dumps(claims)[1:]).encode(), KEY))


@pytest.mark.rule("SD-02")
@pytest.mark.parametrize("part", ["x", "a.b", "a.b.c.d", "e30.e30.", "..", " "])
def test_what_is_no_jwt_is_no_key_binding(part: str) -> None:
    with pytest.raises(Malformed):
        judge(GOOD.text + part)


@pytest.mark.rule("KB-02", "AG-14")
def test_the_issuers_jwt_is_no_key_binding() -> None:
    credential = PID_ISSUER.issue(holder=PID_ISSUER.key)
    claims = {"iat": NOW, "aud": AUDIENCE, "nonce": NONCE}
    with pytest.raises(Malformed, match="kb\\+jwt"):
        judge(credential.text + PID_ISSUER.issue({}, payload=claims).text.removesuffix("~"))


# The holder's side


def bound(text: str, **changes: Any) -> str:
    """A presentation as a holder's software makes it."""
    unsigned = bind(text, audience=AUDIENCE, nonce=NONCE, issued_at=NOW, algorithm="ES256", **changes)
    return unsigned.complete(sign(KEY, unsigned.signing_input))


@pytest.mark.rule("KB-10")
@pytest.mark.parametrize("sd_alg", [None, "sha-256", "sha-384", "sha-512"])
def test_what_a_holder_binds_is_accepted(sd_alg: str | None) -> None:
    verified = judge(bound(PID_ISSUER.issue(sd_alg=sd_alg).text))
    assert verified.claims["given_name"] == "Erika"


def test_what_a_holder_does_not_bind() -> None:
    for text in ("", "a.b.c~", GOOD.text[:-1], bound(GOOD.text), GOOD.bent(payload={"_sd_alg": "md5"}).text):
        with pytest.raises(Malformed):
            bound(text)


def test_a_holder_withholds_what_is_not_needed() -> None:
    inner = disclosure("s", "street", "S")
    outer = disclosure("s", "address", {"country": "DE", "_sd": [digest(inner)]})
    digests = [*GOOD.payload["_sd"], digest(outer)]
    # The inner one first: what lies within another may come before it.
    credential = GOOD.bent(payload={"_sd": digests}, disclosures=[inner, *GOOD.disclosures, outer]).text

    def shown(*names: str) -> list[str]:
        def enough(claims: Mapping[str, Any]) -> bool:
            flat = {**claims, **claims.get("address", {})}
            return flat.keys() >= set(names)

        kept = withhold(credential, enough=enough)
        assert kept.split("~")[0] == credential.split("~")[0]
        return kept.split("~")[1:]

    assert shown() == [""]
    assert shown("country") == [outer, ""]
    assert shown("street") == [inner, outer, ""]
    assert shown("given_name", "iss") == [GOOD.disclosures[0], ""]
    assert shown("unknown") == credential.split("~")[1:]
