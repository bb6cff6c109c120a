import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from app.formats import sd_jwt
from app.protocol import base64url, dcql, jose, jwk, strict_json
from app.protocol.x509 import authority_key_ids
from app.wallet.answers import PresentationRequest
from app.wallet.errors import Misused, WalletRefused
from app.wallet.keys import WalletKey
from app.wallet.presenting import Presenter, Showing, choose
from app.wallet.store import Store, StoredCredential
from tests.wallet.certificates import VCT, PlacedClaim, TestIssuer
from tests.wallet.fakes import ISSUER, NOW

ISSUED_BY = TestIssuer()
HOLDER = WalletKey.generate()
CLAIMS = [
    PlacedClaim(("given_name",), "Erika"),
    PlacedClaim(("birthdate",), "1964-08-12"),
    PlacedClaim(("nationalities",), ["DE", "AT"]),
    PlacedClaim(("address",), {}),
    PlacedClaim(("address", "locality"), "Köln"),
    PlacedClaim(("address", "postal_code"), "51147"),
    PlacedClaim(("is_adult",), True),
    PlacedClaim(("issuing_country",), "DE", "always"),
]


def stored(
    identifier: str = "pid-1", *, received_at: int = NOW, key: WalletKey = HOLDER, **issued: Any
) -> StoredCredential:
    issued = {"claims": CLAIMS, **issued}
    credential = ISSUED_BY.issue(key.public_jwk, **issued)
    return StoredCredential(identifier, ISSUER, "pid", issued.get("vct", VCT), received_at, credential, key.to_pem())


PID = stored()


