"""Malformed input at every endpoint: the endpoint's own error, never a 5xx, nothing leaked.

Hypothesis drives a table of all endpoints over real sockets; a test keeps the table complete.
"""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar.handlers import HTTPRouteHandler

from app.main import build
from app.settings import Settings
from tests.support.raw_http import RawAnswer, exchange, request
from tests.support.raw_wallet import RawWallet
from tests.support.server import RunningServer


@dataclass(frozen=True)
class Endpoint:
    """One endpoint as it is fuzzed."""

    method: str
    template: str
    body: str | None
    """`form`, `json` or None."""
    errors: str
    """Whose words its errors are in: `oauth`, `credential` or `page`."""


ENDPOINTS = [
    Endpoint("GET", "/.well-known/oauth-authorization-server/{tenant:str}", None, "oauth"),
    Endpoint("GET", "/.well-known/openid-credential-issuer/{tenant:str}", None, "oauth"),
    Endpoint("GET", "/{tenant:str}/.well-known/oauth-authorization-server", None, "oauth"),
    Endpoint("GET", "/{tenant:str}/.well-known/openid-credential-issuer", None, "oauth"),
    Endpoint("GET", "/{tenant:str}/jwks.json", None, "oauth"),
    Endpoint("GET", "/healthz", None, "oauth"),
    Endpoint("GET", "/readyz", None, "oauth"),
    Endpoint("GET", "/static/vestibule.css", None, "oauth"),
    Endpoint("GET", "/static/vestibule.svg", None, "oauth"),
    Endpoint("POST", "/{tenant:str}/par", "form", "oauth"),
    Endpoint("POST", "/{tenant:str}/interactive", "form", "oauth"),
    Endpoint("GET", "/{tenant:str}/authorize", None, "page"),
    Endpoint("POST", "/{tenant:str}/authorize/answer", "form", "page"),
    Endpoint("POST", "/{tenant:str}/token", "form", "oauth"),
    Endpoint("POST", "/{tenant:str}/nonce", None, "oauth"),
    Endpoint("POST", "/{tenant:str}/credential", "json", "credential"),
]

VOCABULARY = {
    "oauth": {
        "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
        "invalid_scope", "invalid_target", "invalid_authorization_details", "unsupported_response_type",
        "invalid_dpop_proof", "use_dpop_nonce", "missing_interaction_type", "access_denied",
    },
    "credential": {
        "invalid_credential_request", "invalid_token", "insufficient_scope", "invalid_dpop_proof", "use_dpop_nonce",
        "unknown_credential_configuration", "unknown_credential_identifier", "invalid_proof", "invalid_nonce",
        "invalid_encryption_parameters", "credential_request_denied",
        "invalid_request",  # RFC 9449 §7.2: two kinds of token at once
    },
}  # fmt: skip
DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5B\x5D-\x7E]*")
"""RFC 6749 §5.2"""

FIELDS = [
    "client_id", "response_type", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method",
    "authorization_details", "dpop_jkt", "issuer_state", "resource", "request", "request_uri", "grant_type", "code",
    "code_verifier", "client_secret", "client_assertion", "step", "form_token", "action", "username", "password",
    "auth_session", "openid4vp_response", "interaction_types_supported",
]  # fmt: skip
HEADERS = [
    "Authorization",
    "DPoP",
    "Content-Type",
    "Content-Encoding",
    "Cookie",
    "Accept",
    "X-Forwarded-Host",
    "Origin",
]

fuzzed = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

