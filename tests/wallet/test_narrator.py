import json

import httpx2

from app.protocol import base64url
from app.wallet.http import Exchange
from app.wallet.keys import WalletKey
from app.wallet.narrator import Narrator, claim_rows, jwt_lines, printable, table
from tests.wallet.fakes import ISSUER, FakeServer, reply

ESCAPE = "\x1b[2J"


def told(exchange: Exchange, *, trace: bool = False) -> str:
    lines: list[str] = []
    Narrator(lines.append, trace=trace).exchange(exchange)
    return "\n".join(lines)


def exchange(answer: httpx2.Response) -> Exchange:
    server = FakeServer({"/pid-provider/token": answer})
    form = {"code": "secret-code", "password": "secret-password"}
    return server.http.send("POST", f"{ISSUER}/token?code=secret-query", "exchanges the code", form=form.items())


def test_one_line_without_secrets() -> None:
    text = told(exchange(reply({"access_token": "secret-token"})))
    assert text.splitlines()[0] == "https://issuer.example"
    assert "→ POST /pid-provider/token " in text
    assert text.endswith("200  exchanges the code")
    assert "secret" not in text


def test_errors_are_told_and_cannot_steer_the_terminal() -> None:
    text = told(exchange(reply({"error": "invalid_grant", "error_description": f"{ESCAPE}Used."}, 400)))
    assert text.endswith("400  invalid_grant: \\x1b[2JUsed.")
    assert ESCAPE not in told(exchange(reply({"x": ESCAPE}, x_header="a")), trace=True)
    assert printable("Köln → \u202e") == "Köln → \\u202e"


def test_trace_shows_messages_and_decodes_tokens_but_no_password() -> None:
    token = WalletKey.generate().sign_jwt("dpop+jwt", {"htm": "POST"})
    disclosure = base64url.encode(b'["salt", "given_name", "Erika"]')
    text = told(exchange(reply({"access_token": f"{token}~{disclosure}~"})), trace=True)
    assert "code = secret-code" in text
    assert "secret-password" not in text
    assert '= {"htm": "POST"}' in text
    assert '~ ["salt", "given_name", "Erika"]' in text


def test_trace_decodes_what_is_presented() -> None:
    key = WalletKey.generate()
    disclosure = base64url.encode(b'["salt", "given_name", "Erika"]')
    presentation = f"{key.sign_jwt('dc+sd-jwt', {'vct': 'v'})}~{disclosure}~{key.sign_jwt('kb+jwt', {'nonce': 'n'})}"
    server = FakeServer({"/pid-provider/interactive": reply({"status": "ok", "code": "c"})})
    form = {"auth_session": "a", "openid4vp_response": json.dumps({"vp_token": {"pid": [presentation]}})}
    text = told(server.http.send("POST", f"{ISSUER}/interactive", "presents", form=form.items()), trace=True)
    assert '= {"vct": "v"}' in text
    assert '~ ["salt", "given_name", "Erika"]' in text
    assert '~= {"nonce": "n"}' in text
    assert text.count('"kb+jwt"') == 1


def test_jwt_lines_take_anything() -> None:
    assert jwt_lines("nothing") == []
    assert jwt_lines("eyJh.b.c~~") == []
    assert jwt_lines("eyJh.b.c") == ["= (not JSON)", "= (not JSON)"]
    assert jwt_lines("eyJh.b.c~d~") == ["= (not JSON)", "= (not JSON)", "~ (not JSON)"]


def test_claims_become_aligned_rows() -> None:
    rows = claim_rows({"given_name": "Erika", "address": {"locality": "Köln"}, "nationalities": ["DE"], "age": 60})
    assert table(rows) == [
        "  address.locality  Köln",
        "  age               60",
        "  given_name        Erika",
        '  nationalities     ["DE"]',
    ]
    bare = {"address": {"region": {}}, "nationalities": [], "age": 0}
    assert claim_rows(bare) == [("address.region", "{}"), ("age", "0"), ("nationalities", "[]")]
    assert claim_rows(bare, empty="-") == [("address.region", "-"), ("age", "0"), ("nationalities", "-")]
