"""Issuers of `dc+sd-jwt` credentials and their holders, for tests: everything can be bent and is then signed again.

Made with fixed keys and without the code under test, but for the structs that trust is told in.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from app.document.presentation import CertifiedName
from app.protocol.presentation import Expected
from app.protocol.trust import CertifiedIssuers
from app.protocol.x509 import encode_x5c
from tests.protocol.certificates import NOW, PrivateKey, certificate, der
from tests.protocol.jwts import KEY, algorithm, b64, make_jwt, public_jwk
from tests.support.raw_wallet import merged

VCT: Final = "urn:eudi:pid:1"
ISS: Final = "https://pid.example/issuer"
NONCE: Final = "n-0S6_WzA2Mj-5mKFJ2f5gvvXAQ"
AUDIENCE: Final = "iae:https://university.example"
EXPECTED: Final = Expected(nonce=NONCE, audiences=(AUDIENCE,), now=NOW)
"""What `present` answers unless it is told otherwise."""

PERSON: Final[Mapping[str, Any]] = {
    "given_name": "Erika",
    "family_name": "Mustermann",
    "birthdate": "1984-08-12",
    "age_over_18": True,
}

_LONG_AGO, _FAR_AWAY = 946_684_800, 2_500_000_000
"""2000 and 2049: right for every clock of the tests."""


def disclosure(*content: Any) -> str:
    """Return a disclosure: of salt, name and value, or of salt and value."""
    return b64(json.dumps(content, ensure_ascii=False).encode())


def digest(text: str, sd_alg: str = "sha-256") -> str:
    """Return the digest of a disclosure, or the `sd_hash` of an SD-JWT."""
    return b64(hashlib.new(sd_alg.replace("-", ""), text.encode()).digest())


def present(
    sd_jwt: "str | SdJwt",
    *,
    holder: ec.EllipticCurvePrivateKey = KEY,
    nonce: str = NONCE,
    audience: str = AUDIENCE,
    iat: int = NOW,
    sd_alg: str = "sha-256",
    header: Mapping[str, Any] | None = None,
    payload: Mapping[str, Any] | None = None,
) -> str:
    """Return a presentation; `header` and `payload` bend the Key Binding JWT."""
    text = sd_jwt if isinstance(sd_jwt, str) else sd_jwt.text
    claims = {"iat": iat, "aud": audience, "nonce": nonce, "sd_hash": digest(text, sd_alg)}
    typ = {"typ": "kb+jwt", "alg": algorithm(holder)}
    return text + make_jwt(merged(typ, header), merged(claims, payload), holder)


@dataclass(frozen=True, kw_only=True)
class SdJwt:
    """A credential that its issuer can make again, otherwise."""

    header: Mapping[str, Any]
    payload: Mapping[str, Any]
    disclosures: tuple[str, ...]
    key: ec.EllipticCurvePrivateKey

    @property
    def text(self) -> str:
        """As it is issued, ending in `~`; signed anew each time."""
        return "~".join([make_jwt(self.header, self.payload, self.key), *self.disclosures, ""])

    def bent(
        self,
        *,
        header: Mapping[str, Any] | None = None,
        payload: Mapping[str, Any] | None = None,
        disclosures: Sequence[str] | None = None,
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> Self:
        """Return it with members changed, or left out where a change is `ABSENT`."""
        return replace(
            self,
            header=merged(self.header, header),
            payload=merged(self.payload, payload),
            disclosures=self.disclosures if disclosures is None else tuple(disclosures),
            key=key or self.key,
        )

    def disclosing(self, *names: str) -> Self:
        """Return it with the disclosures of these claims only."""
        return self.bent(disclosures=[text for text in self.disclosures if _content(text)[1] in names])


@dataclass(frozen=True, kw_only=True)
class Issuer:
    """Who issues credentials: a key, and the chain that certifies it, leaf first."""

    key: ec.EllipticCurvePrivateKey
    chain: tuple[x509.Certificate, ...]
    iss: str | None = ISS

    def issue(
        self,
        claims: Mapping[str, Any] = PERSON,
        *,
        holder: ec.EllipticCurvePrivateKey = KEY,
        vct: str = VCT,
        sd_alg: str | None = None,
        header: Mapping[str, Any] | None = None,
        payload: Mapping[str, Any] | None = None,
    ) -> SdJwt:
        """Issue a credential, each claim of which is selectively disclosable; `header` and `payload` bend it."""
        disclosures = tuple(disclosure(b64(name.encode().zfill(16)), name, value) for name, value in claims.items())
        plain = {
            "iat": _LONG_AGO,
            "exp": _FAR_AWAY,
            "vct": vct,
            "cnf": {"jwk": public_jwk(holder)},
            "_sd": sorted(digest(text, sd_alg or "sha-256") for text in disclosures),
        }
        named = {"iss": self.iss} if self.iss is not None else {}
        hashed = {"_sd_alg": sd_alg} if sd_alg is not None else {}
        typ = {"typ": "dc+sd-jwt", "alg": algorithm(self.key), "x5c": encode_x5c(der(*self.chain))}
        return SdJwt(
            header=merged(typ, header),
            payload=merged({**named, **plain, **hashed}, payload),
            disclosures=disclosures,
            key=self.key,
        )


@dataclass(frozen=True, kw_only=True)
class Authority:
    """A CA."""

    name: str | x509.Name
    key: PrivateKey
    certificate: x509.Certificate

    @classmethod
    def named(cls, name: str | x509.Name, key: PrivateKey, **bent: Any) -> "Authority":
        """Make a root; `bent` is for `certificate`."""
        valid = {"starts": _LONG_AGO, "ends": _FAR_AWAY, "plain": [_key_id(key)], **bent}
        made = certificate(name, key, issuer=name, issuer_key=key, ca=True, **valid)
        return cls(name=name, key=key, certificate=made)

    @property
    def pem(self) -> str:
        """The anchor as a document names it."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def certify(
        self, subject: str | x509.Name, key: PrivateKey, *, names: Sequence[x509.GeneralName] = (), **bent: Any
    ) -> x509.Certificate:
        """Certify a key under a subject and alternative names; `bent` is for `certificate`."""
        named = [x509.SubjectAlternativeName(names)] if names else []
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        valid = {"starts": _LONG_AGO, "ends": _FAR_AWAY, "plain": [authority, *named], **bent}
        return certificate(subject, key, issuer=self.name, issuer_key=self.key, **valid)

    def intermediate(self, name: str, key: PrivateKey, **bent: Any) -> "Authority":
        """Certify another CA."""
        return Authority(name=name, key=key, certificate=self.certify(name, key, ca=True, **bent))

    def trusted(self, *names: CertifiedName, issuer: str | None = None) -> CertifiedIssuers:
        """Trust in those it certifies, or in some of them."""
        return CertifiedIssuers(anchors=[self.certificate], names=names or None, issuer=issuer)


def _key_id(key: PrivateKey) -> x509.SubjectKeyIdentifier:
    return x509.SubjectKeyIdentifier.from_public_key(key.public_key())


def _content(text: str) -> list[Any]:
    content: list[Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return content


PID_CA: Final = Authority.named("PID CA", ec.derive_private_key(0xC1, ec.SECP256R1()))
PID_KEY: Final = ec.derive_private_key(0x1551, ec.SECP256R1())
PID_ISSUER: Final = Issuer(
    key=PID_KEY, chain=(PID_CA.certify("PID Issuer", PID_KEY, names=[x509.DNSName("pid.example")]),)
)
OTHER_CA: Final = Authority.named("Other CA", ec.derive_private_key(0xC2, ec.SECP256R1()))
OTHER_ISSUER_KEY: Final = ec.derive_private_key(0x1552, ec.SECP256R1())
OTHER_ISSUER: Final = Issuer(
    key=OTHER_ISSUER_KEY,
    chain=(OTHER_CA.certify("Other", OTHER_ISSUER_KEY, names=[x509.DNSName("other.example")]),),
    iss="https://other.example",
)
