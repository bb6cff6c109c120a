"""DPoP proofs at every endpoint that takes one (RFC 9449 §4.3): each rule broken alone, and nothing changed by it."""

import dataclasses
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from tests.http.slots import DPOP_SLOTS, Slot, slot
from tests.protocol.jwts import b64
from tests.support import raw_http
from tests.support.documents import OTHER_SLUG
from tests.support.raw_wallet import ABSENT, Key, RawWallet
from tests.support.server import RunningServer, free_port, running_server


@pytest.fixture
def at(server: RunningServer, wallet: RawWallet, name: str) -> Slot:
    """The endpoint a test is run for."""
    return slot(name, server, wallet)


@DPOP_SLOTS
class TestEveryEndpoint:
    @pytest.mark.rule("DP-02", "D-04")
    def test_one_well_formed_jwt(self, at: Slot) -> None:
        good = at.good()
        header, payload, signature = good.split(".")
        at.assert_all_refused(
            {
                "nothing": "",
                "garbage": "garbage",
                "two parts": f"{header}.{payload}",
                "four parts": f"{good}.{signature}",
                "joined by a comma": f"{good},{at.bent(payload={'jti': 'another'})}",
                "joined by comma and space": f"{good}, {good}",
                "a comma behind": f"{good},",
            }
        )

    @pytest.mark.rule("DP-01", "D-04")
    def test_one_header(self, at: Slot) -> None:
        sent = at.message(at.good())
        for second in (at.good(), at.bent(payload={"jti": "another"}), "", "garbage"):
            for headers in ([*sent.headers, ("DPoP", second)], [("dpop", second), *sent.headers]):
                answer = at.post(dataclasses.replace(sent, headers=headers))
                at.assert_refused(answer, "invalid_dpop_proof")
        at.assert_kept()

    @pytest.mark.rule("D-04")
    def test_no_folded_header(self, at: Slot) -> None:
        good = at.good()
        folded = at.message(good[:100] + "\r\n " + good[100:])
        assert raw_http.exchange(folded.url, folded.octets()).status in (0, 400, 401)
        at.assert_kept()

    @pytest.mark.rule("DP-16")
    @pytest.mark.parametrize("spelling", ["DPOP", "dpop", "dPoP"])
    def test_the_headers_name_in_any_case(self, at: Slot, spelling: str) -> None:
        sent = at.message(at.good())
        headers = [(spelling if header == "DPoP" else header, value) for header, value in sent.headers]
        answer = raw_http.exchange(sent.url, dataclasses.replace(sent, headers=headers).octets())
        assert answer.status in (200, 201)

    @pytest.mark.rule("DP-04", "DP-05", "DP-07")
    def test_the_header(self, at: Slot) -> None:
        private = b64(at.key.private_numbers().private_value.to_bytes(32, "big"))
        at.assert_all_refused(
            {
                **{f"{name} missing": at.bent(header={name: ABSENT}) for name in ("typ", "alg", "jwk")},
                **{
                    f"typ {typ}": at.bent(header={"typ": typ})
                    for typ in ("JWT", "dpop", "at+jwt", "openid4vci-proof+jwt", "DPoP+JWT", 1)
                },
                **{
                    f"alg {alg}": at.bent(header={"alg": alg})
                    for alg in ("none", "HS256", "RS256", "PS256", "EdDSA", "ES384", "ES256K")
                },
                "private key": at.bent(header={"jwk": {**at.header["jwk"], "d": private}}),
                "shared key": at.bent(header={"jwk": {"kty": "oct", "k": private}}),
                "no key": at.bent(header={"jwk": {}}),
            }
        )

    @pytest.mark.rule("DP-06", "D-07")
    def test_the_signature(self, at: Slot) -> None:
        signed, _, signature = at.good().rpartition(".")
        flipped = ("B" if signature[0] == "A" else "A") + signature[1:]
        at.assert_all_refused(
            {
                "flipped bit": f"{signed}.{flipped}",
                "another key": at.bent(key=Key().private),
                "another jwk": at.bent(header={"jwk": Key().public_jwk}),
                "of another proof": f"{signed}.{at.bent(payload={'jti': 'x'}).rpartition('.')[2]}",
            }
        )

    @pytest.mark.rule("DP-03", "DP-08")
    def test_the_claims(self, at: Slot) -> None:
        at.assert_all_refused(
            {
                **{f"{claim} missing": at.bent(payload={claim: ABSENT}) for claim in ("jti", "htm", "htu", "iat")},
                **{f"htm {method!r}": at.bent(payload={"htm": method}) for method in ("PUT", "GET", "post", "POST ")},
                "jti too long": at.bent(payload={"jti": "j" * 257}),
                "jti a number": at.bent(payload={"jti": 1}),
            }
        )

    @pytest.mark.rule("DP-09", "DP-11", "D-03")
    def test_the_url(self, at: Slot, server: RunningServer) -> None:
        url = at.payload["htu"]
        endpoint = urlsplit(url).path.rpartition("/")[2]
        others = {
            "another endpoint": f"{server.issuer()}/nonce",
            "another tenant": f"{server.issuer(OTHER_SLUG)}/{endpoint}",
            "the issuer": server.issuer(),
            "a slash behind": f"{url}/",
            "another case": url.replace(endpoint, endpoint.upper()),
            "an encoded slash": url.replace(f"/{endpoint}", f"%2F{endpoint}"),
            "dot segments": url.replace(f"/{endpoint}", f"/x/../{endpoint}"),
            "https": url.replace("http:", "https:"),
            "another host": url.replace("localhost", "127.0.0.1"),
            "a host behind": url.replace("localhost", "localhost.evil.example"),
            "user information": url.replace("localhost", "localhost@evil.example"),
            "no port": url.replace(f":{server.settings.server.port}", ""),
            "the path alone": urlsplit(url).path,
        }
        assert len({url, *others.values()}) == 1 + len(others)
        at.assert_all_refused({what: at.bent(payload={"htu": htu}) for what, htu in others.items()})

    @pytest.mark.rule("DP-12", "D-05", "G-13")
    def test_the_time(self, at: Slot) -> None:
        now = at.payload["iat"]
        at.assert_all_refused(
            {
                f"iat {iat!r}": at.bent(payload={"iat": iat})
                for iat in (now - 3600, now - 301, now + 61, now + 3600, str(now), None, True, -now, [now])
            }
        )

    @pytest.mark.rule("DP-15")
    def test_what_is_unknown_is_ignored(self, at: Slot) -> None:
        bent = at.bent(
            header={"kid": "x", "x5u": "https://evil.example", "x_unknown": [1]},
            payload={"x_unknown": {}, "sub": 1, "aud": "https://evil.example", "client_id": "other-wallet"},
        )
        assert at.send(bent).status_code in (200, 201)

    @pytest.mark.rule("D-01", "DP-13")
    def test_it_works_once(self, at: Slot) -> None:
        at.assert_kept()
        at.assert_refused(at.send(at.good()))
        # Another signature over the same `jti` is the same proof.
        at.assert_refused(at.send(at.bent(payload={"iat": at.payload["iat"] - 1})))

    @pytest.mark.rule("D-02", "DP-11", "D-18")
    def test_the_url_does_not_come_from_the_request(self, at: Slot) -> None:
        parts = urlsplit(at.payload["htu"])
        poisoned = at.bent(payload={"htu": f"https://evil.example{parts.path}"})
        forwarded = [
            ("X-Forwarded-Host", "evil.example"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Port", "443"),
            ("X-Forwarded-Prefix", ""),
            ("X-Original-URL", parts.path),
            ("Forwarded", "host=evil.example;proto=https"),
        ]
        sent = at.message(poisoned)
        at.assert_refused(at.post(dataclasses.replace(sent, headers=[*sent.headers, *forwarded])))
        for host, target in (
            ("evil.example", None),
            (f"{parts.netloc}/x?", None),
            (f"evil.example@{parts.netloc}", None),
            (None, f"https://evil.example{parts.path}"),
            (parts.netloc, f"http://evil.example{parts.path}"),
        ):
            answer = raw_http.exchange(sent.url, sent.octets(host=host, target=target))
            assert 400 <= answer.status < 500, (host, target)
            assert b"evil.example" not in answer.body
        at.assert_kept()


class TestSpellingsOfTheUrl:
    @pytest.mark.rule("DP-09", "DP-10")
    @pytest.mark.parametrize(
        "respell",
        [
            lambda url: f"{url}?x=1#y",
            lambda url: f"{url}#y",
            lambda url: url.replace("http://localhost", "HTTP://LOCALHOST"),
            lambda url: url.replace("/par", "/%70ar"),
            lambda url: url.replace("pid-provider", "pid%2Dprovider"),
        ],
        ids=["query and fragment", "fragment", "case of scheme and host", "encoded letter", "encoded hyphen"],
    )
    def test_that_mean_the_same(self, server: RunningServer, wallet: RawWallet, respell: Any) -> None:
        at = slot("DPoP at PAR", server, wallet)
        assert respell(at.payload["htu"]) != at.payload["htu"]
        assert at.send(at.bent(payload={"htu": respell(at.payload["htu"])})).status_code == 201


class TestTimesAndIds:
    @pytest.mark.rule("DP-12", "G-13")
    @pytest.mark.parametrize("seconds", [-300, -10, 8, 60, -0.5])
    def test_clocks_may_differ(self, wallet: RawWallet, seconds: float) -> None:
        assert wallet.push(dpop={"claims": {"iat": wallet.clock.now() + seconds}}).status_code == 201

    @pytest.mark.rule("DP-13")
    def test_ids_up_to_a_length_and_per_key(self, wallet: RawWallet) -> None:
        wallet.push()
        same = {"jti": "j" * 256}
        assert wallet.push(dpop={"claims": same}).status_code == 201
        assert wallet.push(dpop={"claims": same}).status_code == 400
        assert wallet.push(dpop={"claims": same, "key": Key()}).status_code == 201

    @pytest.mark.rule("M-06")
    def test_a_tenant_does_not_burn_the_ids_of_another(self, server: RunningServer, wallet: RawWallet) -> None:
        jti = {"claims": {"jti": secrets.token_urlsafe(12)}}
        with server.wallet(OTHER_SLUG, key=wallet.key) as neighbour:
            for each in (wallet, neighbour):
                each.push()
                assert each.push(dpop=jti).status_code == 201
            for each in (wallet, neighbour):
                assert each.push(dpop=jti).status_code == 400


@pytest.fixture(scope="module")
def second_port(server: RunningServer) -> Iterator[int]:
    """A second instance on the same database, for the same public URL."""
    port = free_port()
    listening = msgspec.structs.replace(server.settings.server, port=port)
    with running_server(msgspec.structs.replace(server.settings, server=listening), [], clock=server.clock):
        yield port


class TestSeveralInstances:
    @pytest.mark.rule("D-01", "DP-14")
    @DPOP_SLOTS
    def test_a_proof_spent_at_one_is_spent_at_the_other(self, at: Slot, second_port: int) -> None:
        at.assert_kept()
        answer = raw_http.exchange(f"http://localhost:{second_port}", at.message(at.good()).octets())
        assert (answer.status, answer.json()["error"]) == at.refusal

    @pytest.mark.rule("DP-11", "D-02")
    def test_the_public_url_counts_not_where_an_instance_listens(
        self, server: RunningServer, wallet: RawWallet, second_port: int
    ) -> None:
        at = slot("DPoP at PAR", server, wallet)
        second = f"http://localhost:{second_port}"
        inner = at.message(at.bent(payload={"htu": f"{second}/pid-provider/par"}))
        answer = raw_http.exchange(second, inner.octets())
        assert (answer.status, answer.json()["error"]) == at.refusal
        assert raw_http.exchange(second, at.message(at.good()).octets()).status == 201

    @pytest.mark.rule("DP-11", "D-02")
    def test_behind_a_proxy_that_ends_tls(self, server: RunningServer, wallet: RawWallet) -> None:
        port = free_port()
        settings = msgspec.structs.replace(
            server.settings,
            public_url="https://issuer.example",
            server=msgspec.structs.replace(server.settings.server, port=port, trusted_proxies=("192.0.2.1",)),
        )
        at = slot("DPoP at PAR", server, wallet)
        outer = "https://issuer.example/pid-provider/par"
        # Without a nonce: who gets as far as being asked for one has the right URL.
        asked = {"nonce": ABSENT}
        with running_server(settings, [], clock=server.clock):
            for htu in (
                at.payload["htu"],
                outer.replace("https", "http"),
                outer.replace(".example", f".example:{port}"),
            ):
                sent = at.message(at.bent(payload={**asked, "htu": htu}))
                answer = raw_http.exchange(f"http://localhost:{port}", sent.octets(host="issuer.example"))
                assert (answer.status, answer.json()["error"]) == at.refusal, htu
            sent = at.message(at.bent(payload={**asked, "htu": outer}))
            answer = raw_http.exchange(f"http://localhost:{port}", sent.octets(host="issuer.example"))
            assert answer.json()["error"] == "use_dpop_nonce"

    @pytest.mark.rule("DP-14")
    def test_of_many_at_once_one_passes(self, server: RunningServer, wallet: RawWallet, second_port: int) -> None:
        at = slot("DPoP at PAR", server, wallet)
        octets = at.message(at.good()).octets()
        urls = [server.url, f"http://localhost:{second_port}"] * 6
        with ThreadPoolExecutor(len(urls)) as threads:
            answers = list(threads.map(lambda url: raw_http.exchange(url, octets), urls))
        assert sorted(answer.status for answer in answers) == [201] + [400] * (len(urls) - 1)
        refused = [answer.json()["error"] for answer in answers if answer.status == 400]
        assert set(refused) == {"invalid_dpop_proof"}
