"""Development certificates are made for every tenant there can be."""

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from app.adapters.key_maker import SoftwareKeyMaker
from tests.support.fakes import CountedEntropy


@pytest.mark.parametrize(
    ("name", "common_name"),
    [("PID Provider", "PID Provider"), ("x" * 200, "x" * 64), ("ä" * 64, "ä" * 32), ("a" + "ä" * 64, "a" + "ä" * 31)],
)
def test_a_long_name_is_cut_to_what_a_certificate_holds(name: str, common_name: str) -> None:
    _, key = SoftwareKeyMaker(CountedEntropy()).development_credential_keys(common_name=name, now=1_900_000_000)
    leaf = x509.load_der_x509_certificate(key.certificate_chain[0])
    [attribute] = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert attribute.value == common_name
