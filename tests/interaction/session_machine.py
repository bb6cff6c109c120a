"""Sessions as a Hypothesis state machine: wallets, thieves and browsers against the real driver, in any order.

The database is SQLite with the real repositories, cryptography is real; clock, passwords and HTTP are not. What must
come of each event is told by a model of its own, which knows the specification's steps and nothing of the code.
"""

import asyncio
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs, urlsplit

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.adapters.db.migrate import upgrade
from app.document.model import ConfirmStep, TenantDocument
from app.formats.sd_jwt_vc_verification import verify_presentation
from app.interaction.browser import BrowserLeg, Finished, OpenPage, form_token
from app.interaction.dialects import iae
from app.interaction.follow_up import FollowUps
from app.interaction.start import begin_interactive
from app.main import Service, open_service
from app.protocol import pkce
from app.protocol.client_auth import AuthenticatedClient, authenticate
from app.protocol.dpop import DpopProof
from app.protocol.refusal import Refusal
from app.protocol.request import read_authorization_request
from app.provisioning.apply import apply_document
from app.steps.confirm import Confirm
from app.tenancy import Tenancy
from tests.protocol.jwts import OTHER_KEY
from tests.support.documents import university
from tests.support.fakes import CountedEntropy, FixedClock
from tests.support.presented import OTHER_ISSUER, PID_CA, PID_ISSUER, present
from tests.support.server import settings_for

T = TypeVar("T")

PLANS: Final = {
    "present": "P",
    "present-confirm": "PW",
    "confirm-present": "WP",
    "present-twice": "PP",
    "present-confirm-present": "PWP",
    "confirm": "W",
}
"""Sequence → its steps: a presentation or a web page."""


def _document() -> TenantDocument:
    def steps(plan: str) -> list[dict[str, str]]:
        kinds = {"P": {"type": "presentation", "presentation": "name"}, "W": {"type": "confirm"}}
        return [{"id": f"s{index}", **kinds[kind]} for index, kind in enumerate(plan)]

    def credential(name: str) -> dict[str, Any]:
        return {
            "format": "dc+sd-jwt",
            "vct": f"urn:{name}",
            "scope": name,
            "sequence": name,
            "display": [{"name": name}],
            "claims": [{"path": ["x"], "source": {"from": "constant", "value": 1}}],
        }

    return university(
        {
            "trust": {"pid-provider": None, "ca": {"type": "x509", "anchors": [PID_CA.pem]}},
            "presentations": {"name": {"trust": {"pid": ["ca"]}}, "pid": None},
            "sequences": {
                **dict.fromkeys(("present-and-confirm", "present-and-confirm-unlinked")),
                **{name: {"steps": steps(plan), "holder_binding": None} for name, plan in PLANS.items()},
            },
            "credentials": {
                **dict.fromkeys(("diploma", "diploma-unlinked", "student-card")),
                **{name: credential(name) for name in PLANS},
            },
        }
    )


