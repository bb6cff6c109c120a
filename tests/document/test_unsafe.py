"""Weaker choices of a tenant are named."""

from typing import Any

import pytest

from app.document_rules.unsafe import unsafe_choices
from tests.support.documents import document, university


def test_the_defaults_are_not_named() -> None:
    assert unsafe_choices(document()) == []


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"dpop": {"tokens": "optional"}}, "dpop.tokens"),
        ({"dpop": {"nonce": "off"}}, "dpop.nonce"),
        ({"clients": {"unknown_public": {"redirect_uris": ["http://localhost/cb"]}}}, "clients.unknown_public"),
        ({"clients": {"allow_private_use_schemes": True}}, "clients.allow_private_use_schemes"),
    ],
)
def test_each_weaker_choice_is_named(changes: dict[str, Any], named: str) -> None:
    [choice] = unsafe_choices(document(changes))
    assert choice.startswith(named)


def test_each_weaker_link_is_named() -> None:
    weaker = university(
        {
            "sequences": {"present": {"holder_binding": "unlinked"}},
            "credentials": {"diploma": {"same_person": "unchecked"}},
            "presentations": {"name": {"status": "unchecked"}},
        }
    )
    assert [choice.split(":")[0] for choice in unsafe_choices(weaker)] == [
        "sequences.present-and-confirm-unlinked.holder_binding is unlinked",
        "sequences.present.holder_binding is unlinked",
        "credentials.diploma.same_person is unchecked",
        "presentations.name.status is unchecked",
    ]
