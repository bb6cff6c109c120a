"""The log: one record per request, escaped, without secrets, for people and for machines."""

import errno
import io
import json
import logging
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from app.adapters.logs import Message, Receive, RequestLog, Scope, Send, configure_logging
from app.ports import RequestRecord
from app.settings import LogSettings
from tests.support.fakes import CountedEntropy, FixedClock
from tests.support.log import plain_log

CANARY = "canary-5d20"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    plain_log()
    root.handlers[:] = handlers
    root.setLevel(level)


def configured(format_: Any = "json", stream: io.StringIO | None = None) -> io.StringIO:
    stream = stream or io.StringIO()
    configure_logging(LogSettings(format=format_), stream)
    return stream


def records(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().split("\n") if line]


async def request(app: Any, **scope: Any) -> list[Message]:
    """Send one request through the middleware; return what goes to the client."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": CANARY.encode(), "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    log = RequestLog(app, FixedClock(), CountedEntropy())
    await log(
        {"type": "http", "method": "POST", "path": "/x", "query_string": b"", "headers": [], **scope}, receive, send
    )
    return sent


def answering(status: int = 200, **facts: Any) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        record: RequestRecord = scope["state"]["record"]
        for name, value in facts.items():
            setattr(record, name, value)
        await send({"type": "http.response.start", "status": status, "headers": [(b"a", b"b")]})
        await send({"type": "http.response.body", "body": b""})

    return app


async def test_one_record_tells_what_a_request_was() -> None:
    stream = configured()
    facts = {"tenant": "university", "endpoint": "token", "client": "wallet", "outcome": "invalid_grant"}
    sent = await request(answering(400, **facts, reason="code unknown"))
    [record] = records(stream)
    assert record.pop("time")
    request_id = record["request_id"]
    assert record == {
        **facts,
        "event": "request",
        "level": "info",
        "method": "POST",
        "status": 400,
        "reason": "code unknown",
        "answered_ms": 0.0,
        "total_ms": 0.0,
        "request_id": request_id,
    }
    assert sent[0]["headers"] == [(b"a", b"b"), (b"x-request-id", request_id.encode())]


@pytest.mark.parametrize(
    ("status", "outcome", "level"), [(201, "ok", "info"), (302, "ok", "info"), (503, "error", "error")]
)
async def test_the_outcome_without_a_code(status: int, outcome: str, level: str) -> None:
    stream = configured()
    await request(answering(status))
    [record] = records(stream)
    assert (record["outcome"], record["level"]) == (outcome, level)


async def test_times_are_measured_to_the_answer_and_to_the_end() -> None:
    clock = FixedClock()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        clock.advance(0.25)
        await send({"type": "http.response.start", "status": 200})
        clock.advance(0.5)

    async def send(_message: Message) -> None:
        pass

    stream = configured()
    log = RequestLog(app, clock, CountedEntropy())
    await log({"type": "http", "method": "GET"}, send, send)  # type: ignore[arg-type]  # never received from
    [record] = records(stream)
    assert (record["answered_ms"], record["total_ms"]) == (250.0, 750.0)


@pytest.mark.rule("O-07")
@pytest.mark.parametrize("format_", ["json", "text"])
@pytest.mark.parametrize(
    "forged",
    [
        'x\r\n{"event": "request", "outcome": "ok"}',
        "x\n00:00:00 info request outcome=ok",
        "\x1b[2J\x1b[31mred\x9b1m",
        "\u2028\u2029\u202e\u0085\x00\x7f",
        'x" outcome="ok',
        "x outcome=ok",
    ],
)
async def test_a_client_cannot_forge_a_record_or_drive_the_terminal(format_: str, forged: str) -> None:
    stream = configured(format_)
    await request(answering(400, client=forged, outcome="invalid_client"))
    text = stream.getvalue()
    assert len(text.splitlines()) == 1
    assert text.removesuffix("\n").isprintable()
    if format_ == "json":
        assert records(stream)[0]["outcome"] == "invalid_client"
    else:
        fields = [part for part in shlex.split(text) if part.startswith("outcome=")]
        assert fields == ["outcome=invalid_client"]


@pytest.mark.rule("O-07")
async def test_long_values_are_cut() -> None:
    stream = configured()
    await request(answering(400, client="x" * 100_000))
    assert len(stream.getvalue()) < 2_000


@pytest.mark.rule("O-08")
@pytest.mark.parametrize("format_", ["json", "text"])
async def test_nothing_of_the_request_itself_is_logged(format_: str) -> None:
    stream = configured(format_)
    headers = [
        (name, CANARY.encode()) for name in (b"authorization", b"dpop", b"cookie", b"user-agent", b"x-request-id")
    ]
    scope = {"path": f"/{CANARY}", "raw_path": f"/{CANARY}".encode(), "query_string": CANARY.encode()}
    await request(answering(), headers=headers, **scope)
    assert stream.getvalue()
    assert CANARY not in stream.getvalue()


@pytest.mark.rule("O-08")
async def test_an_exception_is_logged_by_type_and_place_not_by_its_text() -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise RuntimeError(CANARY)

    stream = configured()
    with pytest.raises(RuntimeError):
        await request(app)
    unexpected, record = records(stream)
    assert (unexpected["exception"], record["outcome"]) == ("RuntimeError", "server_error")
    assert "test_logs.py" in unexpected["at"]
    assert unexpected["request_id"] == record["request_id"]
    assert CANARY not in stream.getvalue()


@pytest.mark.rule("O-08")
def test_libraries_are_heard_from_warning_on_and_without_exception_texts() -> None:
    stream = io.StringIO()
    configure_logging(LogSettings(format="json", level="debug"), stream)
    logging.getLogger("aiosqlite").debug("executing %s", CANARY)
    try:
        raise RuntimeError(CANARY)  # noqa: TRY301  # the log must meet a raised one
    except RuntimeError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
    [record] = records(stream)
    assert (record["event"], record["exception"]) == ("Exception in ASGI application", "RuntimeError")
    assert CANARY not in stream.getvalue()


def test_text_on_a_terminal_and_json_elsewhere() -> None:
    for stream, is_json in ((Terminal(), False), (io.StringIO(), True)):
        configured("auto", stream)
        structlog.get_logger().info("hello", name="a b")
        assert stream.getvalue().startswith("{") is is_json
        assert ('name="a b"' in stream.getvalue()) is not is_json


def test_the_level_is_kept() -> None:
    stream = io.StringIO()
    configure_logging(LogSettings(format="json", level="warning"), stream)
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert [record["event"] for record in records(stream)] == ["loud"]


def test_what_cannot_be_written_is_lost_and_nothing_fails() -> None:
    class FullDisk(io.StringIO):
        def flush(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    configure_logging(LogSettings(format="json"), FullDisk())
    structlog.get_logger().info("lost")
    structlog.get_logger("request").error("lost", status=503)
