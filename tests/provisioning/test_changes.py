"""What of a document differs from what is stored, told in words."""

from typing import Any

import pytest

from app.provisioning.changes import describe_changes
from tests.support.documents import university

BASE = university()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, []),
        ({"tenant": {"display": [{"name": "Other"}]}}, ["change tenant"]),
        ({"issuer": {"origin": "https://university.example"}}, ["change issuer"]),
        ({"dpop": {"nonce": "off"}}, ["change dpop"]),
        ({"lifetimes": {"session": 600}}, ["change lifetimes"]),
        ({"interactive": {"repeat_lost_answers": False}}, ["change interactive"]),
        ({"trust": {"other": {"type": "tenant", "tenant": "other"}}}, ["add trust other"]),
        ({"trust": {"pid-provider": {"tenant": "other"}}}, ["change trust pid-provider"]),
        ({"trust": None}, ["remove trust pid-provider"]),
        ({"presentations": {"name": {"status": "unchecked"}}}, ["change presentation name"]),
        ({"presentations": {"name": None}}, ["remove presentation name"]),
        ({"sequences": {"present": {"holder_binding": "unlinked"}}}, ["change sequence present"]),
        ({"credentials": {"student-card": {"enabled": False}}}, ["change credential student-card"]),
        (
            {"clients": {"unknown_public": {"redirect_uris": ["http://localhost/cb"]}}},
            ["change which unregistered clients and redirect schemes are accepted"],
        ),
        ({"users": [{"username": "erika", "password": "x"}]}, ["add user erika"]),
    ],
)
def test_each_part(changes: dict[str, Any], told: list[str]) -> None:
    assert describe_changes(BASE, [], university(changes)) == told
