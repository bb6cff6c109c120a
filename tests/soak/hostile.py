"""The hostile requests: what is sent, and what it must be told. None may cost the other wallet its journey."""

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

import httpx2
from msgspec import Struct

from tests.soak.attacker import FORM, JSON, Attacker
from tests.support.interactive_wallet import InteractiveWallet
from tests.support.presented import OTHER_ISSUER, PID_ISSUER
from tests.support.raw_http import RawAnswer
from tests.support.raw_wallet import ABSENT, Key

Answer = httpx2.Response | RawAnswer | None
Send = Callable[[Attacker], Answer]

DEEP: Final = "[" * 20_000 + "]" * 20_000
LONG_NUMBER: Final = "9" * 100_000
CRLF: Final = "a\r\nSet-Cookie: forged=1\r\n\r\n{}\u2028\x1b[31m"

REFUSED_DPOP: Final = "400 invalid_dpop_proof"
SESSION_ERROR: Final = "400 invalid_request"
"""Malformed, or the uniform answer for a handle that is not yours."""
DENIED: Final = "400 access_denied"


class Attack(Struct, frozen=True):
    """One hostile request."""

    name: str
    send: Send
    told: str
    """Status and `error`, or `closed`, or `nothing` where nobody waits for an answer."""


def _attacks() -> Iterator[Attack]:
    for group, (told, sends) in _BY_ANSWER.items():
        for name, send in sends.items():
            yield Attack(f"{group}: {name}", send, told)
    for name, (send, told) in _SINGLE.items():
        yield Attack(name, send, told)


def _form(path: str, content: str | bytes, **options: Any) -> Send:
    return lambda attacker: attacker.post(path, content, **options)


def _begin(changes: Mapping[str, Any], **options: Any) -> Send:
    return lambda attacker: attacker.wallet.begin(changes, **options)


def _send(response: str) -> Send:
    return lambda attacker: attacker.wallet.send(attacker.asked(), response)


def _present(**bent: Any) -> Send:
    return lambda attacker: attacker.present(**bent)


def _issued(**bent: Any) -> Send:
    """Present a credential that was made so, or by another issuer."""
    issuer = bent.pop("issuer", PID_ISSUER)

    def send(attacker: Attacker) -> httpx2.Response:
        return attacker.present(credential=issuer.issue(holder=attacker.wallet.holder.private, **bent).text)

    return send


def _credential(content: str | bytes, content_type: str = JSON) -> Send:
    return lambda attacker: attacker.ask_credential(content, content_type)


def _dpop(**bent: Any) -> Send:
    """Begin with a proof that is bent, and has a nonce of ours unless it is that."""

    def send(attacker: Attacker) -> httpx2.Response:
        attacker.asked()
        return attacker.wallet.begin(dpop={"nonce": attacker.wallet.nonces["as"], **bent})

    return send


def _key_proof(**bent: Any) -> Send:
    return lambda attacker: attacker.prove(attacker.wallet.key_proof(attacker.wallet.c_nonce(), **bent))


def _raw(method: str, target: str, *headers: tuple[str, str], body: bytes = b"", host: str | None = None) -> Send:
    return lambda attacker: attacker.raw(method, target, headers, body, host=host)


def _at_another_tenant(attacker: Attacker, use: Callable[[InteractiveWallet], httpx2.Response]) -> httpx2.Response:
    """Use a value at a tenant it is not of, all else right."""
    issuer = attacker.wallet.issuer.rpartition("/")[0] + "/pid-provider"
    with replace(attacker.wallet, issuer=issuer, nonces={}) as wallet:
        wallet.http.event_hooks = attacker.wallet.http.event_hooks
        return use(wallet)


def _follow_up_of_another(attacker: Attacker, **options: Any) -> httpx2.Response:
    handle = attacker.stolen("handle")
    return attacker.wallet.send(handle, {"vp_token": {"pid": [attacker.pid]}}, **options)


def _exchange_of_another(attacker: Attacker, name: str) -> httpx2.Response:
    return attacker.wallet.exchange(attacker.stolen(name))


