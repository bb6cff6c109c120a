"""Settings: where they come from, what is refused and with which words, and that secrets do not show."""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.settings import PROJECT_ROOT, Secret, Settings, leaves, unsafe, value_at
from app.settings_reader import DEFAULT_CONFIG, SettingsError, load_settings, variable

CANARY = "canary-8f2b1c"


def load(file: Path | None = None, /, **environ: str) -> Settings:
    return load_settings(file, environ).settings


def problems(file: Path | None = None, /, **environ: str) -> list[str]:
    with pytest.raises(SettingsError) as error:
        load_settings(file, environ)
    return error.value.problems


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "vestibule.toml"


def test_defaults_are_a_local_service() -> None:
    settings = load()
    assert settings == Settings()
    assert settings.is_loopback
    assert settings.database_url == f"sqlite:///{PROJECT_ROOT}/var/vestibule.db"
    assert unsafe(settings) == []


def test_later_sources_win_and_are_named(file: Path) -> None:
    file.write_text('[server]\nport = 8001\nhost = "::1"\n[log]\nlevel = "debug"\n', encoding="utf-8")
    environ = {"VESTIBULE_SERVER__PORT": "8002", "VESTIBULE_SERVER__HOST": "127.0.0.2"}
    loaded = load_settings(file, environ, {"server.port": "8003", "log.level": None})
    found = {path: value_at(loaded.settings, path) for path in ("server.port", "server.host", "log.level", "demo")}
    assert found == {"server.port": 8003, "server.host": "127.0.0.2", "log.level": "debug", "demo": False}
    assert {path: loaded.origins[path] for path in found} == {
        "server.port": "--port",
        "server.host": "environment VESTIBULE_SERVER__HOST",
        "log.level": str(file),
        "demo": "default",
    }


