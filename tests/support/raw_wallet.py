"""A wallet for tests that can misbehave: every message can be bent before it is sent. Synchronous, over real HTTP."""

import hashlib
import secrets
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx2
import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from app.protocol import base64url, jose, jwk
from tests.support.fakes import FixedClock

REDIRECT_URI = "http://localhost:9555/callback"
"""Nobody listens there: the redirect is read, not followed."""

USERNAME, PASSWORD = "erika", "correct horse"

TRUST = ssl.create_default_context()
"""Made once: it takes longer than a request."""

ABSENT = object()
"""As a value: leave this member out."""


def merged(base: Mapping[str, Any], changes: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return `base` with `changes` on top; `ABSENT` removes."""
    return {name: value for name, value in {**base, **(changes or {})}.items() if value is not ABSENT}


class Key:
    """A P-256 key of the wallet's."""

    def __init__(self, curve: ec.EllipticCurve | None = None) -> None:
        self.private = ec.generate_private_key(curve or ec.SECP256R1())

    @property
    def public_jwk(self) -> dict[str, Any]:
        return dict(jwk.export_public_jwk(self.private.public_key()))

    @property
    def thumbprint(self) -> str:
        return jwk.thumbprint(self.public_jwk)

    def sign_jwt(self, header: Mapping[str, Any], payload: Mapping[str, Any]) -> str:
        """Return a compact ES256 JWT, whatever the header says."""
        signing_input = jose.signing_input(dict(header), dict(payload))
        der = self.private.sign(signing_input, ec.ECDSA(hashes.SHA256()))
        return jose.compact(signing_input, jose.raw_signature(der))


def http_client(
    verify: ssl.SSLContext | bool, address: str | None, transport: httpx2.BaseTransport | None
) -> httpx2.Client:
    """Return a client that follows no redirect; it sends from a local address or by another way, if one is given."""
    if address is not None:
        transport = httpx2.HTTPTransport(verify=verify, local_address=address)
    return httpx2.Client(follow_redirects=False, verify=verify, timeout=30, transport=transport)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def error_of(response: httpx2.Response) -> tuple[int, str | None]:
    """Return status and `error` of an answer; None where the body names none."""
    try:
        return response.status_code, response.json().get("error")
    except (ValueError, AttributeError):
        return response.status_code, None


class _Form(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.action = ""
        self.hidden: dict[str, str] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = attributes["action"]
        elif tag == "input" and attributes.get("type") == "hidden":
            self.hidden[attributes["name"]] = attributes["value"]


def form_fields(html: str) -> dict[str, str]:
    """Return the hidden fields of a page's form."""
    return _Form(html).hidden


class Browser:
    """A browser with a cookie jar, which follows redirects within the issuer only."""

    def __init__(
        self,
        verify: ssl.SSLContext | bool = TRUST,
        *,
        address: str | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.http = http_client(verify, address, transport)

    def get(self, url: str) -> httpx2.Response:
        """Open a page."""
        return self.http.get(url)

    def submit(self, page: httpx2.Response, changes: Mapping[str, Any] | None = None, **fields: str) -> httpx2.Response:
        """Send a page's form; follow a redirect within the issuer to the next page."""
        form = _Form(page.text)
        data = merged({**form.hidden, "action": "approve", **fields}, changes)
        answer = self.http.post(urljoin(str(page.url), form.action), data=data)
        location = answer.headers.get("location", "")
        if answer.status_code == 303 and urlsplit(location).path.endswith("/authorize"):
            return self.get(location)
        return answer

    def sign_in(self, page: httpx2.Response, username: str = USERNAME, password: str = PASSWORD) -> httpx2.Response:
        """Fill the sign-in page; the answer is the next page, or the same with a message."""
        return self.submit(page, username=username, password=password)

    def walk(self, url: str, username: str = USERNAME, password: str = PASSWORD) -> httpx2.Response:
        """Sign in and agree; the answer is the redirect back to the wallet."""
        return self.submit(self.sign_in(self.get(url), username, password))

    def close(self) -> None:
        """Close connections."""
        self.http.close()


def redirect_parameters(response: httpx2.Response) -> dict[str, str]:
    """Return the query of a redirect to the wallet."""
    assert response.status_code == 303, response.text
    query = parse_qs(urlsplit(response.headers["location"]).query, keep_blank_values=True)
    return {name: values[0] for name, values in query.items()}


@dataclass
class RawWallet:
    """One wallet at one issuer. Methods return raw responses and assert nothing."""

    issuer: str
    clock: FixedClock
    client_id: str = "demo-wallet"
    redirect_uri: str = REDIRECT_URI
    verify: ssl.SSLContext | bool = TRUST
    key: Key = field(default_factory=Key)
    holder: Key = field(default_factory=Key)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    nonces: dict[str, str] = field(default_factory=dict)
    sent_to: str | None = None
    """The origin requests really go to, of one of several processes behind the issuer's."""
    address: str | None = None
    """The local address requests come from."""
    transport: httpx2.BaseTransport | None = None
    """The way requests go, those of its browsers too, where it is not the usual one."""

    def __post_init__(self) -> None:
        self.http = http_client(self.verify, self.address, self.transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    # Proofs

    def dpop(
        self,
        method: str,
        url: str,
        *,
        key: Key | None = None,
        access_token: str | None = None,
        nonce: Any = None,
        header: Mapping[str, Any] | None = None,
        claims: Mapping[str, Any] | None = None,
    ) -> str:
        """Return a DPoP proof; `header` and `claims` bend it."""
        key = key or self.key
        payload: dict[str, Any] = {
            "jti": secrets.token_urlsafe(12),
            "htm": method,
            "htu": url,
            "iat": self.clock.now(),
        }
        if nonce is not None:
            payload["nonce"] = nonce
        if access_token is not None:
            payload["ath"] = base64url.encode(hashlib.sha256(access_token.encode()).digest())
        return key.sign_jwt(
            merged({"typ": "dpop+jwt", "alg": "ES256", "jwk": key.public_jwk}, header), merged(payload, claims)
        )

    def key_proof(
        self,
        c_nonce: Any,
        *,
        key: Key | None = None,
        header: Mapping[str, Any] | None = None,
        claims: Mapping[str, Any] | None = None,
    ) -> str:
        """Return a key proof of type `jwt`; `header` and `claims` bend it."""
        key = key or self.holder
        return key.sign_jwt(
            merged({"typ": "openid4vci-proof+jwt", "alg": "ES256", "jwk": key.public_jwk}, header),
            merged({"aud": self.issuer, "iat": self.clock.now(), "nonce": c_nonce}, claims),
        )

    def post(
        self,
        path: str,
        *,
        family: str,
        data: Mapping[str, Any] | None = None,
        json: Any = None,
        dpop: Any = True,
        access_token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """Post with a DPoP proof, once more where the server asks for a nonce.

        `dpop` False sends none, a string sends that one (no second try), a dict bends the proof (`key`, `header`,
        `claims`, `nonce`).
        """
        url = self.issuer + path
        bent = dpop if isinstance(dpop, dict) else {}
        answer = None
        for _ in range(2):
            sent = dict(headers or {})
            if self.sent_to is not None:
                sent["Host"] = urlsplit(self.issuer).netloc
            if isinstance(dpop, str):
                sent["DPoP"] = dpop
            elif dpop:
                proof = {"nonce": self.nonces.get(family), "access_token": access_token, **bent}
                sent["DPoP"] = self.dpop("POST", url, **proof)
            answer = self.http.post(
                url if self.sent_to is None else url.replace(_origin(url), self.sent_to),
                data=data,
                content=None if json is None else msgspec.json.encode(json),
                headers={**({"Content-Type": "application/json"} if json is not None else {}), **sent},
            )
            fresh = answer.headers.get("DPoP-Nonce")
            if fresh is not None:
                self.nonces[family] = fresh
            asked = error_of(answer)[1] == "use_dpop_nonce" or "use_dpop_nonce" in answer.headers.get(
                "WWW-Authenticate", ""
            )
            if not (asked and not isinstance(dpop, str) and "nonce" not in bent):
                break
        assert answer is not None
        return answer

    # The journey, step by step

    def push_form(self, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the form of a push."""
        return merged(
            {
                "client_id": self.client_id,
                "response_type": "code",
                "redirect_uri": self.redirect_uri,
                "scope": "pid",
                "state": "st&te+1",
                "code_challenge": base64url.encode(hashlib.sha256(self.verifier.encode()).digest()),
                "code_challenge_method": "S256",
            },
            changes,
        )

    def push(self, changes: Mapping[str, Any] | None = None, **options: Any) -> httpx2.Response:
        """Push an authorization request."""
        return self.post("/par", family="as", data=self.push_form(changes), **options)

    def authorize_url(self, pushed: httpx2.Response, **changes: str) -> str:
        """Return where the browser goes with an accepted push."""
        query = {"client_id": self.client_id, "request_uri": pushed.json()["request_uri"], **changes}
        return f"{self.issuer}/authorize?{urlencode(query)}"

    def code(self, changes: Mapping[str, Any] | None = None, **options: Any) -> str:
        """Push, sign in, agree; return the code."""
        browser = Browser(self.verify, transport=self.transport)
        try:
            return redirect_parameters(browser.walk(self.authorize_url(self.push(changes, **options))))["code"]
        finally:
            browser.close()

    def exchange_form(self, code: str, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the form of an exchange."""
        return merged(
            {
                "grant_type": "authorization_code",
                "code": code,
                "client_id": self.client_id,
                "redirect_uri": self.redirect_uri,
                "code_verifier": self.verifier,
            },
            changes,
        )

    def exchange(self, code: str, changes: Mapping[str, Any] | None = None, **options: Any) -> httpx2.Response:
        """Exchange a code."""
        return self.post("/token", family="as", data=self.exchange_form(code, changes), **options)

    def access_token(self, changes: Mapping[str, Any] | None = None) -> str:
        """Walk to an access token."""
        answer = self.exchange(self.code(changes))
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token

    def c_nonce(self) -> str:
        """Ask the nonce endpoint."""
        answer = self.http.post(f"{self.issuer}/nonce")
        if (fresh := answer.headers.get("DPoP-Nonce")) is not None:
            self.nonces["resource"] = fresh
        nonce: str = answer.json()["c_nonce"]
        return nonce

    def credential(
        self, access_token: str, changes: Mapping[str, Any] | None = None, *, scheme: str = "DPoP", **options: Any
    ) -> httpx2.Response:
        """Ask for a credential with a fresh proof, unless `changes` says otherwise."""
        body: dict[str, Any] = {"credential_configuration_id": "pid"}
        if "proofs" not in (changes or {}):
            body["proofs"] = {"jwt": [self.key_proof(self.c_nonce())]}
        headers = {"Authorization": f"{scheme} {access_token}", **options.pop("headers", {})}
        return self.post(
            "/credential",
            family="resource",
            json=merged(body, changes),
            access_token=access_token,
            headers=headers,
            **options,
        )


def unsent(sender: RawWallet | Browser, send: Callable[[], object]) -> httpx2.Request:
    """Return the request that `send`, a method of the sender's, would send."""
    caught: list[httpx2.Request] = []

    def catch(request: httpx2.Request) -> httpx2.Response:
        caught.append(request)
        return httpx2.Response(204)

    real = sender.http
    sender.http = httpx2.Client(transport=httpx2.MockTransport(catch), cookies=real.cookies, trust_env=False)
    try:
        send()
    finally:
        sender.http.close()
        sender.http = real
    [request] = caught
    return request
