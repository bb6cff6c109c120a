from typing import Any, NamedTuple

import pytest

from app.protocol.credential import (
    CredentialRequest,
    allowed_credentials,
    choose_credential,
    read_credential_request,
    sole_jwt_proof,
)
from app.protocol.refusal import Refusal
from tests.support.documents import document


class Granted(NamedTuple):
    configuration_id: str
    credential_identifier: str | None


KNOWN = ["pid", "residence", "diploma"]
BY_SCOPE = [Granted("pid", None), Granted("residence", None)]
BY_DETAILS = [Granted("pid", "pid-1"), Granted("residence", "residence-1")]


def request(*, identifier: str | None = None, configuration_id: str | None = None) -> CredentialRequest:
    return CredentialRequest(
        credential_identifier=identifier, credential_configuration_id=configuration_id, proofs={"jwt": ["x"]}
    )


@pytest.mark.parametrize("name", ["credential_identifier", "credential_configuration_id"])
def test_a_request_names_one_credential(name: str) -> None:
    read = read_credential_request({name: "pid", "proofs": {"jwt": ["x"]}, "unknown": 1})
    assert getattr(read, name) == "pid"
    assert {read.credential_identifier, read.credential_configuration_id} == {"pid", None}
    assert read.proofs == {"jwt": ["x"]}


@pytest.mark.rule("CR-06", "L-09")
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"credential_identifier": None},
        {"credential_identifier": "a", "credential_configuration_id": "a"},
        {"credential_identifier": 1},
        {"credential_identifier": ["pid"]},
        {"credential_configuration_id": {"id": "pid"}},
        {"credential_configuration_id": True},
    ],
)
def test_other_names_are_none(body: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as refused:
        read_credential_request(body)
    assert refused.value.code == "invalid_credential_request"


@pytest.mark.rule("L-14")
@pytest.mark.parametrize("value", [{}, None, {"jwk": {}, "enc": "A128GCM"}])
def test_an_encrypted_answer_cannot_be_asked_for(value: Any) -> None:
    with pytest.raises(Refusal) as refused:
        read_credential_request({"credential_configuration_id": "pid", "credential_response_encryption": value})
    assert refused.value.code == "invalid_encryption_parameters"


@pytest.mark.rule("CR-11", "L-07")
def test_the_member_of_old_drafts_beside_proofs_is_refused() -> None:
    with pytest.raises(Refusal) as refused:
        read_credential_request({"credential_configuration_id": "pid", "proof": {}, "proofs": {"jwt": ["x"]}})
    assert refused.value.code == "invalid_credential_request"


def test_the_sole_proof() -> None:
    assert sole_jwt_proof({"jwt": ["a.b.c"]}) == "a.b.c"


@pytest.mark.parametrize(
    ("proofs", "code"),
    [
        pytest.param(None, "invalid_proof", marks=pytest.mark.rule("CR-10")),
        pytest.param({}, "invalid_credential_request", marks=pytest.mark.rule("CR-11")),
        pytest.param([], "invalid_credential_request", marks=pytest.mark.rule("CR-11")),
        pytest.param("x", "invalid_credential_request", marks=pytest.mark.rule("CR-11")),
        pytest.param({"jwt": ["x"], "di_vp": [{}]}, "invalid_credential_request", marks=pytest.mark.rule("L-07")),
        pytest.param({"attestation": ["x"]}, "invalid_proof", marks=pytest.mark.rule("CR-11")),
        pytest.param({"JWT": ["x"]}, "invalid_proof", marks=pytest.mark.rule("CR-11")),
        pytest.param({"jwt": "x"}, "invalid_credential_request", marks=pytest.mark.rule("L-07")),
        pytest.param({"jwt": [1]}, "invalid_credential_request", marks=pytest.mark.rule("L-07")),
        pytest.param({"jwt": ["x", None]}, "invalid_credential_request", marks=pytest.mark.rule("L-07")),
        pytest.param({"jwt": []}, "invalid_proof", marks=pytest.mark.rule("CR-11", "L-07")),
        pytest.param({"jwt": ["x", "y"]}, "invalid_proof", marks=pytest.mark.rule("CR-12", "L-08")),
        pytest.param({"jwt": ["x"] * 10_000}, "invalid_proof", marks=pytest.mark.rule("CR-12", "L-08")),
    ],
)
def test_other_proofs_are_counted_out_before_any_is_read(proofs: Any, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        sole_jwt_proof(proofs)
    assert refused.value.code == code


def test_by_configuration_after_scope() -> None:
    assert choose_credential(request(configuration_id="residence"), BY_SCOPE, known=KNOWN) == BY_SCOPE[1]


def test_by_identifier_after_details() -> None:
    assert choose_credential(request(identifier="residence-1"), BY_DETAILS, known=KNOWN) == BY_DETAILS[1]


@pytest.mark.parametrize(
    ("asked", "granted", "code"),
    [
        pytest.param(
            request(configuration_id="pid"),
            BY_DETAILS,
            "invalid_credential_request",
            marks=pytest.mark.rule("CR-04", "L-09"),
        ),
        pytest.param(
            request(identifier="pid"), BY_SCOPE, "unknown_credential_identifier", marks=pytest.mark.rule("CR-05")
        ),
        pytest.param(
            request(identifier="diploma-1"),
            BY_DETAILS,
            "unknown_credential_identifier",
            marks=pytest.mark.rule("CR-07", "L-09", "TAD-07"),
        ),
        pytest.param(
            request(configuration_id="other"),
            BY_SCOPE,
            "unknown_credential_configuration",
            marks=pytest.mark.rule("CR-07"),
        ),
        pytest.param(
            request(configuration_id="diploma"),
            BY_SCOPE,
            "insufficient_scope",
            marks=pytest.mark.rule("CR-08", "L-09"),
        ),
        pytest.param(
            request(configuration_id="pid-1"),
            BY_DETAILS,
            "unknown_credential_configuration",
            marks=pytest.mark.rule("CR-07"),
        ),
    ],
)
def test_what_was_not_granted_under_this_name(asked: CredentialRequest, granted: list[Granted], code: str) -> None:
    with pytest.raises(Refusal) as refused:
        choose_credential(asked, granted, known=KNOWN)
    assert refused.value.code == code


@pytest.mark.rule("L-10")
@pytest.mark.parametrize(
    ("per_configuration", "asked", "allowed"),
    [(1, ["pid"], 1), (2, ["pid", "residence"], 4), (5, ["pid"], 5), (5, ["pid", "residence"], 5)],
)
def test_a_grant_issues_five_credentials_at_the_most(per_configuration: int, asked: list[str], allowed: int) -> None:
    quota = {"credentials_per_grant": per_configuration}
    assert allowed_credentials(document({"credentials": {"pid": quota, "residence": quota}}), asked) == allowed
