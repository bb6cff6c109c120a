"""The published keys."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from app.protocol import jwk
from app.protocol.x509 import read_x5c
from tests.http.issued import issued
from tests.http.well_known import KINDS, members, metadata
from tests.support.documents import OTHER_SLUG
from tests.support.raw_wallet import RawWallet
from tests.support.server import RunningServer

PUBLIC_MEMBERS = {"kty", "crv", "x", "y", "kid", "alg", "use"}


@pytest.mark.rule("ASM-25", "E-20")
def test_published_keys_are_public(wallet: RawWallet) -> None:
    answer = wallet.http.get(metadata(wallet)["jwks_uri"])
    assert answer.headers["content-type"] == "application/json"
    [key] = answer.json()["keys"]
    assert key.keys() == PUBLIC_MEMBERS
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("EC", "P-256", "ES256", "sig")
    # No member that looks like a key of another kind anywhere else either.
    for kind in KINDS:
        for value in members(metadata(wallet, kind)):
            assert not (isinstance(value, dict) and value.keys() & {"d", "k", "p", "q", "dp", "dq", "qi", "kty"})


@pytest.mark.rule("E-21")
def test_no_key_serves_two_purposes_or_two_tenants(server: RunningServer) -> None:
    found: list[str] = []
    for slug in ("pid-provider", OTHER_SLUG):
        with server.wallet(slug) as wallet:
            published = wallet.http.get(f"{wallet.issuer}/jwks.json").json()["keys"]
            [leaf] = read_x5c(issued(wallet.credential(wallet.access_token())).header["x5c"])
        leaf_key = leaf.public_key()
        assert isinstance(leaf_key, ec.EllipticCurvePublicKey)
        found += [jwk.thumbprint(key) for key in published] + [jwk.thumbprint(jwk.export_public_jwk(leaf_key))]
        stored = server.store(lambda store: store.signing_keys.all(), slug)
        assert {jwk.thumbprint(key.public_jwk) for key in stored if key.purpose != "development_ca"} == set(found[-2:])
        found += [jwk.thumbprint(key.public_jwk) for key in stored if key.purpose == "development_ca"]
    assert len(set(found)) == len(found) == 6
