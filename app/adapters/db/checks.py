"""What several tables share and the two databases say differently: CHECK constraints and the database's clock."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, CheckConstraint
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnElement


class _DatabaseNow(ColumnElement[int]):
    """Whole seconds since 1970 by the database's clock."""

    type = BigInteger()
    inherit_cache = True


@compiles(_DatabaseNow, "sqlite")
def _sqlite_now(_element: _DatabaseNow, _compiler: Any, **_: Any) -> str:
    return "(unixepoch())"


@compiles(_DatabaseNow, "postgresql")
def _postgresql_now(_element: _DatabaseNow, _compiler: Any, **_: Any) -> str:
    return "(extract(epoch from now())::bigint)"


DATABASE_NOW: Final = _DatabaseNow()


def _either(name: str, *, sqlite: str, postgresql: str) -> list[CheckConstraint]:
    return [
        CheckConstraint(sqlite, name=name).ddl_if(dialect="sqlite"),
        CheckConstraint(postgresql, name=name).ddl_if(dialect="postgresql"),
    ]


def base64url_43(column: str) -> list[CheckConstraint]:
    """A SHA-256 value in base64url: 43 characters (RFC 7638 thumbprints, RFC 7636 challenges)."""
    return _either(
        f"{column}_shape",
        sqlite=f"length({column}) = 43 AND {column} NOT GLOB '*[^A-Za-z0-9_-]*'",
        postgresql=f"{column} ~ '^[A-Za-z0-9_-]{{43}}$'",
    )


def scope_tokens(column: str) -> list[CheckConstraint]:
    """The characters of a scope (RFC 6749 §3.3: %x20, %x21, %x23-5B, %x5D-7E), at least one."""
    return _either(
        f"{column}_characters",
        # In a GLOB set `]` stands for itself in the first place only.
        sqlite=f"length({column}) > 0 AND {column} NOT GLOB '*[^] !#-[^-~]*'",
        postgresql=rf"{column} ~ '^[\x20\x21\x23-\x5B\x5D-\x7E]+$'",
    )


def pkce_pair() -> list[CheckConstraint]:
    """Challenge and method both or neither, the method S256 (RFC 7636 §4.3), the challenge a SHA-256 value."""
    return [
        CheckConstraint("(code_challenge IS NULL) = (code_challenge_method IS NULL)", name="pkce_pair"),
        CheckConstraint("code_challenge_method = 'S256'", name="pkce_method"),
        *base64url_43("code_challenge"),
    ]


def sha256_digest(column: str) -> CheckConstraint:
    """A SHA-256 digest: 32 octets."""
    return CheckConstraint(f"length({column}) = 32", name=f"{column}_length")


def is_one_of(column: str, words: Sequence[str]) -> str:
    """Say in SQL that a column has one of these words."""
    listed = ", ".join(f"'{word}'" for word in words)
    return f"{column} IN ({listed})"


def one_of(column: str, words: Sequence[str]) -> CheckConstraint:
    """One of the words the service knows."""
    return CheckConstraint(is_one_of(column, words), name=f"{column}_known")
