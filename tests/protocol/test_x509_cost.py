"""What reading and validating a chain costs, whoever made it: how large it is, how it goes round, its keys."""

import gc
import time
import tracemalloc
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from app.protocol.strict_json import Malformed
from app.protocol.x509 import encode_x5c, read_x5c, verify_chain
from tests.protocol.certificates import NOW, certificate, der
from tests.protocol.jwts import KEY, OTHER_KEY
from tests.protocol.test_x509_limits import DNS, RSA_KEY, below, permitted, verify
from tests.support.presented import PID_CA, Authority


def chain_of(length: int, **bent: Any) -> list[x509.Certificate]:
    """A chain of so many certificates to the anchor; `bent` is for the authorities."""
    authorities = [PID_CA]
    for number in range(length - 1):
        authorities.append(authorities[-1].intermediate(f"CA {number}", OTHER_KEY, **bent))
    leaf = authorities[-1].certify("Leaf", KEY, names=DNS)
    return [leaf, *(authority.certificate for authority in reversed(authorities[1:]))]


@pytest.mark.rule("X-05", "I-08")
def test_a_chain_has_five_certificates_at_most() -> None:
    verify(chain_of(5))
    for length in (6, 1000):
        with pytest.raises(Malformed, match="short array"):
            verify(chain_of(6)[:1] * length)


def assert_refused_at_once(work: Callable[[], object]) -> None:
    """Assert that it is refused in less than 100 ms of this thread's time, at best of three: others collect garbage."""
    spent: list[float] = []
    for _ in range(3):
        began = time.thread_time()
        with pytest.raises(Malformed):
            work()
        spent.append(time.thread_time() - began)
    assert min(spent) < 0.1


def many(count: int) -> list[x509.GeneralName]:
    return [x509.DNSName(f"a{number}.example") for number in range(count)]


def certificate_of(size: int) -> x509.Certificate:
    """A certificate of so many octets; signatures differ in length, so it takes a few."""
    filling, made = size, None
    while made is None or len(der(made)[0]) != size:
        filling -= len(der(made)[0]) - size if made is not None else 400
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), bytes(filling))
        made = PID_CA.certify("Leaf", KEY, plain=[unknown])
    return made


@pytest.mark.rule("X-05")
def test_a_certificate_has_16_kib_at_most() -> None:
    verify([certificate_of(16_384)])
    with pytest.raises(Malformed, match="not a certificate"):
        verify([certificate_of(16_387)])


BOMBS: dict[str, Callable[[], list[x509.Certificate]]] = {
    "many names under many constraints": lambda: below(
        PID_CA.intermediate("Sub", OTHER_KEY, extra=permitted(*many(800))), many(800)
    ),
    "constraints all along": lambda: chain_of(5, extra=permitted(*many(700)))[1:],
    "a long name": lambda: [
        Authority.named("Rogue", OTHER_KEY).certify(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x" * 60)] * 200), KEY
        )
    ],
    "loops of one authority": lambda: [
        Authority.named("PID CA", OTHER_KEY).certify("Leaf", KEY),
        *(
            Authority.named("PID CA", OTHER_KEY).intermediate("PID CA", OTHER_KEY, starts=NOW - number).certificate
            for number in range(1, 5)
        ),
    ],
    "a large certificate": lambda: [PID_CA.certify("Leaf", KEY, names=many(9000))],
}


@pytest.mark.rule("X-05", "I-08")
@pytest.mark.parametrize("name", BOMBS)
def test_bombs_do_not_go_off(name: str) -> None:
    x5c = encode_x5c(der(*BOMBS[name]()))
    assert_refused_at_once(lambda: verify_chain(read_x5c(x5c), anchors=[PID_CA.certificate], now=NOW))


def ca(subject: str, issuer: str, number: int = 1) -> x509.Certificate:
    """An authority with the key and by the key all authorities here have; `number` tells those of one name apart."""
    return Authority.named(issuer, RSA_KEY).intermediate(subject, RSA_KEY, starts=NOW - number).certificate


