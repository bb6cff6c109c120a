"""What a presentation is made of and who signed it (RFC 9901 §4, §7.1; SD-JWT VC §2.2.1)."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from app.protocol.jose import BadSignature
from app.protocol.strict_json import Malformed
from app.protocol.trust import ISSUER_ALGORITHMS
from app.protocol.x509 import encode_x5c
from tests.formats.judged import GOOD, judge, refused
from tests.http.forgery import canary
from tests.protocol.certificates import NOW, der
from tests.protocol.jwts import KEY_384, KEY_521, OTHER_KEY, make_jwt, public_jwk
from tests.support.presented import ISS, OTHER_ISSUER, PID_CA, PID_ISSUER, PID_KEY, VCT, Issuer, disclosure, present
from tests.support.raw_wallet import ABSENT


@pytest.mark.rule("SD-24", "AG-14")
@pytest.mark.parametrize("typ", ["JWT", "vc+sd-jwt", "DC+SD-JWT", "application/dc+sd-jwt", "kb+jwt", None, ABSENT])
def test_the_type_is_the_credentials(typ: Any) -> None:
    refused(GOOD.bent(header={"typ": typ}), "dc\\+sd-jwt")


@pytest.mark.rule("SD-03", "E-01")
@pytest.mark.parametrize("alg", ["none", "nOnE", "HS256", "RS256", "ES256K", "EdDSA", "ES384", "", None, 1, ABSENT])
def test_the_algorithm_is_one_of_the_list_and_of_the_key(alg: Any) -> None:
    refused(GOOD.bent(header={"alg": alg}), "alg")


@pytest.mark.rule("REQ-10")
def test_every_algorithm_of_the_list_will_do_and_no_other() -> None:
    keys = {"ES256": OTHER_KEY, "ES384": KEY_384, "ES512": KEY_521}
    assert set(keys) == set(ISSUER_ALGORITHMS)
    for algorithm, key in keys.items():
        issuer = Issuer(key=key, chain=(PID_CA.certify("Issuer", key),), iss=None)
        assert issuer.issue().header["alg"] == algorithm
        assert judge(present(issuer.issue())).vct == VCT


def test_an_issuers_rsa_key_is_refused() -> None:
    key = rsa.generate_private_key(65537, 2048)
    refused(
        GOOD.bent(header={"x5c": encode_x5c(der(PID_CA.certify("PID Issuer", key)))}, payload={"iss": ABSENT}), "EC"
    )


@pytest.mark.parametrize("name", ["PID Issuer", "PID CA", "Directory"])
def test_a_certificate_with_a_name_that_is_no_text_is_none(name: str) -> None:
    directory = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Directory")]))
    [octets] = der(PID_CA.certify("PID Issuer", PID_KEY, names=[x509.DNSName("pid.example"), directory]))
    assert judge(present(GOOD.bent(header={"x5c": encode_x5c([octets])}))).vct == VCT
    # RFC 5280 appendix A.1: a UTF8String, and not a BIT STRING.
    named = bytes([len(name), *name.encode()])
    assert b"\x0c" + named in octets
    bent = octets.replace(b"\x0c" + named, b"\x03" + named)
    refused(GOOD.bent(header={"x5c": encode_x5c([bent])}), "not a certificate")


@pytest.mark.rule("SD-04", "VC-06", "E-07")
def test_the_signature_is_the_leafs() -> None:
    for key in (OTHER_KEY, OTHER_ISSUER.key):
        with pytest.raises(BadSignature):
            judge(present(GOOD.bent(key=key)))


@pytest.mark.rule("SD-04")
@pytest.mark.parametrize("segment", [0, 1, 2])
def test_what_is_signed_is_what_arrived(segment: int) -> None:
    issuer_jwt, rest = GOOD.text.split("~", 1)
    segments = issuer_jwt.split(".")
    middle = len(segments[segment]) // 2
    other = "A" if segments[segment][middle] == "-" else "-"
    segments[segment] = segments[segment][:middle] + other + segments[segment][middle + 1 :]
    with pytest.raises((Malformed, BadSignature)):
        judge(present(f"{'.'.join(segments)}~{rest}"))


@pytest.mark.rule("SD-25")
@pytest.mark.parametrize("member", [{"crit": ["x"]}, {"crit": []}, {"crit": ["exp"]}, {"b64": False}])
def test_no_extension_is_understood(member: Mapping[str, Any]) -> None:
    refused(GOOD.bent(header=member), "critical")


@pytest.mark.rule("X-10", "E-06", "KB-13")
def test_what_a_header_points_to_is_not_looked_at() -> None:
    with canary() as (url, hits):
        pointers = {"jku": f"{url}/jwks", "x5u": f"{url}/chain", "jwk": public_jwk(OTHER_KEY)}
        assert judge(present(GOOD.bent(header=pointers))).issuer == ISS
        with pytest.raises(BadSignature):
            judge(present(GOOD.bent(header=pointers, key=OTHER_KEY)))
        for cnf in ({"jku": f"{url}/jwks"}, {"jku": f"{url}/jwks", "kid": "1"}):
            refused(GOOD.bent(payload={"cnf": cnf}), "cnf")
    assert not hits


# RFC 9901 §4, §7.1: what it consists of


@pytest.mark.rule("SD-01")
@pytest.mark.parametrize(
    "bend",
    [
        pytest.param(lambda text: text.replace("~", "~~", 1), id="empty part"),
        pytest.param(lambda text: text.replace("~", "=~", 1), id="padded JWT"),
        pytest.param(lambda text: text[:-1] + "=~", id="padded disclosure"),
        pytest.param(lambda text: text[:-1] + "\n~", id="newline"),
        pytest.param(lambda text: " " + text, id="space"),
        pytest.param(lambda text: "~" + text, id="~ first"),
        pytest.param(lambda text: text.split("~")[0], id="no ~ at all"),
        pytest.param(lambda text: text.replace(".", "~", 1), id="~ for ."),
        pytest.param(lambda text: text.replace("-", "+").replace("_", "/"), id="base64"),
        pytest.param(lambda text: text[:-1] + "é~", id="not ASCII"),
    ],
)
def test_the_grammar_of_what_is_presented(bend: Any) -> None:
    credential = GOOD.text
    while "-" not in credential or "_" not in credential:
        credential = GOOD.text
    with pytest.raises(Malformed):
        judge(present(bend(credential)))


@pytest.mark.rule("SD-02", "KB-01", "AG-01")
def test_key_binding_cannot_be_left_out() -> None:
    with pytest.raises(Malformed, match="without key binding"):
        judge(GOOD.text)


@pytest.mark.rule("SD-02", "KB-15")
def test_a_credential_bound_to_nobody_is_not_presented() -> None:
    for presentation in (present(GOOD.bent(payload={"cnf": ABSENT})), GOOD.bent(payload={"cnf": ABSENT}).text):
        with pytest.raises(Malformed):
            judge(presentation)


@pytest.mark.rule("SD-22", "SD-16", "AG-05")
def test_a_claim_the_issuer_did_not_make_is_refused_with_all_else() -> None:
    invented = disclosure("s", "age_over_18", True)
    without = GOOD.bent(disclosures=[text for text in GOOD.disclosures if "age_over_18" not in text])
    refused(without.bent(disclosures=[*without.disclosures, invented]), "nothing refers to")


@pytest.mark.rule("SD-17", "AG-06")
def test_a_disclosure_occurs_once() -> None:
    refused(GOOD.bent(disclosures=[*GOOD.disclosures, GOOD.disclosures[0]]), "repeated disclosure")


@pytest.mark.rule("SD-11", "AG-07")
@pytest.mark.parametrize("plain", [{"given_name": "Max"}, {"iat": NOW, "given_name": None}])
def test_a_disclosure_does_not_replace_what_is_signed(plain: Mapping[str, Any]) -> None:
    refused(GOOD.bent(payload=plain), "there already")


@pytest.mark.rule("KB-10", "AG-02")
@pytest.mark.parametrize("sd_alg", ["sha-256", "sha-384", "sha-512"])
def test_one_hash_for_disclosures_and_key_binding(sd_alg: str) -> None:
    credential = PID_ISSUER.issue(sd_alg=sd_alg)
    assert judge(present(credential, sd_alg=sd_alg)).claims["given_name"] == "Erika"
    other = "sha-256" if sd_alg != "sha-256" else "sha-512"
    with pytest.raises(Malformed, match="over another"):
        judge(present(credential, sd_alg=other))


@pytest.mark.rule("SD-06", "AG-10")
@pytest.mark.parametrize(
    "payload",
    [
        *(
            {"_sd_alg": name}
            for name in ("SHA-256", "sha-256-64", "sha256", "sha-1", "md5", "", None, ["sha-256"], 256)
        ),
        {"nested": {"_sd_alg": "sha-256"}},
    ],
)
def test_hashes_that_are_not_taken(payload: Mapping[str, Any]) -> None:
    refused(GOOD.bent(payload=payload), "_sd_alg|reserved")


@pytest.mark.rule("SD-23", "VPT-09", "AG-11")
def test_what_is_too_large_is_not_read() -> None:
    text = disclosure("s", "a", "x" * 12_000)
    refused("~".join([GOOD.text.split("~")[0], *[text] * 20, ""]), "too long")
    refused(GOOD.text + "~" * 262_144, "too long")
    refused(GOOD.bent(disclosures=[disclosure(str(i), str(i), 1) for i in range(257)]), "too many")
    refused(GOOD.bent(payload={"a": "x" * 131_072}), "too long")


@pytest.mark.rule("SD-23", "AG-18")
@pytest.mark.parametrize(
    "double", ['"exp":4000000000,', '"vct":"urn:eudi:pid:1",', '"cnf":{},', '"_sd":[],', '"x":1,"x":1,']
)
def test_a_name_occurs_once_in_the_payload(double: str) -> None:
    payload = "{" + double + json.dumps(dict(GOOD.payload))[1:]
    issuer_jwt = make_jwt(dict(GOOD.header), payload.encode(), GOOD.key)
    refused("~".join([issuer_jwt, *GOOD.disclosures, ""]), "repeated member")
