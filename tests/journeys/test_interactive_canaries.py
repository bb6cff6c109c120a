"""After presentations, accepted and refused, nothing of them is found in answers, database, dump or log."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from app.adapters.db.tables import audit_events, sessions
from app.interaction.evidence import Evidence
from app.interaction.machine import TERMINAL, Status
from app.jobs.schedule import JOBS
from app.main import Service
from tests.journeys.canaries import canary, found
from tests.journeys.test_canaries import remains
from tests.support.campus import academy
from tests.support.interactive_wallet import InteractiveWallet, interactive_wallet
from tests.support.presented import OTHER_ISSUER, PID_ISSUER
from tests.support.raw_wallet import Key
from tests.support.served import query, serving
from tests.support.server import RunningServer

PERSON = {name: canary(name) for name in ("given_name", "family_name", "birthdate", "never_asked_for")}
CLIENT_ID = "demo-wallet"
"""Stored and logged in plain text: the search has to find it."""


class Presentations:
    """Presentations of every kind, each secret that came up on them, and what refusals answered."""

    def __init__(self, server: RunningServer, wallet: InteractiveWallet) -> None:
        self.server, self.wallet = server, wallet
        self.secrets = {name: value.encode() for name, value in PERSON.items()}
        self.refusals: list[httpx2.Response] = []
        self.pid = PID_ISSUER.issue(PERSON, holder=wallet.holder.private).text

    def note(self, name: str, value: str) -> None:
        assert len(value) >= 16, name
        self.secrets[f"{name} {len(self.secrets)}"] = value.encode()

    def begin(self) -> httpx2.Response:
        asked = self.wallet.begin()
        self.note("handle", asked.json()["auth_session"])
        self.note("nonce", asked.json()["openid4vp_request"]["nonce"])
        return asked

    def shown(self, asked: httpx2.Response, credential: str | None = None, **bent: Any) -> str:
        """A presentation that discloses everything."""
        presentation = self.wallet.present(asked, credential or self.pid, disclose=list(PERSON), **bent)
        token, *disclosures, key_binding = presentation.split("~")
        self.note("issuer's signature", token.rpartition(".")[2])
        for disclosure in disclosures:
            self.note("disclosure", disclosure)
        if key_binding:
            self.note("key binding", key_binding.partition(".")[2])
        return presentation

    def accept(self) -> httpx2.Response:
        asked = self.begin()
        answer = self.wallet.respond(asked, self.shown(asked))
        assert answer.status_code == 200, answer.text
        self.note("handle", answer.json()["auth_session"])
        self.note("request_uri", answer.json()["request_uri"].rpartition(":")[2])
        return answer

    def finish(self) -> None:
        code = self.wallet.agree(self.accept())["code"]
        self.note("code", code)
        token = self.wallet.exchange(code).json()["access_token"]
        assert self.wallet.derived(token).status_code == 200

    def leave_a_code_unused(self) -> None:
        self.note("code", self.wallet.agree(self.accept())["code"])

    def refuse(self, send: Callable[[httpx2.Response], httpx2.Response], code: str) -> None:
        asked = self.begin()
        answer = send(asked)
        assert (answer.status_code, answer.json()["error"]) == (400, code)
        self.refusals.append(answer)

    def deny_each_kind(self) -> int:
        """Present what does not hold; return how many sessions that ended."""
        foreign = OTHER_ISSUER.issue(PERSON, holder=self.wallet.holder.private).text
        other_type = PID_ISSUER.issue(PERSON, holder=self.wallet.holder.private, vct="urn:example:x").text
        bends: list[tuple[str | None, dict[str, Any]]] = [
            (None, {"key": Key()}),
            (None, {"claims": {"nonce": canary("nonce")}}),
            (None, {"claims": {"aud": PERSON["given_name"]}}),
            (None, {"claims": {"sd_hash": PERSON["given_name"]}}),
            (foreign, {}),
            (other_type, {}),
        ]
        for credential, bent in bends:
            self.refuse(
                lambda asked, c=credential, b=bent: self.wallet.respond(asked, self.shown(asked, c, **b)),  # type: ignore[misc]  # bound early
                "access_denied",
            )
        error = {"error": "access_denied", "error_description": PERSON["given_name"]}
        self.refuse(lambda asked: self.wallet.send(asked, error), "access_denied")
        return len(bends) + 1

    def send_what_cannot_be_read(self) -> None:
        for response in (
            PERSON["given_name"],
            json.dumps({"vp_token": PERSON["given_name"]}),
            json.dumps({"vp_token": {PERSON["given_name"]: ["x"]}}),
            json.dumps({"response": PERSON["given_name"]}),
            json.dumps({"vp_token": {"pid": [self.pid]}, "error": "x"}),
        ):
            self.refuse(lambda asked, r=response: self.wallet.send(asked, r), "invalid_request")  # type: ignore[misc]  # bound early


@pytest.mark.rule("AG-22", "VPT-15", "OUT-04")
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_nothing_of_a_presentation_is_found(
    request: pytest.FixtureRequest, tmp_path: Path, log: io.StringIO, kind: str
) -> None:
    with (
        serving(request, kind, tmp_path, academy()) as server,
        interactive_wallet(server, "academy", scope="diploma") as wallet,
    ):
        walks = Presentations(server, wallet)
        walks.finish()
        walks.accept()
        walks.leave_a_code_unused()
        denied = walks.deny_each_kind()
        walks.send_what_cannot_be_read()
        assert len(walks.secrets) > 60
        for left in remains(server):
            assert found(left, walks.secrets, guessable=PERSON) == set()
            assert found(left, {"client_id": CLIENT_ID.encode()}) == {"client_id"}
        events = query(server, select(audit_events.c.subject).where(audit_events.c.kind == "session_failed"))
        # One event for each, of the session it ended.
        assert len({event.subject for event in events}) == len(events) == denied
    answers = b"".join(refusal.content + str(refusal.headers).encode() for refusal in walks.refusals)
    assert found(answers, walks.secrets, guessable=PERSON) == set()
    logged = log.getvalue().encode()
    assert found(logged, walks.secrets, guessable=PERSON) == set()
    assert found(logged, {"client_id": CLIENT_ID.encode()}) == {"client_id"}


class TestWhatIsStored:
    """On one database: what a session row holds is the same on both."""

    @pytest.fixture
    def walks(self, request: pytest.FixtureRequest, tmp_path: Path) -> Any:
        with (
            serving(request, "sqlite", tmp_path, academy()) as server,
            interactive_wallet(server, "academy", scope="alumni-card") as wallet,
        ):
            yield Presentations(server, wallet)

    def status(self, walks: Presentations) -> str:
        [row] = query(walks.server, select(sessions.c.status))
        status: str = row.status
        return status

    @pytest.mark.rule("IA-52")
    def test_the_status_after_each_message(self, walks: Presentations) -> None:
        wallet = walks.wallet
        asked = wallet.begin()
        assert self.status(walks) == Status.PENDING
        on_the_web = wallet.show(asked, walks.pid)
        assert self.status(walks) == Status.PENDING
        handle = wallet.agree(on_the_web)["auth_session"]
        assert self.status(walks) == Status.WEB_AUTH_COMPLETED
        again = wallet.follow_up(handle, {"code_verifier": wallet.verifier})
        assert self.status(walks) == Status.PENDING
        assert wallet.show(again, walks.pid).status_code == 200
        assert self.status(walks) == Status.CODE_ISSUED

    @pytest.mark.rule("IA-53")
    @pytest.mark.parametrize("end", ["finished", "failed", "expired"])
    def test_what_a_step_showed_is_kept_until_the_end_and_no_longer(self, walks: Presentations, end: str) -> None:
        wallet = walks.wallet
        handle = wallet.agree(wallet.show(wallet.begin(), walks.pid))["auth_session"]
        again = wallet.follow_up(handle, {"code_verifier": wallet.verifier})
        [row] = query(walks.server, select(sessions.c.session_id))

        def stored() -> Any:
            return walks.server.store(lambda store: store.sessions.by_id(row.session_id), "academy")

        [kept] = stored().completed_steps.presented
        # What the plan uses and no more: neither the claims beside it nor anything signed.
        assert [(each.path, each.value) for each in kept.values] == [(["given_name"], PERSON["given_name"])]
        assert kept.holder_jkt == wallet.holder.thumbprint
        if end == "finished":
            assert wallet.show(again, walks.pid).status_code == 200
        elif end == "failed":
            assert wallet.show(again, walks.pid, key=Key()).status_code == 400
        else:
            walks.server.clock.advance(900)
            walks.server.beside(_run_jobs)
        assert stored().status in TERMINAL
        assert stored().completed_steps == Evidence()
        assert stored().presentation_data is None


@pytest.mark.rule("A-01")
def test_an_attempt_at_another_key_is_in_the_log(
    request: pytest.FixtureRequest, tmp_path: Path, log: io.StringIO
) -> None:
    with (
        serving(request, "sqlite", tmp_path, academy()) as server,
        interactive_wallet(server, "academy") as wallet,
    ):
        token = wallet.interactive_token(PID_ISSUER.issue(PERSON, holder=wallet.holder.private).text)
        assert "holder_binding_mismatch" not in log.getvalue()
        assert wallet.derived(token, key=Key()).status_code == 400
        [told] = [line for line in log.getvalue().splitlines() if "holder_binding_mismatch" in line]
        assert json.loads(told)["outcome"] == "invalid_proof"


async def _run_jobs(service: Service) -> int:
    return sum([await job.run(service.platform, service.clock, lambda _: None) for job in JOBS.values()])