text = st.text(max_size=60)
words = st.sampled_from(
    ["code", "pid", "demo-wallet", "S256", "authorization_code", "approve", "login", "null", "[]", "{}", "[{}]", "\x00"]
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | text | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text | st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=12,
)
documents = json_values.map(lambda value: msgspec.json.encode(_encodable(value)))
json_bodies = st.one_of(
    st.binary(max_size=200),
    documents,
    st.integers(1, 5000).map(lambda depth: b"[" * depth + b"]" * depth),
    st.sampled_from(
        [
            b'{"a":1,"a":2}', b"NaN", b'{"x":Infinity}', b'{"x":1e999}', b'"\\ud800"', b"\xef\xbb\xbf{}", b"", b"null",
            b'{"x":' + b"9" * 5000 + b"}", b"{", b'{"proofs":{"jwt":[]}}',
        ]
    ),
)  # fmt: skip
form_bodies = st.one_of(
    st.binary(max_size=200),
    st.lists(st.tuples(st.sampled_from(FIELDS) | text, words | text | documents.map(bytes.decode)), max_size=12).map(
        lambda pairs: urlencode(pairs, quote_via=quote_plus, errors="surrogatepass").encode()
    ),
    st.integers(60, 400).map(lambda count: b"&".join(b"f%d=1" % n for n in range(count))),
    st.sampled_from([b"%zz=1", b"a=%", b"client_id=%ff", b"=", b"&&&", b"client_id=a&client_id=a", b"a[]=1"]),
)
header_values = st.binary(max_size=80).map(lambda octets: bytes(o for o in octets if o >= 0x20 and o != 0x7F))
extra_headers = st.lists(st.tuples(st.sampled_from(HEADERS), header_values), max_size=4)
queries = st.one_of(st.just(b""), form_bodies.map(lambda octets: bytes(o for o in octets if 0x20 < o < 0x7F)))
content_types = st.sampled_from(
    ["application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=x", "text/plain", "",
     "application/json; charset=utf-16", "application/x-www-form-urlencoded;charset=UTF-8", "a/b/c", ";"]
)  # fmt: skip


def _encodable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name.encode("utf-8", "replace").decode(): _encodable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_encodable(inner) for inner in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        return float(value)
    return value


def assert_own_answer(answer: RawAnswer, errors: str) -> None:
    """No 5xx, no leak; an error is in the endpoint's own words."""
    assert 200 <= answer.status < 500, (answer.status, answer.body)
    assert not re.search(rb"Traceback|Exception|sqlalchemy|litestar|msgspec|File \"", answer.body)
    if answer.status < 400 or answer.from_server:
        assert not answer.from_server or answer.status == 400
        return
    assert answer.headers["cache-control"][0] == "no-store"
    if errors == "page":
        assert answer.content_type == "text/html"
        assert "location" not in answer.headers
        return
    if not answer.body:
        assert answer.status == 401
        assert answer.headers["www-authenticate"][0].startswith("DPoP")
        return
    assert answer.content_type == "application/json"
    body = answer.json()
    assert body["error"] in VOCABULARY[errors]
    assert DESCRIPTION.fullmatch(body.get("error_description", ""))
    assert set(body) <= {"error", "error_description"}


def test_the_table_names_every_endpoint() -> None:
    routes = {
        (method, route.path)
        for route in build(Settings()).routes
        for handler in getattr(route, "route_handlers", ())
        if isinstance(handler, HTTPRouteHandler)
        for method in handler.http_methods - {"OPTIONS"}
    }
    assert routes == {(endpoint.method, endpoint.template) for endpoint in ENDPOINTS}


every_endpoint = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: f"{e.method} {e.template}")


def _host(server: RunningServer) -> str:
    return urlsplit(server.url).netloc


@every_endpoint
@pytest.mark.rule("O-03", "O-05", "O-13")
def test_any_body_query_and_headers(server: RunningServer, endpoint: Endpoint) -> None:
    path = endpoint.template.replace("{tenant:str}", "pid-provider").encode()
    bodies = {"form": form_bodies, "json": json_bodies, None: form_bodies | json_bodies}[endpoint.body]
    usual = {"form": "application/x-www-form-urlencoded", "json": "application/json", None: ""}[endpoint.body]

    @fuzzed
    @given(bodies, queries, extra_headers, st.just(usual) | content_types)
    def run(body: bytes, query: bytes, headers: list[tuple[str, bytes]], content_type: str) -> None:
        target = path + (b"?" + query if query else b"")
        sent: list[tuple[str | bytes, str | bytes]] = [("Content-Type", content_type), *headers]
        octets = request(endpoint.method, target, host=_host(server), headers=sent, body=body)
        assert_own_answer(exchange(server.url, octets), endpoint.errors)

    run()


@every_endpoint
@pytest.mark.rule("O-14")
def test_any_method(server: RunningServer, endpoint: Endpoint) -> None:
    path = endpoint.template.replace("{tenant:str}", "pid-provider")
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "TRACE", "OPTIONS", "CONNECT", "BREW"):
        if method == endpoint.method:
            continue
        sent: list[tuple[str | bytes, str | bytes]] = [("X-HTTP-Method-Override", endpoint.method)]
        answer = exchange(server.url, request(method, path, host=_host(server), headers=sent))
        if method == "OPTIONS" and answer.status == 204:
            continue
        if method == "HEAD":
            assert answer.status == 405
            continue
        assert answer.status == 405 or answer.from_server, (method, answer)
        assert_own_answer(answer, endpoint.errors)