def test_the_file_is_the_option_then_the_environment(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    file.write_text("demo = true\n", encoding="utf-8")
    other.write_text("demo = false\n", encoding="utf-8")
    assert load(None, VESTIBULE_CONFIG=str(file)).demo is True
    assert load(other, VESTIBULE_CONFIG=str(file)).demo is False
    assert problems(tmp_path / "absent.toml") == [f"{tmp_path}/absent.toml: cannot be read (No such file or directory)"]


def test_values_of_the_environment_may_lie_in_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("one\ntwo\n", encoding="utf-8")
    name = "VESTIBULE_SECRETS__MASTER_KEYS_FILE"
    loaded = load_settings(None, {name: str(secret)})
    assert loaded.settings.secrets.master_keys == (Secret("one"), Secret("two"))
    assert loaded.origins["secrets.master_keys"] == f"file of {name}"
    assert problems(VESTIBULE_DATABASE__URL_FILE=str(tmp_path / "absent")) == [
        "environment VESTIBULE_DATABASE__URL_FILE: the file cannot be read"
    ]
    assert problems(VESTIBULE_LOG__LEVEL="info", VESTIBULE_LOG__LEVEL_FILE=str(secret)) == [
        "environment: VESTIBULE_LOG__LEVEL and VESTIBULE_LOG__LEVEL_FILE are both set: keep one"
    ]


def test_lists_and_paths() -> None:
    settings = load(VESTIBULE_SERVER__TRUSTED_PROXIES="10.0.0.0/8, ::1", VESTIBULE_DATA_DIRECTORY="elsewhere")
    assert settings.server.trusted_proxies == ("10.0.0.0/8", "::1")
    assert settings.data_directory == PROJECT_ROOT / "elsewhere"
    assert load(VESTIBULE_DATA_DIRECTORY="/data").data_directory == Path("/data")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[server]\nprot = 1\n", "server.prot is no setting; did you mean server.port?"),
        ("[sever]\nport = 1\n", "sever is no setting; did you mean server.port?"),
        ("public_ulr = 'x'\n", "public_ulr is no setting; did you mean public_url?"),
        ("server = 1\n", "server is no setting; did you mean server.port?"),
        ("[server]\nport = '8000'\n", "server.port: Expected `int`, got `str`"),
        ("demo = 1\n", "demo: Expected `bool`, got `int`"),
        ("[log]\nformat = 'xml'\n", "log.format: Invalid enum value 'xml'"),
        ("demo = \n", "not TOML (Invalid value (at line 1, column 8))"),
    ],
)
def test_a_wrong_file_is_refused(file: Path, content: str, problem: str) -> None:
    file.write_text(content, encoding="utf-8")
    [found] = problems(file)
    assert found == f"{file}: {problem}"


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        (
            "VESTIBULE_SERVER__PROT",
            "1",
            "environment: VESTIBULE_SERVER__PROT is no setting; did you mean VESTIBULE_SERVER__PORT?",
        ),
        ("VESTIBULE_QQQQ", "1", "environment: VESTIBULE_QQQQ is no setting"),
        (
            "VESTIBULE_SERVER__PORT",
            "many",
            "environment VESTIBULE_SERVER__PORT: server.port: Expected `int`, got `str`",
        ),
        ("VESTIBULE_SERVER__PORT", "70000", "server.port: give a port from 0 to 65535"),
        ("VESTIBULE_SERVER__GRACEFUL_SHUTDOWN", "-1", "server.graceful_shutdown: give seconds, 0 or more"),
        ("VESTIBULE_SERVER__WORKERS", "0", "server.workers: give a number of processes, 1 or more"),
        (
            "VESTIBULE_SERVER__WORKERS",
            "2",
            "server.workers: more than one process needs PostgreSQL; give database.url, or 1 worker",
        ),
        ("VESTIBULE_SERVER__TLS_KEY", "/key", "server.tls_certificate and server.tls_key: give both or neither"),
        (
            "VESTIBULE_SERVER__TRUSTED_PROXIES",
            "proxy.example",
            "server.trusted_proxies: give IP addresses, networks such as 10.0.0.0/8, or *",
        ),
        (
            "VESTIBULE_DATABASE__URL",
            f"mysql://{CANARY}",
            "database.url: give sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE",
        ),
        ("VESTIBULE_METRICS__PORT", "65536", "metrics.port: give a port from 0 to 65535"),
        ("VESTIBULE_DATABASE__URL", "", "environment VESTIBULE_DATABASE__URL: database.url: Expected text"),
    ],
)
def test_a_wrong_environment_is_refused(name: str, value: str, problem: str) -> None:
    assert problems(**{name: value}) == [problem]


def test_everything_wrong_is_told_at_once() -> None:
    assert len(problems(VESTIBULE_DEMO="x", VESTIBULE_SERVER__PORT="x", VESTIBULE_PUBLIC_URL="ftp://x")) == 3


def test_the_tests_own_variables_are_no_settings() -> None:
    assert load(VESTIBULE_TEST_POSTGRES_URL="x", VESTIBULE_CONFIG="") == Settings()


@pytest.mark.parametrize(
    "url",
    [
        "https://issuer.example",
        "https://issuer.example:8443",
        "http://localhost:8000",
        "http://[::1]:1",
        "http://127.0.0.1",
    ],
)
def test_good_public_urls(url: str) -> None:
    assert load(VESTIBULE_PUBLIC_URL=url).public_url == url