def query(*paths: list[str | int | None], **changes: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {"id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}}
    if paths:
        asked["claims"] = [{"id": f"c{index}", "path": path} for index, path in enumerate(paths)]
    return {**asked, **changes}


def chosen(*queries: dict[str, Any], held: Sequence[StoredCredential] = (PID,), sets: Any = None) -> list[Showing]:
    return choose(dcql.read_query({"credentials": queries, "credential_sets": sets}), held, now=NOW)


def disclosed(showing: Showing) -> set[str]:
    """The names in the disclosures that go over the wire."""
    disclosures = sd_jwt.split(showing.sd_jwt).disclosures
    return {strict_json.parse(base64url.decode(each))[1] for each in disclosures}


@pytest.mark.parametrize(
    ("asked", "names", "claims"),
    [
        (query(), set(), {}),
        (query(["given_name"]), {"given_name"}, {"given_name": "Erika"}),
        (query(["issuing_country"]), set(), {}),
        # Parents come along, siblings stay.
        (query(["address", "locality"]), {"address", "locality"}, {"address": {"locality": "Köln"}}),
        # Who asks for an object gets it as it is.
        (
            query(["address"]),
            {"address", "locality", "postal_code"},
            {"address": {"locality": "Köln", "postal_code": "51147"}},
        ),
        (query(["nationalities", None]), {"nationalities"}, {"nationalities": ["DE", "AT"]}),
        # The first claim set that can be satisfied, and nothing of the others.
        (
            query(["age"], ["is_adult"], ["birthdate"], claim_sets=[["c0"], ["c1"], ["c2"]]),
            {"is_adult"},
            {"is_adult": True},
        ),
        (
            query(claims=[{"path": ["given_name"], "values": ["Max", "Erika"]}]),
            {"given_name"},
            {"given_name": "Erika"},
        ),
    ],
)
def test_shows_what_is_asked_and_no_more(asked: dict[str, Any], names: set[str], claims: dict[str, Any]) -> None:
    [showing] = chosen(asked)
    assert disclosed(showing) == names
    assert showing.claims == {"issuing_country": "DE", **claims}


@pytest.mark.parametrize(
    "asked",
    [
        query(["family_name"]),
        query(["given_name"], ["family_name"]),
        query(["address", "country"]),
        query(["given_name", "x"]),
        query(["given_name"], ["family_name"], claim_sets=[["c0", "c1"]]),
        query(claims=[{"path": ["given_name"], "values": ["Max"]}]),
        query(claims=[{"path": ["is_adult"], "values": [1]}]),
        query(format="mso_mdoc"),
        query(meta={"vct_values": ["urn:other:1"]}),
        query(meta={}),
        query(trusted_authorities=[{"type": "aki", "values": ["c29tZWJvZHkgZWxzZQ"]}]),
        query(trusted_authorities=[{"type": "openid_federation", "values": ["https://ta.example"]}]),
    ],
)
def test_says_what_is_missing(asked: dict[str, Any]) -> None:
    with pytest.raises(WalletRefused, match="nothing_to_present"):
        chosen(asked)


def test_names_the_missing_type_and_claims() -> None:
    with pytest.raises(WalletRefused, match=r"no valid urn:eudi:pid:1 with given_name, address\.\*\.x; get that first"):
        chosen(query(["given_name"], ["address", None, "x"]), held=[])


def test_an_authority_in_the_chain_is_found() -> None:
    [key_id] = authority_key_ids([ISSUED_BY.certificate])
    asked = query(trusted_authorities=[{"type": "aki", "values": ["eA", base64url.encode(key_id)]}])
    assert len(chosen(asked)) == 1


def test_skips_what_is_no_good() -> None:
    expired = stored("expired", issued_at=NOW - 90_000)
    broken = StoredCredential("broken", ISSUER, "pid", VCT, NOW, "a.b.c~", HOLDER.to_pem())
    [showing] = chosen(query(), held=[expired, broken, PID])
    assert showing.stored.id == "pid-1"


def test_required_sets_only_and_their_first_option_that_can_be_shown() -> None:
    other = query(id="card", meta={"vct_values": ["urn:card:1"]})
    held = [PID, stored("card-1", vct="urn:card:1")]
    asked = [query(), other, query(id="none", meta={"vct_values": ["urn:none:1"]})]

    def shown(*sets: dict[str, Any]) -> list[str]:
        return [each.query_id for each in chosen(*asked, held=held, sets=sets)]

    assert shown({"options": [["none"], ["card"], ["pid"]]}) == ["card"]
    assert shown({"options": [["pid"]]}, {"options": [["card"]], "required": False}) == ["pid"]
    assert shown({"options": [["pid", "card"]]}) == ["pid", "card"]
    with pytest.raises(WalletRefused, match="urn:none:1"):
        shown({"options": [["pid", "none"]]})
    with pytest.raises(WalletRefused, match="urn:none:1"):
        chosen(*asked, held=held)


REQUEST = PresentationRequest(dcql.read_query({"credentials": [query(["given_name"])]}), "the-nonce")


class Erika:
    """Says yes or no, and remembers what she was asked."""

    def __init__(self, answer: bool = True) -> None:
        self.answer = answer
        self.asked: list[tuple[str, Sequence[Showing]]] = []

    def __call__(self, verifier: str, showings: Sequence[Showing]) -> bool:
        self.asked.append((verifier, showings))
        return self.answer


def respond(folder: Path, erika: Erika, only: Sequence[str] = ()) -> tuple[Any, Presenter]:
    presenter = Presenter(Store(folder), only=only, agree=erika, now=lambda: NOW)
    return presenter.respond(REQUEST, audience="iae:https://issuer.example", verifier=ISSUER), presenter


def test_presents_for_this_nonce_and_audience_with_the_holders_key(tmp_path: Path) -> None:
    Store(tmp_path).add(PID)
    response, presenter = respond(tmp_path, Erika())
    [presentation] = response["vp_token"].pop("pid")
    assert response == {"vp_token": {}}
    unbound, _, binding = presentation.rpartition("~")
    jwt = jose.parse_jwt(binding)
    assert jwt.header == {"typ": "kb+jwt", "alg": "ES256"}
    assert jwt.payload == {
        "aud": "iae:https://issuer.example",
        "nonce": "the-nonce",
        "iat": NOW,
        "sd_hash": base64url.encode(hashlib.sha256(f"{unbound}~".encode()).digest()),
    }
    jose.verify_jwt(jwt, jwk.import_public_jwk(HOLDER.public_jwk, algorithm="ES256"), algorithms=["ES256"])
    assert [each.thumbprint for each in presenter.used_keys] == [HOLDER.thumbprint]


def test_asks_the_person_first_and_presents_nothing_without_a_yes(tmp_path: Path) -> None:
    Store(tmp_path).add(PID)
    erika = Erika(answer=False)
    response, presenter = respond(tmp_path, erika)
    [(verifier, [showing])] = erika.asked
    assert verifier == ISSUER
    assert (showing.stored, showing.claims) == (PID, {"given_name": "Erika", "issuing_country": "DE"})
    assert response is None
    assert presenter.used_keys == []


def test_presents_the_newest_or_the_one_that_is_named(tmp_path: Path) -> None:
    for name, received_at in (("older", NOW - 2), ("newest", NOW), ("oldest", NOW - 3)):
        Store(tmp_path).add(stored(name, received_at=received_at))
    for only, shown in (((), "newest"), (("older",), "older"), (("oldest", "older"), "oldest")):
        erika = Erika()
        respond(tmp_path, erika, only)
        assert erika.asked[0][1][0].stored.id == shown
    with pytest.raises(Misused):
        respond(tmp_path, Erika(), ("unknown",))


def test_presents_nothing_but_what_is_named(tmp_path: Path) -> None:
    Store(tmp_path).add(PID)
    Store(tmp_path).add(stored("card-1", vct="urn:card:1"))
    erika = Erika()
    with pytest.raises(WalletRefused, match="nothing_to_present"):
        respond(tmp_path, erika, ("card-1",))
    assert erika.asked == []