@every_endpoint
@pytest.mark.rule("PAR-13", "O-02")
def test_a_body_that_is_too_large(server: RunningServer, endpoint: Endpoint) -> None:
    if endpoint.body is None:
        return
    path = endpoint.template.replace("{tenant:str}", "pid-provider")
    content_type = {"form": "application/x-www-form-urlencoded", "json": "application/json"}[endpoint.body]
    headers: list[tuple[str | bytes, str | bytes]] = [("Content-Type", content_type)]
    if endpoint.errors == "credential":
        with server.wallet() as wallet:
            token = wallet.access_token()
            wallet.c_nonce()
            proof = wallet.dpop("POST", server.url + path, nonce=wallet.nonces["resource"], access_token=token)
        headers += [("Authorization", f"DPoP {token}"), ("DPoP", proof)]
    whole = request(endpoint.method, path, host=_host(server), headers=headers, body=b"a=" + b"x" * 1_100_000)
    assert exchange(server.url, whole).status == 413
    # The same without a Content-Length: the octets are counted as they come.
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    chunked = request(endpoint.method, path, host=_host(server), headers=[*headers, ("Transfer-Encoding", "chunked")])
    answer = exchange(server.url, chunked + chunk * 17)
    assert answer.status == 413
    assert_own_answer(answer, endpoint.errors)


@fuzzed
@given(
    st.sampled_from(ENDPOINTS),
    st.binary(min_size=1, max_size=30).map(lambda octets: bytes(o for o in octets if o > 0x20 and o != 0x7F)),
    st.sampled_from(["prefix", "suffix", "inside", "whole"]),
)
@pytest.mark.rule("M-08", "C-25")
def test_odd_paths(server: RunningServer, endpoint: Endpoint, odd: bytes, where: str) -> None:
    path = endpoint.template.replace("{tenant:str}", "pid-provider").encode()
    target = {
        "prefix": b"/" + odd + path,
        "suffix": path + odd,
        "inside": path.replace(b"pid-provider", b"pid-" + odd + b"provider"),
        "whole": b"/" + odd,
    }[where]
    answer = exchange(server.url, request(endpoint.method, target, host=_host(server)))
    assert answer.status == 0 or answer.status < 500
    assert b"Traceback" not in answer.body


jwt_members = st.dictionaries(
    st.sampled_from(
        [
            "typ", "alg", "jwk", "kid", "x5c", "crit", "b64", "jti", "htm", "htu", "iat", "exp", "nbf", "ath", "nonce",
            "aud", "iss", "jku",
        ]
    ),
    json_values.map(_encodable),
    max_size=3,
)  # fmt: skip


@pytest.mark.rule("O-03", "E-16")
def test_any_well_signed_dpop_proof(server: RunningServer, wallet: RawWallet) -> None:
    @fuzzed
    @given(jwt_members, jwt_members)
    def run(header: dict[str, Any], claims: dict[str, Any]) -> None:
        bent = {"header": _finite(header), "claims": _finite(claims)}
        assert wallet.push(dpop=bent).status_code in (201, 400)

    run()


@pytest.mark.rule("O-03", "E-16")
def test_any_well_signed_key_proof(server: RunningServer, wallet: RawWallet) -> None:
    token = wallet.access_token()

    @fuzzed
    @given(jwt_members, jwt_members, json_values.map(_encodable))
    def run(header: dict[str, Any], claims: dict[str, Any], other: Any) -> None:
        proof = wallet.key_proof("no nonce", header=_finite(header), claims=_finite(claims))
        for proofs in (
            {"jwt": [proof]},
            {"jwt": [proof, other]},
            {"jwt": other},
            other,
            {"jwt": [proof], "di_vp": other},
        ):
            answer = wallet.credential(token, {"proofs": _finite(proofs)})
            assert answer.status_code == 400, answer.text
            assert answer.json()["error"] in VOCABULARY["credential"]

    run()


def _finite(value: Any) -> Any:
    """Replace what JSON cannot say; malformed JSON is fuzzed elsewhere."""
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return "not finite"
    return value
