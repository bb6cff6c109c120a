"""The journey as people walk it: the service, the offer and the wallet as commands."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.support.server import free_port

ROOT = Path(__file__).parents[2]


def vestibule(environ: dict[str, str], *arguments: str, exit_code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == exit_code, done.stdout + done.stderr
    return done.stdout


def wait_until_ready(url: str, service: subprocess.Popen[bytes]) -> None:
    for _ in range(150):
        assert service.poll() is None, "the service ended"
        try:
            with urlopen(f"{url}/readyz", timeout=2):  # noqa: S310 (our own http URL)
                return
        except (URLError, ConnectionError):
            time.sleep(0.1)
    raise AssertionError("the service did not start")


@pytest.mark.slow
def test_a_wallet_takes_up_an_offer_with_nothing_but_commands(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://localhost:{port}"
    (tmp_path / "vestibule.toml").touch()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("VESTIBULE_")} | {
        "VESTIBULE_CONFIG": str(tmp_path / "vestibule.toml"),
        "VESTIBULE_DATA_DIRECTORY": str(tmp_path / "var"),
        "VESTIBULE_DEMO": "true",
        "VESTIBULE_PUBLIC_URL": url,
        "VESTIBULE_SERVER__PORT": str(port),
    }
    folder = ("--folder", str(tmp_path / "wallet"))
    vestibule(environ, "tenant", "apply", "config/tenants")
    with subprocess.Popen(
        [sys.executable, "-m", "app", "serve"], cwd=ROOT, env=environ, stderr=subprocess.DEVNULL
    ) as service:
        try:
            wait_until_ready(url, service)
            offer = json.loads(vestibule(environ, "offer", "pid-provider", "pid", "--json"))
            assert offer["credential_issuer"] == f"{url}/pid-provider"
            link = vestibule(environ, "offer", "pid-provider", "pid").splitlines()[0]
            anchor = tmp_path / "anchor.pem"
            anchor.write_text(vestibule(environ, "keys", "anchor", "pid-provider"), encoding="ascii")
            login = ("--login", "erika:vestibule-demo", "--trust", str(anchor))
            got = vestibule(environ, "wallet", "get", link, *folder, *login)
            assert "pid: verified\n" in got
            assert "Mustermann" in got
            assert "vestibule-demo" not in got
            # The offer's issuer_state is spent; the other offer's is not.
            vestibule(environ, "wallet", "get", link, *folder, *login, exit_code=1)
            vestibule(environ, "wallet", "get", json.dumps(offer), *folder, *login)
            kept = [line.split()[0] for line in vestibule(environ, "wallet", "list", *folder).splitlines()]
            assert len(kept) == 2
            assert "Mustermann" in vestibule(environ, "wallet", "show", kept[0], *folder, "--trust", str(anchor))
            # A credential for presenting one: nobody is at the terminal, so the yes is given beforehand.
            link = vestibule(environ, "offer", "university", "diploma").splitlines()[0]
            vestibule(environ, "wallet", "get", link, *folder, "--agree", exit_code=1)
            link = vestibule(environ, "offer", "university", "diploma").splitlines()[0]
            got = vestibule(environ, "wallet", "get", link, *folder, "--agree", "--yes")
            assert f"{kept[1]}: urn:eudi:pid:1 by {url}/pid-provider" in got
            assert "Master of Science" in got
        finally:
            service.terminate()
    assert service.returncode == 0