def _token_of_another(attacker: Attacker, scheme: str) -> httpx2.Response:
    changes = {"credential_configuration_id": "student-card", "proofs": {"jwt": ["x"]}}
    return attacker.wallet.credential(attacker.stolen("access_token"), changes, scheme=scheme, dpop=scheme == "DPoP")


def _hammer(attacker: Attacker) -> httpx2.Response:
    """Guess at one handle until it is enough."""
    answer = attacker.wallet.follow_up("guessed", dpop=False)
    for _ in range(100):
        if answer.status_code != 400:
            break
        answer = attacker.wallet.follow_up("guessed", dpop=False)
    return answer


def _disclose_more(attacker: Attacker) -> httpx2.Response:
    """Put in a disclosure that the issuer knows nothing of, and sign for it."""
    asked = attacker.asked()
    forged = attacker.pid + PID_ISSUER.issue({"age_over_21": "yes"}).text.split("~")[1] + "~"
    bound = attacker.wallet.key_binding(forged, asked.json()["openid4vp_request"])
    return attacker.wallet.respond(asked, forged + bound)


def _unsigned(attacker: Attacker) -> httpx2.Response:
    """Present with a signature of the issuer's that was cut off."""
    asked = attacker.asked()
    token, _, rest = attacker.pid.partition("~")
    forged = f"{token.rpartition('.')[0]}.~{rest}"
    bound = attacker.wallet.key_binding(forged, asked.json()["openid4vp_request"])
    return attacker.wallet.respond(asked, forged + bound)


def _of_another_session(attacker: Attacker) -> httpx2.Response:
    first, second = attacker.asked(), attacker.asked()
    return attacker.wallet.respond(second, attacker.wallet.present(first, attacker.pid))


def _dribbled(attacker: Attacker) -> None:
    whole = attacker.request("POST", "~/token", [("Content-Type", FORM)], b"a=b&" * 100)
    attacker.cut([whole[start : start + 60] for start in range(0, 300, 60)])


def _half_a_body(attacker: Attacker) -> None:
    attacker.cut([attacker.request("POST", "~/interactive", [("Content-Length", "5000")], b"client_id=demo-wallet")])


def _answer_unread(attacker: Attacker) -> None:
    """Present something, and hang up before it is judged."""
    asked = attacker.asked()
    response = json.dumps({"vp_token": {"pid": [attacker.wallet.present(asked, attacker.pid)]}})
    body = urlencode({"auth_session": asked.json()["auth_session"], "openid4vp_response": response}).encode()
    url = f"{attacker.wallet.issuer}/interactive"
    proof = attacker.wallet.dpop("POST", url, nonce=attacker.wallet.nonces["as"])
    sent = attacker.request("POST", "~/interactive", [("Content-Type", FORM), ("DPoP", proof)], body)
    attacker.cut([sent], pause=0)


def _endless(attacker: Attacker) -> RawAnswer:
    """Send chunks beyond what a form may have."""
    head = attacker.request("POST", "~/token", [("Content-Type", FORM), ("Transfer-Encoding", "chunked")])
    return attacker.octets(head + b"1000\r\n" + b"a" * 4096 + b"\r\n" + (b"1000\r\n" + b"a" * 4096 + b"\r\n") * 20)


