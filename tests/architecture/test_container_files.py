"""`Dockerfile`, `.dockerignore` and `compose.yaml`, read without a container engine: what can be known by reading."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings_reader import load_settings

ROOT = Path(__file__).parents[2]
INSTRUCTIONS = {
    *("ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK"),
    *("LABEL", "RUN", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
}
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
OURS = ["schema", "service"]
SECRET_VALUES = {
    "database-url": "postgresql://vestibule:canary@postgres/vestibule",
    "master-keys": "A" * 43,
    "database-password": "canary",
}


def stages() -> list[list[tuple[str, str]]]:
    """Return the instructions of each stage of the Dockerfile with what they are given."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"^\s*#.*\n", "", text, flags=re.M).replace("\\\n", " ").splitlines()
    found: list[list[tuple[str, str]]] = []
    for line in filter(str.strip, lines):
        name, _, given = line.partition(" ")
        assert name in INSTRUCTIONS, line
        if name == "FROM":
            found.append([])
        found[-1].append((name, " ".join(given.split())))
    return found


def given_to(stage: list[tuple[str, str]], instruction: str) -> list[str]:
    return [given for name, given in stage if name == instruction]


def copied(stage: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return source and target of what a stage copies from the checkout."""
    copies = []
    for given in given_to(stage, "COPY"):
        *sources, target = [word for word in given.split() if not word.startswith("--")]
        if "--from=" not in given:
            copies += [(source, target) for source in sources]
    return copies


def in_context(name: str) -> bool:
    """Whether `.dockerignore` lets a name at the top of the checkout into the build; the last pattern decides."""
    patterns = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    matching = [one for one in patterns if one.removeprefix("!") in {"*", name}]
    return not matching or matching[-1].startswith("!")


def test_the_image_is_built_in_stages_from_pinned_lines_of_one_base() -> None:
    build, final = stages()
    [built_on], [runs_on] = given_to(build, "FROM"), given_to(final, "FROM")
    base, _, alias = built_on.partition(" AS ")
    # What was installed for one Python runs on no other.
    assert base == runs_on
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", base)
    assert [given for given in given_to(final, "COPY") if "--from=" in given] == [
        f"--from={alias} /vestibule/.venv .venv"
    ]
    assert any("--require-hashes" in given for given in given_to(build, "RUN"))
    for stage in (build, final):
        assert all(in_context(source) and (ROOT / source).exists() for source, _ in copied(stage))


def test_only_what_is_copied_comes_into_the_build() -> None:
    wanted = {source for stage in stages() for source, _ in copied(stage)}
    assert {entry.name for entry in ROOT.iterdir() if in_context(entry.name)} == wanted


def test_the_image_runs_the_service_as_a_user_without_rights() -> None:
    final = stages()[-1]
    user, group = given_to(final, "USER")[-1].split(":")
    assert int(user) > 0
    assert int(group) > 0
    assert final.index(("USER", f"{user}:{group}")) > max(
        place for place, (name, _) in enumerate(final) if name in {"RUN", "COPY"}
    )
    # In the form that starts no shell, which would keep SIGTERM to itself.
    assert json.loads(given_to(final, "ENTRYPOINT")[-1]) + json.loads(given_to(final, "CMD")[-1]) == [
        *("python", "-m", "app", "serve")
    ]
    assert json.loads(given_to(final, "HEALTHCHECK")[-1].partition("CMD ")[2])[0] == "python"
    assert given_to(final, "STOPSIGNAL") == ["SIGTERM"]


def test_what_is_copied_is_all_that_the_command_needs(tmp_path: Path) -> None:
    image = tmp_path / "vestibule"
    image.mkdir()
    for source, target in copied(stages()[-1]):
        place = image / (source if target == "./" else target)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, place)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("VESTIBULE_")}
    for arguments in (["db", "upgrade"], ["tenant", "validate", "config/tenants"], ["settings"]):
        command = [sys.executable, "-m", "app", *arguments]
        done = subprocess.run(
            command, cwd=image, env={**environ, "VESTIBULE_DEMO": "true"}, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
    # It was the copy that ran, with its own place for data.
    assert (image / "var" / "vestibule.db").exists()


@pytest.mark.parametrize("kind", ["secrets", "networks", "volumes"])
def test_what_the_services_name_is_declared_and_all_of_it_used(kind: str) -> None:
    named = {name.partition(":")[0] for service in COMPOSE["services"].values() for name in service.get(kind, [])}
    assert named == set(COMPOSE[kind])


def test_each_waits_for_what_it_needs() -> None:
    for name, service in COMPOSE["services"].items():
        for other, wait in service.get("depends_on", {}).items():
            needed = COMPOSE["services"][other]
            if wait["condition"] == "service_healthy":
                assert needed["healthcheck"]["test"], f"{name} waits for {other}"
            else:
                assert (wait["condition"], needed.get("restart")) == ("service_completed_successfully", None)


@pytest.mark.parametrize("name", OURS)
def test_the_environment_holds_settings_and_no_secret(name: str, tmp_path: Path) -> None:
    service = COMPOSE["services"][name]
    environ = {}
    for variable, value in service["environment"].items():
        given = "https://issuer.example" if value.startswith("${VESTIBULE_PUBLIC_URL:?") else value
        if variable.endswith("_FILE"):
            secret = given.removeprefix("/run/secrets/")
            assert secret in service["secrets"]
            (tmp_path / secret).write_text(SECRET_VALUES[secret], encoding="utf-8")
            given = str(tmp_path / secret)
        environ[variable] = given
    settings = load_settings(None, environ).settings
    assert settings.server.workers == 2
    assert settings.database_url == SECRET_VALUES["database-url"]
    assert len(settings.secrets.master_keys) == 1
    for other in COMPOSE["services"].values():
        assert not [
            variable
            for variable in other.get("environment", {})
            if re.search("PASSWORD$|KEYS$|__URL$", variable) and "REDIS" not in variable
        ]


def test_nothing_is_reached_from_outside_but_the_service_by_this_host() -> None:
    ports = {name: service.get("ports", []) for name, service in COMPOSE["services"].items()}
    assert {name for name, given in ports.items() if given} == {"service"}
    assert all(port.startswith("127.0.0.1:") for port in ports["service"])
    [network] = COMPOSE["networks"]["inside"]["ipam"]["config"]
    assert COMPOSE["services"]["service"]["environment"]["VESTIBULE_SERVER__TRUSTED_PROXIES"] == network["gateway"]


def test_there_is_time_to_answer_what_runs() -> None:
    grace = int(COMPOSE["services"]["service"]["stop_grace_period"].removesuffix("s"))
    assert grace > load_settings(None, {}).settings.server.graceful_shutdown + 5
