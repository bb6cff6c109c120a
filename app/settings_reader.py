"""Reads the settings: defaults, then a file, then the environment, then command options; later ones win."""

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final, get_origin
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from app.settings import LOOPBACK_NAMES, PROJECT_ROOT, Secret, Settings, leaves

DEFAULT_CONFIG: Final = PROJECT_ROOT / "config" / "vestibule.toml"
_PREFIX: Final = "VESTIBULE_"
_NOT_SETTINGS: Final = ("VESTIBULE_CONFIG", "VESTIBULE_TEST_")
"""`VESTIBULE_CONFIG` names the file; `VESTIBULE_TEST_…` belongs to the tests."""

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


class Loaded(Struct, frozen=True):
    """The settings and, by dotted path (`server.port`), where each value came from."""

    settings: Settings
    origins: dict[str, str]


class SettingsError(Exception):
    """The settings cannot be used; `problems` has one sentence for each thing that is wrong, without secrets."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load_settings(
    config: Path | None, environ: Mapping[str, str], options: Mapping[str, str | None] | None = None
) -> Loaded:
    """Read the settings.

    `config` is the file of `--config`; `options` are command options by dotted path, None = not given.
    Raises `SettingsError` with everything that is wrong.
    """
    types = {path: type_ for path, type_, _ in leaves()}
    problems: list[str] = []
    found: dict[str, tuple[Any, str]] = {}

    for path, value, source in _from_file(config, environ, problems):
        if path in types:
            _put(found, path, value, types[path], source, problems, strict=True)
        else:
            nearest = _nearest(path, types)
            problems.append(f"{source}: {path} is no setting{nearest and _did_you_mean(nearest)}")
    for path, text, source in _from_environment(environ, types, problems):
        _put(found, path, _split(text, types[path]), types[path], source, problems, strict=False)
    for path, option in (options or {}).items():
        if option is not None:
            name = "--" + path.rpartition(".")[2].replace("_", "-")
            _put(found, path, _split(option, types[path]), types[path], name, problems, strict=False)

    settings = _assemble({path: value for path, (value, _) in found.items()})
    problems += _contradictions(settings)
    if problems:
        raise SettingsError(problems)
    return Loaded(settings, {path: found[path][1] if path in found else "default" for path in types})


def _from_file(config: Path | None, environ: Mapping[str, str], problems: list[str]) -> Iterator[tuple[str, Any, str]]:
    named = config or (Path(environ["VESTIBULE_CONFIG"]) if environ.get("VESTIBULE_CONFIG") else None)
    file = named or DEFAULT_CONFIG
    if named is None and not file.exists():
        return
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(f"{file}: cannot be read ({error.strerror})")
        return
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        # A decode error tells position and kind, not the text around it.
        problems.append(f"{file}: not TOML ({error})")
        return
    sections = {path.partition(".")[0] for path, _, _ in leaves() if "." in path}
    for name, value in content.items():
        if name in sections and isinstance(value, dict):
            yield from ((f"{name}.{inner}", inner_value, str(file)) for inner, inner_value in value.items())
        else:
            yield name, value, str(file)


def _from_environment(
    environ: Mapping[str, str], types: Mapping[str, Any], problems: list[str]
) -> Iterator[tuple[str, str, str]]:
    paths = {variable(path): path for path in types}
    for name in sorted(environ):
        if not name.startswith(_PREFIX) or name.startswith(_NOT_SETTINGS):
            continue
        plain = name.removesuffix("_FILE")
        if name in paths:
            yield paths[name], environ[name], f"environment {name}"
        elif plain in environ and plain in paths:
            problems.append(f"environment: {plain} and {name} are both set: keep one")
        elif plain in paths:
            try:
                text = Path(environ[name]).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                problems.append(f"environment {name}: the file cannot be read")
                continue
            yield paths[plain], text.strip(), f"file of {name}"
        else:
            asked = name.removeprefix(_PREFIX).lower().replace("__", ".")
            nearest = _nearest(asked, types)
            problems.append(f"environment: {name} is no setting{nearest and _did_you_mean(variable(nearest))}")


def variable(path: str) -> str:
    """Return the environment variable of a dotted path."""
    return _PREFIX + path.replace(".", "__").upper()


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.5)), "")


def _did_you_mean(name: str) -> str:
    return f"; did you mean {name}?"


def _split(text: str, type_: Any) -> Any:
    """Lists are written with commas or line breaks where only text can be given; empty text is no value."""
    if get_origin(type_) is tuple:
        return [part.strip() for part in text.replace("\n", ",").split(",") if part.strip()]
    return text


def _put(
    found: dict[str, tuple[Any, str]],
    path: str,
    value: Any,
    type_: Any,
    source: str,
    problems: list[str],
    *,
    strict: bool,
) -> None:
    try:
        found[path] = (msgspec.convert(value, type_, strict=strict, dec_hook=_decode), source)
    except msgspec.ValidationError as error:
        problems.append(f"{source}: {path}: {error}")


def _decode(type_: type, value: Any) -> Any:
    if not isinstance(value, str) or not value:
        raise ValueError("Expected text")
    if type_ is Path:
        return PROJECT_ROOT / Path(value).expanduser()
    return Secret(value)


def _assemble(values: Mapping[str, Any]) -> Settings:
    sections: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        section, _, name = path.rpartition(".")
        sections.setdefault(section, {})[name] = value
    top = sections.pop("", {})
    for field in msgspec.structs.fields(Settings):
        if field.name in sections:
            top[field.name] = field.type(**sections[field.name])
    return Settings(**top)


def _contradictions(settings: Settings) -> list[str]:
    server, secrets = settings.server, settings.secrets
    problems = _public_url_problems(settings.public_url)
    if not 0 <= server.port <= 65535:
        problems.append("server.port: give a port from 0 to 65535")
    if not 0 <= (settings.metrics.port or 0) <= 65535:
        problems.append("metrics.port: give a port from 0 to 65535")
    if server.graceful_shutdown < 0:
        problems.append("server.graceful_shutdown: give seconds, 0 or more")
    if server.workers < 1:
        problems.append("server.workers: give a number of processes, 1 or more")
    if server.workers > 1 and settings.database_url.startswith("sqlite:"):
        problems.append("server.workers: more than one process needs PostgreSQL; give database.url, or 1 worker")
    if (server.tls_certificate is None) != (server.tls_key is None):
        problems.append("server.tls_certificate and server.tls_key: give both or neither")
    problems += [
        "server.trusted_proxies: give IP addresses, networks such as 10.0.0.0/8, or *"
        for proxy in server.trusted_proxies
        if proxy != "*" and not _is_network(proxy)
    ][:1]
    if secrets.master_keys and secrets.master_key_file:
        problems.append("secrets.master_keys and secrets.master_key_file: give one of them")
    if settings.database.url and not settings.database.url.reveal().startswith(("sqlite:///", "postgresql://")):
        problems.append("database.url: give sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE")
    if settings.redis.url and not settings.redis.url.reveal().startswith(("redis://", "rediss://", "unix://")):
        problems.append("redis.url: give redis://HOST:PORT, rediss://USER:PASSWORD@HOST:PORT or unix:///SOCKET")
    problems += [
        f"limits.{name}: give requests per minute, 1 or more"
        for name, value in msgspec.structs.asdict(settings.limits).items()
        if name != "mode" and value < 1
    ]
    return problems


def _public_url_problems(url: str) -> list[str]:
    """RFC 8414 §2 and OID4VCI §12.2.1 want an https issuer; plain http is for loopback only (decisions: "http")."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return ["public_url: not a URL"]
    if parts.scheme not in _DEFAULT_PORTS or not host:
        return ["public_url: give https://HOST or https://HOST:PORT"]
    problems = []
    if parts.scheme == "http" and host not in LOOPBACK_NAMES:
        problems.append("public_url: plain http is for localhost, 127.0.0.1 and [::1] only; give an https URL")
    if parts.path == "/":
        problems.append("public_url: remove the trailing slash")
    elif parts.path or "?" in url or "#" in url:
        problems.append("public_url: give scheme, host and port only, without path, query or fragment")
    if "@" in parts.netloc:
        problems.append("public_url: remove the user name before the host")
    # Issuer identifiers are compared as strings, so one spelling only: the one that browsers and wallets arrive at.
    if port == _DEFAULT_PORTS[parts.scheme]:
        problems.append(f"public_url: leave out the default port {port}")
    if url != url.lower() or not url.isascii() or any(character.isspace() for character in url):
        problems.append("public_url: write it in lower-case ASCII without blanks")
    return problems


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True