_BY_ANSWER: Final[dict[str, tuple[str, dict[str, Send]]]] = {
    "another's DPoP": (
        REFUSED_DPOP,
        {
            "the initial request again": lambda attacker: attacker.replay("initial request"),
            "the presentation again": lambda attacker: attacker.replay("presentation"),
            "the exchange again": lambda attacker: attacker.replay("token"),
            "the handle, another key": _follow_up_of_another,
            "the handle, no proof": partial(_follow_up_of_another, dpop=False),
        },
    ),
    "a proof that is none": (
        REFUSED_DPOP,
        {
            "text": _begin({}, dpop="x"),
            "empty parts": _begin({}, dpop=".."),
            "alg none": _dpop(header={"alg": "none"}),
            "HMAC": _dpop(header={"alg": "HS256"}),
            "another type": _dpop(header={"typ": "JWT"}),
            "crit": _dpop(header={"crit": ["exp"]}),
            "x5c of megabytes": _dpop(header={"x5c": ["MII" + "A" * 40_000]}),
            "deep": lambda attacker: attacker.wallet.begin(
                dpop=attacker.wallet.dpop("POST", "x", claims={"x": json.loads("[" * 500 + "]" * 500)})
            ),
            "no key": _dpop(header={"jwk": ABSENT}),
            "a key off the curve": _dpop(header={"jwk": {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}}),
            "another URL": _dpop(claims={"htu": "http://localhost/x"}),
            "another method": _dpop(claims={"htm": "GET"}),
            "of tomorrow": _dpop(claims={"iat": 9_999_999_999}),
            "of long ago": _dpop(claims={"iat": 1}),
            "a long id": _dpop(claims={"jti": "j" * 5000}),
            "an id with CRLF and more": _dpop(claims={"jti": {"a": CRLF}}),
            "twice": lambda attacker: attacker.raw("POST", "~/interactive", [("DPoP", "a.b.c"), ("DPoP", "a.b.c")]),
        },
    ),
    "a proof without a nonce of ours": (
        "400 use_dpop_nonce",
        {
            "made up": _dpop(nonce="x" * 40),
            "CRLF": _dpop(nonce=CRLF),
        },
    ),
    "a request that cannot be read": (
        SESSION_ERROR,
        {
            "broken escape": _form("/token", "grant_type=%zz"),
            "not UTF-8": _form("/token", b"grant_type=%ff%fe"),
            "NUL": _form("/par", "client_id=a%00b"),
            "a parameter twice": _form("/par", "client_id=demo-wallet&client_id=demo-wallet"),
            "1000 parameters": _form("/interactive", "&".join(f"p{n}=1" for n in range(1000))),
            "query and body": _form("/token?grant_type=authorization_code", "client_id=demo-wallet"),
            "empty": _form("/interactive", ""),
            "request inside": _begin({"request": "a.b.c"}),
            "request_uri inside": _begin({"request_uri": "http://127.0.0.1/"}),
            "redirect_uri with CRLF": _begin({"redirect_uri": f"http://localhost:9555/callback?{CRLF}"}),
            "redirect_uri of his": _begin({"redirect_uri": "https://attacker.example/"}),
            "challenge of no kind": _begin({"code_challenge_method": "plain"}),
        },
    ),
    "authorization_details": (
        "400 invalid_authorization_details",
        {
            "deep": _begin({"scope": ABSENT, "authorization_details": DEEP}),
            "15 000": _begin(
                {"scope": ABSENT, "authorization_details": json.dumps([{"type": "openid_credential"}] * 15_000)}
            ),
            "no array": _begin({"scope": ABSENT, "authorization_details": "{}"}),
            "long number": _begin({"scope": ABSENT, "authorization_details": f'[{{"type":{LONG_NUMBER}}}]'}),
        },
    ),
    "a client nobody knows": (
        "401 invalid_client",
        {
            "with CRLF": _begin({"client_id": CRLF}),
            "long": _begin({"client_id": "c" * 20_000}),
            "retired": _begin({"client_id": "retired-wallet"}),
            "with a secret": _begin({"client_secret": "x"}),
        },
    ),
    "a handle that is none": (
        SESSION_ERROR,
        {
            "made up": lambda attacker: attacker.wallet.follow_up("A" * 43, {"openid4vp_response": "{}"}),
            "spent": lambda attacker: attacker.wallet.follow_up(attacker.stolen("spent_handle")),
            "at another tenant": lambda attacker: _at_another_tenant(
                attacker, lambda wallet: wallet.follow_up(attacker.stolen("handle"))
            ),
            "with CRLF": lambda attacker: attacker.wallet.follow_up(CRLF),
            "long": lambda attacker: attacker.wallet.follow_up("h" * 60_000),
        },
    ),
    "a response that cannot be read": (
        SESSION_ERROR,
        {
            "no JSON": _send("x"),
            "deep": _send('{"vp_token":' + DEEP + "}"),
            "long number": _send('{"vp_token":{"pid":["x"]},"n":' + LONG_NUMBER + "}"),
            "NaN": _send('{"vp_token":NaN}'),
            "lone surrogate": _send('{"vp_token":{"pid":["\\ud800"]}}'),
            "byte order mark": _send('\ufeff{"vp_token":{"pid":["x"]}}'),
            "30 000 queries": _send(json.dumps({"vp_token": {str(n): ["x"] for n in range(30_000)}})),
            "40 000 presentations": _send(json.dumps({"vp_token": {"pid": ["x"] * 40_000}})),
            "a query nobody asked": _send(json.dumps({"vp_token": {"x": ["y"]}})),
            "both kinds": _send(json.dumps({"vp_token": {"pid": ["x"]}, "error": "x"})),
            "a DCQL query instead": _send(json.dumps({"dcql_query": {"credentials": [{"id": "x"}] * 5000}})),
            "an error of no kind": _send(json.dumps({"error": CRLF})),
            "a JWE": _send(json.dumps({"response": "a.b.c.d.e"})),
        },
    ),
    "a presentation that does not hold": (
        DENIED,
        {
            "another's key": lambda attacker: attacker.present(key=Key()),
            "another nonce": _present(claims={"nonce": "n" * 43}),
            "another audience": _present(claims={"aud": "iae:https://attacker.example"}),
            "two audiences": _present(claims={"aud": ["iae:http://localhost", "x"]}),
            "another hash": _present(claims={"sd_hash": "A" * 43}),
            "of long ago": _present(claims={"iat": 1}),
            "of tomorrow": _present(claims={"iat": 9_999_999_999}),
            "another type of JWT": _present(header={"typ": "JWT"}),
            "CRLF for a nonce": _present(claims={"nonce": CRLF}),
            "not enough": _present(disclose=["given_name"]),
            "more than was signed": _disclose_more,
            "not signed": _unsigned,
            "of another session": _of_another_session,
            "of another issuer": _issued(issuer=OTHER_ISSUER),
            "of another kind": _issued(vct="urn:example:x"),
            "expired": _issued(payload={"exp": 1}),
            "a huge x5c": _issued(header={"x5c": ["MII" + "A" * 30_000] * 4}),
            "an x5c of many": lambda attacker: _issued(header={"x5c": [*PID_ISSUER.issue().header["x5c"] * 100]})(
                attacker
            ),
            "x5c of no certificate": _issued(header={"x5c": ["AAAA"]}),
            "no key binding": lambda attacker: attacker.wallet.respond(attacker.asked(), attacker.pid),
            "tildes": lambda attacker: attacker.wallet.respond(attacker.asked(), "~" * 100_000),
            "an error of his": _send(json.dumps({"error": "access_denied", "error_description": CRLF})),
        },
    ),
    "a code that is not his": (
        "400 invalid_grant",
        {
            "not spent yet": lambda attacker: _exchange_of_another(attacker, "code"),
            "spent": lambda attacker: _exchange_of_another(attacker, "spent_code"),
            "made up": lambda attacker: attacker.wallet.exchange("c" * 43),
            "with CRLF": lambda attacker: attacker.wallet.exchange(CRLF),
            "long": lambda attacker: attacker.wallet.exchange("c" * 60_000),
            "at another tenant": lambda attacker: _at_another_tenant(
                attacker, lambda wallet: wallet.exchange(attacker.stolen("code"))
            ),
        },
    ),
    "a token that is not his": (
        "401 invalid_token",
        {
            "with his key": lambda attacker: _token_of_another(attacker, "DPoP"),
            "as Bearer": lambda attacker: _token_of_another(attacker, "Bearer"),
            "made up": lambda attacker: attacker.post(
                "/credential", "{}", JSON, {"Authorization": "DPoP a.b.c", "DPoP": "a.b.c"}
            ),
            "alg none": lambda attacker: attacker.post(
                "/credential", "{}", JSON, {"Authorization": "DPoP eyJhbGciOiJub25lIn0.e30.", "DPoP": "a.b.c"}
            ),
            "long": lambda attacker: attacker.post(
                "/credential", "{}", JSON, {"Authorization": "DPoP " + "t" * 40_000, "DPoP": "a.b.c"}
            ),
        },
    ),
    "a token and its proof": (
        "401 invalid_dpop_proof",
        {
            "another's request again": lambda attacker: attacker.replay("credential"),
        },
    ),
    "a credential request that cannot be read": (
        "400 invalid_credential_request",
        {
            "no JSON": _credential("x"),
            "no object": _credential("[]"),
            "deep": _credential('{"a":' + DEEP + "}"),
            "long number": _credential('{"a":' + LONG_NUMBER + "}"),
            "NaN": _credential('{"a":NaN}'),
            "lone surrogate": _credential('{"a":"\\ud800"}'),
            "not UTF-8": _credential(b'{"a":"\xff"}'),
            "byte order mark": _credential(b'\xef\xbb\xbf{"a":1}'),
            "a member twice": _credential('{"proofs":{},"proofs":{}}'),
            "two kinds of credential": _credential('{"credential_identifier":"a","credential_configuration_id":"b"}'),
        },
    ),
    "a key proof that is none": (
        "400 invalid_proof",
        {
            "text": lambda attacker: attacker.prove("x"),
            "alg none": _key_proof(header={"alg": "none"}),
            "another audience": _key_proof(claims={"aud": "https://attacker.example"}),
            "of long ago": _key_proof(claims={"iat": 1}),
            "another key than presented": lambda attacker: attacker.prove(
                attacker.wallet.key_proof(attacker.wallet.c_nonce(), key=Key())
            ),
            "huge x5c": _key_proof(header={"jwk": ABSENT, "x5c": ["MII" + "A" * 6000] * 20}),
            "long": lambda attacker: attacker.prove("a." + "b" * 100_000 + ".c"),
        },
    ),
    "a nonce that is none": (
        "400 invalid_nonce",
        {
            "made up": lambda attacker: attacker.prove(attacker.wallet.key_proof("x" * 80)),
            "with CRLF": lambda attacker: attacker.prove(attacker.wallet.key_proof(CRLF)),
        },
    ),
    "a page that is not his": (
        "400",
        {
            "made up": lambda attacker: attacker.wallet.http.get(
                f"{attacker.wallet.issuer}/authorize?client_id=demo-wallet&request_uri=urn:ietf:params:oauth:request_uri:x"
            ),
            "with CRLF": lambda attacker: attacker.wallet.http.get(
                f"{attacker.wallet.issuer}/authorize?client_id=%0d%0aSet-Cookie:a=b&request_uri=%0d%0aX:%20y"
            ),
            "an answer of nobody": _form("/authorize/answer", "action=approve&csrf=x"),
        },
    ),
    "nobody lives here": (
        "404 invalid_request",
        {
            "an unknown tenant": _raw("POST", "/nobody/interactive", ("Content-Type", FORM)),
            "metadata of one": _raw("GET", "/.well-known/openid-credential-issuer/nobody"),
            "a path of two tenants": _raw("GET", "~/../pid-provider/jwks.json"),
            "an escaped path": _raw("GET", "~/%2e%2e/pid-provider/jwks.json"),
            "empty segments": _raw("GET", "~//jwks.json"),
            "a long slug": _raw("GET", "/" + "a" * 4000 + "/jwks.json"),
        },
    ),
    "a method that is not offered": (
        "405 invalid_request",
        {
            "GET": _raw("GET", "~/interactive"),
            "PUT": _raw("PUT", "~/token", body=b"x"),
            "DELETE": _raw("DELETE", "~/jwks.json"),
            "TRACE": _raw("TRACE", "~/par"),
            "overridden": _raw("GET", "~/token", ("X-HTTP-Method-Override", "POST")),
        },
    ),
    "too much": (
        "413 invalid_request",
        {
            "a form": _form("/token", "a=" + "b" * 70_000),
            "a push": _form("/par", "a=" + "b" * 500_000),
            "an interactive request": _form("/interactive", "a=" + "b" * 1_100_000),
            "chunks without end": _endless,
        },
    ),
    "another kind of body": (
        "415 invalid_request",
        {
            "JSON": _form("/token", "{}", content_type=JSON),
            "multipart": _form("/par", "--a\r\n", content_type="multipart/form-data; boundary=a"),
            "none": _form("/interactive", "a=b", content_type=None),
            "UTF-16": _form("/interactive", "a=b", content_type=f"{FORM}; charset=utf-16"),
            "a gzip bomb": _form(
                "/interactive", gzip.compress(b"a=b&" * 500_000), headers={"Content-Encoding": "gzip"}
            ),
        },
    ),
    "a host that is not served": (
        "421 invalid_request",
        {
            "another": _raw("GET", "~/jwks.json", host="attacker.example"),
            "another port": _raw("GET", "~/jwks.json", host="localhost:1"),
            "with a path": _raw("GET", "~/jwks.json", host="localhost/x"),
        },
    ),
    "an odd head": (
        "400 invalid_request",
        {
            "two content types": _raw("POST", "~/token", ("Content-Type", FORM), ("Content-Type", JSON), body=b"a=b"),
            "two cookies": _raw("GET", "~/jwks.json", ("Cookie", "a=b"), ("Cookie", "c=d")),
            "two hosts": _raw("GET", "~/jwks.json", ("Host", "attacker.example")),
        },
    ),
    "what is no HTTP": (
        "400",
        {
            "two framings": lambda attacker: attacker.octets(
                attacker.request("POST", "~/token", [("Content-Length", "4"), ("Transfer-Encoding", "chunked")])
                + b"0\r\n\r\n"
            ),
            "text": lambda attacker: attacker.octets(b"\x16\x03\x01\x02\x00 hello\r\n\r\n"),
            "CR in a value": _raw("GET", "~/jwks.json", ("X-A", "a\rb: c")),
            "a head without end": lambda attacker: attacker.octets(b"GET / HTTP/1.1\r\nX-A: " + b"a" * 80_000),
        },
    ),
    "cut": (
        "nothing",
        {
            "at once": lambda attacker: attacker.cut([]),
            "in the head": lambda attacker: attacker.cut([b"POST /academy/token HTTP/1.1\r\nHost: loc"]),
            "slowly": _dribbled,
            "in the body": _half_a_body,
            "before the answer": _answer_unread,
        },
    ),
}
"""By what they must be told."""