ROGUE_LEAF = Authority.named("A", RSA_KEY).certify("Leaf", KEY)


class _PathSought(Exception):
    pass


def _seek_a_path() -> NoReturn:
    raise _PathSought


@pytest.mark.rule("X-08", "I-08", "I-10")
@pytest.mark.parametrize(
    "chain",
    [
        pytest.param([ROGUE_LEAF, *(ca("A", "A", number) for number in range(4))], id="one name, and one key"),
        pytest.param([ROGUE_LEAF, ca("A", "B"), ca("B", "A"), ca("A", "PID CA")], id="in a circle"),
        pytest.param([ROGUE_LEAF, ca("A", "Leaf"), ca("Leaf", "PID CA")], id="leaf's name again"),
        pytest.param([ROGUE_LEAF, ca("B", "PID CA")], id="leaf's issuer is not next"),
        pytest.param([ROGUE_LEAF, ca("A", "B"), ca("C", "PID CA")], id="authority's issuer is not next"),
        pytest.param([ROGUE_LEAF, ca("B", "PID CA"), ca("A", "B")], id="wrong order"),
    ],
)
def test_no_signature_is_verified_of_a_chain_that_is_none(
    chain: list[x509.Certificate], monkeypatch: pytest.MonkeyPatch
) -> None:
    # What begins the path validation, which verifies all the signatures there are.
    monkeypatch.setattr(x509.verification, "PolicyBuilder", _seek_a_path)
    with pytest.raises(_PathSought):
        verify([ROGUE_LEAF, ca("A", "B"), ca("B", "PID CA")])
    with pytest.raises(Malformed, match="not in order"):
        verify(chain)


class _RsaKey:
    """An RSA key that nobody has the private part of."""

    def __init__(self, exponent: int, modulus: int) -> None:
        self._numbers = rsa.RSAPublicNumbers(exponent, modulus)

    def public_key(self) -> rsa.RSAPublicKey:
        return self._numbers.public_key()


@pytest.mark.rule("I-08")
def test_a_huge_rsa_key_is_no_work() -> None:
    huge: Any = _RsaKey(65537, (1 << 16_383) + 1)
    authority = PID_CA.certify("Sub", huge, ca=True)
    leaf = Authority.named("Sub", RSA_KEY).certify("Leaf", KEY)
    assert_refused_at_once(lambda: verify([leaf, authority]))
    assert_refused_at_once(lambda: verify([PID_CA.certify("Leaf", huge), authority]))


@pytest.mark.rule("X-05", "I-08")
def test_a_huge_exponent_is_refused_where_the_key_is_read() -> None:
    modulus = RSA_KEY.public_key().public_numbers().n

    def certified(exponent: int) -> list[str]:
        key: Any = _RsaKey(exponent, modulus)
        return encode_x5c(der(PID_CA.certify("Sub", key, ca=True)))

    assert len(read_x5c(certified(2**32 - 1))) == 1
    for exponent in (2**32 + 1, modulus - 2):
        with pytest.raises(Malformed, match="unusual key"):
            read_x5c(certified(exponent))


@pytest.mark.rule("I-08")
def test_certificates_that_anybody_may_send_leave_no_memory_behind() -> None:
    many = x509.Name([x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, "a")])] * 1000)
    large = [
        encode_x5c(der(certificate(many, KEY, issuer=f"CA {number}", issuer_key=OTHER_KEY))) for number in range(40)
    ]
    tracemalloc.start()
    try:
        for entry in large:
            read_x5c(entry)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 2**20
    finally:
        tracemalloc.stop()


def test_a_certificate_of_the_usual_size_is_read_once() -> None:
    chain = encode_x5c(der(*chain_of(2)))
    assert [*map(id, read_x5c(chain))] == [*map(id, read_x5c(chain))]