class World:
    """The service without its HTTP: one tenant, two wallets, a clock that stands."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "vestibule.db"
        self.clock = FixedClock()
        self._loop = asyncio.new_event_loop()
        url = f"sqlite:///{self.file}"
        self.run(upgrade(url))
        settings = settings_for(url, folder, port=8000)
        self._opening = open_service(settings, clock=self.clock, entropy=CountedEntropy())
        self.service: Service = self.run(self._opening.__aenter__())
        try:
            self.run(self._apply())
        except BaseException:
            # Else the threads of its connections would keep the process.
            self.run(self._opening.__aexit__(None, None, None))
            raise
        self.follow_ups = FollowUps({"dc+sd-jwt": verify_presentation})
        self.browser_leg = BrowserLeg({ConfirmStep: Confirm()})
        self._raw = sqlite3.connect(self.file)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    async def _apply(self) -> None:
        service = self.service
        await apply_document(
            service.platform,
            service.key_maker,
            service.passwords,
            service.clock,
            service.entropy,
            _document(),
            public_url=service.settings.public_url,
        )

    def tenancy(self) -> Tenancy:
        found = self.run(self.service.tenancies.by_slug("university"))
        assert found is not None
        return found

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        """Return a table as it is stored, without what is for diagnosis only."""
        cursor = self._raw.execute(f"SELECT * FROM {table} ORDER BY 1, 2")  # noqa: S608  names of this file
        kept = [index for index, column in enumerate(cursor.description) if column[0] != "updated_at"]
        return [tuple(row[index] for index in kept) for row in cursor]

    def statuses(self) -> dict[str, str]:
        """Return session → status."""
        return dict(self._raw.execute("SELECT session_id, status FROM sessions"))

    def codes(self, session_id: str) -> int:
        """Return how many codes a session has."""
        query = "SELECT count(*) FROM authorization_codes WHERE session_id = ?"
        count: int = self._raw.execute(query, [session_id]).fetchone()[0]
        return count

    def close(self) -> None:
        self._raw.close()
        self.run(self._opening.__aexit__(None, None, None))
        self._loop.close()


@contextmanager
def world() -> Iterator[World]:
    folder = Path(tempfile.mkdtemp())
    opened = World(folder)
    try:
        yield opened
    finally:
        opened.close()
        shutil.rmtree(folder)


@dataclass
class Walk:
    """What the model knows of one session."""

    session_id: str
    plan: str
    client_id: str
    jkt: str | None
    handle: str
    nonce: str | None
    request_uri: str | None
    entered_at: int
    ends_at: int
    index: int = 0
    status: str = "pending"
    attempts: int = 0
    superseded: list[str] = field(default_factory=list)
    cookie: str | None = None
    accepted: set[int] = field(default_factory=set)
    sent: tuple[dict[str, str], bytes, dict[str, Any], int] | None = None
    """The form and octets that were accepted last, their answer, and when; None once repeated."""

    @property
    def kind(self) -> str:
        return self.plan[self.index]

    def end(self, status: str) -> None:
        self.superseded.append(self.handle)
        self.status = status


ANSWERS: Final = (
    *("valid", "valid", "valid", "verifier", "verifier", "nothing"),
    *("stale nonce", "stranger's key", "other audience", "untrusted issuer"),
    *("wallet error", "no json", "wrong query", "both", "wrong verifier", "malformed verifier"),
)
VERIFIER: Final = "v" * 43


class Sessions(RuleBasedStateMachine):
    """Any order of events over several sessions at once."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.walks: list[Walk] = []
        self.count = 0

    # Who asks

    def _client(self, client_id: str) -> AuthenticatedClient:
        clients = self.world.tenancy().document.clients
        return authenticate({"client_id": client_id}, authorization_header=False, clients=clients)

    def _proof(self, jkt: str | None) -> DpopProof | None:
        self.count += 1
        now = self.world.clock.now()
        return None if jkt is None else DpopProof(jkt=jkt, jti=f"{id(self)}.{self.count}", jti_expires_at=now + 420)

    def _pick(self, data: st.DataObject) -> Walk:
        return data.draw(st.sampled_from(self.walks), label="session")

    # Events

    @rule(name=st.sampled_from(sorted(PLANS)), bound=st.booleans(), urn=st.booleans())
    def begin(self, name: str, bound: bool, urn: bool) -> None:
        tenancy, client = self.world.tenancy(), self._client("demo-wallet")
        jkt = "k" * 43 if bound else None
        proof = self._proof(jkt)
        form = {
            "response_type": "code",
            "scope": name,
            "redirect_uri": client.redirect_uris[0],
            "code_challenge": pkce.challenge_of(VERIFIER),
            "code_challenge_method": "S256",
        }
        request = read_authorization_request(
            form, client=client, proof=proof, document=tenancy.document, issuer=tenancy.issuer
        )
        prefix = "urn:openid:dcp:iae:" if urn else ""
        types = iae.read_interaction_types(f"{prefix}openid4vp_presentation,{prefix}redirect_to_web")
        known = set(self.world.statuses())
        needed = self.world.run(begin_interactive(tenancy, client, request, proof, types))
        (session_id,) = set(self.world.statuses()) - known
        now = self.world.clock.now()
        walk = Walk(session_id, PLANS[name], client.client_id, jkt, "", None, None, now, now + 900)
        self.walks.append(walk)
        self._enter(walk, iae.encode(needed, types))

    def _enter(self, walk: Walk, answer: dict[str, Any]) -> None:
        """Let the model be where an answer says that the session is."""
        assert answer["auth_session"] not in {other.handle for other in self.walks}
        if walk.handle:
            walk.superseded.append(walk.handle)
        walk.handle, walk.status, walk.entered_at = answer["auth_session"], "pending", self.world.clock.now()
        walk.cookie = None
        asked = answer.get("openid4vp_request", {}).get("nonce")
        assert (asked is not None) == (walk.kind == "P")
        assert asked is None or asked not in {other.nonce for other in self.walks}
        walk.nonce, walk.request_uri = asked, answer.get("request_uri")

    @precondition(lambda self: self.walks)
    @rule(
        data=st.data(),
        answer=st.sampled_from(ANSWERS),
        handle=st.sampled_from(["current"] * 6 + ["superseded", "unknown"]),
        client=st.sampled_from([None, None, "demo-wallet", "demo-wallet", "other-wallet"]),
        key=st.sampled_from(["own"] * 5 + ["none", "other"]),
    )
    def follow_up(self, data: st.DataObject, answer: str, handle: str, client: str | None, key: str) -> None:
        walk = self._pick(data)
        sent_handle = {"current": walk.handle, "superseded": (walk.superseded or ["none"])[-1]}.get(handle, "unknown")
        form = {"auth_session": sent_handle, **self._payload(walk, answer)}
        jkt = {"own": walk.jkt, "none": None, "other": "x" * 43}[key]
        self.count += 1
        body = f"request {id(self)}.{self.count}".encode()
        expected = self._expected(walk, answer, sent_handle, client, jkt)
        before = self._stored()
        outcome = self._send(form, body, client, jkt)
        self._check(walk, expected, outcome, before)
        if isinstance(outcome, dict):
            walk.sent = (form, body, outcome, self.world.clock.now())

    def _payload(self, walk: Walk, answer: str) -> dict[str, str]:
        other = next((each.nonce for each in self.walks if each.nonce and each is not walk), "another")
        shown: dict[str, dict[str, Any]] = {
            "valid": {},
            "both": {},
            "stale nonce": {"nonce": other},
            "stranger's key": {"holder": OTHER_KEY},
            "other audience": {"audience": "iae:https://evil.example"},
        }
        match answer:
            case "nothing":
                return {}
            case "verifier":
                return {"code_verifier": VERIFIER}
            case "wrong verifier":
                return {"code_verifier": "w" * 43}
            case "malformed verifier":
                return {"code_verifier": "short"}
            case "wallet error":
                return {"openid4vp_response": json.dumps({"error": "access_denied"})}
            case "no json":
                return {"openid4vp_response": "{"}
            case "wrong query":
                return {"openid4vp_response": json.dumps({"vp_token": {"other": ["x"]}})}
        issuer = OTHER_ISSUER if answer == "untrusted issuer" else PID_ISSUER
        credential = issuer.issue().disclosing("given_name", "family_name")
        usual: dict[str, Any] = {
            "nonce": walk.nonce or "none",
            "audience": "iae:http://localhost:8000",
            "iat": self.world.clock.now(),
        }
        text = present(credential, **{**usual, **shown.get(answer, {})})
        response = {"openid4vp_response": json.dumps({"vp_token": {"pid": [text]}})}
        return {**response, "code_verifier": VERIFIER} if answer == "both" else response

    def _expected(self, walk: Walk, answer: str, handle: str, client: str | None, jkt: str | None) -> str:
        """Say what must come of it: `accepted`, `dead`, `counted`, or the error of a request that changes nothing."""
        live = walk.status in ("pending", "returned") and self.world.clock.now() < walk.ends_at
        if not live or handle != walk.handle or client == "other-wallet":
            return "invalid_request"
        if walk.jkt is not None and jkt != walk.jkt:
            return "invalid_dpop_proof"
        verifier_only = answer in ("verifier", "wrong verifier", "malformed verifier", "nothing")
        if walk.status == "returned":
            if not verifier_only:
                return "counted"
            words = {"verifier": "accepted", "wrong verifier": "invalid_grant"}
            return words.get(answer, "invalid_request")
        if walk.kind == "W":
            return "invalid_request" if verifier_only else "counted"
        if verifier_only or answer in ("no json", "wrong query", "both"):
            return "counted"
        return "accepted" if answer == "valid" else "dead"

    def _send(self, form: dict[str, str], body: bytes, client: str | None, jkt: str | None) -> dict[str, Any] | str:
        """Send a follow-up; return the answer, or the code it is refused with."""
        known = None if client is None else self._client(client)
        try:
            return self.world.run(
                self.world.follow_ups.answer(
                    self.world.tenancy(), form, body=body, client=known, proof=self._proof(jkt)
                )
            )
        except Refusal as refusal:
            return refusal.code

    def _stored(self) -> dict[str, list[tuple[Any, ...]]]:
        return {name: self.world.rows(name) for name in ("sessions", "authorization_codes", "repeatable_answers")}

    def _check(self, walk: Walk, expected: str, outcome: dict[str, Any] | str, before: dict[str, Any]) -> None:
        match expected:
            case "accepted":
                assert isinstance(outcome, dict), f"refused with {outcome}"
                self._accept(walk, outcome)
            case "dead":
                assert outcome == "access_denied"
                walk.end("failed")
            case "counted":
                assert outcome == "invalid_request"
                walk.attempts += 1
                if walk.attempts == 5:
                    walk.end("failed")
            case code:
                assert outcome == code
                assert self._stored() == before, "a refusal that must change nothing has changed something"

    def _accept(self, walk: Walk, answer: dict[str, Any]) -> None:
        if walk.status == "pending":
            walk.accepted.add(walk.index)
        walk.index += 1
        if walk.index == len(walk.plan):
            assert set(answer) == {"status", "code"}
            walk.end("code_issued")
        else:
            assert answer["status"] == "require_interaction"
            self._enter(walk, answer)

    @precondition(lambda self: any(walk.request_uri for walk in self.walks))
    @rule(data=st.data(), action=st.sampled_from(["approve", "approve", "approve", "refuse", "look", "forge"]))
    def visit(self, data: st.DataObject, action: str) -> None:
        """A browser opens the page, and may answer it; `forge` answers without having the cookie."""
        walk = data.draw(st.sampled_from([each for each in self.walks if each.request_uri]), label="session")
        now = self.world.clock.now()
        at_page = walk.status == "pending" and walk.kind == "W" and now < walk.ends_at
        may_enter = at_page and (walk.cookie is not None or now < walk.entered_at + 60)
        tenancy, uri = self.world.tenancy(), walk.request_uri
        assert uri is not None
        before = self._stored()
        opened = self._browse(
            self.world.browser_leg.open(tenancy, client_id=walk.client_id, request_uri=uri, cookie=walk.cookie)
        )
        assert isinstance(opened, OpenPage) == may_enter
        if not isinstance(opened, OpenPage):
            assert self._stored() == before
            return
        walk.cookie = opened.new_cookie or walk.cookie
        assert walk.cookie is not None
        if action == "look":
            return
        token = form_token(walk.cookie if action != "forge" else "another")
        form = {"form_token": token, "step": f"s{walk.index}", "action": action}
        finished = self._browse(self.world.browser_leg.answer(tenancy, request_uri=uri, cookie=walk.cookie, form=form))
        if action == "forge":
            assert finished == "access_denied"
            assert self._stored() == before
            return
        assert isinstance(finished, Finished)
        parameters = {name: values[0] for name, values in parse_qs(urlsplit(finished.location).query).items()}
        if action == "refuse":
            assert parameters["error"] == "access_denied"
            walk.end("failed")
            return
        walk.accepted.add(walk.index)
        if walk.index + 1 == len(walk.plan):
            assert "code" in parameters
            assert "auth_session" not in parameters
            walk.end("code_issued")
        else:
            assert "code" not in parameters
            walk.superseded.append(walk.handle)
            walk.handle, walk.status = parameters["auth_session"], "returned"

    def _browse(self, work: Coroutine[Any, Any, T]) -> T | str:
        try:
            return self.world.run(work)
        except Refusal as refusal:
            return refusal.code

    @precondition(lambda self: any(walk.sent for walk in self.walks))
    @rule(data=st.data(), key=st.sampled_from(["own", "own", "own", "none", "other"]), altered=st.booleans())
    def repeat(self, data: st.DataObject, key: str, altered: bool) -> None:
        """The wallet did not receive its answer and sends the same again; or somebody else does."""
        walk = data.draw(st.sampled_from([each for each in self.walks if each.sent]), label="session")
        assert walk.sent is not None
        form, body, answer, sent_at = walk.sent
        jkt = {"own": walk.jkt, "none": None, "other": "x" * 43}[key]
        rightful = walk.jkt is not None and jkt == walk.jkt and not altered
        before = self._stored()
        outcome = self._send(form, body + b"!" if altered else body, None, jkt)
        now = self.world.clock.now()
        waiting = walk.status == "pending" and answer.get("auth_session") == walk.handle and now < walk.ends_at
        if rightful and now < sent_at + 30 and (waiting or "code" in answer):
            assert outcome == answer
            walk.sent = None
        else:
            assert outcome == "invalid_request"
            assert self._stored() == before

    @rule(seconds=st.sampled_from([1, 5, 20, 31, 61, 400, 1000]))
    def wait(self, seconds: int) -> None:
        self.world.clock.advance(seconds)

    @rule()
    def expire(self) -> None:
        """The job that ends sessions whose time has come."""
        now = self.world.clock.now()
        self.world.run(
            self.world.service.platform.transact(lambda store: store.end_timed_out_sessions(now=now, limit=100))
        )
        for walk in self.walks:
            if walk.status in ("pending", "returned") and walk.ends_at <= now:
                walk.status = "expired"

    # What always holds

    @invariant()
    def sessions_are_where_the_model_says(self) -> None:
        stored = self.world.statuses()
        words = {"returned": "web_auth_completed"}
        for walk in self.walks:
            assert stored[walk.session_id] == words.get(walk.status, walk.status)

    @invariant()
    def a_code_means_that_every_step_was_met(self) -> None:
        for walk in self.walks:
            finished = walk.status == "code_issued"
            assert self.world.codes(walk.session_id) == (1 if finished else 0)
            assert not finished or walk.accepted == set(range(len(walk.plan)))
