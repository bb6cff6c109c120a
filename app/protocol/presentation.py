"""OpenID4VP presentations as a step of a session asks for them: the request, the response, and what must hold of it.

OpenID4VP §5, §8.1, §8.6, Appendix A; OpenID4VCI 1.1 §6.2.1.1. Verification is pure: no format is known here, verifiers
are handed in, and nothing is fetched.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from app.document.dcql import DcqlQuery
from app.document.presentation import Presentation, Trust
from app.protocol import dcql, strict_json
from app.protocol.claims_path import ClaimsPath
from app.protocol.jose import BadSignature
from app.protocol.refusal import Refusal
from app.protocol.strict_json import Malformed
from app.protocol.trust import ISSUER_ALGORITHMS, KEY_BINDING_ALGORITHMS, TrustedIssuers, trusted_issuers

_MAX_PRESENTATIONS: Final = 16
_MAX_BRACKETS: Final = 256
_MAX_PRESENTATION_LENGTH: Final = 262_144

_FORMATS: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    "dc+sd-jwt": {"sd-jwt_alg_values": ISSUER_ALGORITHMS, "kb-jwt_alg_values": KEY_BINDING_ALGORITHMS}
}
"""What is accepted of each format (OpenID4VP §B.3.4); the verifiers enforce the same lists (REQ-10)."""

# RFC 6749 §5.2 gives the characters of an error code.
_ERROR: Final = re.compile(r"[\x20\x21\x23-\x5B\x5D-\x7E]{1,100}")


class Expected(Struct, frozen=True, kw_only=True):
    """What a presentation must answer to be one for this request."""

    nonce: str
    audiences: tuple[str, ...]
    """Any of these, exactly."""
    now: int


class VerifiedPresentation(Struct, frozen=True, kw_only=True):
    """One presentation whose issuer, content, holder, nonce and audience hold; made by the formats' verifiers only.

    That it matches the query it answers is for `verify_vp_token` to say.
    """

    format: str
    vct: str
    issuer: str
    """Who issued it, by the rule of the trust that found the key."""
    claims: dict[str, Any]
    """The processed payload."""
    holder_jkt: str
    """Thumbprint of the key that signed the presentation, computed by us."""
    authority_key_ids: frozenset[bytes]
    """The authority key identifiers in the validated chain; empty where there is none."""
    answers: Sequence[ClaimsPath] = ()
    """The paths by which it satisfies the query it answers, once that is judged: nothing else of it counts."""


class PresentationVerifier(Protocol):
    """Verifies one presentation of one format. Raises `Malformed` or `BadSignature`, whose texts hold none of it."""

    def __call__(
        self, presentation: str, *, trusted: Sequence[TrustedIssuers], expected: Expected, status_unchecked: bool
    ) -> VerifiedPresentation:
        """Verify it against issuers that are trusted for what was asked."""
        ...


class VpToken(Struct, frozen=True):
    """The presentations of a response, by the id of the credential query they answer; nothing of them is verified."""

    presentations: dict[str, list[str]]


class WalletError(Struct, frozen=True):
    """The wallet answered that it will not present."""

    error: str


def request_object(query: DcqlQuery, *, nonce: str, response_mode: str) -> dict[str, Any]:
    """Return an unsigned request (OpenID4VP §5, §A.2, §A.3.1): who asks is known by where it was asked."""
    formats = {credential.format for credential in query.credentials}
    return {
        "response_type": "vp_token",
        "response_mode": response_mode,
        "nonce": nonce,
        "dcql_query": msgspec.to_builtins(query),
        # OpenID4VP §5.1 (REQ-08): other members of the metadata would be ignored.
        "client_metadata": {
            "vp_formats_supported": {
                name: {member: list(values) for member, values in _FORMATS[name].items()} for name in sorted(formats)
            }
        },
    }


def read_response(text: str, *, query: DcqlQuery) -> VpToken | WalletError:
    """Read the answer to an unencrypted request (OpenID4VP §8.1, §8.5).

    Raises `Malformed` unless it is a JSON object with exactly one of `vp_token`, `response` and `error`, and of these
    not `response`, which is encrypted. Other members are ignored (DE-21).
    """
    # J-06: an answer has few arrays and objects; a text with very many is not worth parsing.
    if text.count("[") + text.count("{") > _MAX_BRACKETS:
        raise Malformed("too many arrays and objects")
    members = strict_json.parse_object(text)
    # OpenID4VCI 1.1 §6.2.1.1 (VPT-03)
    match [name for name in ("vp_token", "response", "error") if name in members]:
        case ["vp_token"]:
            return _read_vp_token(members["vp_token"], {credential.id for credential in query.credentials})
        case ["error"]:
            error = members["error"]
            if not isinstance(error, str) or not _ERROR.fullmatch(error):
                raise Malformed("error is not an error code")
            return WalletError(error)
        case ["response"]:
            raise Malformed("an encrypted response was not asked for")
        case _:
            raise Malformed("not exactly one of vp_token, response and error")


def verify_vp_token(
    vp_token: VpToken,
    presentation: Presentation,
    *,
    trust: Mapping[str, Trust],
    verifiers: Mapping[str, PresentationVerifier],
    expected: Expected,
) -> dict[str, list[VerifiedPresentation]]:
    """Verify all presentations and that together they are what was asked for (OpenID4VP §8.6); all of them, or none.

    `trust` is the tenant's current one, `verifiers` are by format. Raises `Refusal("access_denied")`, which tells
    nobody outside what was wrong.
    """
    query = dcql.read_query(msgspec.to_builtins(presentation.dcql_query))
    status_unchecked = presentation.status == "unchecked"
    _check_counts(vp_token, query)
    verified: dict[str, list[VerifiedPresentation]] = {}
    for asked in query.credentials:
        if asked.id not in vp_token.presentations:
            continue
        # A name that is gone from the tenant's document trusts nobody.
        trusted = [trusted_issuers(trust[name]) for name in presentation.trust[asked.id] if name in trust]
        verified[asked.id] = [
            _verify(each, asked, verifiers[asked.format], trusted, expected, status_unchecked=status_unchecked)
            for each in vp_token.presentations[asked.id]
        ]
    # OpenID4VP §8.6 step 3 (DE-01, DE-02)
    if dcql.credentials_to_show(query, verified.keys()) is None:
        raise _refused("a credential that was asked for is missing")
    return verified


def _read_vp_token(value: Any, query_ids: set[str]) -> VpToken:
    # OpenID4VP §8.1 (VPT-01, DE-03): by the ids of what was asked for. A presentation of dc+sd-jwt is a string; the
    # JSON serialization is not taken (VPT-13).
    if not isinstance(value, dict) or not value.keys() <= query_ids:
        raise Malformed("vp_token is not an object of what was asked for")
    for presentations in value.values():
        if not isinstance(presentations, list) or not all(isinstance(each, str) for each in presentations):
            raise Malformed("vp_token does not hold arrays of strings")
    # VPT-09
    everything = [each for presentations in value.values() for each in presentations]
    if len(everything) > _MAX_PRESENTATIONS or any(len(each) > _MAX_PRESENTATION_LENGTH for each in everything):
        raise Malformed("vp_token is too large")
    return VpToken(value)


def _check_counts(vp_token: VpToken, query: dcql.Query) -> None:
    # Whatever a query leaves open: nobody gets anything for presenting nothing.
    if not vp_token.presentations:
        raise _refused("nothing is presented")
    asked = {credential.id: credential for credential in query.credentials}
    for query_id, presentations in vp_token.presentations.items():
        if query_id not in asked:
            raise _refused("an answer to nothing that was asked for")
        # OpenID4VP §8.1 (DE-04)
        if not presentations or (len(presentations) > 1 and not asked[query_id].multiple):
            raise _refused(f"{query_id}: not one presentation")


def _verify(
    presentation: str,
    asked: dcql.CredentialQuery,
    verifier: PresentationVerifier,
    trusted: Sequence[TrustedIssuers],
    expected: Expected,
    *,
    status_unchecked: bool,
) -> VerifiedPresentation:
    """Verify one presentation for the query it answers. A bad one fails the response (DE-17, DE-18)."""
    try:
        verified = verifier(presentation, trusted=trusted, expected=expected, status_unchecked=status_unchecked)
    except (Malformed, BadSignature) as failure:
        raise _refused(f"{asked.id}: {failure}") from None
    if not dcql.is_of_type(asked, credential_format=verified.format, vct=verified.vct):
        raise _refused(f"{asked.id}: not of a type that was asked for")
    if not dcql.is_by_authority(asked, verified.authority_key_ids):
        raise _refused(f"{asked.id}: not by an authority that was asked for")
    # OpenID4VP §14.10: what was asked of the wallet is checked again.
    answers = dcql.claims_to_show(asked, verified.claims)
    if answers is None:
        raise _refused(f"{asked.id}: a claim that was asked for is missing or has another value")
    return msgspec.structs.replace(verified, answers=answers)


def _refused(reason: str) -> Refusal:
    return Refusal("access_denied", "The presentation was not accepted.", reason=reason)