_SINGLE: Final[dict[str, tuple[Send, str]]] = {
    "a credential request that is too large": (_credential(" " * 300_000), "413 invalid_credential_request"),
    "a credential request that is a form": (_credential("a=b", FORM), "415 invalid_credential_request"),
    "a configuration that was not granted": (
        _credential('{"credential_configuration_id":"diploma","proofs":{"jwt":["a.b.c"]}}'),
        "403 insufficient_scope",
    ),
    "no token": (_form("/credential", "{}", content_type=JSON), "401"),
    "two tokens": (_raw("POST", "~/credential", *[("Authorization", "DPoP a")] * 2), "400 invalid_request"),
    "a grant type of no kind": (
        _form("/token", urlencode({"grant_type": CRLF, "client_id": "demo-wallet"})),
        "400 unsupported_grant_type",
    ),
    "a response type of no kind": (_begin({"response_type": CRLF}), "400 unsupported_response_type"),
    "interaction types of no kind": (_begin({"interaction_types_supported": CRLF}), "400 missing_interaction_type"),
    "a scope of no kind": (_begin({"scope": CRLF}), "400 invalid_scope"),
    "a long URL": (_raw("GET", "~/jwks.json?" + "a" * 9000), "414 invalid_request"),
    "a host of spaces": (_raw("GET", "~/jwks.json", host="local host"), "421 invalid_request"),
    "a handle guessed at until it is enough": (_hammer, "429 temporarily_unavailable"),
}

ATTACKS: Final = tuple(_attacks())
