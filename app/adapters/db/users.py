"""People who can sign in, and how often somebody tried."""

import hmac
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import Insert, bindparam, case, delete, insert, select, true, update
from sqlalchemy.dialects import postgresql, sqlite

from app.adapters.db.prepared import Row
from app.adapters.db.repository import TENANT, TenantRepository, UpsertPair
from app.adapters.db.tables import login_attempts, users
from app.document_rules.names import same_name
from app.protocol.refusal import Refusal
from app.records import StoredUser


class _Person(Struct, frozen=True):
    """What is sealed of a user."""

    username: str
    password_hash: str
    demo_hint: str | None
    claims: dict[str, Any]


_BY_INDEX: Final = select(users).where(users.c.tenant_id == TENANT, users.c.username_index == bindparam("of_username"))
_BY_ID: Final = select(users).where(users.c.tenant_id == TENANT, users.c.user_id == bindparam("of_user"))
_HINTED: Final = (
    select(users)
    .where(users.c.tenant_id == TENANT, users.c.has_demo_hint == true(), users.c.active == true())
    .order_by(users.c.user_id)
)
_PEOPLE: Final = select(users).where(users.c.tenant_id == TENANT)
_KNOWN: Final = select(users.c.user_id, users.c.username_index).where(users.c.tenant_id == TENANT)
_INSERT: Final = insert(users).inline()
_UPDATE: Final = (
    update(users)
    .where(users.c.tenant_id == TENANT, users.c.user_id == bindparam("of_user"))
    .values(
        active=bindparam("new_active"), has_demo_hint=bindparam("new_has_demo_hint"), person=bindparam("new_person")
    )
)
_DELETE: Final = delete(users).where(users.c.tenant_id == TENANT, users.c.user_id == bindparam("of_user"))
_CLEAR_ATTEMPTS: Final = delete(login_attempts).where(
    login_attempts.c.tenant_id == TENANT, login_attempts.c.username_index == bindparam("of_username")
)


def _counting(statement: sqlite.Insert | postgresql.Insert) -> Insert:
    over = login_attempts.c.expires_at <= bindparam("now")
    return statement.values(
        tenant_id=bindparam("tenant_id"),
        username_index=bindparam("username_index"),
        attempts=1,
        expires_at=bindparam("window_end"),
    ).on_conflict_do_update(
        index_elements=["tenant_id", "username_index"],
        set_={
            "attempts": case((over, 1), else_=login_attempts.c.attempts + 1),
            "expires_at": case((over, bindparam("window_end")), else_=login_attempts.c.expires_at),
        },
        where=over | (login_attempts.c.attempts < bindparam("most")),
    )


_COUNT_ATTEMPT: Final[UpsertPair] = {
    "sqlite": _counting(sqlite.insert(login_attempts)),
    "postgresql": _counting(postgresql.insert(login_attempts)),
}


class SqlUsers(TenantRepository):
    """`Users` on SQL. A name is found through a keyed index, so a stolen table does not tell who is in it (M-16)."""

    def by_username(self, username: str) -> StoredUser | None:
        """Return a person by user name, compared without regard to case and Unicode form."""
        return self._user(self._first(_BY_INDEX, of_username=self._index(username)))

    def by_id(self, user_id: str) -> StoredUser | None:
        """Return a person."""
        return self._user(self._first(_BY_ID, of_user=user_id))

    def all(self) -> list[StoredUser]:
        """Return every person, by user name."""
        people = [self._stored(row) for row in self._all(_PEOPLE)]
        return sorted(people, key=lambda person: person.username)

    def demo_hints(self) -> list[str]:
        """Return the hints of active users that carry one."""
        people = [self._person(row) for row in self._all(_HINTED)]
        return [person.demo_hint for person in people if person.demo_hint is not None]

    def replace_all(self, users: list[StoredUser]) -> None:
        """Make these the tenant's people: known user names keep their `user_id`, absent ones are deleted.

        Raises `Refusal` where two names differ in case or Unicode form only.
        """
        known = {bytes(row.username_index): row.user_id for row in self._all(_KNOWN)}
        wanted = {self._index(user.username): user for user in users}
        if len(wanted) < len(users):
            raise Refusal("invalid_document", "Two users have the same name.")
        for index in known.keys() - wanted.keys():
            self._change(_DELETE, of_user=known[index])
        for index, user in wanted.items():
            if index in known:
                self._update(known[index], user)
            else:
                self._add(index, user)

    def count_login_attempt(self, username: str, *, now: int, limit: int, window: int) -> bool:
        """Spend one of `limit` tries per `window` seconds for a name, existing or not; False where none is left."""
        counted = self._upsert(
            _COUNT_ATTEMPT, username_index=self._index(username), now=now, window_end=now + window, most=limit
        )
        return counted == 1

    def clear_login_attempts(self, username: str) -> None:
        """Forget the tries after a successful sign-in."""
        self._change(_CLEAR_ATTEMPTS, of_username=self._index(username))

    def _add(self, index: bytes, user: StoredUser) -> None:
        self._insert(
            _INSERT,
            user_id=user.user_id,
            username_index=index,
            active=user.active,
            has_demo_hint=user.demo_hint is not None,
            person=self._sealed_person(user.user_id, user),
        )

    def _update(self, user_id: str, user: StoredUser) -> None:
        self._change(
            _UPDATE,
            of_user=user_id,
            new_active=user.active,
            new_has_demo_hint=user.demo_hint is not None,
            new_person=self._sealed_person(user_id, user),
        )

    def _sealed_person(self, user_id: str, user: StoredUser) -> bytes | None:
        person = _Person(user.username, user.password_hash, user.demo_hint, user.claims)
        return self._seal(users.c.person, person, user_id=user_id)

    def _person(self, row: Row) -> _Person:
        return self._open(users.c.person, row, _Person)

    def _user(self, row: Row | None) -> StoredUser | None:
        return None if row is None else self._stored(row)

    def _stored(self, row: Row) -> StoredUser:
        person = self._person(row)
        return StoredUser(
            user_id=row.user_id,
            username=person.username,
            password_hash=person.password_hash,
            demo_hint=person.demo_hint,
            claims=person.claims,
            active=row.active,
        )

    def _index(self, username: str) -> bytes:
        return hmac.digest(self._vault.derive("username index"), same_name(username).encode(), "sha256")
