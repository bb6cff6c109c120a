"""The wire of the interactive endpoint: two tables of tokens, one encoder, and what a follow-up may carry."""

from typing import Any

import pytest

from app.document.dcql import CredentialQuery, DcqlQuery, SdJwtVcMeta
from app.interaction.dialects import iae
from app.interaction.needed import Completed, NeedBrowser, NeedPresentation
from app.protocol.refusal import Refusal

BARE = ["openid4vp_presentation", "redirect_to_web"]
URN = ["urn:openid:dcp:iae:openid4vp_presentation", "urn:openid:dcp:iae:redirect_to_web"]
QUERY = DcqlQuery(
    credentials=[CredentialQuery(id="pid", format="dc+sd-jwt", meta=SdJwtVcMeta(vct_values=["urn:eudi:pid:1"]))]
)


def types(listed: str) -> tuple[set[str], bool]:
    read = iae.read_interaction_types(listed)
    return set(read.supported), read.urn


@pytest.mark.rule("IA-01", "IA-04", "D2-02")
@pytest.mark.parametrize(
    ("listed", "supported", "urn"),
    [
        (",".join(BARE), {"presentation", "browser"}, False),
        (",".join(reversed(BARE)), {"presentation", "browser"}, False),
        (BARE[0], {"presentation"}, False),
        (f" {BARE[1]} , {BARE[0]} ", {"presentation", "browser"}, False),
        (f"urn:x,{BARE[0]},{BARE[0]}", {"presentation"}, False),
        (",".join(URN), {"presentation", "browser"}, True),
        (f"foo,{URN[1]}", {"browser"}, True),
        (f"{BARE[0].upper()},{BARE[1]}", {"browser"}, False),
        ("custom", set(), False),
    ],
)
def test_a_list_names_what_the_wallet_supports(listed: str, supported: set[str], urn: bool) -> None:
    assert types(listed) == (supported, urn)


@pytest.mark.rule("D1-08")
@pytest.mark.parametrize(
    ("listed", "supported"),
    [
        (f"{URN[0]},{BARE[1]}", {"presentation"}),
        (f"{BARE[0]},{BARE[1]},{URN[1]}", {"browser"}),
        (f"urn:openid:dcp:iae:unknown,{BARE[0]}", set()),
    ],
)
def test_one_urn_makes_all_bare_tokens_count_for_nothing(listed: str, supported: set[str]) -> None:
    assert types(listed) == (supported, True)


@pytest.mark.rule("IA-01")
@pytest.mark.parametrize("listed", [None, "", " ", ",", " , ,"])
def test_no_list_is_an_invalid_request(listed: str | None) -> None:
    with pytest.raises(Refusal) as refused:
        iae.read_interaction_types(listed)
    assert refused.value.code == "invalid_request"


@pytest.mark.rule("IA-03", "D2-03", "REQ-16")
@pytest.mark.parametrize(
    ("listed", "needed", "missing"),
    [
        (BARE[0], ["presentation", "browser"], BARE[1]),
        (BARE[1], ["presentation", "browser"], BARE[0]),
        (URN[1], ["presentation"], URN[0]),
        (URN[0], ["browser", "presentation", "browser"], URN[1]),
        ("custom", ["browser"], BARE[1]),
    ],
)
def test_a_missing_type_is_named_as_the_wallet_would_name_it(listed: str, needed: list[Any], missing: str) -> None:
    with pytest.raises(Refusal) as refused:
        iae.check_supported(iae.read_interaction_types(listed), needed=needed)
    assert (refused.value.code, refused.value.public) == ("missing_interaction_type", f"This needs {missing}.")


def test_what_is_stored_of_a_list_says_the_same_again() -> None:
    for listed in (BARE, URN, [BARE[0]], [URN[1]]):
        read = iae.read_interaction_types(",".join(listed))
        assert iae.types_of(read.as_listed()) == read


@pytest.mark.rule("D1-02", "D2-03", "IA-10")
@pytest.mark.parametrize(("tokens", "table"), [(BARE, BARE), (URN, URN)])
def test_an_interaction_is_asked_for_with_its_type_and_a_handle(tokens: list[str], table: list[str]) -> None:
    supported = iae.types_of(tokens)
    assert iae.encode(NeedBrowser("a2", "r1", 60), supported) == {
        "status": "require_interaction",
        "type": table[1],
        "auth_session": "a2",
        "request_uri": "urn:ietf:params:oauth:request_uri:r1",
        "expires_in": 60,
    }
    answer = iae.encode(NeedPresentation("a1", "n1", QUERY), supported)
    request = answer.pop("openid4vp_request")
    assert answer == {"status": "require_interaction", "type": table[0], "auth_session": "a1"}
    assert (request["response_mode"], request["nonce"]) == ("iae_post", "n1")


@pytest.mark.rule("D1-03", "D1-04")
def test_completion_is_status_and_code() -> None:
    assert iae.encode(Completed("c1"), iae.types_of(BARE)) == {"status": "ok", "code": "c1"}


@pytest.mark.rule("VPT-07", "B-09")
@pytest.mark.parametrize(
    "name",
    [
        "scope",
        "authorization_details",
        "code_challenge",
        "code_challenge_method",
        "interaction_types_supported",
        "issuer_state",
        "request",
        "request_uri",
    ],
)
def test_a_follow_up_cannot_change_what_was_asked_for(name: str) -> None:
    with pytest.raises(Refusal) as refused:
        iae.read_follow_up({"auth_session": "a", "openid4vp_response": "{}", name: "x"})
    assert refused.value.code == "invalid_request"


@pytest.mark.rule("IA-14")
def test_a_follow_up_is_its_handle_and_the_answer() -> None:
    assert iae.read_follow_up({"auth_session": "a", "code_verifier": "v", "x_unknown": "1"}) == iae.FollowUp(
        auth_session="a", openid4vp_response=None, code_verifier="v", repeated={}
    )


def test_repeated_parameters_are_kept_for_comparison() -> None:
    form = {"auth_session": "a", "state": "s", "redirect_uri": "https://w.example/cb", "response_type": "code"}
    assert iae.read_follow_up({**form, "client_id": "w"}).repeated == {
        k: v for k, v in form.items() if k != "auth_session"
    }


@pytest.mark.rule("VPB-01")
@pytest.mark.parametrize(
    ("issuer", "audience"),
    [
        ("https://as.example/t1", "iae:https://as.example"),
        ("https://as.example", "iae:https://as.example"),
        ("http://localhost:8000/university", "iae:http://localhost:8000"),
        ("https://as.example:8443/t", "iae:https://as.example:8443"),
    ],
)
def test_the_audience_is_the_origin_of_the_endpoint(issuer: str, audience: str) -> None:
    assert iae.audience(issuer) == audience
