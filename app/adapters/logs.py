"""The log: one wide record per request, readable on a terminal, JSON otherwise.

Records are made of names that the code chose and values that are escaped here. They hold no token, code, claim,
key, query string or body, and no exception text either: an exception is logged by its type and the lines it passed.
"""

import json
import logging
import sys
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, Final, TextIO

import msgspec
import structlog

from app.ports import Clock, Entropy, Metrics, NoMetrics, RequestRecord
from app.settings import LogSettings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI application; loosely typed because each framework brings its own names for scope and messages."""

_LONGEST_VALUE: Final = 1000
_JSON: Final = msgspec.json.Encoder(enc_hook=repr)


class RequestLog:
    """ASGI middleware: gives each request an id and a record, and writes the record after the response."""

    def __init__(self, app: AsgiApp, clock: Clock, entropy: Entropy, metrics: Metrics | None = None) -> None:
        self._app = app
        self._clock = clock
        self._entropy = entropy
        self._metrics = metrics or NoMetrics()
        self._log = structlog.get_logger("request")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = RequestRecord(request_id=self._entropy.identifier())
        scope.setdefault("state", {})["record"] = record
        started = self._clock.monotonic()
        status: int | None = None
        answered = started

        async def send_with_id(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], self._clock.monotonic()
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", record.request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            record.outcome = "server_error"
            self._log.exception("unexpected", request_id=record.request_id)
            raise
        finally:
            ended = self._clock.monotonic()
            outcome = record.outcome or ("ok" if status is not None and status < 400 else "error")
            self._metrics.request(record, outcome=outcome, seconds=ended - started)
            write = self._log.error if status is None or status >= 500 else self._log.info
            write(
                "request",
                method=scope["method"],
                status=status,
                outcome=outcome,
                tenant=record.tenant,
                endpoint=record.endpoint,
                client=record.client,
                reason=record.reason,
                answered_ms=_milliseconds(answered - started),
                total_ms=_milliseconds(ended - started),
                request_id=record.request_id,
            )


class _UnfailingLogger(structlog.WriteLogger):
    """Loses what cannot be written, such as on a full disk: no request fails for its record."""

    def msg(self, message: str) -> None:
        """Write one record."""
        with suppress(OSError):
            super().msg(message)

    log = debug = info = warning = error = exception = critical = msg


def configure_logging(settings: LogSettings, stream: TextIO = sys.stderr) -> None:
    """Send the service's records, and warnings of the libraries, to `stream`."""
    as_text = settings.format == "text" or (settings.format == "auto" and stream.isatty())
    common: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if as_text else "iso", utc=not as_text, key="time"),
        _exception_without_text,
        _escape_values,
    ]
    render: structlog.typing.Processor = _render_text if as_text else _render_json
    output = _UnfailingLogger(stream)
    structlog.configure(
        processors=[*common, render],
        wrapper_class=structlog.make_filtering_bound_logger(settings.level),
        logger_factory=lambda *_: output,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=common,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    # Never below warning, whatever our own level is: database drivers put statement parameters into debug records.
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _exception_without_text(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace `exc_info` by type and lines: exception texts may quote what a client sent or a database holds."""
    information = event.pop("exc_info", None)
    if information is True:
        information = sys.exc_info()
    elif isinstance(information, BaseException):
        information = (type(information), information, information.__traceback__)
    if information and information[0] is not None:
        event["exception"] = information[0].__name__
        frames = traceback.extract_tb(information[2])
        event["at"] = " > ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-12:])
    return event


def _escape_values(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escape what could start a new line, drive a terminal or reorder text (O-07); drop what is not known."""
    escaped = {"time": event.pop("time"), "level": event.pop("level"), "event": _escape(str(event.pop("event")))}
    for name, value in event.items():
        if value is not None:
            escaped[name] = _escape(value) if isinstance(value, str) else value
    return escaped


def _escape(value: str) -> str:
    if len(value) <= _LONGEST_VALUE and value.isprintable():
        return value
    if len(value) > _LONGEST_VALUE:
        value = value[:_LONGEST_VALUE] + "…"
    return "".join(character if character.isprintable() else f"\\u{{{ord(character):x}}}" for character in value)


def _render_json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    """One object on one line, for machines."""
    return _JSON.encode(event).decode()


def _render_text(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    """One line for people: time, level, event, then `name=value`, quoted where blanks or quotes could mislead."""
    head = f"{event.pop('time')} {event.pop('level'):<7} {event.pop('event')}"
    return " ".join([head, *(f"{name}={_quote(value)}" for name, value in event.items())])


def _quote(value: Any) -> str:
    text = str(value)
    return text if text and not set(text) & set(' ="') else json.dumps(text, ensure_ascii=False)
