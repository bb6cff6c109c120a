"""A wallet we did not write gets a credential, and a library we did not write verifies it."""

import json
import re
import time
from collections.abc import Iterator

import pytest

from tests.interop.node import HERE, Node
from tests.support.documents import document
from tests.support.fakes import RunningClock
from tests.support.raw_wallet import PASSWORD, REDIRECT_URI, USERNAME
from tests.support.server import RunningServer, fresh_server

pytestmark = pytest.mark.interop

DAY = 86_400


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A service whose clock is the machine's, as the other wallet's is."""
    with fresh_server(tmp_path_factory.mktemp("server"), [document()], clock=RunningClock()) as running:
        yield running


@pytest.mark.rule("ASM-01", "DP-26", "DP-27")
@pytest.mark.parametrize("by", ["scope", "authorization_details"])
def test_another_wallet_gets_a_credential_another_library_verifies(node: Node, server: RunningServer, by: str) -> None:
    now = int(time.time())
    person = {"redirectUri": REDIRECT_URI, "username": USERNAME, "password": PASSWORD}
    got = node.run("wallet.mjs", {"issuer": server.issuer(), "by": by, **person})
    # Once at the authorization server, which the token endpoint is part of, and once at the resource.
    assert got["nonceErrors"] == ["par", "credential"]
    assert sorted(got["callback"]) == ["code", "iss", "state"]
    assert got["tokens"]["token_type"] == "dpop"
    assert got["accessToken"]["cnf"]["jkt"]
    claims = got["claims"]
    assert got["header"]["typ"] == "dc+sd-jwt"
    assert claims["vct"] == "urn:eudi:pid:1"
    assert claims["iss"] == server.issuer()
    assert claims["cnf"] == {"jwk": got["holderJwk"]}
    assert claims["iat"] % DAY == 0
    assert claims["iat"] <= now < claims["exp"]
    assert got["disclosures"] == 4
    assert {
        name: claims[name] for name in ("given_name", "family_name", "birthdate", "address", "issuing_country")
    } == {
        "given_name": "Erika",
        "family_name": "Mustermann",
        "birthdate": "1964-08-12",
        "address": {"locality": "Köln"},
        "issuing_country": "DE",
    }


def test_no_registry_is_named_and_every_package_is_hashed() -> None:
    lock = json.loads((HERE / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert len(packages) > 4
    for name, package in packages.items():
        assert "resolved" not in package, name
        assert re.match(r"sha512-", package["integrity"]), name
