"""Heads of requests that no client library would send: hosts, targets, repeated and resembling headers."""

from contextlib import closing

import pytest

from tests.support.raw_http import RawAnswer, exchange, request
from tests.support.raw_wallet import Browser, RawWallet
from tests.support.server import RunningServer

FORM = ("Content-Type", "application/x-www-form-urlencoded")
JSON = ("Content-Type", "application/json")


def host(server: RunningServer) -> str:
    return server.url.removeprefix("http://")


def post(server: RunningServer, path: str, *, headers: list[tuple[str, str]], body: bytes = b"") -> RawAnswer:
    sent: list[tuple[str | bytes, str | bytes]] = [*headers]
    return exchange(server.url, request("POST", f"/pid-provider{path}", host=host(server), headers=sent, body=body))


@pytest.mark.rule("O-20", "M-07")
@pytest.mark.parametrize(
    "junk",
    [
        "",
        "evil.example",
        "localhost",
        "localhost:1",
        "a@{host}",
        "{host}/x",
        "{host}.",
        "{host} evil",
        "[::1]",
        "{host},{host}",
    ],
)
def test_a_host_of_junk_is_misdirected(server: RunningServer, junk: str) -> None:
    sent = junk.format(host=host(server))
    answer = exchange(server.url, request("GET", "/.well-known/oauth-authorization-server/pid-provider", host=sent))
    assert answer.status in (400, 421)
    assert b"evil" not in answer.body
    assert "location" not in answer.headers


@pytest.mark.rule("O-20")
def test_without_host_or_with_two_nothing_is_served(server: RunningServer) -> None:
    line = b"GET /pid-provider/jwks.json HTTP/1.1\r\nConnection: close\r\n"
    for hosts in ([], [host(server), host(server)], [host(server), "evil.example"]):
        head = line + b"".join(f"Host: {one}\r\n".encode() for one in hosts) + b"\r\n"
        assert exchange(server.url, head).status in (400, 421)


@pytest.mark.rule("M-07", "O-20")
def test_urls_come_from_the_configuration_whatever_a_proxy_header_says(server: RunningServer) -> None:
    said: list[tuple[str | bytes, str | bytes]] = [
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-For", "203.0.113.1"),
        ("Forwarded", "host=evil.example;proto=https"),
        ("X-Tenant", "other-tenant"),
        ("X-Original-URL", "/other-tenant/jwks.json"),
        ("X-Rewrite-URL", "/other-tenant/jwks.json"),
    ]
    path = "/.well-known/oauth-authorization-server/pid-provider"
    honest = exchange(server.url, request("GET", path, host=host(server)))
    bent = exchange(server.url, request("GET", path, host=host(server), headers=said))
    assert bent.status == 200
    assert bent.body == honest.body
    assert bent.json()["issuer"] == server.issuer()


@pytest.mark.rule("M-07")
def test_an_absolute_target_counts_instead_of_the_host(server: RunningServer) -> None:
    def ask(authority: str) -> RawAnswer:
        target = f"http://{authority}/pid-provider/jwks.json"
        return exchange(server.url, request("GET", target, host=host(server)))

    assert ask(host(server)).status == 200
    for other in ("evil.example", f"evil@{host(server)}", "localhost:1"):
        answer = ask(other)
        assert answer.status in (400, 421)
        assert b'"keys"' not in answer.body


@pytest.mark.rule("D-04")
@pytest.mark.parametrize("how", ["two headers", "joined", "folded"])
@pytest.mark.parametrize("path", ["/par", "/token", "/interactive"])
def test_two_dpop_proofs_are_refused(server: RunningServer, wallet: RawWallet, how: str, path: str) -> None:
    url = wallet.issuer + path
    first, second = (wallet.dpop("POST", url, nonce=wallet.nonces.get("as")) for _ in range(2))
    headers = {
        "two headers": [("DPoP", first), ("dpop", second)],
        "joined": [("DPoP", f"{first}, {second}")],
        "folded": [("DPoP", f"{first}\r\n {second}")],
    }[how]
    body = b"client_id=demo-wallet&grant_type=authorization_code&code=x"
    answer = post(server, path, headers=[FORM, *headers], body=body)
    assert answer.status == 400
    if not answer.from_server:
        assert answer.json()["error"] == "invalid_dpop_proof"
    assert wallet.push().status_code == 201


@pytest.mark.rule("C-25")
def test_a_token_in_the_wrong_place_or_form_is_never_served(server: RunningServer, wallet: RawWallet) -> None:
    token = wallet.access_token()
    url = f"{wallet.issuer}/credential"
    wallet.c_nonce()

    def ask(*authorizations: str, query: str = "") -> RawAnswer:
        proof = wallet.dpop("POST", url, access_token=token, nonce=wallet.nonces["resource"])
        headers = [JSON, ("DPoP", proof), *(("Authorization", value) for value in authorizations)]
        return post(server, f"/credential{query}", headers=headers, body=b"{}")

    assert ask(query=f"?access_token={token}").status == 401
    assert ask(f"DPoP {token}", f"DPoP {token}").status == 400
    assert ask(f"DPoP {token}", f"Bearer {token}").status == 400
    for bent in (f"DPoP\t{token}", f"DPoP  {token}", f"DPoP {token},", f"DPoP={token}", f"DPoP{token}", token, "DPoP"):
        assert ask(bent).status in (400, 401), bent
    assert ask(f"DPoP {token}").status == 400  # the empty request: the token itself was served
    assert wallet.credential(token).status_code == 200


@pytest.mark.rule("O-06")
@pytest.mark.parametrize("name", ["content_type", "authorization_", "d_pop", "dpop\x00", "dpop "])
def test_a_name_that_only_resembles_a_header_is_not_taken_for_it(server: RunningServer, name: str) -> None:
    headers = [(name, FORM[1])]
    answer = post(server, "/token", headers=headers, body=b"client_id=demo-wallet")
    # Without its real content type the form is refused, and so is a name that HTTP does not know.
    assert answer.status in (400, 415)


@pytest.mark.rule("O-06")
@pytest.mark.parametrize("name", ["Content-Type", "Content-Encoding", "Cookie", "Authorization", "DPoP"])
def test_a_header_that_may_occur_once_is_refused_twice(server: RunningServer, name: str) -> None:
    answer = post(server, "/token", headers=[FORM, (name, "a"), (name.lower(), "a")], body=b"client_id=demo-wallet")
    assert answer.status == 400
    assert answer.json()["error"] == ("invalid_dpop_proof" if name == "DPoP" else "invalid_request")


@pytest.mark.rule("O-06")
def test_no_value_splits_an_answer(wallet: RawWallet) -> None:
    state = "a\r\nSet-Cookie: forged=1\r\n\r\n<b>"
    with closing(Browser()) as browser:
        done = browser.walk(wallet.authorize_url(wallet.push({"state": state})))
    assert done.status_code == 303
    assert "forged=1" not in done.headers.get("set-cookie", "")
    assert "%0D%0ASet-Cookie" in done.headers["location"]
    assert "\r" not in done.headers["location"]
