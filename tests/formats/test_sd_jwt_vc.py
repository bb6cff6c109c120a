import hashlib
import json
from collections.abc import Callable
from itertools import count
from typing import Any, Literal, NamedTuple

import jwt as pyjwt
import pytest
from cryptography import x509

from app.document.model import Claim as DocumentClaim
from app.document.model import FromConstant
from app.formats.sd_jwt_vc import RESERVED, UnsignedCredential, build, validity_period
from app.formats.sd_jwt_vc_verification import VerifiedCredential, verify
from app.interaction.evidence import Evidence
from app.interaction.plan import PlannedCredential, collect_claims
from app.protocol.jose import BadSignature
from app.protocol.strict_json import Malformed
from app.protocol.x509 import encode_x5c
from tests.protocol.certificates import CA, LEAF, LEAF_KEY, NOW, SUB, SUB_LEAF, certificate, der
from tests.protocol.jwts import KEY, KEY_384, OTHER_KEY, b64, make_jwt, public_jwk, sign

DAY = 86_400
ISSUER = "https://issuer.example/pid-provider"
VCT = "urn:eudi:pid:1"


class Claim(NamedTuple):
    path: tuple[str, ...]
    value: Any
    disclosure: Literal["selective", "always"] = "selective"


CLAIMS = [Claim(("given_name",), "Erika"), Claim(("age_over_18",), True, "always"), Claim(("address", "country"), "DE")]


def salts() -> Callable[[], str]:
    numbers = count()
    return lambda: b64(next(numbers).to_bytes(16, "big"))


def unsigned(claims: list[Claim] = CLAIMS, chain: list[x509.Certificate] | None = None) -> UnsignedCredential:
    return build(
        claims,
        vct=VCT,
        issuer=ISSUER,
        issued_at=NOW - NOW % DAY,
        expires_at=NOW + 30 * DAY,
        holder_jwk=public_jwk(KEY),
        certificate_chain=der(*(chain or [LEAF])),
        algorithm="ES256",
        key_id="key-1",
        salt=salts(),
    )


def issue(claims: list[Claim] = CLAIMS, chain: list[x509.Certificate] | None = None) -> str:
    credential = unsigned(claims, chain)
    return credential.complete(sign(LEAF_KEY, credential.signing_input))


def judge(credential: str, *, now: int = NOW, anchors: list[x509.Certificate] | None = None) -> VerifiedCredential:
    return verify(credential, anchors=[CA] if anchors is None else anchors, algorithms=["ES256"], now=now)


PLAIN: dict[str, Any] = {"vct": VCT, "iss": ISSUER, "cnf": {"jwk": public_jwk(KEY)}}
HEADER = {"typ": "dc+sd-jwt", "alg": "ES256", "x5c": encode_x5c(der(LEAF))}


def crafted(*disclosures: str, header: dict[str, Any] | None = None, **claims: Any) -> str:
    """A credential of our trusted issuer with whatever in it."""
    return "~".join([make_jwt(HEADER | (header or {}), PLAIN | claims, LEAF_KEY), *disclosures, ""])


@pytest.mark.rule("CR-18", "VC-18", "CR-20")
@pytest.mark.parametrize("chain", [[LEAF], [SUB_LEAF, SUB]])
def test_what_is_issued_verifies(chain: list[x509.Certificate]) -> None:
    verified = judge(issue(chain=chain))
    assert (verified.vct, verified.issuer, verified.holder_jwk) == (VCT, ISSUER, public_jwk(KEY))
    assert verified.issuer_certificate == chain[0]
    assert verified.claims == {
        "iss": ISSUER,
        "iat": NOW - NOW % DAY,
        "exp": NOW + 30 * DAY,
        "vct": VCT,
        "cnf": {"jwk": public_jwk(KEY)},
        "given_name": "Erika",
        "age_over_18": True,
        "address": {"country": "DE"},
    }


