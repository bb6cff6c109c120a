"""Published presentations of others (tests/vectors), verified with the issuer's published key."""

import base64
import json
from typing import Any

import pytest

from app.formats.key_binding import judge_key_binding
from app.formats.sd_jwt import hash_name, split
from app.formats.sd_jwt_vc_verification import verify_presentation
from app.protocol import jwk
from app.protocol.presentation import Expected
from app.protocol.strict_json import Malformed
from app.protocol.trust import KnownIssuer
from tests.protocol.jwts import VECTORS, read_json_vector, read_vector

ISSUER_KEY = read_json_vector("rfc9901/issuer.jwk.json")
BOUND = sorted(str(path.parent.relative_to(VECTORS)) for path in VECTORS.glob("*/*/key_binding_jwt.txt"))


def decoded(segment: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))


def read_presentation(case: str) -> tuple[str, Expected]:
    """A published presentation, and what it answers."""
    key_binding_jwt = read_vector(f"{case}/key_binding_jwt.txt")
    claims = decoded(key_binding_jwt.split(".")[1])
    expected = Expected(nonce=claims["nonce"], audiences=(claims["aud"],), now=claims["iat"])
    return read_vector(f"{case}/sd_jwt.txt") + key_binding_jwt, expected


CREDENTIALS = [case for case in BOUND if decoded(read_presentation(case)[0].split(".")[0])["typ"] == "dc+sd-jwt"]


def test_there_are_some_of_each() -> None:
    assert len(BOUND) >= 6
    assert len(CREDENTIALS) >= 4


@pytest.mark.rule("KB-09", "VPB-04")
@pytest.mark.parametrize("case", BOUND)
def test_published_key_bindings(case: str) -> None:
    presentation, expected = read_presentation(case)
    parts = split(presentation)
    payload = parts.issuer_jwt.payload
    key = jwk.import_public_jwk(payload["cnf"]["jwk"], algorithm="ES256")
    judge_key_binding(parts, hash_name=hash_name(payload), key=key, expected=expected)


@pytest.mark.rule("SD-07", "VC-15")
@pytest.mark.parametrize("case", CREDENTIALS)
def test_published_presentations_in_full(case: str) -> None:
    presentation, expected = read_presentation(case)
    claims = read_json_vector(f"{case}/expected.json")
    trusted = [KnownIssuer(issuer=claims["iss"], keys=[ISSUER_KEY])]
    verified = verify_presentation(presentation, trusted=trusted, expected=expected, status_unchecked=False)
    assert verified.claims == claims
    assert (verified.issuer, verified.vct) == (claims["iss"], claims["vct"])
    assert verified.holder_jkt == jwk.thumbprint(claims["cnf"]["jwk"])
    assert not verified.authority_key_ids
    others = [KnownIssuer(issuer="https://other.example", keys=[ISSUER_KEY])]
    with pytest.raises(Malformed, match="not trusted"):
        verify_presentation(presentation, trusted=others, expected=expected, status_unchecked=False)
