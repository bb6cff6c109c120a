"""`vestibule dev-cert`."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from app.adapters.development_certificates import make_development_certificate
from app.cli import vestibule
from app.protocol.refusal import Refusal
from tests.support.fakes import FixedClock

NOW = datetime(2030, 5, 1, 12, tzinfo=UTC)


def dev_cert(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(vestibule, ["dev-cert", "--out", str(folder), *arguments])


def certificate(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def test_a_client_that_trusts_the_ca_accepts_the_server(tmp_path: Path) -> None:
    assert dev_cert(tmp_path, "--host", "issuer.test").exit_code == 0
    ca, server = certificate(tmp_path / "ca.pem"), certificate(tmp_path / "server.pem")
    verifier = PolicyBuilder().store(Store([ca])).build_server_verifier(x509.DNSName("issuer.test"))
    assert verifier.verify(server, []) == [server, ca]


def test_certificates_begin_two_days_back_and_say_what_they_are(tmp_path: Path) -> None:
    make_development_certificate(tmp_path, ["localhost"], FixedClock(int(NOW.timestamp())), force=False)
    for file in (tmp_path / "ca.pem", tmp_path / "server.pem"):
        assert certificate(file).not_valid_before_utc == NOW - timedelta(days=2)
        assert "DEVELOPMENT" in certificate(file).subject.rfc4514_string()


def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    dev_cert(tmp_path / "new")
    for name in ("ca.key", "server.key"):
        assert stat.S_IMODE((tmp_path / "new" / name).stat().st_mode) == 0o600


def test_nothing_is_overwritten_without_the_word_and_the_ca_stays(tmp_path: Path) -> None:
    dev_cert(tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    refused = dev_cert(tmp_path)
    assert refused.exit_code == 1
    assert "--force" in refused.stderr
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert dev_cert(tmp_path, "--force").exit_code == 0
    changed = {file.name for file in tmp_path.iterdir() if file.read_bytes() != before[file.name]}
    assert changed == {"server.pem", "server.key"}


def test_a_ca_with_another_key_is_refused(tmp_path: Path) -> None:
    dev_cert(tmp_path)
    (tmp_path / "ca.key").write_bytes((tmp_path / "server.key").read_bytes())
    with pytest.raises(Refusal, match="development_certificate"):
        make_development_certificate(tmp_path, ["localhost"], FixedClock(int(NOW.timestamp())), force=True)


@pytest.mark.parametrize("name", ["ca.pem", "ca.key"])
def test_a_ca_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    dev_cert(tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-60])
    refused = dev_cert(tmp_path, "--force")
    assert refused.exit_code == 1
    assert "cannot be read" in refused.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_addresses_are_named_as_addresses(tmp_path: Path, host: str) -> None:
    assert dev_cert(tmp_path, "--host", host).exit_code == 0
    names = certificate(tmp_path / "server.pem").extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert [str(address) for address in names.value.get_values_for_type(x509.IPAddress)] == [host]
