from pathlib import Path

import pytest

from app.wallet.errors import Misused, WalletRefused
from app.wallet.keys import WalletKey
from app.wallet.verification import NO_ANCHOR, load_anchors, verify_credential
from tests.protocol.certificates import CA, LEAF, der, pem
from tests.wallet.certificates import VCT, TestIssuer
from tests.wallet.fakes import ISSUER, NOW

ISSUED_BY = TestIssuer()
HOLDER = WalletKey.generate()


def test_says_what_it_found_and_shows_the_persons_claims() -> None:
    credential = ISSUED_BY.issue(HOLDER.public_jwk)
    verified = verify_credential(credential, now=NOW, anchors=[ISSUED_BY.ca], holder_key=HOLDER, vct=VCT)
    assert verified.claims == {"given_name": "Erika", "address": {"locality": "KÖLN"}}
    checks = dict(verified.checks)
    assert checks["issuer"] == ISSUER
    assert "CN=issuer" in checks["signature"]
    assert checks["trust"] == "issuer certificate leads to a trust anchor"
    assert HOLDER.thumbprint in checks["holder"]
    assert checks["valid"] == "from 2027-01-15 08:00 until 2027-01-16 08:00"


def test_says_what_it_could_not_check() -> None:
    verified = verify_credential(ISSUED_BY.issue(HOLDER.public_jwk), now=NOW, anchors=None)
    assert dict(verified.checks)["trust"] == NO_ANCHOR
    assert dict(verified.checks)["holder"] == "not checked, no key at hand"


def test_refuses_what_is_not_right() -> None:
    def refused(
        credential: str, *, now: int = NOW, issuer: TestIssuer | None = ISSUED_BY, key: WalletKey = HOLDER
    ) -> str:
        anchors = None if issuer is None else [issuer.ca]
        with pytest.raises(WalletRefused) as error:
            verify_credential(credential, now=now, anchors=anchors, holder_key=key, vct=VCT)
        return error.value.description

    good = ISSUED_BY.issue(HOLDER.public_jwk)
    assert "trust anchor" in refused(good, issuer=TestIssuer())
    assert "wallet's key" in refused(good, key=WalletKey.generate())
    assert "expected" in refused(ISSUED_BY.issue(HOLDER.public_jwk, vct="urn:other:1"))
    assert "expired" in refused(good, now=NOW + 90_000)
    assert "not valid yet" in refused(good, now=NOW - 90_000, issuer=None)
    jwt, first, *rest = good.split("~")
    assert "disclosure" in refused("~".join([jwt, first, first, *rest]), issuer=None)
    header, payload, signature = jwt.split(".")
    forged = ("B" if signature[0] == "A" else "A") + signature[1:]
    assert "signature" in refused(f"{header}.{payload}.{forged}~{first}~{'~'.join(rest)}", issuer=None)


def test_anchors_come_from_a_file_that_holds_nothing_unreadable(tmp_path: Path) -> None:
    file = tmp_path / "anchors.pem"
    with pytest.raises(Misused, match="holds no PEM certificates"):
        load_anchors(file)
    ca, leaf = der(CA, LEAF)
    file.write_text(pem(ca, leaf))
    assert load_anchors(file) == [CA, LEAF]
    # A common name that is a bit string, which the library finds out later.
    file.write_text(pem(ca, leaf.replace(b"\x0c\x04Leaf", b"\x03\x04Leaf")))
    with pytest.raises(Misused, match="holds no PEM certificates"):
        load_anchors(file)