@pytest.mark.parametrize(
    ("url", "word"),
    [
        pytest.param("http://issuer.example", "plain http is for", marks=pytest.mark.rule("REQ-15")),
        ("http://localhost.example", "plain http is for"),
        ("http://127.0.0.1.example", "plain http is for"),
        ("https://issuer.example/", "trailing slash"),
        ("https://issuer.example/path", "without path"),
        ("https://issuer.example?x", "without path"),
        ("https://issuer.example?", "without path"),
        ("https://issuer.example#", "without path"),
        ("https://user@issuer.example", "user name"),
        ("https://issuer.example:443", "default port"),
        ("https://Issuer.example", "lower-case"),
        ("https://issuer .example", "without blanks"),
        ("https://issüer.example", "ASCII"),
        ("ftp://issuer.example", "https://HOST"),
        ("issuer.example", "https://HOST"),
        ("https://", "https://HOST"),
        ("https://issuer.example:x", "not a URL"),
        ("https://[::1", "not a URL"),
    ],
)
def test_bad_public_urls(url: str, word: str) -> None:
    [problem] = problems(VESTIBULE_PUBLIC_URL=url)
    assert problem.startswith("public_url: ")
    assert word in problem


@pytest.mark.rule("O-08")
@pytest.mark.parametrize("path", [path for path, type_, _ in leaves() if "Secret" in str(type_)])
def test_secrets_do_not_show(path: str, file: Path) -> None:
    schemes = {"database.url": "postgresql", "redis.url": "rediss"}
    text = f"{schemes[path]}://user:{CANARY}@host/1" if path in schemes else CANARY
    loaded = load_settings(None, {variable(path): text})
    assert CANARY not in repr(loaded) + str(loaded)
    assert CANARY in "".join(secret.reveal() for secret in _secrets(value_at(loaded.settings, path)))
    section, _, name = path.partition(".")
    file.write_text(f'[{section}]\n{name} = {{ x = "{CANARY}" }}\n', encoding="utf-8")
    assert CANARY not in "".join(problems(file))


def _secrets(value: Any) -> tuple[Secret, ...]:
    return value if isinstance(value, tuple) else (value,)


@pytest.mark.parametrize(
    ("environ", "word"),
    [
        ({"VESTIBULE_DEMO": "true"}, "demo"),
        ({"VESTIBULE_SERVER__HOST": "0.0.0.0"}, "server.host"),  # noqa: S104  # the unsafe setting itself
        ({"VESTIBULE_SERVER__TRUSTED_PROXIES": "*"}, "server.trusted_proxies"),
        ({"VESTIBULE_LIMITS__MODE": "off"}, "limits.mode"),
        ({"VESTIBULE_SERVER__WORKERS": "3", "VESTIBULE_DATABASE__URL": "postgresql://localhost/v"}, "redis.url"),
        ({"VESTIBULE_METRICS__PORT": "9464", "VESTIBULE_METRICS__HOST": "0.0.0.0"}, "metrics.host"),  # noqa: S104  # so
        (
            {
                "VESTIBULE_PUBLIC_URL": "https://issuer.example",
                "VESTIBULE_SECRETS__ALLOW_GENERATED_MASTER_KEY": "true",
            },
            "secrets.allow_generated_master_key",
        ),
    ],
)
def test_unsafe_settings_are_named(environ: dict[str, str], word: str) -> None:
    [weakness] = unsafe(load_settings(None, environ).settings)
    assert weakness.startswith(f"{word}: ")


def test_the_default_file_lists_every_setting_with_its_default() -> None:
    text = DEFAULT_CONFIG.read_text(encoding="utf-8")
    assert load(DEFAULT_CONFIG) == Settings()
    written = tomllib.loads(re.sub(r"^# (?=[a-z_]+ = )", "", text, flags=re.M))
    for path, type_, default in leaves():
        section, _, name = path.rpartition(".")
        value = (written[section] if section else written)[name]
        if default is None:
            assert value == "", path
        elif type_ is Path:
            assert PROJECT_ROOT / value == default, path
        else:
            assert msgspec.convert(value, type_, dec_hook=lambda _type, text: Secret(text)) == default, path
    sections = {path.partition(".")[0] for path, _, _ in leaves() if "." in path}
    listed = {f"{key}.{inner}" for key, value in written.items() if key in sections for inner in value}
    assert listed | (written.keys() - sections) == {path for path, _, _ in leaves()}