@pytest.mark.rule("IS-01", "IS-10", "IS-20")
def test_pyjwt_reads_what_is_signed() -> None:
    issuer_jwt, *disclosures = issue().split("~")
    assert len(disclosures) == 3
    assert disclosures[-1] == ""
    payload = pyjwt.decode(
        issuer_jwt, LEAF_KEY.public_key(), algorithms=["ES256"], options={"verify_iat": False, "verify_exp": False}
    )
    assert {name: value for name, value in payload.items() if name not in ("_sd", "address")} == {
        "iss": ISSUER,
        "iat": NOW - NOW % DAY,
        "exp": NOW + 30 * DAY,
        "vct": VCT,
        "cnf": {"jwk": public_jwk(KEY)},
        "age_over_18": True,
        "_sd_alg": "sha-256",
    }
    assert pyjwt.get_unverified_header(issuer_jwt) == {**HEADER, "kid": "key-1"}
    assert "Erika" not in json.dumps(payload)


def test_the_holder_may_withhold_what_is_selective() -> None:
    issuer_jwt, *_ = issue().split("~")
    assert "given_name" not in judge(issuer_jwt + "~").claims
    assert judge(issuer_jwt + "~").claims["age_over_18"] is True


@pytest.mark.rule("IS-09")
def test_without_selective_claims_there_is_nothing_of_the_mechanism() -> None:
    credential = issue([Claim(("a",), 1, "always")])
    assert credential.count("~") == 1
    payload = pyjwt.decode(credential[:-1], options={"verify_signature": False})
    assert not {"_sd", "_sd_alg"} & payload.keys()


def test_the_plans_claims_fit() -> None:
    claim = DocumentClaim(path=["given_name"], source=FromConstant(value="Erika"))
    planned = PlannedCredential(configuration_id="pid", name="PID", claims=[claim])
    values = collect_claims(planned, user_claims={}, evidence=Evidence())
    credential = build(
        values,
        vct=VCT,
        issuer=ISSUER,
        issued_at=NOW,
        expires_at=NOW + DAY,
        holder_jwk=public_jwk(KEY),
        certificate_chain=der(LEAF),
        algorithm="ES256",
        salt=salts(),
    )
    assert len(credential.disclosures) == 1


@pytest.mark.rule("M-24", "IS-04")
@pytest.mark.parametrize("name", [*sorted(RESERVED), "_sd", "_sd_alg", "..."])
@pytest.mark.parametrize("disclosure", ["selective", "always"])
def test_a_mapped_claim_cannot_have_the_issuers_names(name: str, disclosure: Literal["selective", "always"]) -> None:
    with pytest.raises(ValueError, match="reserved"):
        unsigned([Claim((name,), "x", disclosure)])


@pytest.mark.rule("CR-14", "IS-13", "IS-14")
@pytest.mark.parametrize(("validity", "days"), [(3600, 1), (DAY, 1), (DAY + 1, 2), (30 * DAY, 30)])
@pytest.mark.parametrize("second", [0, 1, DAY - 1])
def test_times_are_whole_days(validity: int, days: int, second: int) -> None:
    midnight = 20_000 * DAY
    assert validity_period(now=midnight + second, validity=validity) == (midnight, midnight + days * DAY)


