"""Stored tenants as documents again, and what another document would change."""

import msgspec
import pytest

from app.adapters.key_maker import SoftwareKeyMaker
from app.adapters.passwords import Argon2Passwords
from app.document.model import TenantDocument, User
from app.document.presentation import TenantTrust
from app.document.writer import dump
from app.document_rules.rules import Surroundings
from app.document_rules.validation import validate
from app.protocol.refusal import Refusal
from app.provisioning import delete_tenant
from app.provisioning.apply import apply_document
from app.provisioning.export import difference, export
from tests.provisioning.test_apply import EXAMPLE_DOCUMENT, PUBLIC_URL, FakePasswords, apply
from tests.support.database import OpenedDatabase
from tests.support.documents import university

UNIVERSITY = university()
SECRETS = ("vestibule-demo", "argon2")


async def exported(database: OpenedDatabase, slug: str) -> TenantDocument:
    return await database.platform.transact(lambda store: export(store, slug))


async def diff(database: OpenedDatabase, document: TenantDocument) -> list[str]:
    """Return the lines that differ; passwords are compared with what `FakePasswords` makes of them."""
    lines = await difference(database.platform, ReversedPasswords(), document, public_url=PUBLIC_URL)
    return [line for line in lines if line.startswith(("+", "-"))]


class ReversedPasswords(FakePasswords):
    async def matches(self, password: str, encoded: str | None) -> bool:
        return encoded is not None and encoded.split("$")[2] == password[::-1]


async def test_what_is_exported_is_what_is_there(database: OpenedDatabase) -> None:
    """Through text, with real hashes: nothing that a document can hold is lost."""
    for document in (EXAMPLE_DOCUMENT, UNIVERSITY):
        await apply_document(
            database.platform,
            SoftwareKeyMaker(database.entropy),
            Argon2Passwords(database.entropy),
            database.clock,
            database.entropy,
            document,
            public_url=PUBLIC_URL,
        )
    for slug in ("pid-provider", "university"):
        text = dump(msgspec.to_builtins(await exported(database, slug)))
        assert "password:" not in text
        validated = validate(text.encode(), Surroundings(PUBLIC_URL, demo=True))
        assert [problem for problem in validated.problems if problem.severity == "error"] == []
        assert validated.document is not None
        applied = await apply(database, validated.document)
        assert (applied.unchanged, applied.revision) == (True, 1)
        assert await diff(database, validated.document) == []


async def test_the_export_holds_what_was_written_and_not_what_was_looked_up(database: OpenedDatabase) -> None:
    await apply(database, EXAMPLE_DOCUMENT)
    await apply(database, UNIVERSITY)
    assert await exported(database, "university") == UNIVERSITY
    document = await exported(database, "pid-provider")
    assert msgspec.structs.replace(document, users=[]) == EXAMPLE_DOCUMENT.without_users()
    (before,), (after,) = EXAMPLE_DOCUMENT.users, document.users
    assert after == msgspec.structs.replace(before, password=None, password_hash=after.password_hash)


async def test_a_changed_export_is_a_change(database: OpenedDatabase) -> None:
    await apply(database, EXAMPLE_DOCUMENT)
    document = await exported(database, "pid-provider")
    (erika,) = document.users
    for user in (
        msgspec.structs.replace(erika, active=False),
        msgspec.structs.replace(erika, password_hash="$argon2id$other"),
        msgspec.structs.replace(erika, demo_hint=None),
        msgspec.structs.replace(erika, claims={}),
    ):
        assert not (await apply(database, msgspec.structs.replace(document, users=[user]), dry_run=True)).unchanged
    assert not (await apply(database, msgspec.structs.replace(document, users=[]), dry_run=True)).unchanged