@pytest.mark.parametrize(
    "credential",
    [
        "",
        "~",
        issue()[:-1],
        issue() + "~",
        issue() + make_jwt({"typ": "kb+jwt", "alg": "ES256"}, {}),
        issue().replace("~", "~~", 1),
        issue() + "x~",
        issue() + "\n",
        issue().split("~")[0],
        crafted(header={"typ": "JWT"}),
        crafted(header={"typ": "vc+sd-jwt"}),
        crafted(header={"typ": None}),
        crafted(header={"x5c": None}),
        crafted(header={"x5c": []}),
        crafted(header={"x5c": encode_x5c(der(LEAF, CA))}),
        crafted(header={"x5c": encode_x5c(der(certificate("L", LEAF_KEY, issuer="L", issuer_key=LEAF_KEY)))}),
        crafted(header={"alg": "none"}),
        crafted(header={"alg": "HS256"}),
        crafted(header={"alg": "ES384"}),
        crafted(header={"crit": ["x"]}),
        crafted(vct=None),
        crafted(vct=[VCT]),
        crafted(vct=""),
        crafted(iss=1),
        crafted(exp=str(NOW + 1)),
        crafted(exp=True),
        crafted(nbf=-1),
        crafted(status="x"),
        crafted(cnf="x"),
        crafted(cnf={}),
        crafted(cnf={"kid": "1"}),
        crafted(cnf={"jku": "https://a.example"}),
        crafted(cnf={"jwk": public_jwk(KEY), "kid": "1"}),
        crafted(cnf={"jwk": "x"}),
        crafted(cnf={"jwk": {**public_jwk(KEY), "d": "AA"}}),
        crafted(cnf={"jwk": {"kty": "oct", "k": "AA"}}),
        crafted(cnf={"jwk": {**public_jwk(KEY), "crv": []}}),
        crafted(a="x" * 262_144),
    ],
)
def test_what_is_no_credential_of_ours(credential: str) -> None:
    with pytest.raises(Malformed):
        judge(credential)


def test_crafted_credentials_are_right_but_for_what_is_crafted() -> None:
    assert judge(crafted()).claims == PLAIN
    assert judge(crafted(cnf={"jwk": public_jwk(KEY_384)})).holder_jwk == public_jwk(KEY_384)


def test_the_signature_is_the_leafs() -> None:
    token = make_jwt(HEADER, PLAIN, OTHER_KEY)
    with pytest.raises(BadSignature):
        judge(token + "~")


def test_the_chain_leads_to_a_given_anchor() -> None:
    with pytest.raises(Malformed):
        judge(issue(), anchors=[SUB])


def member(name: str, value: Any) -> tuple[str, str]:
    """A disclosure and its digest."""
    text = b64(json.dumps(["salt", name, value]).encode())
    return text, b64(hashlib.sha256(text.encode()).digest())


PROTECTED: list[tuple[str, Any]] = [
    ("iss", ISSUER),
    ("nbf", NOW),
    ("exp", NOW + 1),
    ("cnf", {"jwk": public_jwk(OTHER_KEY)}),
    ("vct", VCT),
    ("vct#integrity", "x"),
    ("aka_vcts", []),
    ("aka_vcts", None),
    ("status", {}),
    ("status", None),
]


@pytest.mark.parametrize(("name", "value"), PROTECTED)
def test_protected_claims_are_not_disclosures(name: str, value: Any) -> None:
    text, digest = member(name, value)
    plain = {other: content for other, content in PLAIN.items() if other != name}
    credential = f"{make_jwt(HEADER, {**plain, '_sd': [digest]}, LEAF_KEY)}~{text}~"
    with pytest.raises(Malformed):
        judge(credential)


@pytest.mark.parametrize("disclosed", [True, False])
@pytest.mark.parametrize("name", ["status", "cnf"])
def test_members_of_protected_claims_are_not_disclosures(name: str, disclosed: bool) -> None:
    text, digest = member("status_list", {"idx": 1, "uri": "https://a.example"})
    with pytest.raises(Malformed, match="selectively"):
        judge(crafted(*[text] * disclosed, **{name: {**PLAIN.get(name, {}), "_sd": [digest]}}))


@pytest.mark.parametrize(
    ("claims", "right"),
    [
        ({"exp": NOW + 1}, True),
        ({"exp": NOW - 59}, True),
        ({"exp": NOW - 60}, False),
        ({"nbf": NOW + 60}, True),
        ({"nbf": NOW + 61}, False),
        ({"iat": NOW + 61}, False),
        ({"iat": NOW, "nbf": NOW - 10**8}, True),
    ],
)
def test_times_are_judged(claims: dict[str, Any], right: bool) -> None:
    try:
        judge(crafted(**claims))
    except Malformed:
        assert not right
    else:
        assert right