async def test_there_is_nothing_to_export_of_a_tenant_that_is_gone(database: OpenedDatabase) -> None:
    await apply(database, EXAMPLE_DOCUMENT)
    await delete_tenant(database.platform, database.clock, "pid-provider")
    for slug in ("pid-provider", "nobody"):
        with pytest.raises(Refusal) as refused:
            await exported(database, slug)
        assert refused.value.code == "unknown_tenant"
    with pytest.raises(Refusal) as deleted:
        await diff(database, EXAMPLE_DOCUMENT)
    assert deleted.value.code == "tenant_deleted"


async def test_the_same_document_does_not_differ(database: OpenedDatabase) -> None:
    await apply(database, EXAMPLE_DOCUMENT)
    await apply(database, UNIVERSITY)
    reordered = msgspec.structs.replace(UNIVERSITY, credentials=dict(reversed(UNIVERSITY.credentials.items())))
    for document in (EXAMPLE_DOCUMENT, UNIVERSITY, reordered):
        assert await diff(database, document) == []
        assert (await apply(database, document)).unchanged


async def test_a_new_tenant_differs_as_a_whole_and_shows_no_password(database: OpenedDatabase) -> None:
    lines = await diff(database, EXAMPLE_DOCUMENT)
    assert lines[:3] == ["--- pid-provider: stored", "+++ pid-provider: given", "+schema: vestibule.tenant/1"]
    assert "+- username: erika" in lines
    assert "+  password: given" in lines
    assert not any(secret in line for line in lines for secret in SECRETS)


async def test_people_differ_by_name_and_never_show_a_password(database: OpenedDatabase) -> None:
    await apply(database, EXAMPLE_DOCUMENT)
    (erika,) = EXAMPLE_DOCUMENT.users

    async def with_users(*users: User) -> list[str]:
        lines = await diff(database, msgspec.structs.replace(EXAMPLE_DOCUMENT, users=list(users)))
        assert not any(secret in line for line in lines for secret in (*SECRETS, "another-secret"))
        return lines[2:]

    other = "  password: another, or another hint at it"
    assert await with_users(msgspec.structs.replace(erika, password="another-secret")) == [
        "-  password: as it is",
        f"+{other}",
    ]
    assert await with_users(msgspec.structs.replace(erika, demo_hint="It is another-secret.")) == [
        "-  password: as it is",
        f"+{other}",
    ]
    assert await with_users(msgspec.structs.replace(erika, active=False)) == ["-  active: true", "+  active: false"]
    changed = msgspec.structs.replace(erika, claims={**erika.claims, "given_name": "Eva"})
    assert await with_users(changed) == ["-    given_name: Erika", "+    given_name: Eva"]
    assert await with_users(erika, User(username="max", password="another-secret", claims={"a": 1})) == [
        "+- username: max",
        "+  password: given",
        "+  active: true",
        "+  claims: {a: 1}",
    ]
    assert all(line.startswith("-") for line in await with_users())


async def test_what_is_looked_up_differs_by_its_fingerprint(database: OpenedDatabase) -> None:
    await apply(database, EXAMPLE_DOCUMENT)
    lines = await diff(database, UNIVERSITY)
    (fingerprint,) = [line for line in lines if "SHA-256" in line]
    assert len(fingerprint.split()[-1].rstrip("]")) == 64
    assert not any("BEGIN CERTIFICATE" in line for line in lines)
    await apply(database, UNIVERSITY)
    other = {"pid-provider": TenantTrust(tenant="university")}
    lines = await diff(database, msgspec.structs.replace(UNIVERSITY, trust=other))
    assert lines[2].startswith("-  ")
    assert [line for line in lines if "tenant:" in line] == ["-    tenant: pid-provider", "+    tenant: university"]


async def test_a_diff_is_refused_as_applying_would_be(database: OpenedDatabase) -> None:
    with pytest.raises(Refusal) as refused:
        await diff(database, UNIVERSITY)
    assert refused.value.code == "unknown_tenant"
    lines = await difference(
        database.platform, FakePasswords(), UNIVERSITY, public_url=PUBLIC_URL, coming={"pid-provider"}
    )
    assert any("tenant: pid-provider" in line for line in lines)
